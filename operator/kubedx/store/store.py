"""The tables of all watched kinds, their indexes, and what a change touches."""

from bisect import insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec

from kubedx.core.inputs import Transition
from kubedx.kube.bits import Bit
from kubedx.kube.decode import Decoded
from kubedx.kube.known import Known
from kubedx.kube.meta import Condition, View
from kubedx.kube.slots import Slot
from kubedx.kube.views import Event, Node, PersistentVolumeClaim, Pod
from kubedx.store.forms import Forms, Row

V = TypeVar("V", bound=View)

Key = str
"""Namespace and name of an object, see `kubedx.kube.slots.key_of`."""

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
        return self is State.SYNCED or self is State.ABSENT  # Asked for each lookup, and hashing a member is slow.


class Change(msgspec.Struct, frozen=True, gc=False, eq=False):
    """An object came, went or changed.

    Attributes:
        view: The kind.
        key: The object's place in its table.
        old: What was there.
        new: What is there now.
    """

    view: type[View]
    key: Key
    old: Row | None
    new: Row | None


PROBE_REASONS = frozenset({"Unhealthy", "ProbeError"})
"""The reasons of Events about probes that failed; the latter on OpenShift."""

# --- indexes ----------------------------------------------------------------------------------------------------------


def _own(row: Row, value: str | Slot) -> str:
    """A value of an object, which stands in its form or, where it is the object's own, beside it."""
    return value.value(row) if isinstance(value, Slot) else value


def _by_namespace(row: Row) -> Iterable[Hashable]:
    return (row.shape.form.metadata.namespace,)


def _by_owner(row: Row) -> Iterable[Hashable]:
    return [owner.uid for owner in row.shape.form.metadata.owner_references]


def _by_label(row: Row) -> Iterable[Hashable]:
    metadata = row.shape.form.metadata
    return [(metadata.namespace, *pair) for pair in metadata.labels.items()]


_OF_NODES = ("", "default", "kube-system")
"""Where Events about cluster-scoped objects are (`pkg/apis/core/validation/events.go`)."""


def _by_about(row: Row) -> Iterable[Hashable]:
    event = row.shape.form
    if not isinstance(event, Event):
        return ()
    about = event.involved_object
    if about.kind != "Node":
        return (_own(row, about.uid),)
    # Events about Nodes carry the uid, the name in place of the uid, or nothing, depending on who wrote them. Those in
    # a namespace of a tenant may be forged.
    return (("Node", _own(row, about.name)),) if event.metadata.namespace in _OF_NODES else ()


def _by_node(row: Row) -> Iterable[Hashable]:
    pod = row.shape.form
    return (_own(row, pod.spec.node_name),) if isinstance(pod, Pod) and pod.spec.node_name else ()


def _by_busy_node(row: Row) -> Iterable[Hashable]:
    pod = row.shape.form
    return () if isinstance(pod, Pod) and pod.finished else _by_node(row)


def _by_failure(row: Row) -> Iterable[Hashable]:
    pod = row.shape.form
    if not isinstance(pod, Pod) or not row.shape.bits & Bit.FAILED or not pod.status.reason:
        return ()  # The pods of failed Jobs have no reason of their own, and may be very many.
    return (("namespace", pod.metadata.namespace), ("node", _own(row, pod.spec.node_name)))


def _by_host(row: Row) -> Iterable[Hashable]:
    event = row.shape.form
    if isinstance(event, Event) and event.reason in PROBE_REASONS and event.source.host:
        return (_own(row, event.source.host),)
    return ()


def _by_claim(row: Row) -> Iterable[Hashable]:
    pod = row.shape.form
    if not isinstance(pod, Pod) or not pod.spec.volumes:
        return ()
    whole = row.view
    return [(whole.namespace, claim) for claim in whole.claims] if isinstance(whole, Pod) else ()


def _by_volume(row: Row) -> Iterable[Hashable]:
    claim = row.shape.form
    if isinstance(claim, PersistentVolumeClaim) and claim.spec.volume_name:
        return (_own(row, claim.spec.volume_name),)
    return ()


