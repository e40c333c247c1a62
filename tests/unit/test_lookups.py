"""What checks may ask the store for: lookups, events, history and the time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubedx.kube.selectors import LabelSelector, Requirement
from kubedx.kube.views import Event, Node, PersistentVolume, PersistentVolumeClaim, Pod, ReplicaSet
from kubedx.store.lookups import Desk, added_up
from kubedx.store.store import State, Store
from tests.unit.cluster_edits import decode

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KINDS = (Node, Pod, Event, PersistentVolumeClaim, PersistentVolume, ReplicaSet)


def made(kind: str, name: str, namespace: str = "x", **body: Any) -> Any:
    metadata = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}", **body.pop("metadata", {})}
    return decode(kind, {"metadata": metadata, **body})


def event(name: str, message: str, **more: Any) -> Any:
    about = {"kind": "Pod", "namespace": "x", "name": "a", "uid": "Pod-a"}
    return made("Event", name, involvedObject=about, message=message, **{"reason": "Failed", **more})


def desk(*views: Any, since: datetime | None = None) -> Desk:
    store = Store(KINDS, since=since)
    for table in store.tables.values():
        table.state = State.SYNCED
    for view in views:
        store.put(view)
    return Desk(store, NOW)


def names(views: tuple[Any, ...]) -> list[str]:
    return [view.name for view in views]


def pods(found: Desk) -> Any:
    return found.lookup(Pod)


def test_objects_are_found_by_name_namespace_node_owner_claim_and_volume() -> None:
    claim = made("PersistentVolumeClaim", "data", spec={"volumeName": "pv-1"})
    owner = made("ReplicaSet", "web")
    found = desk(
        claim, owner,
        made("Pod", "b", spec={"nodeName": "n1", "volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}),
        made("Pod", "a", metadata={"ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "ReplicaSet-web"}]},
             spec={"nodeName": "n1"}),
        made("Pod", "a", namespace="y", spec={"nodeName": "n2"}),
    )  # fmt: skip

    assert pods(found).get("x", "a").namespace == "x"
    assert pods(found).get("x", "zz") is None
    assert names(pods(found).in_namespace("x")) == ["a", "b"]
    assert names(pods(found).on_node("n1")) == names(pods(found).on_node(made("Node", "n1", "").whole)) == ["a", "b"]
    assert names(pods(found).owned_by(owner.whole)) == ["a"]
    assert names(pods(found).using_claim(claim.whole)) == ["b"]
    assert names(found.lookup(PersistentVolumeClaim).using_volume(made("PersistentVolume", "pv-1", "").whole)) == [
        "data"
    ]  # type: ignore[union-attr]
    assert len(pods(found).all()) == 3


def test_pods_that_kubelets_ended_are_found_by_namespace_and_node() -> None:
    failed = {"phase": "Failed", "reason": "Evicted"}
    found = desk(
        made("Pod", "a", spec={"nodeName": "n1"}, status=failed),
        made("Pod", "b", spec={"nodeName": "n2"}, status=failed),
        made("Pod", "c", spec={"nodeName": "n1"}),
        made("Pod", "d", namespace="y", spec={"nodeName": "n1"}, status=failed),
        made("Pod", "e", spec={"nodeName": "n1"}, status={"phase": "Failed"}),
    )

    assert names(pods(found).failed_in("x")) == ["a", "b"]
    assert names(pods(found).failed_on("n1")) == ["a", "d"]


def test_what_a_kubelet_says_about_probes_is_found_by_its_node() -> None:
    about = {"kind": "Pod", "name": "web", "namespace": "x", "uid": "u", "fieldPath": "spec.containers{app}"}
    said = {"involvedObject": about, "message": "Liveness probe failed: ", "count": 2, "source": {"host": "n1"}}
    found = desk(
        made("Event", "a", reason="Unhealthy", **said),
        made("Event", "b", reason="BackOff", **said),
        made("Event", "c", reason="Unhealthy", **{**said, "source": {"host": "n2"}}),
    )

    ((ref, record),) = found.events.of_probes_on(made("Node", "n1", "").whole)

    assert (ref.text, record.container, record.count) == ("Pod/x/web", "app", 2)


def test_where_all_probes_of_a_node_fail_the_first_tell_enough() -> None:
    said = [event(f"e{number:02}", "m", reason="Unhealthy", source={"host": "n1"}) for number in range(60)]
    found = desk(*said)

    assert len(found.events.of_probes_on(made("Node", "n1", "").whole)) == 50


@pytest.mark.parametrize(("selector", "expected"), [
    (None, []),
    ({}, ["a", "b", "c"]),
    ({"app": "web"}, ["a", "b"]),
    ({"app": "web", "tier": "front"}, ["b"]),
    (LabelSelector(match_expressions=(Requirement(key="tier", operator="Exists"),)), ["b"]),
    (LabelSelector(match_labels={"app": "web"}, match_expressions=(Requirement(key="tier", operator="DoesNotExist"),)),
     ["a"]),
    (LabelSelector(match_expressions=(Requirement(key="app", operator="NotIn", values=("web",)),)), ["c"]),
    (LabelSelector(match_expressions=(Requirement(key="app", operator="Odd"),)), []),
])  # fmt: skip
def test_objects_are_found_by_their_labels_within_a_namespace(selector: Any, expected: list[str]) -> None:
    labels = {"a": {"app": "web"}, "b": {"app": "web", "tier": "front"}, "c": {}}
    found = desk(
        *(made("Pod", name, metadata={"labels": one}) for name, one in labels.items()),
        made("Pod", "elsewhere", namespace="y", metadata={"labels": {"app": "web", "tier": "front"}}),
    )

    assert names(pods(found).selected_by(selector, "x")) == expected


def test_a_kind_that_cannot_be_read_gives_no_lookup_and_is_noted() -> None:
    found = desk()
    found.store.table(Pod).state = State.FORBIDDEN

    assert found.lookup(Pod) is None
    assert found.notes.tokens == {(Pod, "readable", "")}


def test_the_same_message_is_added_up_and_the_newest_come_first() -> None:
    found = desk(
        made("Pod", "a"),
        event("1", "pull failed", count=3, firstTimestamp="2026-01-01T10:00:00Z", lastTimestamp="2026-01-01T11:00:00Z"),
        event("2", "(combined from similar events): pull failed", count=2, firstTimestamp="2026-01-01T09:00:00Z",
              lastTimestamp="2026-01-01T10:30:00Z"),
        event("3", "other", eventTime="2026-01-01T11:30:00Z", reportingComponent="kubelet"),
        event("4", "no reason that is asked for", reason="Pulled"),
    )  # fmt: skip
    records = found.events.about(made("Pod", "a").whole, "Failed")

    assert [(one.message, one.count) for one in records] == [("other", 1), ("pull failed", 5)]
    assert (records[1].first, records[1].last) == (NOW.replace(hour=9), NOW.replace(hour=11))
    assert records[0].component == "kubelet"


def test_a_series_counts_as_what_it_says() -> None:
    one = event("1", "m", eventTime="2026-01-01T10:00:00Z",
                series={"count": 40, "lastObservedTime": "2026-01-01T11:00:00Z"}, count=0)  # fmt: skip
    (record,) = added_up([one.whole])

    assert (record.count, record.last) == (40, NOW.replace(hour=11))


def test_of_each_reason_the_newest_four_messages_are_given() -> None:
    messages = [event(str(n), f"m{n}", lastTimestamp=f"2026-01-01T10:0{n}:00Z") for n in range(7)]
    records = desk(made("Pod", "a"), *messages).events.about(made("Pod", "a").whole, "Failed")

    assert [one.message for one in records] == ["m6", "m5", "m4", "m3"]


def test_events_belong_to_the_object_that_lives_and_not_to_one_of_its_name() -> None:
    found = desk(event("1", "of the one before"))
    newer = made("Pod", "a", metadata={"uid": "another"})

    assert found.events.about(newer.whole, "Failed") == ()
    assert found.events.about(made("Pod", "a", metadata={"uid": ""}).whole, "Failed") == ()


@pytest.mark.parametrize("uid", ["Node-n1", "n1", ""])
def test_events_of_a_node_are_found_by_its_name_whatever_their_uid_says(uid: str) -> None:
    about = {"kind": "Node", "name": "n1", "uid": uid}
    found = desk(made("Event", "e", "default", involvedObject=about, reason="Rebooted", message="m"))

    assert len(found.events.about(made("Node", "n1", "").whole, "Rebooted")) == 1


def test_events_about_a_node_from_a_namespace_of_a_tenant_do_not_count() -> None:
    about = {"kind": "Node", "name": "n1", "uid": "n1"}
    found = desk(made("Event", "e", "shop", involvedObject=about, reason="Rebooted", message="m"))

    assert found.events.about(made("Node", "n1", "").whole, "Rebooted") == ()


@pytest.mark.parametrize(("age", "older"), [(59, False), (60, True), (61, True)])
def test_older_holds_from_the_very_second_on(age: int, older: bool) -> None:  # noqa: FBT001 -- a case
    found = desk()
    then = NOW - timedelta(seconds=age)

    assert found.now.older(then, timedelta(minutes=1)) is older
    assert found.notes.wake == (None if older else then + timedelta(minutes=1))


def test_no_time_is_never_older_and_wakes_nobody() -> None:
    found = desk()

    assert found.now.older(None, timedelta(0)) is False
    assert found.notes.wake is None


def test_the_earliest_wake_up_counts() -> None:
    found = desk()
    for minutes in (30, 10, 20):
        found.now.older(NOW, timedelta(minutes=minutes))

    assert found.notes.wake == NOW + timedelta(minutes=10)


def _node(status: str, at: str, created: str = "2025-12-01T00:00:00Z") -> Any:
    condition = {"type": "Ready", "status": status, "lastTransitionTime": at}
    metadata = {"creationTimestamp": created}
    return made("Node", "n1", "", metadata=metadata, status={"conditions": [condition]})


def test_history_gives_what_lies_within_and_wakes_when_the_first_of_it_leaves() -> None:
    found = desk(
        _node("True", "2026-01-01T11:00:00Z"), _node("False", "2026-01-01T11:50:00Z"),
        _node("True", "2026-01-01T11:55:00Z"), since=NOW - timedelta(days=1),
    )  # fmt: skip
    transitions = found.history.transitions(_node("True", "2026-01-01T11:55:00Z").whole, "Ready", timedelta(minutes=15))

    assert [one.status for one in transitions] == ["False", "True"]
    assert found.notes.wake == NOW + timedelta(minutes=5)
    assert not found.notes.watched_too_short


def test_history_is_too_short_until_it_was_watched_for_that_long() -> None:
    old, young = _node("True", "2026-01-01T11:00:00Z"), _node("True", "2026-01-01T11:58:00Z", "2026-01-01T11:58:00Z")
    for view, too_short in ((old, True), (young, False)):
        found = desk(view, since=NOW - timedelta(minutes=5))
        found.history.transitions(view.whole, "Ready", timedelta(minutes=15))
        assert found.notes.watched_too_short is too_short
