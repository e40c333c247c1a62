"""The DiagnosisPolicy and the spec of a diagnosis, edited while the operator runs: it follows within seconds."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest

from tests.cluster.claims import mend, missing_class, state_of
from tests.cluster.harness import Cluster, ClusterError, Manifest, wait_for
from tests.cluster.installation import Operator, diagnoses, impatient, install, operator

SOON = 10.0
"""Seconds within which an edit shows: at once, and then a write, with a reserve for a busy machine."""

HEARTBEAT = 60.0
NODES = cycle(f"node-{zone}-{number}" for zone in ("zone-a", "zone-b") for number in (0, 1))
"""A test takes the next one to cordon: what cleared three times in half an hour would be kept open."""


@pytest.fixture(scope="module")
def installed(own_cluster: Cluster) -> Cluster:
    """A cluster with the chart."""
    install(own_cluster, policy={"checks": impatient(timedelta(seconds=2))})
    return own_cluster


@pytest.fixture(scope="module")
def one_run(installed: Cluster) -> Iterator[Operator]:
    """The one operator of these tests; that none of them restarts it is the point."""
    found = operator(installed)
    found.start()
    wait_for(lambda: installed.get("diagnosispolicies"), timeout=30, what="policy")
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def node() -> str:
    """The node that a test cordons."""
    return next(NODES)


def cordoned(node: str) -> str:
    """What is found of it then, as `diagnoses` calls it."""
    return f"NodeCordoned Node/{node}"


@pytest.fixture
def running(one_run: Operator, installed: Cluster, node: str) -> Iterator[Operator]:
    """The operator with an empty policy and a healthy cluster, and again afterwards."""
    begun = one_run.pid
    yield one_run
    installed.kubectl("patch", "diagnosispolicy", "cluster", "--type=merge", "--patch", '{"spec":null}')
    installed.kubectl("uncordon", node)
    wait_for(lambda: state_of(installed, cordoned(node)) != "Open", timeout=SOON, what="healthy cluster")
    installed.kubectl("delete", "clusterdiagnoses", "--all")
    assert (one_run.running, one_run.pid) == (True, begun)
    print(one_run.log.read_text())  # Shown where a test fails.


def set_policy(cluster: Cluster, **spec: object) -> None:
    patch("diagnosispolicy", "cluster", cluster, spec)


def patch(kind: str, name: str, cluster: Cluster, spec: object) -> None:
    cluster.kubectl("patch", kind, name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def until_state(cluster: Cluster, diagnosis: str, state: str, seconds: float = SOON) -> Manifest:
    wait_for(lambda: state_of(cluster, diagnosis) == state, timeout=seconds, what=f"{state or 'missing'} {diagnosis}")
    return diagnoses(cluster).get(diagnosis, {})


def policy_status(cluster: Cluster) -> Manifest:
    status: Manifest = cluster.get("diagnosispolicy", "cluster")["status"]
    return status


def idle_suppressions(cluster: Cluster) -> list[str]:
    """The suppressions that silence nothing now."""
    return [one["field"] for one in policy_status(cluster)["suppressions"] if "idleSince" in one]


def object_of(cluster: Cluster, diagnosis: str) -> Manifest:
    """The whole ClusterDiagnosis."""
    check, _, subject = diagnosis.partition(" ")
    found: Manifest = next(
        one
        for one in cluster.get("clusterdiagnoses")
        if (one.get("status", {}).get("check"), one.get("status", {}).get("subjectText")) == (check, subject)
    )
    return found


def test_a_check_that_is_switched_off_ends_its_diagnosis_and_comes_back(installed: Cluster, running: Operator) -> None:
    name = missing_class(installed, "switched-off")
    until_state(installed, name, "Open", 30)
    set_policy(installed, checks={"StorageClassMissing": {"enabled": False}})
    ended = until_state(installed, name, "Resolved")
    assert ended["resolution"] == "CheckDisabled"
    assert running.metric("kubedx_check_enabled", check="StorageClassMissing") == 0
    generation = installed.get("diagnosispolicy", "cluster")["metadata"]["generation"]
    wait_for(lambda: policy_status(installed)["observedGeneration"] == generation, timeout=SOON, what="its generation")
    set_policy(installed, checks=None)
    back = until_state(installed, name, "Open")
    assert back["flaps"] == 1
    mend(installed, "switched-off")
    until_state(installed, name, "Resolved")


def test_a_cap_on_the_severity_applies_at_once_and_ends_at_once(installed: Cluster, running: Operator) -> None:
    name = missing_class(installed, "capped")
    assert until_state(installed, name, "Open", 30)["severity"] == "warning"
    caps = {check: {"severity": "info"} for check in ("StorageClassMissing", "PVCPending")}
    set_policy(installed, checks=caps)  # Of what it explains as well: a cause is as severe as the worst of that.
    wait_for(lambda: diagnoses(installed)[name]["severity"] == "info", timeout=SOON, what="lower severity")
    assert running.metric("kubedx_diagnoses", check="StorageClassMissing", severity="info") == 1
    set_policy(installed, checks=None)
    wait_for(lambda: diagnoses(installed)[name]["severity"] == "warning", timeout=SOON, what="old severity")
    mend(installed, "capped")


@pytest.mark.usefixtures("running")
def test_a_threshold_holds_back_what_is_not_said_yet(installed: Cluster, node: str) -> None:
    set_policy(installed, checks={"NodeCordoned": {"settings": {"raiseAfter": "1h"}}})
    installed.kubectl("cordon", node)
    time.sleep(6)
    assert state_of(installed, cordoned(node)) == ""
    set_policy(installed, checks={"NodeCordoned": {"settings": {"raiseAfter": "0s"}}})
    until_state(installed, cordoned(node), "Open")


@pytest.mark.usefixtures("running")
def test_each_wrong_entry_is_named_with_its_fix_and_the_rest_applies(installed: Cluster, node: str) -> None:
    installed.kubectl("cordon", node)
    until_state(installed, cordoned(node), "Open")
    past = "2026-01-01T00:00:00Z"
    set_policy(
        installed,
        checks={
            "PodUnscheduable": {"enabled": False},
            "NodeCordoned": {
                "enabled": False,
                "settings": {
                    "warningAfterHour": 1,
                    "criticalPercent": -5,
                    "warningAfterHours": "soon",
                    "raiseAfter": "9000h",
                },
            },
            "PVCPending": {"settings": {"clearAfter": "-5m"}},
        },
        retention="365d",
        suppressions=[
            {"check": "NodeNotReady", "name": "old-*", "reason": "was replaced", "until": past},
            {"check": "NodeNotRedy", "reason": "known"},
        ],
    )
    until_state(installed, cordoned(node), "Resolved")

    def problems() -> dict[str, str]:
        found = {one["field"]: one["message"] for one in policy_status(installed)["problems"]}
        assert len(found) == 9
        return found

    found = wait_for(problems, timeout=SOON, what="named problems")
    expected = {
        "spec.checks.PodUnscheduable": "did you mean PodUnschedulable?",
        "spec.checks.NodeCordoned.settings.warningAfterHour": "did you mean warningAfterHours?",
        "spec.checks.NodeCordoned.settings.criticalPercent": "must be",
        "spec.checks.NodeCordoned.settings.warningAfterHours": "must be a whole number",
        "spec.checks.NodeCordoned.settings.raiseAfter": "write 0s to 7d",
        "spec.checks.PVCPending.settings.clearAfter": "write 90s, 5m",
        "spec.retention": "write 0s to 30d",
        "spec.suppressions[0]": f"ended at {past} and silences nothing; remove it or set a later until",
        "spec.suppressions[1].check": "did you mean NodeNotReady?",
    }
    assert {field: message for field, message in found.items() if expected.get(field, "?") not in message} == {}
    assert idle_suppressions(installed) == ["spec.suppressions[1]"]


@pytest.mark.parametrize(
    ("spec", "fix"),
    [
        ({"suppressions": [{"check": "NodeCordoned"}]}, "say why these diagnoses are silenced"),
        ({"suppressions": [{"check": "NodeCordoned", "reason": " "}]}, "say why these diagnoses are silenced"),
        ({"suppressions": [{"reason": "all is well"}]}, "so that it does not silence everything"),
        ({"retention": "a week"}, "must be a duration such as 90s"),
        ({"limits": {"objects": -1}}, "greater than or equal to 1"),
        ({"limits": {"writesPerSecond": 1000}}, "less than or equal to 10"),
    ],
    ids=["no reason", "blank reason", "everything", "no duration", "negative", "too many"],
)
@pytest.mark.usefixtures("running")
def test_what_the_api_server_can_judge_it_refuses_with_the_fix(installed: Cluster, spec: Manifest, fix: str) -> None:
    with pytest.raises(ClusterError, match=fix):
        set_policy(installed, **spec)


def test_a_deleted_policy_is_created_again_and_the_defaults_apply(
    installed: Cluster, running: Operator, node: str
) -> None:
    set_policy(installed, checks={"NodeCordoned": {"enabled": False}})
    wait_for(lambda: running.metric("kubedx_check_enabled", check="NodeCordoned") == 0, timeout=SOON, what="switch off")
    before = installed.get("diagnosispolicy", "cluster")["metadata"]["uid"]
    installed.kubectl("cordon", node)
    installed.kubectl("delete", "diagnosispolicy", "cluster")
    until_state(installed, cordoned(node), "Open")
    again = wait_for(lambda: installed.get("diagnosispolicies"), timeout=HEARTBEAT, what="policy")
    assert [one["metadata"]["name"] for one in again] == ["cluster"]
    assert again[0]["metadata"]["uid"] != before
    assert not again[0].get("spec")
    wait_for(lambda: policy_status(installed)["summary"]["info"] == 1, timeout=HEARTBEAT, what="status")


def test_a_person_silences_one_diagnosis_and_takes_it_back(installed: Cluster, running: Operator, node: str) -> None:
    installed.kubectl("cordon", node)
    until_state(installed, cordoned(node), "Open")
    name = object_of(installed, cordoned(node))["metadata"]["name"]
    assert running.metric("kubedx_diagnosis_info", name=name) == 1
    patch("clusterdiagnosis", name, installed, {"suppress": {"reason": "known"}})
    wait_for(lambda: diagnoses(installed)[cordoned(node)].get("suppressed"), timeout=SOON, what="sign of the silence")
    assert diagnoses(installed)[cordoned(node)]["suppressed"]["reason"] == "known"
    assert running.metric("kubedx_diagnosis_info", name=name) == 0
    assert running.metric("kubedx_diagnoses", check="NodeCordoned") == 0
    assert running.metric("kubedx_suppressed_diagnoses") == 1
    wait_for(lambda: policy_status(installed)["summary"]["suppressed"] == 1, timeout=SOON, what="count")
    patch("clusterdiagnosis", name, installed, None)
    wait_for(
        lambda: not diagnoses(installed)[cordoned(node)].get("suppressed"), timeout=SOON, what="end of the silence"
    )
    assert running.metric("kubedx_diagnosis_info", name=name) == 1


def test_a_silence_ends_at_its_time(installed: Cluster, running: Operator, node: str) -> None:
    installed.kubectl("cordon", node)
    until_state(installed, cordoned(node), "Open")
    name = object_of(installed, cordoned(node))["metadata"]["name"]
    until = (datetime.now(UTC) + timedelta(seconds=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    patch("clusterdiagnosis", name, installed, {"suppress": {"reason": "for a moment", "until": until}})
    wait_for(lambda: running.metric("kubedx_suppressed_diagnoses") == 1, timeout=5, what="silence", every=0.1)
    wait_for(lambda: running.metric("kubedx_diagnosis_info", name=name) == 1, timeout=20, what="end of the silence")
    wait_for(
        lambda: diagnoses(installed)[cordoned(node)]["suppressed"]["expired"], timeout=SOON, what="word of its end"
    )


def test_the_policy_silences_by_pattern(installed: Cluster, running: Operator, node: str) -> None:
    installed.kubectl("cordon", node)
    until_state(installed, cordoned(node), "Open")
    set_policy(
        installed,
        suppressions=[
            {"check": "NodeCordoned", "name": f"{node[:-1]}*", "reason": "new racks"},
            {"check": "Node*", "name": "gone-*", "reason": "nobody knows"},
        ],
    )
    wait_for(lambda: diagnoses(installed)[cordoned(node)].get("suppressed"), timeout=SOON, what="sign of the silence")
    assert diagnoses(installed)[cordoned(node)]["suppressed"]["reason"] == "new racks"
    assert running.metric("kubedx_suppressed_diagnoses") == 1
    wait_for(
        lambda: idle_suppressions(installed) == ["spec.suppressions[1]"],
        timeout=SOON, what="name of the suppression that matches nothing",
    )  # fmt: skip


def test_what_a_person_creates_is_left_alone(installed: Cluster, running: Operator, node: str) -> None:
    by_hand = {"apiVersion": "kubedx.dev/v1alpha1", "kind": "ClusterDiagnosis", "metadata": {"name": "by-hand"}}
    installed.apply(by_hand)
    before = installed.get("clusterdiagnosis", "by-hand")
    installed.kubectl("cordon", node)
    until_state(installed, cordoned(node), "Open")
    installed.kubectl("uncordon", node)
    until_state(installed, cordoned(node), "Resolved")
    assert installed.get("clusterdiagnosis", "by-hand") == before
    assert running.metric("kubedx_diagnosis_info", name="by-hand") == 0
    installed.kubectl("delete", "clusterdiagnosis", "by-hand")


@pytest.mark.usefixtures("running")
def test_an_open_diagnosis_that_a_person_deletes_comes_back_as_it_was(installed: Cluster, node: str) -> None:
    installed.kubectl("cordon", node)
    until_state(installed, cordoned(node), "Open")
    before = object_of(installed, cordoned(node))
    installed.kubectl("delete", "clusterdiagnosis", before["metadata"]["name"])
    until_state(installed, cordoned(node), "Open")
    after = object_of(installed, cordoned(node))
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["status"] == before["status"]


@pytest.mark.usefixtures("running")
def test_resolved_diagnoses_go_after_their_retention(installed: Cluster, node: str) -> None:
    installed.kubectl("cordon", node)
    until_state(installed, cordoned(node), "Open")
    set_policy(installed, retention="3s")
    installed.kubectl("uncordon", node)
    until_state(installed, cordoned(node), "", 20)


def test_last_seen_goes_on_each_minute_until_the_operator_is_gone(installed: Cluster, one_run: Operator) -> None:
    before = policy_status(installed)["lastSeen"]
    wait_for(lambda: policy_status(installed)["lastSeen"] > before, timeout=HEARTBEAT + 10, what="later lastSeen")
    one_run.stop(signal.SIGKILL)
    last = policy_status(installed)
    time.sleep(3)
    assert policy_status(installed) == last
    shown = installed.kubectl("get", "diagnosispolicy").splitlines()
    assert shown[0].split() == ["NAME", "READY", "COMPLETE", "CRITICAL", "WARNING", "LASTSEEN"]
    assert shown[1].split()[:3] == ["cluster", "True", "True"]
