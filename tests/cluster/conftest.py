"""One real control plane for the whole session, and a namespace of its own for each test."""

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cluster import footprint, harness
from tests.cluster.tools.build import ToolsUnavailable

ZONES = ("zone-a", "zone-b")
NODE_GRACE = 16
Flags = Mapping[str, Mapping[str, str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks everything in this folder, so that a forgotten marker cannot run a cluster test among the unit tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster() -> Iterator[harness.Cluster]:
    """A cluster with two played nodes in each of two zones; a node that falls silent is noticed after 16 s."""
    yield from _running_cluster({}, NODE_GRACE)


@pytest.fixture(scope="module")
def flags() -> Flags:
    """Further flags of the components of `own_cluster`; a module that needs some has a fixture of this name."""
    return {}


@pytest.fixture(scope="module")
def node_grace() -> int:
    """Seconds for which a silent node of `own_cluster` counts as Ready, fixed like `flags`."""
    return NODE_GRACE


@pytest.fixture(scope="module")
def own_cluster(flags: Flags, node_grace: int) -> Iterator[harness.Cluster]:
    """The same for a module alone, whose tests change what all tests of a cluster share: kinds, rights, the policy."""
    yield from _running_cluster(flags, node_grace)


def _running_cluster(flags: Flags, node_grace: int) -> Iterator[harness.Cluster]:
    """Starts a cluster and, whatever its tests were about, looks at its end whether the operator only read."""
    try:
        running = harness.start(node_grace_seconds=node_grace, extra_args=flags)
    except ToolsUnavailable as problem:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the cluster tests: {problem}")
        pytest.skip(str(problem))
    try:
        for zone in ZONES:
            running.add_nodes(2, zone=zone)
        yield running
        assert footprint.forbidden_deeds(running) == []
    finally:
        running.stop()


@pytest.fixture
def namespace(cluster: harness.Cluster) -> Iterator[str]:
    """A fresh namespace, deleted afterwards without waiting for it."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
