"""Writes `examples/dump`: what the checks read of a running demo, for `make scan-demo`.

    make demo
    sleep 1000        # the policy's own patience is up to fifteen minutes
    .venv/bin/python examples/dump.py

A file for each kind, also for one without objects, so that a scan knows that it was looked for.
"""

import json
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kubedx.checks import registry
from tests.cluster import harness  # found by the line above

FOLDER = harness.CHECKOUT / "examples" / "dump"
NOISE = {"managedFields", "selfLink", "generation", "kubectl.kubernetes.io/last-applied-configuration"}
"""What says nothing about the cluster's health, and most of what there is to read."""


def trimmed(value: Any) -> Any:  # noqa: ANN401 - the API's own JSON
    """Leaves out of an object what nobody wants to read, and the name of this machine."""
    if isinstance(value, dict):
        return {key: trimmed(one) for key, one in value.items() if key not in NOISE and one is not None}
    if isinstance(value, list):
        return [trimmed(one) for one in value]
    return (
        re.sub(rf"\b{re.escape(socket.gethostname())}\b", "control-plane", value) if isinstance(value, str) else value
    )


def is_api_server(plural: str, item: dict[str, Any]) -> bool:
    """Whether an object is the API server's own EndpointSlice, which has the address of this machine."""
    return plural == "endpointslices" and item["metadata"]["name"] == "kubernetes"


def main() -> int:
    """Writes the dump anew."""
    cluster = harness.find(harness.checkout_name())
    if cluster is None:
        print("There is no demo to dump; start one with: make demo", file=sys.stderr)
        return 1
    # A scan judges ages by the newest time in the dump, and a cluster in which nothing happens writes none.
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "newcomers"}})
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for resource in sorted({view.resource for check in registry() for view in registry().kinds(check)}, key=str):
        listing = trimmed(json.loads(cluster.kubectl("get", "--raw", resource.path)))
        listing["items"] = [one for one in listing["items"] if not is_api_server(resource.plural, one)]
        text = yaml.safe_dump(listing, sort_keys=False, width=120)
        (FOLDER / f"{resource.plural}.yaml").write_text(text, encoding="utf-8")
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    print(f"wrote {FOLDER.relative_to(harness.CHECKOUT)}, {size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
