"""The store: tables, their indexes, what a change touches, and what is shared."""

from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedx.kube.decode import Decoded
from kubedx.kube.views import KINDS as ALL
from kubedx.kube.views import Event, Node, Pod
from kubedx.store.forms import Forms, Row
from kubedx.store.store import INDEXES, State, Store, places
from tests.unit.cluster_edits import Edit, apply, decode, edits

KINDS = (Node, Pod, Event)


def pod(name: str = "a", *, version: str = "1", node: str = "n1", **spec: Any) -> Decoded[Any]:
    body = {"metadata": {"name": name, "namespace": "x", "uid": f"u-{name}", "resourceVersion": version,
                         "labels": {"app": "web"}}, "spec": {"nodeName": node, **spec}}  # fmt: skip
    return decode("Pod", body)


def node(status: str = "True", at: str = "2026-01-01T00:00:00Z", uid: str = "u-n1") -> Any:
    condition = {"type": "Ready", "status": status, "lastTransitionTime": at}
    return decode("Node", {"metadata": {"name": "n1", "uid": uid}, "status": {"conditions": [condition]}})


def event(reason: str) -> Any:
    return decode("Event", {"metadata": {"name": "e", "namespace": "x"}, "reason": reason})


def test_a_new_object_a_changed_one_and_a_removed_one_are_changes() -> None:
    store = Store(KINDS)
    came = store.put(pod())
    changed = store.put(pod(node="n2"))
    went = store.remove(Pod, "x/a")

    assert came and changed and went
    assert came.old is None and came.new is not None
    assert came.new.view == msgspec.structs.replace(pod().whole, metadata=came.new.view.metadata)
    assert changed.old is came.new
    assert (went.old, went.new) == (changed.new, None)


def test_an_object_that_differs_in_nothing_that_anybody_reads_is_no_change() -> None:
    store = Store(KINDS)
    store.put(pod(version="1"))

    assert store.put(pod(version="2")) is None
    assert store.put(pod(version="3", volumes=[{"name": "kube-api-access-x7k2p"}])) is None


def test_removing_what_is_not_there_is_no_change() -> None:
    assert Store(KINDS).remove(Pod, "x/a") is None


def test_events_that_no_check_reads_are_not_kept() -> None:
    store = Store(KINDS, frozenset({"FailedMount"}))

    assert store.put(event("Pulled")) is None
    assert store.put(event("FailedMount")) is not None
    assert len(store.table(Event).rows) == 1


def test_an_event_goes_when_it_gets_a_reason_that_no_check_reads() -> None:
    store = Store(KINDS, frozenset({"Failed"}))
    store.put(event("Failed"))
    change = store.put(event("Pulled"))

    assert change is not None and change.new is None
    assert not store.table(Event).rows


def test_a_change_touches_where_the_object_was_and_where_it_is() -> None:
    store = Store(KINDS)
    store.put(pod(node="n1"))
    assert [one.name for one in store.table(Pod).find("node", "n1")] == ["a"]
    change = store.put(pod(node="n2"))

    assert change is not None
    assert places("node", change) == {"n1", "n2"}
    assert places("name", change) == {"x/a"}
    assert store.table(Pod).find("node", "n1") == ()


def test_where_pods_are_counted_a_change_touches_only_where_there_is_one_more_or_less() -> None:
    store = Store(KINDS)
    body = {"metadata": {"name": "a", "namespace": "x"}, "spec": {"nodeName": "n1"}}
    phases = ("Pending", "Running", "Failed")
    changes = [store.put(decode("Pod", {**body, "status": {"phase": phase}})) for phase in phases]

    assert [places("busy node", change) for change in changes if change] == [{"n1"}, set(), {"n1"}]
    assert store.table(Pod).count("node", "n1") == 1
    assert store.table(Pod).count("busy node", "n1") == 0


@given(edits())
def test_every_index_finds_what_a_look_at_every_object_finds(sequence: list[Edit]) -> None:
    store = Store(ALL)
    for view in ALL:
        for name in INDEXES:
            store.table(view).find(name, "nothing")  # The index exists from here on and is kept.
    for edit in sequence:
        apply(store, edit)
    for view in ALL:
        table = store.table(view)
        for name, keys in INDEXES.items():
            places = {place for row in table.rows.values() for place in keys(row)}
            if name in table._indexes:
                assert set(table._indexes[name]) == places, "no empty place is kept"
            for place in places:
                slow = [row.view for _, row in sorted(table.rows.items()) if place in set(keys(row))]
                assert list(table.find(name, place)) == slow


