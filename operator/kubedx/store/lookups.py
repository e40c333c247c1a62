"""The inputs of checks, read from the store and noted: lookups, Events, history and the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from kubedx.core.finding import Ref
from kubedx.core.inputs import EventRecord, Transition
from kubedx.kube.meta import View
from kubedx.kube.selectors import LabelSelector
from kubedx.kube.slots import key_of
from kubedx.kube.views import Event, Node, PersistentVolume, PersistentVolumeClaim
from kubedx.store.store import Store, Table, Token

V = TypeVar("V", bound=View)

_COMBINED = "(combined from similar events): "
READABLE = "readable"
"""Stands for an index in the note that a kind could not be read."""

_MESSAGES_A_REASON = 4
_OF_PROBES = 50
"""Events about the probes of one node that are looked at: when all fail, the first of them tell enough."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Notes:
    """What one run of a check read.

    Attributes:
        now: The time of the run.
        tokens: The places that were read.
        wake: When the answer may change by the passing of time alone.
        watched_too_short: Whether a history was asked for that is not complete yet.
    """

    now: datetime
    tokens: set[Token] = field(default_factory=set)
    wake: datetime | None = None
    watched_too_short: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether nothing was noted."""
        return not self.tokens and self.wake is None and not self.watched_too_short

    def wake_at(self, at: datetime) -> None:
        """Note that the answer may change at a time."""
        if self.wake is None or at < self.wake:
            self.wake = at


class Desk:
    """Hands out the inputs, all noting into the same `notes`, which the engine replaces before each run.

    Args:
        store: The store to read.
        now: The time of the first run.
    """

    def __init__(self, store: Store, now: datetime) -> None:
        self.store = store
        self.notes = Notes(now)
        self.memo: dict[object, Any] = {}
        self.events = StoreEvents(self)
        self.history: StoreHistory[Any] = StoreHistory(self)
        self.now = StoreNow(self)
        self._lookups: dict[type[View], StoreLookup[Any]] = {}

    def begin(self, now: datetime) -> Notes:
        """Begin to answer another question; returns the notes of what is read for it."""
        self.memo.clear()
        self.notes = Notes(now)
        return self.notes

    def lookup(self, view: type[V]) -> "StoreLookup[V] | None":
        """The objects of a kind, or None where they cannot be read."""
        if not self.store.readable(view):
            self.notes.tokens.add((view, READABLE, ""))
            return None
        if view not in self._lookups:
            self._lookups[view] = StoreLookup(self, self.store.table(view))
        return self._lookups[view]

    def readable_events(self) -> "StoreEvents | None":
        """The Events, or None where they cannot be read."""
        return self.events if self.store.readable(Event) else None


class StoreLookup(Generic[V]):
    """`kubedx.core.inputs.Lookup` over a table."""

    def __init__(self, desk: Desk, table: Table[V]) -> None:
        self._desk = desk
        self._table = table

    def _find(self, index: str, key: Any) -> tuple[V, ...]:  # noqa: ANN401 -- keys differ by index
        self._desk.notes.tokens.add((self._table.view, index, key))
        return self._table.find(index, key)

    def get(self, namespace: str, name: str) -> V | None:
        """The object of that name."""
        key = key_of(namespace, name)
        self._desk.notes.tokens.add((self._table.view, "name", key))
        return self._table.get(key)

    def owned_by(self, owner: View) -> tuple[V, ...]:
        """The objects whose ownerReferences name the owner's uid."""
        return self._find("owner", owner.uid)

    def on_node(self, node: Node | str) -> tuple[V, ...]:
        """The pods bound to the node."""
        return self._find("node", node if isinstance(node, str) else node.name)

    def count_on_node(self, node: Node) -> int:
        """How many pods that are not finished are bound to the node."""
        self._desk.notes.tokens.add((self._table.view, "busy node", node.name))
        return self._table.count("busy node", node.name)

    def in_namespace(self, namespace: str) -> tuple[V, ...]:
        """The objects of one namespace."""
        return self._find("namespace", namespace)

    def selected_by(self, selector: LabelSelector | Mapping[str, str] | None, namespace: str) -> tuple[V, ...]:
        """The objects of one namespace that a selector selects; None selects nothing."""
        if selector is None:
            return ()
        wanted = selector if isinstance(selector, LabelSelector) else LabelSelector(match_labels=dict(selector))
        # Found among the objects of the namespace, as an index of all labels of all pods would cost more than it saves;
        # what counts for who reads again is the label.
        token: Token = (self._table.view, "namespace", namespace)
        if wanted.match_labels:
            token = (self._table.view, "label", (namespace, *min(wanted.match_labels.items())))
        self._desk.notes.tokens.add(token)
        return self._table.find("namespace", namespace, wanted.matches)

    def failed_in(self, namespace: str) -> tuple[V, ...]:
        """The pods of a namespace in phase Failed that have a reason."""
        return self._find("failure", ("namespace", namespace))

    def failed_on(self, node: str) -> tuple[V, ...]:
        """The pods of a node in phase Failed that have a reason."""
        return self._find("failure", ("node", node))

    def using_claim(self, claim: PersistentVolumeClaim) -> tuple[V, ...]:
        """The pods whose volumes use the claim."""
        return self._find("claim", (claim.namespace, claim.name))

    def using_volume(self, volume: PersistentVolume) -> tuple[V, ...]:
        """The claims that are bound to the volume."""
        return self._find("volume", volume.name)

    def all(self) -> tuple[V, ...]:
        """Every object of the kind."""
        return self._find("all", "")


