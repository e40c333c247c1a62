"""Each rule by which the engine notes what was read, and who has to look again, is needed for its law.

Every statement of the methods named below is left out in turn; a story must then break the law, or leave something
behind that a new engine would not keep. A new rule without a story fails here.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Annotated, Any

import pytest
from msgspec import Meta

from kubedx.core import by, join
from kubedx.core.check import Answer, Check, Registry
from kubedx.core.finding import Finding, Ref, Unknown
from kubedx.core.inputs import Cluster, Events, History, Lookup, Now, Object, Reader, Settings, derived
from kubedx.engine import asks
from kubedx.engine import engine as real
from kubedx.kube.slots import key_of
from kubedx.kube.views import BY_KIND, Deployment, Event, Node, PersistentVolumeClaim, Pod, ReplicaSet, StorageClass
from kubedx.settings import resolve
from kubedx.store import lookups, store
from kubedx.store.store import Change, State, Store
from tests.unit.cluster_edits import decode
from tests.unit.stories import Oracle, assert_tidy
from tests.unit.toys import START, declared

KINDS = (Node, Pod, Event, StorageClass, ReplicaSet, PersistentVolumeClaim)
MINUTES = timedelta(minutes=10)


# --- checks that read in every way there is ---------------------------------------------------------------------------


def node_named(node: Node, pods: Lookup[Pod]) -> Answer:
    if pods.get("x", node.name) is None:
        yield Finding(node)


def node_empty(node: Node, pods: Lookup[Pod]) -> Answer:
    if not pods.on_node(node):
        yield Finding(node)


def node_crowded(node: Node, pods: Lookup[Pod]) -> Answer:
    if pods.count_on_node(node) > 1:
        yield Finding(node, count=pods.count_on_node(node))


def node_told(node: Node, events: Events) -> Answer:
    for record in events.about(node, "Told"):
        yield Finding(node, count=record.count)


def node_maybe(node: Node, pods: Lookup[Pod] | None) -> Answer:
    if pods is None:
        yield Finding(node)


def node_maybe_told(node: Node, events: Events | None) -> Answer:
    if events is None:
        yield Finding(node)


def node_old(node: Node, now: Now) -> Answer:
    if now.older(node.created, MINUTES):
        yield Finding(node)


def node_new(node: Node, now: Now) -> Answer:
    if node.created and not now.older(node.created, MINUTES):
        yield Finding(node)


def node_flips(node: Node, history: History[Node]) -> Answer:
    if len(history.transitions(node, "Ready", MINUTES)) > 1:
        yield Finding(node)


@derived(StorageClass)
def classes(read: Reader) -> int:
    found = read.lookup(StorageClass)
    return len(found.all()) if found else 0


@derived(StorageClass)
def broken_by_two(read: Reader) -> int:
    found = read.lookup(StorageClass)
    if found and len(found.all()) == 2:
        raise ValueError("two")
    return 0


def node_derived(node: Node, number: Annotated[int, classes]) -> Answer:
    yield Finding(node, number=number)


def node_maybe_derived(node: Node, number: Annotated[int, classes] | None) -> Answer:
    if number is None:
        yield Finding(node)


def node_derived_badly(node: Node, number: Annotated[int, broken_by_two]) -> Answer:
    yield Finding(node, number=number)


class NodeLimitSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeLimit."""

    most: Annotated[int, Meta(ge=0, le=9, description="Taints.")] = 1


def node_limit(node: Node, settings: NodeLimitSettings) -> Answer:
    if len(node.spec.taints) > settings.most:
        yield Finding(node)


def node_breaks(node: Node, pods: Lookup[Pod]) -> Answer:
    if pods.on_node(node):
        raise ValueError("a pod")
    yield Finding(node)


def node_odd(node: Node) -> Answer:
    if node.spec.unschedulable:
        raise ValueError("odd")
    yield Finding(node)


def node_odd_at_first(node: Node, now: Now) -> Answer:
    if node.created and not now.older(node.created, MINUTES):
        raise ValueError("new")
    yield Finding(node)


def node_empty_among_classes(node: Node, number: Annotated[int, classes], pods: Lookup[Pod]) -> Answer:
    if number and not pods.on_node(node):
        yield Finding(node)


