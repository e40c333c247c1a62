"""What the tests on real nodes share. They are left out, with the reason, where a node cannot be made."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import footprint, harness
from tests.cluster.tools import build
from tests.node import machine

GRACE = 16


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks everything in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.node)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[harness.Cluster]:
    """A control plane without nodes; a node that falls silent is noticed after 16 s."""
    why = machine.lacks()
    try:
        if not why:
            for tools in ("kubernetes", "helm", "node", "runc", "busybox"):
                build.ensure(tools)
    except build.ToolsUnavailable as problem:
        why = str(problem)
    if why and os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the tests on nodes: {why}")
    if why:
        pytest.skip(why)
    machine.remove_orphans()
    running = harness.start(node_grace_seconds=GRACE)
    try:
        yield running
        assert footprint.forbidden_deeds(running) == []
    finally:
        running.stop()
