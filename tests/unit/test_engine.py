"""The engine: which checks are asked again after a change, when time alone matters, and what a broken check costs."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import pytest

from kubedx.core.check import Answer, Check, Registry
from kubedx.core.finding import Finding, Ref, Unknown
from kubedx.core.inputs import Cluster, Events, History, Lookup, Now, Object, Reader, derived
from kubedx.engine.engine import Engine
from kubedx.engine.verdict import Outcome
from kubedx.kube.bits import Bit
from kubedx.kube.slots import key_of
from kubedx.kube.views import BY_KIND, Event, Namespace, Node, Pod, StorageClass
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from tests.unit.cluster_edits import decode
from tests.unit.toys import START, declared

KINDS = (Node, Pod, Event, StorageClass, Namespace)


class World:
    """A store, an engine over it, and how often each check was asked."""

    def __init__(self, *checks: Check, since: datetime | None = START - timedelta(days=1), **options: Any) -> None:
        self.registry = Registry(checks)
        self.store = Store(KINDS, since=since)
        for table in self.store.tables.values():
            table.state = State.SYNCED
        self.settings = resolve(None, None, self.registry)
        self.now = START
        self.engine = Engine(self.registry, self.store, self.settings, START, **options)

    def put(self, kind: str, name: str, **body: Any) -> None:
        metadata = {"name": name, "uid": f"u-{kind}-{name}", **body.pop("metadata", {})}
        if BY_KIND[kind].resource.namespaced:
            metadata = {"namespace": "x", **metadata}
        change = self.store.put(decode(kind, {"metadata": metadata, **body}))
        if change:
            self.engine.changed(change)

    def remove(self, kind: str, name: str) -> None:
        namespace = "x" if BY_KIND[kind].resource.namespaced else ""
        change = self.store.remove(BY_KIND[kind], key_of(namespace, name))
        assert change is not None
        self.engine.changed(change)

    def run(self, **later: float) -> list[str]:
        """Let time pass, settle, and give the names that findings are about."""
        self.now += timedelta(**later)
        assert self.engine.run(self.now)
        found = {one.subject.name for verdict in self.engine.verdicts.values() for one in verdict.findings}
        return sorted(found)

    def asked(self) -> int:
        return sum(self.engine.evaluations.values())

    def turn(self, view: Any, state: State) -> None:
        self.store.table(view).state = state
        self.engine.refresh()

    def outcome(self) -> Outcome:
        (found,) = self.engine.outcomes().values()
        return found


def lonely_node(node: Node, pods: Lookup[Pod]) -> Answer:
    if not pods.on_node(node):
        yield Finding(node)


def test_a_lookup_is_asked_again_when_what_it_found_or_did_not_find_changes() -> None:
    world = World(declared(lonely_node))
    world.put("Node", "n1")
    world.put("Node", "n2")
    assert world.run() == ["n1", "n2"]
    world.put("Pod", "a", spec={"nodeName": "n1"})
    assert world.run() == ["n2"]
    world.put("Pod", "a", spec={"nodeName": "n2"})
    assert world.run() == ["n1"]
    world.remove("Pod", "a")
    assert world.run() == ["n1", "n2"]


def test_only_those_who_read_it_are_asked_again() -> None:
    world = World(declared(lonely_node))
    for number in range(20):
        world.put("Node", f"n{number}")
    world.run()
    before = world.asked()
    world.put("Pod", "a", spec={"nodeName": "n7"})
    world.run()
    assert world.asked() == before + 1
    world.put("Pod", "b", spec={})
    world.run()

    assert world.asked() == before + 1


def test_a_change_that_nobody_reads_asks_nobody() -> None:
    world = World(declared(lonely_node))
    world.put("Node", "n1", metadata={"resourceVersion": "1"})
    world.run()
    before = world.asked()
    world.put("Node", "n1", metadata={"resourceVersion": "2"})
    world.run()

    assert world.asked() == before


def node_old(node: Node, now: Now) -> Answer:
    if now.older(node.created, timedelta(minutes=5)):
        yield Finding(node)


def test_time_alone_wakes_a_check_exactly_when_its_answer_changes() -> None:
    world = World(declared(node_old))
    world.put("Node", "n1", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})
    assert world.run() == []
    assert world.engine.next_wake() == START + timedelta(minutes=5)
    assert world.run(minutes=4, seconds=59) == []
    assert world.run(seconds=1) == ["n1"]

    assert world.engine.next_wake() is None


def test_a_wake_up_that_a_change_made_needless_does_not_ring() -> None:
    world = World(declared(node_old))
    world.put("Node", "n1", metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})
    world.run()
    world.remove("Node", "n1")
    world.run()

    assert world.engine.next_wake() is None


def node_odd(node: Node) -> Answer:
    if node.spec.unschedulable:
        raise ValueError(f"odd: {node.name}\x1b[31m")
    yield Finding(node)


def test_a_check_that_breaks_fails_alone_and_recovers_with_its_object() -> None:
    world = World(declared(node_odd, when=Bit.NOT_READY))
    world.put("Node", "good")
    world.put("Node", "bad", spec={"unschedulable": True})
    assert world.run() == ["good"]
    assert world.outcome() == Outcome(errors={r"ValueError: odd: bad\x1b[31m": 1})
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    world.put("Node", "bad", spec={"unschedulable": True}, status=ready)
    world.run()

    assert world.outcome() == Outcome()


def test_an_error_about_an_object_goes_with_the_object() -> None:
    world = World(declared(node_odd, when=Bit.NOT_READY))
    world.put("Node", "bad", spec={"unschedulable": True})
    world.run()
    world.remove("Node", "bad")
    world.run()

    assert world.outcome() == Outcome()


def test_what_a_check_said_stands_while_it_breaks() -> None:
    world = World(declared(node_odd))
    world.put("Node", "n1")
    world.run()
    world.put("Node", "n1", spec={"unschedulable": True})

    assert world.run() == ["n1"]
    assert world.outcome().text == "Failed"


@pytest.mark.parametrize("state", [State.FORBIDDEN, State.STALE, State.SYNCING])
def test_a_check_without_its_kind_is_skipped_and_what_it_said_stands(state: State) -> None:
    world = World(declared(lonely_node))
    world.put("Node", "n1")
    world.run()
    world.turn(Pod, state)
    world.put("Node", "n2")

    assert world.run() == ["n1"]
    assert world.outcome() == Outcome(missing=("Pod",))
    world.turn(Pod, State.SYNCED)
    assert world.run() == ["n1", "n2"]


def test_a_kind_that_is_not_served_has_no_objects_and_skips_nothing() -> None:
    world = World(declared(lonely_node))
    world.put("Node", "n1")
    world.turn(Pod, State.ABSENT)

    assert world.run() == ["n1"]
    assert world.outcome() == Outcome()


def node_maybe(node: Node, pods: Lookup[Pod] | None, events: Events | None) -> Answer:
    seen = "pods" if pods is not None else "no pods"
    told = events.about(node, "Rebooted") if events is not None else ()
    yield Finding(node, what=seen, count=len(told))


def test_an_input_that_only_enriches_may_be_missing() -> None:
    world = World(declared(node_maybe, events=("Rebooted",)))
    world.put("Node", "n1")
    world.turn(Pod, State.FORBIDDEN)
    world.turn(Event, State.FORBIDDEN)
    world.run()
    (verdict,) = world.engine.verdicts.values()

    assert (verdict.findings[0].params["what"], world.outcome()) == ("no pods", Outcome())


def test_an_event_asks_the_check_of_the_object_that_it_is_about() -> None:
    world = World(declared(node_maybe, events=("Rebooted",)))
    world.put("Node", "n1")
    world.put("Node", "n2")
    world.run()
    before = world.asked()
    about = {"kind": "Node", "name": "n1", "uid": "n1"}
    world.put("Event", "e", metadata={"namespace": "default"}, reason="Rebooted", involvedObject=about, message="m")
    world.run()
    counts = {one.subject.name: one.params["count"] for verdict in world.engine.verdicts.values()
              for one in verdict.findings}  # fmt: skip

    assert (counts, world.asked()) == ({"n1": 1, "n2": 0}, before + 1)


def node_flips(node: Node, history: History[Node]) -> Answer:
    if len(history.transitions(node, "Ready", timedelta(minutes=10))) >= 2:
        yield Finding(node)


def _ready(status: str, at: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": f"2026-01-01T{at}:00Z"}]}


def test_a_history_is_unknown_before_it_is_complete_and_forgets_what_is_too_old() -> None:
    world = World(declared(node_flips), since=START)
    world.put("Node", "n1", metadata={"creationTimestamp": "2025-12-01T00:00:00Z"}, status=_ready("True", "00:00"))
    world.run()
    (verdict,) = world.engine.verdicts.values()
    assert [subject for subject, _ in verdict.unknowns] == [Ref("Node", "", "n1")]
    world.run(minutes=10)
    assert world.engine.verdicts == {}
    for status, at in (("False", "00:09"), ("True", "00:10")):
        world.put("Node", "n1", metadata={"creationTimestamp": "2025-12-01T00:00:00Z"}, status=_ready(status, at))
    assert world.run() == ["n1"]
    assert world.run(minutes=9) == []


def test_a_history_is_what_a_single_look_lacks() -> None:
    world = World(declared(node_flips), since=None)

    assert world.outcome() == Outcome(missing=("history",))


def test_a_check_about_the_cluster_is_asked_at_most_once_an_interval() -> None:
    def few_classes(_: Cluster, classes: Lookup[StorageClass]) -> Answer:
        if len(classes.all()) < 3:
            yield Finding(Ref("Cluster"))

    world = World(declared(few_classes), cluster_interval=timedelta(seconds=1))
    world.run()
    for number in range(10):
        world.put("StorageClass", f"c{number}")
        world.run(milliseconds=10)
    assert world.asked() == 1
    assert world.engine.next_wake() == START + timedelta(seconds=1)
    assert world.run(seconds=1) == []

    assert world.asked() == 2


def test_a_check_about_every_object_follows_kinds_that_are_added_later() -> None:
    def thing_named_bad(thing: Object) -> Answer:
        if thing.name == "bad":
            yield Finding(thing)

    world = World(declared(thing_named_bad))
    world.put("Node", "bad")
    assert world.run() == ["bad"]
    assert len(world.engine.verdicts) == 1
    world.put("Pod", "bad")
    world.run()

    assert len(world.engine.verdicts) == 2


CALLS: list[int] = []


@derived(Pod)
def pods_in_all(read: Reader) -> int:
    CALLS.append(1)
    pods = read.lookup(Pod)
    count = len(pods.all()) if pods else 0  # type: ignore[attr-defined]
    if count == 13:
        raise ValueError("thirteen")
    return count // 10


def crowded(node: Node, tens: Annotated[int, pods_in_all]) -> Answer:
    if tens:
        yield Finding(node)


def test_a_derived_value_is_computed_once_and_its_readers_run_only_when_it_changes() -> None:
    world = World(declared(crowded))
    for number in range(5):
        world.put("Node", f"n{number}")
    CALLS.clear()
    world.run()
    assert (len(CALLS), world.asked()) == (1, 5)
    for number in range(9):
        world.put("Pod", f"p{number}")
    assert world.run() == []
    assert (len(CALLS), world.asked()) == (2, 5)
    world.put("Pod", "p9")

    assert len(world.run()) == 5
    assert world.asked() == 10


def test_a_derived_value_that_breaks_is_the_failure_of_its_readers_until_it_works_again() -> None:
    world = World(declared(crowded))
    world.put("Node", "n1")
    for number in range(12):
        world.put("Pod", f"p{number}")
    world.run()
    world.put("Pod", "p12")
    world.run()
    assert world.outcome() == Outcome(errors={"ValueError: thirteen": 1})
    world.put("Pod", "p13")

    assert world.run() == ["n1"]
    assert world.outcome() == Outcome()


def test_namespaces_that_are_left_out_have_no_findings() -> None:
    def any_pod(pod: Pod) -> Iterator[Finding | Unknown]:
        yield Finding(pod)

    world = World(declared(any_pod))
    world.put("Pod", "a")
    world.put("Pod", "b", metadata={"namespace": "y"})
    assert world.run() == ["a", "b"]
    policy = {"spec": {"namespaces": {"exclude": ["y*"]}}}
    world.engine.refresh(resolve(None, policy, world.registry))

    assert world.run() == ["a"]


def test_a_check_that_is_switched_off_says_nothing_and_has_no_outcome() -> None:
    world = World(declared(lonely_node))
    world.put("Node", "n1")
    world.run()
    list(world.engine.drain())
    policy = {"spec": {"checks": {"LonelyNode": {"enabled": False}}}}
    world.engine.refresh(resolve(None, policy, world.registry))

    assert world.run() == []
    assert world.engine.outcomes() == {}
    assert [bool(verdict) for _, verdict in world.engine.drain()] == [False]


def test_a_turn_stops_when_its_time_is_over_and_goes_on_later() -> None:
    world = World(declared(lonely_node))
    for number in range(10):
        world.put("Node", f"n{number}")

    turns = 0
    while not world.engine.run(START, patience=0):
        turns += 1
    assert turns >= 9
    assert len(world.engine.verdicts) == 10