def node_unsure(node: Node) -> Answer:
    yield Unknown(node, f"It has {len(node.spec.taints)} taints.")


def pod_owned(pod: Pod) -> Answer:
    yield Finding(pod)


def object_there(subject: Object) -> Answer:
    yield Finding(subject)


def few_nodes(_: Cluster, nodes: Lookup[Node]) -> Answer:
    if len(nodes.all()) < 2:
        yield Finding(Ref("Cluster"))


def no_nodes(_: Cluster, nodes: Lookup[Node]) -> Answer:
    if not nodes.all():
        yield Finding(Ref("Cluster"))


# --- the world that they are about ------------------------------------------------------------------------------------


def namespace_of(kind: str) -> str:
    """Events about Nodes are nowhere else than in ``default``."""
    return "default" if kind == "Event" else "x"


class World:
    """A store, the engine under test, and what it told."""

    def __init__(self, engine: ModuleType, *checks: Check, interval: timedelta = timedelta(0)) -> None:
        self.checks = checks
        self.registry = Registry(checks)
        self.store = Store(KINDS, since=START - MINUTES / 2)
        for table in self.store.tables.values():
            table.state = State.SYNCED
        self.settings = resolve(None, None, self.registry)
        self.now = START
        self.engine = engine.Engine(self.registry, self.store, self.settings, START, interval)
        self.places = engine.places
        self.drained: dict[Any, Any] = {}

    def put(self, kind: str, name: str, **body: Any) -> None:
        metadata = {"name": name, "uid": f"u-{kind}-{name}", **body.pop("metadata", {})}
        if BY_KIND[kind].resource.namespaced:
            metadata["namespace"] = namespace_of(kind)
        self._follow(self.store.put(decode(kind, {"metadata": metadata, **body})))

    def remove(self, kind: str, name: str) -> None:
        namespace = namespace_of(kind) if BY_KIND[kind].resource.namespaced else ""
        self._follow(self.store.remove(BY_KIND[kind], key_of(namespace, name)))

    def turn(self, kind: str, state: State) -> None:
        self.store.table(BY_KIND[kind]).state = state
        self.engine.refresh()

    def configure(self, exclude: tuple[str, ...] = (), **checks: Any) -> None:
        spec = {"checks": checks, "namespaces": {"exclude": list(exclude)}}
        self.settings = resolve(None, {"spec": spec}, self.registry)
        self.engine.refresh(self.settings)

    def asked(self) -> int:
        return sum(self.engine.evaluations.values())

    def _follow(self, change: Change | None) -> None:
        if change is not None:
            self.engine.changed(change)

    def settle(self, **later: float) -> None:
        """Let time pass, and see whether one who begins now says the same and keeps the same."""
        self.now += timedelta(**later)
        for _ in range(200):
            if self.engine.run(self.now, patience=0):
                break
        else:
            raise AssertionError("it never settles")
        self.drained.update(self.engine.drain())
        assert {pair: verdict for pair, verdict in self.drained.items() if verdict} == self.engine.verdicts
        assert_tidy(self.engine)
        oracle = Oracle(self.registry, self.store, self.settings, self.now)
        oracle.run(self.now)
        outcomes = oracle.outcomes()
        asked = {one for one in self.checks if one not in outcomes or outcomes[one].text == "Evaluated"}
        assert self.engine.outcomes() == outcomes
        for pair in (*self.engine.verdicts, *oracle.verdicts):
            if pair[0] in asked:
                assert self.engine.verdicts.get(pair) == oracle.verdicts.get(pair)
        assert [one for one in self.engine.undecided() if one[0] in asked] == oracle.undecided()
        assert self.engine.next_wake() == oracle.next_wake()


# --- stories ----------------------------------------------------------------------------------------------------------

Mutant = ModuleType
TAINTS = [{"key": "a"}, {"key": "b"}]
CREATED = {"creationTimestamp": "2026-01-01T00:00:00Z"}


def a_named_pod_comes_and_goes(engine: Mutant) -> None:
    world = World(engine, declared(node_named))
    world.put("Node", "a")
    world.settle()
    world.put("Pod", "a")
    world.settle()
    world.remove("Pod", "a")
    world.settle()
    world.remove("Node", "a")
    world.settle()


