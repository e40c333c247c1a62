"""That findings about one pod have the times and keys by which they find each other."""

from dataclasses import replace

from kubedx.engine.verdict import RawFinding
from tests.checks.cases import HERE, load, run


def findings(path: str, check: str) -> tuple[RawFinding, ...]:
    """What another check says about the objects of a case."""
    return run(replace(load(HERE / path), check=check, settings={})).findings


def test_a_container_that_is_killed_over_and_over_is_the_cause_of_its_crash_loop() -> None:
    path = "PodOOMKilled/fires.critical-in-a-crash-loop.yaml"
    (cause,), (symptom,) = findings(path, "PodOOMKilled"), findings(path, "PodCrashLoopBackOff")

    assert cause.since is not None
    assert symptom.since is not None
    assert cause.since <= symptom.since
    assert {*cause.keys["itself"]} & {*symptom.keys["itself"]}


def test_an_image_that_does_not_exist_is_the_cause_of_the_pause() -> None:
    path = "ImageNotFound/fires.critical-after-ten-minutes.yaml"
    (cause,), (symptom,) = findings(path, "ImageNotFound"), findings(path, "ImagePullBackOff")

    assert cause.since == symptom.since
    assert cause.severity == symptom.severity
    assert {*cause.keys["itself"]} & {*symptom.keys["itself"]}


def test_a_lost_node_ties_its_pods_together() -> None:
    path = "PodStuckTerminating/fires.real-1.36-node-lost.yaml"
    checks = ("PodEvictedByTaint", "PodStuckTerminating", "PodUnschedulable")

    assert {key for check in checks for one in findings(path, check) for key in one.keys["same_node"]} == {"lost-1"}


def test_an_evicted_pod_says_which_pressure() -> None:
    for case, pressure in (("memory", "memory"), ("disk", "disk"), ("process-ids", "pid"), ("without-figures", "disk")):
        (found,) = findings(f"PodEvictedNodePressure/fires.{case}.yaml", "PodEvictedNodePressure")

        assert found.params["pressure"] == pressure
        assert found.keys["same_node"] == ("node-1",)
