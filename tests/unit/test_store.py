"""The store: tables, their indexes, what a change touches, and what is shared."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubedx.kube.views import BY_KIND, Event, Node, Pod
from kubedx.kube.views import KINDS as ALL
from kubedx.store.interning import Interner
from kubedx.store.store import INDEXES, State, Store
from tests.unit.cluster_edits import Edit, Put, Relist, Remove, decode, edits

KINDS = (Node, Pod, Event)


def pod(name: str = "a", *, version: str = "1", node: str = "n1", **spec: Any) -> Pod:
    body = {"metadata": {"name": name, "namespace": "x", "uid": f"u-{name}", "resourceVersion": version,
                         "labels": {"app": "web"}}, "spec": {"nodeName": node, **spec}}  # fmt: skip
    found = decode("Pod", body)
    assert isinstance(found, Pod)
    return found


def node(status: str = "True", at: str = "2026-01-01T00:00:00Z") -> Any:
    condition = {"type": "Ready", "status": status, "lastTransitionTime": at}
    return decode("Node", {"metadata": {"name": "n1", "uid": "u-n1"}, "status": {"conditions": [condition]}})


def event(reason: str) -> Any:
    return decode("Event", {"metadata": {"name": "e", "namespace": "x"}, "reason": reason})


def test_a_new_object_a_changed_one_and_a_removed_one_are_changes() -> None:
    store = Store(KINDS)
    came = store.put(pod())
    changed = store.put(pod(node="n2"))
    went = store.remove(Pod, ("x", "a"))

    assert came and changed and went
    assert (came.old, came.new) == (None, pod_without_version(pod()))
    assert changed.old == came.new
    assert (went.old, went.new) == (changed.new, None)


def pod_without_version(view: Pod) -> Pod:
    store = Store(KINDS)
    store.put(view)
    return store.table(Pod).rows["x", "a"]


def test_an_object_that_differs_in_nothing_that_anybody_reads_is_no_change() -> None:
    store = Store(KINDS)
    store.put(pod(version="1"))

    assert store.put(pod(version="2")) is None
    assert store.put(pod(version="3", volumes=[{"name": "kube-api-access-x7k2p"}])) is None


def test_removing_what_is_not_there_is_no_change() -> None:
    assert Store(KINDS).remove(Pod, ("x", "a")) is None


def test_a_complete_list_removes_what_it_does_not_show() -> None:
    store = Store(KINDS)
    for name in "abc":
        store.put(pod(name))
    gone = store.sweep(Pod, {("x", "b")})

    assert sorted(change.key for change in gone) == [("x", "a"), ("x", "c")]
    assert list(store.table(Pod).rows) == [("x", "b")]


def test_events_that_no_check_reads_are_not_kept() -> None:
    store = Store(KINDS, frozenset({"FailedMount"}))

    assert store.put(event("Pulled")) is None
    assert store.put(event("FailedMount")) is not None
    assert len(store.table(Event).rows) == 1


def test_a_change_touches_where_the_object_was_and_where_it_is() -> None:
    store = Store(KINDS)
    store.put(pod(node="n1"))
    assert [one.name for one in store.table(Pod).find("node", "n1")] == ["a"]
    change = store.put(pod(node="n2"))

    assert change is not None
    assert {(Pod, "node", "n1"), (Pod, "node", "n2"), (Pod, "name", ("x", "a"))} <= set(change.touched)
    assert store.table(Pod).find("node", "n1") == ()


@given(edits())
def test_every_index_finds_what_a_look_at_every_object_finds(sequence: list[Edit]) -> None:
    store = Store(ALL)
    for view in ALL:
        for name in INDEXES:
            store.table(view).find(name, "nothing")  # The index exists from here on and is kept.
    for edit in sequence:
        match edit:
            case Put(kind, body):
                store.put(decode(kind, body))
            case Remove(kind, namespace, name):
                store.remove(BY_KIND[kind], (namespace, name))
            case Relist(kind, kept):
                store.sweep(BY_KIND[kind], {key for key in store.table(BY_KIND[kind]).rows if key[1] in kept})
    for view in ALL:
        table = store.table(view)
        for name, keys in INDEXES.items():
            places = {place for row in table.rows.values() for place in keys(row)}
            assert set(table._indexes[name]) == places, "no empty place is kept"
            for place in places:
                slow = [row for _, row in sorted(table.rows.items()) if place in set(keys(row))]
                assert list(table.find(name, place)) == slow


def test_transitions_are_remembered_once_each_in_the_order_of_their_times() -> None:
    store = Store(KINDS)
    for status, minute in (("True", 0), ("False", 5), ("False", 5), ("True", 9), ("False", 7)):
        store.put(node(status, f"2026-01-01T00:0{minute}:00Z"))
    found = store.transitions(node(), "Ready")

    assert [(one.at.minute, one.status) for one in found] == [(0, "True"), (5, "False"), (7, "False"), (9, "True")]
    store.remove(Node, ("", "n1"))
    assert store.transitions(node(), "Ready") == ()


def test_transitions_are_bounded() -> None:
    store = Store(KINDS)
    for minute in range(200):
        store.put(node("True", f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z"))

    assert len(store.transitions(node(), "Ready")) == 64


def test_pods_of_one_template_share_their_spec_and_labels() -> None:
    store = Store(KINDS)
    for name, volume in (("a", "kube-api-access-11111"), ("b", "kube-api-access-22222")):
        store.put(pod(name, containers=[{"name": "c", "image": "i"}], volumes=[{"name": volume}]))
    one, other = store.table(Pod).rows.values()

    assert one.spec is other.spec
    assert one.metadata.labels is other.metadata.labels


@given(st.integers(1, 3))
def test_parts_that_nobody_uses_are_forgotten_and_those_in_use_stay_shared(rounds: int) -> None:
    interner = Interner()
    interner._limit = 20
    kept = [pod(f"kept-{number}", node=f"kept-{number}") for number in range(5)]
    for one in kept:
        interner.share(one)
    for number in range(100 * rounds):
        interner.share(pod("a", node=f"n{number}"))
    interner._sweep()

    assert len(interner) <= 12
    again = pod("again", node="kept-3")
    interner.share(again)
    assert again.spec is kept[3].spec


def test_what_each_state_allows() -> None:
    assert [state for state in State if state.readable] == [State.SYNCED, State.ABSENT]
    assert [state for state in State if not state.settled] == [State.SYNCING]
