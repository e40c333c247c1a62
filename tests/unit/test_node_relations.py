"""How the checks on nodes explain each other, on the objects of their own cases."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from kubedx.scan import scan_dump
from tests.checks.cases import HERE

LATER = datetime.fromisoformat("2026-01-01T00:20:00Z")

Explained = dict[str, dict[str, int]]


@pytest.fixture
def diagnosed(tmp_path: Path) -> Callable[[str], Explained]:
    """For each diagnosis of a case's objects, how many findings of which checks it explains."""

    def scan(case: str) -> Explained:
        dump = tmp_path / "dump.yaml"
        dump.write_text(yaml.safe_dump_all(yaml.safe_load((HERE / case).read_text())["objects"]))
        found = scan_dump(str(dump), None, LATER).diagnoses
        return {f"{one.check.id} {one.subject.name}": {sub.check: sub.count for sub in one.explains} for one in found}

    return scan


def test_a_lost_zone_explains_its_unreachable_nodes(diagnosed: Callable[[str], Explained]) -> None:
    assert diagnosed("ZoneDisruption/fires.whole-zone.yaml") == {"ZoneDisruption zone-a": {"NodeUnreachable": 3}}


def test_nodes_without_a_zone_are_explained_as_well(diagnosed: Callable[[str], Explained]) -> None:
    assert diagnosed("ZoneDisruption/fires.no-zone-labels.yaml") == {
        "ZoneDisruption (unlabelled)": {"NodeUnreachable": 3}
    }


def test_a_node_that_was_lost_long_before_is_not_explained_by_its_zone(diagnosed: Callable[[str], Explained]) -> None:
    found = diagnosed("ZoneDisruption/fires.the-last-of-a-zone.yaml")

    assert found["ZoneDisruption zone-a"] == {"NodeUnreachable": 1}
    assert {"NodeUnreachable a-1", "NodeUnreachable a-2"} <= set(found)


def test_nodes_that_are_lost_apart_stand_for_themselves(diagnosed: Callable[[str], Explained]) -> None:
    found = diagnosed("ZoneDisruption/silent.two-in-two-zones.yaml")

    assert found == {"NodeUnreachable a-1": {}, "NodeUnreachable b-1": {}}


def test_a_runtime_that_is_down_explains_what_the_kubelet_says_beside_it(
    diagnosed: Callable[[str], Explained],
) -> None:
    assert diagnosed("NodeContainerRuntimeDown/fires.among-others.yaml") == {
        "NodeContainerRuntimeDown worker-1": {"NodeNotReady": 1, "NodePLEGUnhealthy": 1}
    }
    assert diagnosed("NodeContainerRuntimeDown/fires.runtime-says-not-ready.yaml") == {
        "NodeContainerRuntimeDown worker-1": {"NodeCNINotReady": 1, "NodeNotReady": 1}
    }


def test_a_missing_network_plugin_explains_the_node_that_is_not_ready(diagnosed: Callable[[str], Explained]) -> None:
    assert diagnosed("NodeCNINotReady/fires.containerd.yaml") == {"NodeCNINotReady worker-1": {"NodeNotReady": 1}}


def test_a_node_that_is_not_ready_for_no_known_reason_stands_for_itself(diagnosed: Callable[[str], Explained]) -> None:
    assert diagnosed("NodeNotReady/fires.one-error.yaml") == {"NodeNotReady worker-1": {}}
