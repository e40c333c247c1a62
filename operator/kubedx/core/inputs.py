"""What a check may ask for beside its subject. The store implements these; a check sees nothing else of the world.

Each lookup is noted, so that the engine runs exactly those checks again whose answers may have changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from kubedx.core.finding import Evidence, Ref
from kubedx.kube.meta import View
from kubedx.kube.selectors import LabelSelector
from kubedx.kube.views import Node, PersistentVolume, PersistentVolumeClaim

V = TypeVar("V", bound=View)
V_co = TypeVar("V_co", bound=View, covariant=True)
T = TypeVar("T")

Object = View
"""As a check's first parameter: every object of every kind that some other check watches."""


class Cluster:
    """As a check's first parameter: the check is asked once, about the cluster as a whole."""


CLUSTER = Cluster()


class Lookup(Protocol[V_co]):
    """Objects of one kind, found by what relates them to others. Results are in the order of namespace and name."""

    def get(self, namespace: str, name: str) -> V_co | None:
        """The object of that name; the namespace is empty for cluster-scoped kinds."""

    def owned_by(self, owner: View) -> tuple[V_co, ...]:
        """The objects whose ownerReferences name the owner's uid."""

    def on_node(self, node: Node | str) -> tuple[V_co, ...]:
        """The pods bound to the node."""

    def count_on_node(self, node: Node) -> int:
        """How many pods that are not finished are bound to the node, at less cost than to look at them."""

    def in_namespace(self, namespace: str) -> tuple[V_co, ...]:
        """The objects of one namespace."""

    def selected_by(self, selector: LabelSelector | Mapping[str, str] | None, namespace: str) -> tuple[V_co, ...]:
        """The objects of a namespace that a selector selects; None selects nothing."""

    def failed_in(self, namespace: str) -> tuple[V_co, ...]:
        """The pods of a namespace in phase Failed that have a reason, as those have that a kubelet ended or refused."""

    def failed_on(self, node: str) -> tuple[V_co, ...]:
        """The pods of a node in phase Failed that have a reason."""

    def using_claim(self, claim: PersistentVolumeClaim) -> tuple[V_co, ...]:
        """The pods whose volumes use the claim."""

    def using_volume(self, volume: PersistentVolume) -> tuple[V_co, ...]:
        """The claims that are bound to the volume."""

    def all(self) -> tuple[V_co, ...]:
        """Every object of the kind. Only for checks about the Cluster and derived values, never for Pod or Event."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """What was reported about an object with one reason and one message, added up.

    Attributes:
        reason: The Event's reason.
        message: Its message, without the prefix of the correlator.
        count: How often at least; the sender's spam filter drops some.
        first: When first.
        last: When last.
        component: Who said so.
        container: The container of the pod that it is about, empty where it is about none.
    """

    reason: str
    message: str
    count: int
    first: datetime | None
    last: datetime | None
    component: str
    container: str = ""

    @property
    def evidence(self) -> Evidence:
        """The record as evidence."""
        times = "once" if self.count == 1 else f"{self.count} times"
        return Evidence(f"Event {self.reason} ({times})", self.message, self.last, is_field=False)


class Events(Protocol):
    """What components reported about objects that still exist."""

    def about(self, subject: View, *reasons: str) -> tuple[EventRecord, ...]:
        """For each of the reasons the newest four distinct messages about the object, the newest first."""

    def of_probes_on(self, node: Node) -> tuple[tuple[Ref, EventRecord], ...]:
        """What the kubelet of a node said about probes that failed, and the pods: the first 50 Events by name."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A condition took a status at a time."""

    at: datetime
    status: str


class History(Protocol[V_co]):
    """How conditions of objects of one kind changed while they were watched."""

    def transitions(self, subject: View, condition: str, within: timedelta) -> tuple[Transition, ...]:
        """The transitions of a condition in the time `within`, oldest first.

        While the object has been watched for less than that, and for less than it exists, a silent answer of the check
        counts as Unknown.
        """


class Now(Protocol):
    """The time, asked in the only way that lets the engine know when the answer will change."""

    def older(self, then: datetime | None, than: timedelta) -> bool:
        """Whether `then` is at least `than` ago; False for None. Asking runs the check again when it becomes so."""


class Reader(Protocol):
    """Access to all kinds, for groupings, joins and derived values."""

    memo: dict[object, Any]
    """What was worked out already while this one question is answered."""

    def lookup(self, view: type[V]) -> Lookup[V] | None:
        """The objects of a kind, or None where they cannot be read."""


@dataclass(frozen=True, slots=True)
class Derived(Generic[T]):
    """A value that several checks need, computed from all objects of some kinds.

    Its readers run again only when the value changes. Ask for one by annotating a parameter with
    ``Annotated[type, the derived function]``.

    Attributes:
        compute: The function, given a reader of the kinds.
        kinds: The kinds that it reads.
    """

    compute: Callable[[Reader], T]
    kinds: tuple[type[View], ...]


def derived(*kinds: type[View]) -> Callable[[Callable[[Reader], T]], Derived[T]]:
    """Declare a derived value.

    Args:
        kinds: The kinds that the function reads through its reader.

    Returns:
        A decorator for a pure function of a Reader whose result compares by value.
    """
    return lambda compute: Derived(compute, kinds)


class Settings(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Base of a check's settings: numbers and words with a default, a bound, a unit and a sentence for each."""


def seconds(number: float) -> timedelta:
    """A time in seconds."""
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    """A time in minutes."""
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    """A time in hours."""
    return timedelta(hours=number)