INDEXES: dict[str, Callable[[Row], Iterable[Hashable]]] = {
    "name": lambda row: (row.key,),
    "all": lambda _: ("",),
    "namespace": _by_namespace,
    "owner": _by_owner,
    "label": _by_label,
    "node": _by_node,
    "busy node": _by_busy_node,
    "claim": _by_claim,
    "volume": _by_volume,
    "about": _by_about,
    "failure": _by_failure,
    "host": _by_host,
}
"""What objects can be found by. An index of a table exists from the first lookup in it."""

COUNTING = frozenset({"busy node"})
"""Indexes of which only the numbers are asked for: what an object becomes there is the same to who counts it."""

_LET_GO, _OF_FORMS = 2000, 8
"""Objects that may have left a form behind before it is looked for: so many, or this part of all forms."""

_LATEST = 256
"""Views of each kind that are kept, where nobody looks at all of them."""


class Table(Generic[V]):
    """All objects of one kind."""

    def __init__(self, view: type[V]) -> None:
        self.view = view
        self.state = State.SYNCING
        self.detail = ""
        self.rows: dict[Key, Row] = {}
        self._indexes: dict[str, dict[Hashable, list[Key]]] = {}
        self._views: Known[Key, tuple[Row, V]] = Known(_LATEST)

    def get(self, key: Key) -> V | None:
        """The object of that key."""
        row = self.rows.get(key)
        return None if row is None else self.whole(row)

    def find(
        self,
        index: str,
        key: Hashable,
        labelled: Callable[[Mapping[str, str]], bool] | None = None,
        most: int | None = None,
    ) -> tuple[V, ...]:
        """Find objects by an index, in the order of their keys.

        Args:
            index: The index.
            key: The place in it.
            labelled: What the labels of the objects must be, which costs less to ask before they are put together.
            most: How many of them are enough; None for all.

        Returns:
            The objects.
        """
        if index == "all":
            # Who looks at all objects will do so again when one of them has changed.
            self._views.most = len(self.rows) + _LATEST
            found: Iterable[Key] = sorted(self.rows)
        else:
            if index not in self._indexes:
                self._build(index)
            found = self._indexes[index].get(key, ())
        rows = [self.rows[one] for one in islice(found, most)]
        if labelled is not None:
            rows = [row for row in rows if labelled(row.shape.form.metadata.labels)]
        return tuple([self.whole(row) for row in rows])

    def count(self, index: str, key: Hashable) -> int:
        """Count what `find` would find, which puts nothing together."""
        if index not in self._indexes:
            self._build(index)
        return len(self._indexes[index].get(key, ()))

    def whole(self, row: Row) -> V:
        """The whole of one of its rows. The latest ones are kept: what one check looked at, another will."""
        known = self._views.get(row.key)
        if known is not None and known[0] is row:
            return known[1]
        view: V = row.view  # type: ignore[assignment]  # the rows of a table are of its kind
        return self._views.keep(row.key, (row, view))[1]

    def put(self, key: Key, new: Row | None) -> Change | None:
        """Set or, with None, remove an object.

        Returns:
            The change, or None where nothing that anybody reads is different.
        """
        old = self.rows.get(key)
        if new is None:
            if old is None:
                return None
            del self.rows[key]
            self._views.pop(key, None)
        elif old is None:
            self.rows[key] = new
        else:
            if new.is_as(old):
                return None
            self.rows[key] = new
            if new.shape is old.shape and new.texts == old.texts:
                return Change(self.view, key, old, new)  # Only times differ, by which nothing can be found.
        for name, index in self._indexes.items():
            _move(index, key, INDEXES[name](old) if old else (), INDEXES[name](new) if new else ())
        return Change(self.view, key, old, new)

    def _build(self, name: str) -> None:
        index: dict[Hashable, list[Key]] = {}
        for key in sorted(self.rows):
            for place in INDEXES[name](self.rows[key]):
                index.setdefault(place, []).append(key)
        self._indexes[name] = index


