"""How a whole kind is read: streamed where the API server does that, in pages elsewhere; the store is the same."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from kubedx.checks import registry
from tests.cluster.footprint import requests
from tests.cluster.harness import CHECKOUT, Cluster, wait_for
from tests.cluster.installation import Operator, at_work, diagnoses, impatient

NO_STREAMED_LISTS = "33"
"""The minor version of Kubernetes that has WatchList off by default; 1.32 and those from 1.34 on have it on."""


@pytest.fixture(scope="module")
def working(own_cluster: Cluster) -> Iterator[Operator]:
    """An operator that has read a cluster with a fault."""
    own_cluster.inject(CHECKOUT / "examples" / "faults" / "storage-class-missing.yaml")
    with at_work(own_cluster, {"checks": impatient(timedelta(seconds=3))}) as operator:
        yield operator


def streams_lists(cluster: Cluster) -> bool:
    """Whether the API server of this version streams lists."""
    version = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]
    return str(version["minor"]) != NO_STREAMED_LISTS


def test_lists_are_streamed_where_the_server_does_that_and_read_in_pages_elsewhere(working: Operator) -> None:
    asked = requests(working.cluster)
    watched = {view.resource.plural for check in registry() for view in registry().kinds(check)}
    listed = {one.resource for one in asked if one.verb == "list" and one.resource in watched}
    assert listed == (set() if streams_lists(working.cluster) else watched)
    assert {one.resource for one in asked if one.verb == "watch"} >= watched


@pytest.mark.parametrize("kind", ["Pod", "Node", "ReplicaSet", "Service", "EndpointSlice"])
def test_what_was_read_is_what_there_is(working: Operator, kind: str) -> None:
    def same() -> bool:
        there = len(working.cluster.get(kind, "--all-namespaces"))
        assert working.metric("kubedx_watch_objects", kind=kind) == there > 0
        return True

    wait_for(same, timeout=10, what=f"match of {kind}")
    assert working.metric("kubedx_watch_synced", kind=kind) == 1


def test_a_fault_is_found_however_it_was_read(working: Operator) -> None:
    found = "StorageClassMissing StorageClass/fast"
    wait_for(lambda: diagnoses(working.cluster).get(found), timeout=30, what=found)