def test_transitions_are_remembered_once_each_in_the_order_of_their_times() -> None:
    store = Store(KINDS)
    for status, minute in (("True", 0), ("False", 5), ("False", 5), ("True", 9), ("False", 7)):
        store.put(node(status, f"2026-01-01T00:0{minute}:00Z"))
    found = store.transitions(node().whole, "Ready")

    assert [(one.at.minute, one.status) for one in found] == [(0, "True"), (5, "False"), (7, "False"), (9, "True")]
    store.remove(Node, "/n1")
    assert store.transitions(node().whole, "Ready") == ()


def test_transitions_go_with_their_node_also_where_only_its_namesake_was_seen() -> None:
    store = Store(KINDS)
    store.put(node("True", "2026-01-01T00:00:00Z"))
    store.put(node("False", "2026-01-01T00:05:00Z", uid="u-another"))

    assert store.transitions(node().whole, "Ready") == ()
    assert len(store.transitions(node(uid="u-another").whole, "Ready")) == 1


def test_transitions_are_bounded() -> None:
    store = Store(KINDS)
    for minute in range(200):
        store.put(node("True", f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z"))

    assert len(store.transitions(node().whole, "Ready")) == 64


def test_pods_of_one_template_share_their_spec_and_labels() -> None:
    store = Store(KINDS)
    for name, volume in (("a", "kube-api-access-11111"), ("b", "kube-api-access-22222")):
        volumes = [{"name": volume}, {"name": f"scratch-of-{name}", "emptyDir": {}}]
        store.put(pod(name, containers=[{"name": "c", "image": "i"}], volumes=volumes))
    one, other = store.table(Pod).rows.values()

    assert one.shape is other.shape
    assert one.view.name == "a"
    assert other.view.name == "b"


def sweep(forms: Forms) -> None:
    for _ in forms.sweep():
        pass


@given(st.integers(1, 3))
def test_forms_that_nobody_uses_are_forgotten_and_those_in_use_stay_shared(rounds: int) -> None:
    forms = Forms()
    kept = [forms.row(pod(f"kept-{number}", containers=[{"name": f"kept-{number}"}])) for number in range(5)]
    for number in range(100 * rounds):
        forms.row(pod("a", containers=[{"name": f"c{number}"}]))
    sweep(forms)

    assert len(forms) <= 40
    assert forms.row(pod("again", containers=[{"name": "kept-3"}])).shape is kept[3].shape
    del kept
    sweep(forms)
    assert len(forms) <= 8, "the defaults of the views are used by the views"


def test_what_comes_while_forms_are_swept_is_kept_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubedx.store.forms._LOOKED_AT_ONCE", 1)
    forms = Forms()
    kept: list[tuple[str, Row]] = []
    for number in range(50):
        forms.row(pod("gone", containers=[{"name": f"gone-{number}"}]))
    names = (f"{'gone' if number % 2 else 'here'}-{number}" for number in count())
    for step, _ in enumerate(forms.sweep()):
        if step < 100:
            name = next(names)
            kept.append((name, forms.row(pod("here", containers=[{"name": name}]))))

    assert len(kept) == 100
    for name, row in kept:
        assert forms.row(pod("again", containers=[{"name": name}])).shape is row.shape


def test_a_store_that_let_much_go_is_untidy_until_it_was_tidied() -> None:
    store = Store(KINDS)
    for number in range(2500):
        store.put(pod(f"p-{number}", containers=[{"name": f"c-{number}"}]))
    assert not store.is_untidy
    for number in range(2500):
        store.remove(Pod, f"x/p-{number}")
    assert store.is_untidy
    for _ in store.tidy():
        pass
    assert not store.is_untidy
    assert len(store._forms) < 20


def test_what_each_state_allows() -> None:
    assert [state for state in State if state.readable] == [State.SYNCED, State.ABSENT]
    assert [state for state in State if not state.settled] == [State.SYNCING]