def a_pod_goes_from_node_to_node(engine: Mutant) -> None:
    world = World(engine, declared(node_empty))
    world.put("Node", "a")
    world.put("Node", "b")
    world.settle()
    for node in ("a", "b", "a"):
        world.put("Pod", "p", spec={"nodeName": node})
        world.settle()
    world.remove("Pod", "p")
    world.settle()
    world.remove("Node", "a")
    world.settle()


def pods_of_a_node_are_counted(engine: Mutant) -> None:
    world = World(engine, declared(node_crowded))
    world.put("Node", "a")
    for pod in ("p", "q", "r"):
        world.put("Pod", pod, spec={"nodeName": "a"})
        world.settle()
    for phase in ("Running", "Succeeded"):
        world.put("Pod", "p", spec={"nodeName": "a"}, status={"phase": phase})
        world.settle()
    world.remove("Pod", "q")
    world.settle()


def events_tell_of_a_node(engine: Mutant) -> None:
    world = World(engine, declared(node_told, events=("Told",)))
    world.put("Node", "a")
    world.settle()
    for count in (1, 2):
        world.put("Event", "e", reason="Told", involvedObject={"kind": "Node", "name": "a"}, count=count)
        world.settle()
    world.remove("Event", "e")
    world.settle()


def a_kind_cannot_be_read_for_a_while(engine: Mutant) -> None:
    told = declared(node_maybe_told, events=("Told",))
    world = World(engine, declared(node_maybe), told, declared(node_empty))
    world.put("Node", "a")
    world.settle()
    for kind in ("Pod", "Event", "Node"):
        world.turn(kind, State.FORBIDDEN)
        world.settle()
        world.put("Node", "b")
        world.put("Pod", "p", spec={"nodeName": "a"})
        world.settle()
        world.remove("Node", "b")
        world.settle()
        world.turn(kind, State.SYNCED)
        world.settle()
        world.remove("Pod", "p")
        world.settle()


def time_passes(engine: Mutant) -> None:
    world = World(engine, declared(node_old), declared(node_new))
    world.put("Node", "a", metadata=CREATED)
    world.settle()
    world.settle(minutes=9)
    world.settle(minutes=1)
    world.put("Node", "b", metadata={"creationTimestamp": "2026-01-01T00:09:00Z"})
    world.settle()
    world.remove("Node", "b")
    world.settle()
    world.settle(minutes=10)


def a_node_flips(engine: Mutant) -> None:
    world = World(engine, declared(node_flips))
    old = {"creationTimestamp": "2025-12-01T00:00:00Z"}
    world.put("Node", "quiet", metadata=old)
    for minute in (1, 2):
        at = f"2026-01-01T00:0{minute}:00Z"
        status = ("True", "False")[minute % 2]
        ready = {"type": "Ready", "status": status, "lastTransitionTime": at}
        world.put("Node", "a", metadata=old, status={"conditions": [ready]})
        world.settle(minutes=1)
    for _ in range(15):
        world.settle(minutes=1)


def a_value_of_many_changes(engine: Mutant) -> None:
    world = World(engine, declared(node_derived), declared(node_derived_badly), declared(node_maybe_derived))
    world.put("Node", "a")
    world.put("StorageClass", "c")
    world.settle()
    asked = world.asked()
    world.put("StorageClass", "c", provisioner="p")
    world.settle()
    assert world.asked() == asked, "the value is the same"
    world.remove("StorageClass", "c")
    for number in range(4):
        world.settle()
        world.put("StorageClass", f"c{number}")
    for number in range(4):
        world.settle()
        world.remove("StorageClass", f"c{number}")
    world.settle()
    world.turn("StorageClass", State.FORBIDDEN)
    world.put("StorageClass", "c")
    world.settle()
    world.turn("StorageClass", State.SYNCED)
    world.settle()


def a_value_of_many_is_computed_while_something_is_looked_up(engine: Mutant) -> None:
    world = World(engine, declared(node_empty_among_classes))
    world.put("StorageClass", "c")
    world.put("Node", "a")
    world.settle()
    world.put("Pod", "p", spec={"nodeName": "a"})
    world.settle()


