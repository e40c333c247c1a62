"""Renders `manifests/` from the chart: `python -m tests.chart.manifests`, part of `make generate`."""

import tempfile
from pathlib import Path

from tests.chart.helm import CHART, ROOT, Helm
from tests.cluster.tools.build import ensure

MANIFESTS = ROOT / "manifests" / "kubedx.yaml"
HEADER = "# Generated from charts/kubedx by `make generate`; do not edit.\n"


def render(helm: Helm) -> str:
    """The manifests as the chart has them now."""
    values = CHART / "ci" / "manifests-values.yaml"
    run = helm.run("template", "kubedx", str(CHART), "--namespace=kubedx", f"--values={values}")
    if run.returncode != 0:
        raise SystemExit(run.stderr)
    return HEADER + run.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        text = render(Helm(ensure("helm") / "helm", Path(home)))
    if MANIFESTS.read_text() != text:
        MANIFESTS.write_text(text)
        print(f"wrote {MANIFESTS.relative_to(ROOT)}")
