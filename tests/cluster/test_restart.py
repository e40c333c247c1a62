"""The operator ends, in every way, and goes on as if it had never been away: the objects are its memory."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.cluster.claims import mend, missing_class, state_of
from tests.cluster.footprint import diagnosis_writes, objects, requests
from tests.cluster.harness import Cluster, wait_for
from tests.cluster.installation import Operator, diagnoses, impatient, install, install_among_faults, operator

HOLD = timedelta(seconds=3)
FAULTS = ("storage-class-missing", "pods-unschedulable", "hpa-without-metrics-api", "finalizer-stuck", "quota-exceeded")
FOUND = {
    "StorageClassMissing StorageClass/fast",
    "ResourceUnitSuspicious Deployment/analytics/too-much-cpu",
    "PodUnschedulable Deployment/analytics/wants-a-gpu",
    "MetricsServerMissing APIService/v1beta1.metrics.k8s.io",
    "ResourceFinalizerStuck Service/legacy/old-gateway",
    "QuotaExceeded ResourceQuota/team-blue/small",
}
QUIET = 8.0
"""Seconds after which an operator that has read everything would have written, had it anything to write."""


@pytest.fixture(scope="module")
def troubled(own_cluster: Cluster) -> Cluster:
    """A cluster with the chart and faults that stay."""
    install_among_faults(own_cluster, FAULTS, longest=HOLD)
    return own_cluster


@pytest.fixture(scope="module")
def replica(troubled: Cluster) -> Operator:
    """The one replica of these tests. Started again it is the same one, as a container is that a kubelet restarts."""
    return operator(troubled)


@contextmanager
def started(replica: Operator, *, ready: bool = True) -> Iterator[Operator]:
    """The operator while it runs; at the end it is gone, whatever happened to it meanwhile."""
    replica.start(ready=ready)
    try:
        yield replica
    finally:
        replica.stop()
        print(replica.log.read_text())  # Shown where a test fails.


def until_all_is_found(cluster: Cluster) -> None:
    def everything() -> bool:
        open_ones = {name for name, one in diagnoses(cluster).items() if one["state"] == "Open"}
        assert open_ones >= FOUND, f"still missing: {FOUND - open_ones}"
        (hpa,) = [one for name, one in diagnoses(cluster).items() if name.startswith("MetricsServerMissing")]
        assert hpa["explainsCount"] == 1
        return True

    wait_for(everything, timeout=60, what="diagnosis for each fault")


def set_policy(cluster: Cluster, **spec: object) -> None:
    cluster.kubectl("patch", "diagnosispolicy", "cluster", "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def test_killed_and_restarted_it_changes_nothing_and_writes_nothing(troubled: Cluster, replica: Operator) -> None:
    with started(replica):
        until_all_is_found(troubled)
        time.sleep(QUIET)
        before = objects(troubled)
        replica.stop(signal.SIGKILL)
    asked = len(requests(troubled))
    with started(replica):
        time.sleep(QUIET)
    assert objects(troubled) == before
    assert diagnosis_writes(requests(troubled, after=asked)) == []


def test_killed_in_the_middle_of_writing_it_completes_what_it_began(troubled: Cluster, replica: Operator) -> None:
    troubled.kubectl("delete", "clusterdiagnoses", "--all")
    set_policy(troubled, limits={"writesPerSecond": 1})
    with started(replica, ready=False):
        wait_for(lambda: objects(troubled), timeout=60, what="first diagnosis", every=0.05)
        replica.stop(signal.SIGKILL)
    begun = {name: one for name, one in objects(troubled).items() if one[3]}
    assert len(begun) < len(FOUND)
    set_policy(troubled, limits=None)
    with started(replica):
        until_all_is_found(troubled)
    found = objects(troubled)
    assert {name: (found[name][0], *found[name][2:]) for name in begun} == {
        name: (uid, first_seen, state) for name, (uid, _, first_seen, state) in begun.items()
    }
    assert len(diagnoses(troubled)) == len(found), "each object tells of another subject"


@pytest.mark.parametrize("seconds", [0.2, 1.5, 2.5])
def test_killed_while_it_starts_it_leaves_everything_as_it_is(
    troubled: Cluster, replica: Operator, seconds: float
) -> None:
    with started(replica):
        until_all_is_found(troubled)
        before = objects(troubled)
    with started(replica, ready=False):
        time.sleep(seconds)
        replica.stop(signal.SIGKILL)
    assert objects(troubled) == before


def test_what_was_mended_while_it_was_down_is_resolved_after_the_restart(troubled: Cluster, replica: Operator) -> None:
    name = missing_class(troubled, "mended-meanwhile")
    with started(replica):
        wait_for(lambda: state_of(troubled, name) == "Open", timeout=30, what=name)
        before = diagnoses(troubled)[name]
    mend(troubled, "mended-meanwhile")
    with started(replica):
        wait_for(
            lambda: state_of(troubled, name) == "Resolved",
            timeout=10 + HOLD.total_seconds(), what=f"end of {name}",
        )  # fmt: skip
    after = diagnoses(troubled)[name]
    assert after["firstSeen"] == before["firstSeen"]
    assert after["resolution"] == "Cleared"
    assert [turn["state"] for turn in after["history"]] == ["Open", "Resolved"]


def test_what_broke_while_it_was_down_is_found_after_the_restart(troubled: Cluster, replica: Operator) -> None:
    name = missing_class(troubled, "broken-meanwhile")
    with started(replica):
        wait_for(lambda: state_of(troubled, name) == "Open", timeout=30, what=name)
    mend(troubled, "broken-meanwhile")


@pytest.mark.parametrize("ready", [True, False], ids=["running", "starting"])
def test_it_ends_at_once_when_told_to(troubled: Cluster, replica: Operator, ready: bool) -> None:  # noqa: FBT001 -- a parameter of pytest
    with started(replica, ready=ready):
        if not ready:
            wait_for(lambda: replica.get("/healthz")[0] == 200, timeout=30, what="answer", every=0.05)
        assert replica.stop(signal.SIGTERM) < 5
        assert replica.exit_code == 0, replica.log.read_text()


def test_kinds_that_were_deleted_and_come_back_get_their_objects_again(troubled: Cluster, replica: Operator) -> None:
    with started(replica):
        until_all_is_found(troubled)
        before = diagnoses(troubled)
        troubled.kubectl("delete", "crd", "clusterdiagnoses.kubedx.dev", "diagnosispolicies.kubedx.dev")
        wait_for(lambda: replica.metric("kubedx_writes_total", result="404") > 0, timeout=30, what="write that failed")
        assert replica.get("/healthz")[0] == 200
        install(troubled, policy={"checks": impatient(HOLD)})
        until_all_is_found(troubled)
        again = wait_for(lambda: troubled.get("diagnosispolicies"), timeout=90, what="policy")
        assert replica.running
    after = diagnoses(troubled)
    assert {name: after[name]["firstSeen"] for name in FOUND} == {name: before[name]["firstSeen"] for name in FOUND}
    assert [one["metadata"]["name"] for one in again] == ["cluster"]


def test_without_its_api_server_it_waits_and_then_goes_on(troubled: Cluster, replica: Operator) -> None:
    with started(replica):
        until_all_is_found(troubled)
        time.sleep(QUIET)
        before = objects(troubled)
        troubled.halt()
        time.sleep(5)
        assert replica.running
        assert replica.get("/healthz") == (200, "ok\n")
        assert replica.metric("kubedx_diagnoses") >= len(FOUND), "what it knew last, it still says"
        troubled.revive()
        name = missing_class(troubled, "broken-afterwards")
        wait_for(lambda: state_of(troubled, name) == "Open", timeout=60, what=name)
        after = objects(troubled)
        assert {one: (after[one][0], *after[one][2:]) for one in before} == {
            one: (uid, first_seen, state) for one, (uid, _, first_seen, state) in before.items()
        }
        set_policy(troubled, checks={"StorageClassMissing": {"enabled": False}})
        wait_for(lambda: state_of(troubled, name) == "Resolved", timeout=60, what="sign that the policy is followed")
        set_policy(troubled, checks=None)
        wait_for(lambda: state_of(troubled, name) == "Open", timeout=20, what=name)


def test_it_ends_at_once_while_its_api_server_is_away(troubled: Cluster, replica: Operator) -> None:
    with started(replica):
        troubled.halt()
        try:
            time.sleep(3)
            assert replica.stop(signal.SIGTERM) < 5
            assert replica.exit_code == 0
        finally:
            troubled.revive()