def a_value_of_many_is_not_asked_for_any_more(engine: Mutant) -> None:
    world = World(engine, declared(node_derived))
    world.put("StorageClass", "c")
    world.put("Node", "a")
    world.settle()
    world.remove("Node", "a")
    world.put("StorageClass", "d")
    world.settle()
    world.put("StorageClass", "e")
    world.settle()
    assert not world.engine._value_reads, "nobody asks for it"
    world.put("Node", "a")
    world.settle()


def a_limit_is_set_and_a_check_switched_off(engine: Mutant) -> None:
    world = World(engine, declared(node_limit), declared(node_empty), declared(few_nodes), declared(node_old))
    world.configure(**{one.id: {"enabled": False} for one in world.checks})
    world.put("Node", "a", metadata=CREATED)
    world.settle()
    world.configure()
    world.settle()
    world.put("Node", "a", spec={"taints": TAINTS}, metadata=CREATED)
    world.put("Node", "b", spec={"taints": TAINTS[:1]})
    world.put("Node", "c")
    world.settle()
    for most in (0, 2, 1):
        world.configure(NodeLimit={"settings": {"most": most}})
        world.settle()
    for enabled in (False, True):
        world.configure(**{one.id: {"enabled": enabled} for one in world.checks})
        world.settle()
        world.put("Node", "d", spec={"taints": TAINTS})
        world.put("Node", "d")
        world.settle()
        world.settle(minutes=20)


def one_thing_alters_after_another(engine: Mutant) -> None:
    world = World(engine, declared(node_limit), declared(node_maybe), declared(node_unsure))
    world.put("Node", "a", spec={"taints": TAINTS})
    world.put("Node", "b", spec={"taints": TAINTS[:1]})
    world.settle()
    world.configure(NodeLimit={"settings": {"most": 2}})
    world.put("Node", "c", spec={"taints": TAINTS[:1]})
    world.turn("Pod", State.FORBIDDEN)
    world.settle()
    world.configure(NodeLimit={"settings": {"most": 0}})
    world.turn("Pod", State.SYNCED)
    world.settle()


def namespaces_are_left_out_and_taken_in(engine: Mutant) -> None:
    world = World(engine, declared(pod_owned), declared(few_nodes))
    world.put("Pod", "p")
    world.settle()
    for exclude, matters in ((("other",), 0), (("x",), 1), (("x", "other"), 0), ((), 1), (("x",), 1)):
        asked = world.asked()
        world.configure(exclude)
        world.settle()
        assert world.asked() - asked == matters
    world.remove("Pod", "p")
    world.settle()


def a_check_breaks_and_recovers(engine: Mutant) -> None:
    world = World(engine, declared(node_breaks), declared(node_old), declared(node_odd))
    world.put("Pod", "p", spec={"nodeName": "a"})
    world.put("Node", "a")
    world.settle()
    world.remove("Pod", "p")
    world.settle()
    for is_odd in (True, False, True):
        world.put("Node", "a", spec={"unschedulable": is_odd})
        world.settle()
    for _ in range(2):
        world.put("Pod", "p", spec={"nodeName": "a"})
        world.settle()
        world.remove("Pod", "p")
        world.settle()
    world.put("Pod", "p", spec={"nodeName": "a"})
    world.settle()
    world.put("Node", "a", spec={"taints": TAINTS})
    world.settle()
    world.remove("Node", "a")
    world.settle()


def a_check_breaks_until_a_time(engine: Mutant) -> None:
    world = World(engine, declared(node_odd_at_first))
    world.put("Node", "a", metadata=CREATED)
    world.settle()
    world.settle(minutes=9)
    world.settle(minutes=1)


def an_owner_comes_to_light(engine: Mutant) -> None:
    world = World(engine, declared(pod_owned, group=by.owner, explains={"PodOwned": join.same_owner}))
    owner = {"kind": "ReplicaSet", "name": "r", "uid": "u-ReplicaSet-r", "controller": True, "apiVersion": "apps/v1"}
    world.put("Pod", "p", metadata={"ownerReferences": [owner]})
    world.settle()
    above = {"kind": "Deployment", "name": "d", "uid": "u-d", "controller": True, "apiVersion": "apps/v1"}
    world.put("ReplicaSet", "r", metadata={"ownerReferences": [above]})
    world.settle()
    for state in (State.FORBIDDEN, State.SYNCED):
        world.turn("ReplicaSet", state)
        world.settle()
    world.remove("ReplicaSet", "r")
    world.settle()


