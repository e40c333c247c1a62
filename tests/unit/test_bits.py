"""What can be seen of an object at a glance."""

from typing import Any

import pytest

from kubedx.kube.bits import Bit, bits
from tests.unit.cluster_edits import decode

READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def seen(kind: str, status: dict[str, Any] | None = None, **body: Any) -> Bit:
    metadata = {"name": "a", **body.pop("metadata", {})}
    return bits(decode(kind, {"metadata": metadata, "status": status or {}, **body}).form)


def pod_with(**container: Any) -> Bit:
    return seen("Pod", {**READY, "containerStatuses": [{"name": "c", **container}]})


@pytest.mark.parametrize(("status", "expected"), [
    ({"conditions": [{"type": "Ready", "status": "True"}]}, Bit(0)),
    ({"conditions": [{"type": "Ready", "status": "False"}]}, Bit.NOT_READY),
    ({"conditions": [{"type": "Ready", "status": "Unknown"}]}, Bit.NOT_READY),
    ({}, Bit.NOT_READY),
    ({"conditions": [*READY["conditions"], {"type": "DiskPressure", "status": "True"}]}, Bit.PRESSURE),
    ({"conditions": [*READY["conditions"], {"type": "DiskPressure", "status": "Unknown"}]}, Bit(0)),
    ({"conditions": [*READY["conditions"], {"type": "NetworkUnavailable", "status": "True"}]}, Bit.PRESSURE),
    ({"conditions": [*READY["conditions"], {"type": "SomethingElse", "status": "True"}]}, Bit(0)),
])  # fmt: skip
def test_bits_of_a_node_follow_its_conditions(status: dict[str, Any], expected: Bit) -> None:
    assert seen("Node", status) == expected


def test_a_cordoned_node_has_its_bit() -> None:
    assert seen("Node", READY, spec={"unschedulable": True}) == Bit.CORDONED


def test_anything_that_is_being_deleted_has_its_bit() -> None:
    gone = {"deletionTimestamp": "2026-01-01T00:00:00Z"}

    assert seen("Namespace", metadata=gone) == Bit.TERMINATING
    assert seen("Pod", READY, metadata=gone) == Bit.TERMINATING


@pytest.mark.parametrize(("phase", "expected"), [
    ("Running", Bit(0)), ("Pending", Bit.PENDING), ("Failed", Bit.FAILED), ("Succeeded", Bit(0)), ("Odd", Bit(0)),
])  # fmt: skip
def test_bits_of_a_pod_follow_its_phase(phase: str, expected: Bit) -> None:
    assert seen("Pod", {**READY, "phase": phase}) == expected


def test_bits_of_a_pod_follow_its_containers() -> None:
    assert pod_with(state={"running": {}}) == Bit(0)
    assert pod_with(state={"waiting": {"reason": "CrashLoopBackOff"}}) == Bit.WAITING
    assert pod_with(state={"terminated": {"exitCode": 1}}) == Bit.TERMINATED
    assert pod_with(state={"running": {}}, lastState={"terminated": {"exitCode": 137}}) == Bit.TERMINATED


def test_init_containers_count_as_containers() -> None:
    status = {**READY, "initContainerStatuses": [{"name": "i", "state": {"waiting": {"reason": "X"}}}]}

    assert seen("Pod", status) == Bit.WAITING


def test_a_pod_that_something_chose_to_end_has_its_bit() -> None:
    status = {"conditions": [*READY["conditions"], {"type": "DisruptionTarget", "status": "True"}]}

    assert seen("Pod", status) == Bit.DISRUPTED


def test_a_healthy_cluster_has_no_bits() -> None:
    assert seen("Service") == seen("Namespace") == seen("Deployment") == Bit(0)
