"""The tables of all watched kinds, their indexes, and what a change touches."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from msgspec.structs import force_setattr

from kubedx.core.inputs import Transition
from kubedx.kube.meta import Condition, View
from kubedx.kube.views import Event, Node, PersistentVolumeClaim, Pod
from kubedx.store.interning import Interner

V = TypeVar("V", bound=View)

Key = tuple[str, str]
"""Namespace and name of an object within its table."""

Token = tuple[type[View], str, Hashable]
"""A place that a lookup read: a table, one of its indexes, a key in it."""


class State(Enum):
    """What can be said about a kind."""

    SYNCING = "Syncing"
    """Not read yet."""
    SYNCED = "Synced"
    """The table is as the cluster is."""
    STALE = "Stale"
    """The table was right once, and nothing has been heard since."""
    FORBIDDEN = "Forbidden"
    """The API server does not let us look."""
    ABSENT = "Absent"
    """The API server does not serve the kind."""

    @property
    def settled(self) -> bool:
        """Whether waiting longer tells nothing more."""
        return self is not State.SYNCING

    @property
    def readable(self) -> bool:
        """Whether what the table says is so; an absent kind has no objects."""
        return self in {State.SYNCED, State.ABSENT}


@dataclass(frozen=True, slots=True)
class Change:
    """An object came, went or changed.

    Attributes:
        view: The kind.
        key: The object's place in its table.
        old: What was there.
        new: What is there now.
        touched: The places in indexes that hold or held it.
    """

    view: type[View]
    key: Key
    old: View | None
    new: View | None
    touched: tuple[Token, ...]


def _by_about(event: View) -> Iterator[Hashable]:
    if isinstance(event, Event):
        about = event.involved_object
        # Events about Nodes carry the uid, the name in place of the uid, or nothing, depending on who wrote them.
        yield ("Node", about.name) if about.kind == "Node" else about.uid


def _by_node(pod: View) -> Iterator[Hashable]:
    if isinstance(pod, Pod) and pod.spec.node_name:
        yield pod.spec.node_name


def _by_claim(pod: View) -> Iterator[Hashable]:
    if isinstance(pod, Pod):
        yield from ((pod.namespace, claim) for claim in pod.claims)


def _by_volume(claim: View) -> Iterator[Hashable]:
    if isinstance(claim, PersistentVolumeClaim) and claim.spec.volume_name:
        yield claim.spec.volume_name


INDEXES: dict[str, Callable[[View], Iterable[Hashable]]] = {
    "name": lambda view: ((view.metadata.namespace, view.metadata.name),),
    "all": lambda _: ("",),
    "namespace": lambda view: (view.metadata.namespace,),
    "owner": lambda view: (owner.uid for owner in view.metadata.owner_references),
    "label": lambda view: ((view.metadata.namespace, *pair) for pair in view.metadata.labels.items()),
    "node": _by_node,
    "claim": _by_claim,
    "volume": _by_volume,
    "about": _by_about,
}
"""What objects can be found by. An index of a table exists from the first lookup in it."""


class Table(Generic[V]):
    """All objects of one kind."""

    def __init__(self, view: type[V]) -> None:
        self.view = view
        self.state = State.SYNCING
        self.detail = ""
        self.rows: dict[Key, V] = {}
        self._indexes: dict[str, dict[Hashable, dict[Key, None]]] = {}

    def find(self, index: str, key: Hashable) -> tuple[V, ...]:
        """Find objects by an index, in the order of namespace and name."""
        if index not in self._indexes:
            self._build(index)
        return tuple(self.rows[row] for row in sorted(self._indexes[index].get(key, ())))

    def put(self, key: Key, new: V | None) -> Change | None:
        """Set or, with None, remove an object.

        Returns:
            The change, or None where nothing that anybody reads is different.
        """
        old = self.rows.get(key)
        if old == new:
            return None
        if new is None:
            del self.rows[key]
        else:
            self.rows[key] = new
        return Change(self.view, key, old, new, tuple(self._touch(key, old, new)))

    def _touch(self, key: Key, old: V | None, new: V | None) -> Iterator[Token]:
        yield (self.view, "name", key)
        yield (self.view, "all", "")
        for name, index in self._indexes.items():
            before = set(INDEXES[name](old)) if old else set()
            after = set(INDEXES[name](new)) if new else set()
            for place in before - after:
                index[place].pop(key, None)
                if not index[place]:
                    del index[place]
            for place in after - before:
                index.setdefault(place, {})[key] = None
            for place in before | after:
                yield (self.view, name, place)

    def _build(self, name: str) -> None:
        index: dict[Hashable, dict[Key, None]] = {}
        for key, row in self.rows.items():
            for place in INDEXES[name](row):
                index.setdefault(place, {})[key] = None
        self._indexes[name] = index


class Store:
    """The mirror of the cluster.

    Args:
        kinds: The kinds that are watched.
        event_reasons: The reasons of Events that are kept; None keeps all.
        since: When watching began, None for a store that only sees one moment.
    """

    def __init__(
        self, kinds: Iterable[type[View]], event_reasons: frozenset[str] | None = None, since: datetime | None = None
    ) -> None:
        self.tables: dict[type[View], Table[Any]] = {view: Table(view) for view in kinds}
        self.since = since
        self._event_reasons = event_reasons
        self._interner = Interner()
        self._history: dict[tuple[type[View], str, str], tuple[Transition, ...]] = {}

    def table(self, view: type[V]) -> Table[V]:
        """The table of a kind.

        Raises:
            KeyError: The kind is not watched.
        """
        return self.tables[view]

    def add(self, view: type[View]) -> None:
        """Begin to mirror one more kind."""
        self.tables.setdefault(view, Table(view))

    def readable(self, view: type[View]) -> bool:
        """Whether what the store says about a kind is so."""
        table = self.tables.get(view)
        return table is not None and table.state.readable

    def put(self, view: View) -> Change | None:
        """Set an object.

        Args:
            view: The object, freshly decoded: its parts become shared ones.

        Returns:
            The change, or None where nothing that anybody reads is different.
        """
        if isinstance(view, Event) and self._event_reasons is not None and view.reason not in self._event_reasons:
            return None
        # Two reads of an unchanged object differ in nothing else, and no check reads it.
        force_setattr(view.metadata, "resource_version", "")
        self._interner.share(view)
        change = self.tables[type(view)].put((view.metadata.namespace, view.metadata.name), view)
        if change and isinstance(view, Node):
            self._remember(view, view.status.conditions)
        return change

    def remove(self, view: type[View], key: Key) -> Change | None:
        """Remove an object; an unknown one is none to remove."""
        table = self.tables[view]
        old = table.rows.get(key)
        if old is None:
            return None
        for place in [place for place in self._history if place[:2] == (view, old.metadata.uid)]:
            del self._history[place]
        return table.put(key, None)

    def sweep(self, view: type[View], seen: set[Key]) -> list[Change]:
        """Remove every object of a kind that a complete list did not show."""
        gone = [key for key in self.tables[view].rows if key not in seen]
        return [change for key in gone if (change := self.remove(view, key))]

    def transitions(self, view: View, condition: str) -> tuple[Transition, ...]:
        """All remembered transitions of one condition of an object, oldest first."""
        return self._history.get((type(view), view.metadata.uid, condition), ())

    def _remember(self, view: View, conditions: tuple[Condition, ...]) -> None:
        for condition in conditions:
            at = condition.last_transition_time
            if at is None:
                continue
            place = (type(view), view.metadata.uid, condition.type)
            known = self._history.get(place, ())
            if all(one.at != at for one in known):
                recent = sorted((*known, Transition(at, condition.status)), key=lambda one: one.at)
                self._history[place] = tuple(recent[-_REMEMBERED:])


_REMEMBERED = 64
"""Transitions kept of one condition of one object: more than any check counts to."""