def a_kind_is_discovered_later(engine: Mutant) -> None:
    world = World(engine, declared(object_there))
    world.put("Node", "a")
    world.settle()
    world.store.add(Deployment)
    world.put("Deployment", "d")
    world.turn("Deployment", State.SYNCED)
    world.settle()


def the_cluster_is_asked_once_a_second(engine: Mutant) -> None:
    world = World(engine, declared(few_nodes), declared(no_nodes), interval=timedelta(seconds=1))
    world.settle()
    for number in range(3):
        world.put("Node", f"n{number}")
        world.settle(seconds=1)
    asked = world.engine.evaluations["FewNodes"]
    world.remove("Node", "n0")
    world.settle(seconds=1)
    world.remove("Node", "n1")
    world.put("Node", "n1")
    world.remove("Node", "n1")
    assert world.engine.run(world.now)
    assert world.engine.evaluations["FewNodes"] == asked + 1
    world.settle(seconds=1)


STORIES = (
    a_named_pod_comes_and_goes, a_pod_goes_from_node_to_node, pods_of_a_node_are_counted, events_tell_of_a_node,
    a_kind_cannot_be_read_for_a_while,
    time_passes, a_node_flips, a_value_of_many_changes,
    a_value_of_many_is_computed_while_something_is_looked_up, a_value_of_many_is_not_asked_for_any_more,
    a_limit_is_set_and_a_check_switched_off,
    one_thing_alters_after_another, namespaces_are_left_out_and_taken_in, a_check_breaks_and_recovers,
    a_check_breaks_until_a_time, an_owner_comes_to_light, a_kind_is_discovered_later,
    the_cluster_is_asked_once_a_second,
)  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_the_law_holds_in_each_story(story: Callable[[Mutant], None]) -> None:
    story(real)


@pytest.mark.parametrize("story", STORIES)
def test_the_law_holds_where_timers_are_made_anew_again_and_again(
    story: Callable[[Mutant], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real, "_FEW_TIMERS", 0)
    story(real)


# --- without a rule ---------------------------------------------------------------------------------------------------

RULES = {
    lookups: {
        "Notes": {"wake_at"},
        "Desk": {"lookup", "readable_events"},
        "StoreLookup": {"_find", "get"},
        "StoreEvents": {"about"},
        "StoreHistory": {"transitions"},
        "StoreNow": {"older"},
    },
    asks: {"Asks": {"refresh", "about", "of", "_renewed", "_candidates_for", "_altered"}},
    real: {
        "Engine": {
            "changed", "refresh", "_mark_kept", "_mark_namespaces", "_reread", "_mark_rows", "_mark", "run", "_sweep",
            "_ask", "_ask_one", "_has_to_rest", "_next", "_verdict", "_value", "_compute", "_renew_values", "_settle",
            "_keep", "_wake_at", "_set_value_reads", "_set_readings", "_follow", "_forget_reader",
            "_wake", "_ring_timers", "_failed",
        },
    },
}  # fmt: skip
"""The methods by which what was read, and who has to look again, is noted."""

NO_RULES = {
    "Engine._ask_one: self.seconds[check.id] += time.perf_counter() - begun": "a figure for /metrics",
    "Engine._wake: self._timers = [": "an end to timers of wakes that were taken back: no story is that long",
    "Engine._wake: self._timer_count = len(self._timers)": "a part of that",
    "Engine._wake: heapq.heapify(self._timers)": "a part of that",
    "Asks.about: self._about[view] = found": "remembered to save time",
    "Asks._candidates_for: self._candidates[place] = found": "remembered to save time",
    "Engine._failed: self.failed_evaluations[pair[0].id] += 1": "a figure for /metrics",
    "Engine._failed: logger.error(": "a line in the log",
}
"""Statements among them whose absence nobody can tell by what is said and kept, and why."""

REPLACED = {
    "the old place of an object is not looked at": (store, "set(found(change.old) if change.old else ())", "set()"),
    "the new place of an object is not looked at": (store, "set(found(change.new) if change.new else ())", "set()"),
    "where pods are counted one more or less is not noticed": (store, "before ^ after", "set()"),
    "a check whose inputs are back is not asked again": (asks, "(check), missing, unread)", "(check), unread)"),
    "a check without a kind that only enriches is not asked again": (asks, "missing, unread)\n", "missing)\n"),
    "new settings are those of old": (asks, "(settings.check_settings(check), missing", "(missing"),
    "a check that is switched on is not asked again": (real, "switched.union(check", "set(check"),
    "what was worked out stays when a check is altered": (
        asks, "[check for check in candidates if check in altered]", "[]",
    ),
    "who read a kind that turned is not asked again": (
        real, "any(view in turned for view, _, _ in tokens)", "False",
    ),
    "shapes are looked at once and for all": (asks, "if shape.asks_of is not self._epoch:", "if not shape.asks_of:"),
    "an old wake-up is not taken back": (real, "self._wakes.pop(pair, None)\n", "pass\n"),
    "who is no reader any more stays one": (real, "for token in no_more:", "for token in ():"),
    "a value of many is not computed again": (real, "        self._renew_values()\n", ""),
    "a check that says nothing new tells it again": (
        real, "if self.verdicts.get(pair, SILENT) != verdict:", "if False:",
    ),
}  # fmt: skip
"""Other rules, as a piece of the source and what takes its place."""


@dataclass(frozen=True)
class Omission:
    """A statement that is left out.

    Attributes:
        module: The module that it is in.
        line: Its line there.
        where: The method.
        text: Its first line.
    """

    module: ModuleType
    line: int
    where: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.where}: {self.text}"