def _move(index: dict[Hashable, list[Key]], key: Key, before: Iterable[Hashable], after: Iterable[Hashable]) -> None:
    if before == after:
        return
    for place in set(before).difference(after):
        keys = index[place]
        keys.remove(key)
        if not keys:
            del index[place]
    for place in set(after).difference(before):
        insort(index.setdefault(place, []), key)


def places(index: str, change: Change) -> set[Hashable]:
    """Where an index shows or showed the object that changed; in one for counting, where there is one more or less."""
    found = INDEXES[index]
    before = set(found(change.old) if change.old else ())
    after = set(found(change.new) if change.new else ())
    return before ^ after if index in COUNTING else before | after


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
        self._forms = Forms()
        self._let_go = 0
        self._history: dict[tuple[type[View], str], dict[str, tuple[Transition, ...]]] = {}

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

    def put(self, decoded: Decoded[Any]) -> Change | None:
        """Set an object.

        Args:
            decoded: The object, freshly decoded.

        Returns:
            The change, or None where nothing that anybody reads is different.
        """
        if self._is_unread(decoded.form):
            return self.remove(Event, decoded.own.key)  # It may have had another reason, or be another Event.
        return self._set(self.row(decoded))

    def row(self, decoded: Decoded[Any]) -> Row:
        """Bring an object into the form in which it is kept, without keeping it: it may not be the latest.

        Args:
            decoded: The object, freshly decoded.

        Returns:
            What `keep` takes.
        """
        table = self.tables.get(type(decoded.form))
        return self._forms.row(decoded, table.rows.get(decoded.own.key) if table else None)

    def keep(self, row: Row) -> Change | None:
        """Set an object that `row` brought into form; returns the same as `put`."""
        return self.remove(Event, row.key) if self._is_unread(row.shape.form) else self._set(row)

    def _set(self, row: Row) -> Change | None:
        form = row.shape.form
        table = self.tables[type(form)]
        change = table.put(row.key, row)
        if change is not None and change.old is not None and change.old.shape is not row.shape:
            self._let_go += 1
        if change is not None and isinstance(form, Node):
            if change.old is not None and change.old.uid != row.uid:
                self._history.pop((Node, change.old.uid), None)
            node = table.get(row.key)
            if isinstance(node, Node):
                self._remember(node, node.status.conditions)
        return change

    def _is_unread(self, form: View) -> bool:
        """Whether it is an Event of a reason that no check reads."""
        return isinstance(form, Event) and self._event_reasons is not None and form.reason not in self._event_reasons

    def remove(self, view: type[View], key: Key) -> Change | None:
        """Remove an object; an unknown one is none to remove."""
        table = self.tables[view]
        old = table.rows.get(key)
        if old is None:
            return None
        self._history.pop((view, old.uid), None)
        self._let_go += 1
        return table.put(key, None)

    @property
    def is_untidy(self) -> bool:
        """Whether so many objects went, or became others, that much of what is kept may be used by none."""
        return self._let_go > max(_LET_GO, len(self._forms) // _OF_FORMS)

    def tidy(self) -> Iterator[None]:
        """Forget what no object uses any more, step by step; yields after each."""
        self._let_go = 0
        yield from self._forms.sweep()

    def transitions(self, view: View, condition: str) -> tuple[Transition, ...]:
        """All remembered transitions of one condition of an object, oldest first."""
        return self._history.get((type(view), view.metadata.uid), {}).get(condition, ())

    def _remember(self, view: View, conditions: tuple[Condition, ...]) -> None:
        history = self._history.setdefault((type(view), view.metadata.uid), {})
        for condition in conditions:
            at = condition.last_transition_time
            known = history.get(condition.type, ())
            if at is not None and all(one.at != at for one in known):
                recent = sorted((*known, Transition(at, condition.status)), key=lambda one: one.at)
                history[condition.type] = tuple(recent[-_REMEMBERED:])


_REMEMBERED = 64
"""Transitions kept of one condition of one object: more than any check counts to."""