class StoreEvents:
    """`kubedx.core.inputs.Events` over the table of Events."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def about(self, subject: View, *reasons: str) -> tuple[EventRecord, ...]:
        """For each of the reasons the newest four distinct messages about the object, the newest first."""
        key = ("Node", subject.name) if isinstance(subject, Node) else subject.uid
        self._desk.notes.tokens.add((Event, "about", key))
        events = self._desk.store.table(Event).find("about", key) if key else ()
        records: list[EventRecord] = []
        for reason in reasons:
            found = added_up([event for event in events if event.reason == reason])
            records.extend(found[:_MESSAGES_A_REASON])
        return tuple(sorted(records, key=_newest_first))

    def of_probes_on(self, node: Node) -> tuple[tuple[Ref, EventRecord], ...]:
        """What the kubelet of a node said about probes that failed, and the pods: the first 50 Events by name."""
        self._desk.notes.tokens.add((Event, "host", node.name))
        found = self._desk.store.table(Event).find("host", node.name, most=_OF_PROBES)
        return tuple((Ref("Pod", one.namespace, one.involved_object.name), added_up([one])[0]) for one in found)


def added_up(events: list[Event]) -> list[EventRecord]:
    """Add up Events of one reason by the container that they are about and their message.

    Counters follow the series where there is one, else count and lastTimestamp, else a single sighting
    (`client-go/tools/record/events_cache.go`, `client-go/tools/events`).

    Args:
        events: The Events.

    Returns:
        One record a container and message, the newest first.
    """
    records: dict[tuple[str, str], EventRecord] = {}
    for event in events:
        message = event.message.removeprefix(_COMBINED)
        first = event.first_timestamp or event.event_time or event.created
        last = (event.series.last_observed_time if event.series else event.last_timestamp) or first
        count = (event.series.count if event.series else event.count) or 1
        container = event.involved_object.field_path.partition("{")[2].rstrip("}")
        known = records.get((container, message))
        if known:
            count += known.count
            first = min(filter(None, (first, known.first)), default=None)
            last = max(filter(None, (last, known.last)), default=None)
        component = event.reporting_component or event.source.component
        records[container, message] = EventRecord(event.reason, message, count, first, last, component, container)
    return sorted(records.values(), key=_newest_first)


def _newest_first(record: EventRecord) -> tuple[float, str, str, str]:
    return (-(record.last or _LONG_AGO).timestamp(), record.reason, record.message, record.container)


class StoreHistory(Generic[V]):
    """`kubedx.core.inputs.History` over what the store remembers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def transitions(self, subject: View, condition: str, within: timedelta) -> tuple[Transition, ...]:
        """The transitions of a condition in the time `within`, oldest first."""
        notes, store = self._desk.notes, self._desk.store
        begin = notes.now - within
        found = tuple(one for one in store.transitions(subject, condition) if begin < one.at <= notes.now)
        if found:
            notes.wake_at(found[0].at + within)
        watched_since = max(filter(None, (store.since, subject.created)), default=None)
        if watched_since is not None and watched_since == store.since and watched_since > begin:
            notes.watched_too_short = True
            notes.wake_at(watched_since + within)
        return found


class StoreNow:
    """`kubedx.core.inputs.Now`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def older(self, then: datetime | None, than: timedelta) -> bool:
        """Whether `then` is at least `than` ago; False for None."""
        if then is None:
            return False
        due = then + than
        if self._desk.notes.now >= due:
            return True
        self._desk.notes.wake_at(due)
        return False