def omissions() -> Iterator[Omission]:
    for module, classes_ in RULES.items():
        source = inspect.getsource(module)
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and node.name in classes_:
                methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
                for name in sorted(classes_[node.name]):
                    for line in _statements(methods[name]):
                        yield Omission(module, line, f"{node.name}.{name}", lines[line - 1].strip())


def _statements(method: ast.FunctionDef) -> Iterator[int]:
    """The lines of the statements that do something and bind no name that others need."""
    for one in ast.walk(method):
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AugAssign) else []
        is_call = isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)
        if is_call or any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
            yield one.lineno


def without(omission: Omission) -> Mutant:
    """The engine without a statement, its own or one of what it reads with."""

    class Omit(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign) and node.lineno == omission.line:
                return ast.copy_location(ast.Pass(), node)
            return self.generic_visit(node)

    return mutant(omission.module, Omit().visit(ast.parse(inspect.getsource(omission.module))))


def mutant(module: ModuleType, changed: ast.AST) -> Mutant:
    """The engine with one of the modules that it is made of changed."""
    made = _executed(module, changed)
    if module is real:
        return made
    engine = _executed(real, ast.parse(inspect.getsource(real)))
    for name in {"Asks", "Desk", "Notes", "places"} & vars(made).keys():
        setattr(engine, name, getattr(made, name))
    return engine


def _executed(module: ModuleType, tree: Any) -> ModuleType:
    made = ModuleType(module.__name__)
    exec(compile(ast.fix_missing_locations(tree), str(module.__file__), "exec"), made.__dict__)  # noqa: S102 -- our own
    return made


def breaks(engine: Mutant) -> bool:
    """Whether some story does not end well."""
    for story in STORIES:
        try:
            story(engine)
        except Exception:  # noqa: BLE001 -- a broken law, or whatever an engine in disorder meets
            return True
    return False


OMISSIONS = [one for one in omissions() if not one.name.startswith(tuple(NO_RULES))]


@pytest.mark.parametrize("omission", OMISSIONS, ids=[one.name for one in OMISSIONS])
def test_the_law_breaks_without(omission: Omission) -> None:
    assert breaks(without(omission))


@pytest.mark.parametrize("what", REPLACED)
def test_the_law_breaks_where(what: str) -> None:
    module, piece, other = REPLACED[what]
    source = inspect.getsource(module)
    assert source.count(piece) == 1

    assert breaks(mutant(module, ast.parse(source.replace(piece, other))))


def test_what_counts_as_no_rule_is_there() -> None:
    names = [one.name for one in omissions()]
    assert [text for text in NO_RULES if not any(name.startswith(text) for name in names)] == []
