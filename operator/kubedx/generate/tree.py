"""Every generated file of the repository: what it must hold, which are stale, and writing them."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml
from prometheus_client import Metric

from kubedx.core.check import Check, Registry
from kubedx.generate import alerts, chart, coverage, crd, docs, evidence, rbac
from kubedx.generate.unseen import UNSEEN

PAGES = "docs/checks"
CASES = "tests/checks"
CHECKS = "operator/kubedx/checks"

EXAMPLES = (
    ("A status field", "NodeDiskPressure"),
    ("An absence", "MetricsServerMissing"),
    ("Events only", "WorkloadPodCreateForbidden"),
    ("History", "NodeReadyFlapping"),
)
"""The checks that docs/writing-checks.md shows whole."""


class TreeError(Exception):
    """The repository cannot be generated; the message says what to do."""


def find_root(start: Path) -> Path:
    """Find the root of a clone of kubedx.

    Args:
        start: A folder in it.

    Returns:
        The folder with kubedx's pyproject.toml.

    Raises:
        TreeError: There is none here or above.
    """
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
            if project.get("name") == "kubedx":
                return folder
    raise TreeError(f"{start} is not in a clone of kubedx's repository, whose files this command writes; go there")


def outputs(registry: Registry, families: Iterable[Metric], root: Path) -> dict[str, str]:
    """Render everything that is generated.

    Args:
        registry: All checks.
        families: What the collector of the metrics gives.
        root: The repository's root, for the cases and for pages that are generated in part.

    Returns:
        From the path below the root to what the file must hold.

    Raises:
        TreeError: A check has no case to show, or a page has no place for a generated block.
    """
    return {
        **crd.render(),
        "charts/kubedx/files/rules.yaml": rbac.render(registry.resources),
        "charts/kubedx/files/alerts.yaml": alerts.render(),
        "charts/kubedx/values.yaml": chart.values(),
        "charts/kubedx/values.schema.json": chart.schema(registry),
        alerts.PAGE: alerts.page(),
        "docs/metrics.md": docs.metrics(families),
        "docs/coverage.md": coverage.page(registry),
        "docs/evidence.md": evidence.page(registry, root),
        "docs/profiles.md": docs.profiles(registry),
        f"{PAGES}/index.md": docs.index(registry),
        **{f"{PAGES}/{one.id}.md": docs.check_page(one, registry, _case(one, root)[1]) for one in registry},
        **{f"{PAGES}/{one.id}.md": docs.unseen_markdown(one, registry) for one in UNSEEN},
        "docs/writing-checks.md": _filled(root, "docs/writing-checks.md", "examples", _examples(registry, root)),
        "README.md": _filled(root, "README.md", "checks", docs.summary(registry)),
    }


_Case = tuple[Path, Mapping[str, str]]
"""A case, and one finding that it expects."""


def _case(check: Check, root: Path) -> _Case:
    """Find the case to show, and its finding: one of the check's own severity where there is one."""
    other: _Case | None = None
    for found in _firing(check, root):
        if found[1].get("severity") == check.severity.text:
            return found
        other = other or found
    if other is None:
        raise TreeError(f"{check.id} has no case {CASES}/{check.id}/fires.*.yaml whose finding its page could show")
    return other


def _firing(check: Check, root: Path) -> Iterator[_Case]:
    for path in sorted((root / CASES / check.id).glob("fires.*.yaml")):
        for expected in yaml.safe_load(path.read_text(encoding="utf-8")).get("expect") or ():
            yield path, expected


def _examples(registry: Registry, root: Path) -> str:
    return docs.examples([_source(heading, registry.by_id[id_], root) for heading, id_ in EXAMPLES])


def _source(heading: str, check: Check, root: Path) -> tuple[str, str, str, str]:
    module, (case, _) = root / f"operator/{check.module.replace('.', '/')}.py", _case(check, root)
    name = str(case.relative_to(root))
    return f"{heading}: {check.id}", module.read_text(encoding="utf-8"), name, case.read_text(encoding="utf-8")


def _filled(root: Path, path: str, block: str, body: str) -> str:
    try:
        return docs.fill((root / path).read_text(encoding="utf-8"), block, body)
    except (docs.MarkerError, FileNotFoundError) as error:
        raise TreeError(f"{path}: {error}") from error


def obsolete(root: Path, wanted: Mapping[str, str]) -> list[str]:
    """List the generated files of checks and kinds that are no more."""
    found = [*root.glob(f"{PAGES}/*.md"), *root.glob(f"{crd.FOLDER}/*.yaml")]
    return sorted({str(path.relative_to(root)) for path in found} - wanted.keys())


def differences(root: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    """Compare the files on disk with what they must hold.

    Args:
        root: The repository's root.
        wanted: From path to content, such as `outputs` gives.

    Yields:
        For each stale file a unified diff; obsolete ones count as stale.
    """
    for path, text in {**wanted, **dict.fromkeys(obsolete(root, wanted), "")}.items():
        file = root / path
        there = file.read_text(encoding="utf-8") if file.exists() else ""
        if there != text:
            lines = difflib.unified_diff(
                there.splitlines(), text.splitlines(), path, f"{path} (generated)", lineterm=""
            )
            yield "\n".join(lines)


def write(root: Path, wanted: Mapping[str, str]) -> list[str]:
    """Write what is stale and remove what is obsolete.

    Args:
        root: The repository's root.
        wanted: From path to content, such as `outputs` gives.

    Returns:
        The paths that changed.
    """
    gone = obsolete(root, wanted)
    for path in gone:
        (root / path).unlink()
    changed = []
    for path, text in wanted.items():
        file = root / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            changed.append(path)
    return [*gone, *changed]
