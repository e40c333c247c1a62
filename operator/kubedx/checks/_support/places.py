"""The nodes as a scheduler sees them: where a pod, a volume or a port may be."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from kubedx.checks._support.room import RESOURCES
from kubedx.checks._support.scheduling import CORDON, TROUBLE
from kubedx.core.inputs import Lookup, Reader, derived
from kubedx.kube.meta import NO_PAIRS
from kubedx.kube.quantity import amount
from kubedx.kube.selectors import Requirement
from kubedx.kube.views import (
    Node,
    NodeSelector,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodSpec,
    Taint,
)

T = TypeVar("T")

FEW = 3
"""How many names a sentence takes."""

_MOST_KNOWN = 512

CORDONED, IN_TROUBLE, TAINTED, ELSEWHERE = "cordon", "trouble", "taint", "affinity"
"""What keeps a pod from a node that does not depend on what else is there: somebody's cordon, a taint of the node's own
trouble, another taint that the pod does not tolerate, and the pod's own selector or affinity."""

Tied = tuple[PersistentVolume, NodeSelector]
"""A volume and the nodes from which it can be used."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node, as far as it matters for what may be put there.

    Attributes:
        name: The node's name.
        labels: Its labels.
        taints: The taints that keep pods away, the cordon first, without their times.
        is_ready: Whether its Ready condition is True.
        zone: The zone that its labels name, empty where there is none.
        allocatable: What pods may use of it in all, by resource, as quantities in text form.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    is_ready: bool = True
    zone: str = ""
    allocatable: Mapping[str, str | int | float] = NO_PAIRS

    @property
    def is_cordoned(self) -> bool:
        """Whether it takes no new pods because somebody said so."""
        return any(taint.key == CORDON for taint in self.taints)

    def repels(self, pod: Pod) -> Taint | None:
        """The first taint that the pod does not tolerate, the cordon first."""
        return next((taint for taint in self.taints if not _tolerates(pod.spec, taint)), None)

    def keeps_away(self, spec: PodSpec) -> frozenset[str]:
        """All that keeps a pod away and does not depend on what else is there; empty where it may come."""
        chosen = _NOTHING if spec.wants(self.name, self.labels) else _OWN_CHOICE
        if not self.taints:  # As most nodes.
            return chosen
        return chosen.union(_KINDS.get(taint.key, TAINTED) for taint in self.taints if not _tolerates(spec, taint))

    def takes(self, pod: Pod) -> bool:
        """Whether selector, affinity, taints and cordon let the pod go there."""
        return pod.spec.wants(self.name, self.labels) and self.repels(pod) is None


_NOTHING: frozenset[str] = frozenset()
_OWN_CHOICE = frozenset({ELSEWHERE})
_KINDS = {CORDON: CORDONED, **dict.fromkeys(TROUBLE, IN_TROUBLE)}


def _tolerates(spec: PodSpec, taint: Taint) -> bool:
    return any(one.tolerates(taint) for one in spec.tolerations)


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes, with what was worked out of them: a thousand pods of one template wait for them as one does.

    Attributes:
        all: The nodes in the order of their names.
    """

    all: tuple[Place, ...] = ()
    _known: dict[Hashable, tuple[object, object]] = field(default_factory=dict, compare=False, repr=False)

    def __iter__(self) -> Iterator[Place]:
        """Iterate over the nodes."""
        return iter(self.all)

    def worked_out(self, key: Hashable, compute: Callable[["Nodes"], T], about: object = None) -> T:
        """Work something out, or remember it.

        Args:
            key: What the answer depends on beside the nodes.
            compute: Works it out.
            about: Something else that it depends on: it is remembered only as long as this is the same object.

        Returns:
            The answer.
        """
        known = self._known.get(key)
        if known is None or known[0] is not about:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = (about, compute(self))
        found: T = known[1]  # type: ignore[assignment]  # one key, one way to compute
        return found

    def seen_by(self, spec: PodSpec) -> "Seen":
        """Tell what the nodes are for a pod, whatever else is there."""
        own = _own_node(spec)
        if own:  # A pod of a DaemonSet, each with a demand of its own.
            one = self.named.get(own)
            return seen({one.keeps_away(spec): [one]} if one else {})

        def group(nodes: Nodes) -> Seen:
            found: dict[frozenset[str], list[Place]] = {}
            for one in nodes:
                found.setdefault(one.keeps_away(spec), []).append(one)
            return seen(found)

        return self.worked_out((spec.node_selector, spec.affinity, spec.tolerations), group)

    @property
    def named(self) -> Mapping[str, Place]:
        """The nodes by their names."""
        return self.worked_out("named", lambda nodes: {one.name: one for one in nodes})

    def at(self, where: NodeSelector) -> frozenset[str]:
        """Name the nodes from which a volume can be used."""
        return self.worked_out(where, lambda nodes: frozenset(one.name for one in nodes if _is_at(one, where)))


@dataclass(frozen=True, slots=True)
class Seen:
    """What nodes are for a pod, by all that keeps it away from them and does not depend on what else is there.

    Attributes:
        groups: The nodes by what keeps the pod away from them, see `Place.keeps_away`.
        shut: Those that nothing but a cordon or trouble of their own keeps it from.
        usable: These, and those that nothing keeps it from.
        sizes: How much of each resource the largest of the usable ones has and which that is; None where that is not
            known of all of them.
    """

    groups: Mapping[frozenset[str], tuple[Place, ...]]
    shut: tuple[Place, ...]
    usable: tuple[Place, ...]
    sizes: Mapping[str, tuple[float, str] | None]


def seen(groups: Mapping[frozenset[str], Iterable[Place]]) -> Seen:
    """Put together what nodes are for a pod, given its groups."""
    mendable = frozenset({CORDONED, IN_TROUBLE})
    found = {kept: tuple(those) for kept, those in groups.items()}
    shut = tuple(one for kept, those in found.items() if kept and kept <= mendable for one in those)
    usable = (*found.get(frozenset(), ()), *shut)
    return Seen(found, shut, usable, {resource: _largest(usable, resource) for resource in RESOURCES})


def _largest(those: tuple[Place, ...], resource: str) -> tuple[float, str] | None:
    sizes = [(amount(one.allocatable.get(resource)), one.name) for one in those]
    known = [(size, name) for size, name in sizes if size is not None]
    return max(known, key=lambda one: one[0]) if known and len(known) == len(sizes) else None


def _is_at(node: Place, where: NodeSelector) -> bool:
    return any(term.matches(node.name, node.labels) for term in where.node_selector_terms)


def _own_node(spec: PodSpec) -> str:
    """The one node that a pod of a DaemonSet may go to (`pkg/controller/daemon/util`, ReplaceDaemonSetPodNodeName)."""
    affinity = spec.affinity and spec.affinity.node_affinity
    required = affinity and affinity.required_during_scheduling_ignored_during_execution
    names = {
        value
        for term in (required.node_selector_terms if required else ())
        for one in term.match_fields
        if one.key == "metadata.name" and one.operator == "In"
        for value in one.values
    }
    is_tied = required and all(term.match_fields for term in required.node_selector_terms)
    return names.pop() if is_tied and len(names) == 1 else ""


@derived(Node)
def places(read: Reader) -> Nodes:
    """List all nodes as a scheduler sees them. Heartbeats change nothing in it.

    Args:
        read: Access to the nodes.

    Returns:
        The nodes in the order of their names.
    """
    nodes = read.lookup(Node)
    return Nodes(tuple(_place(node) for node in nodes.all())) if nodes else Nodes()


def _place(node: Node) -> Place:
    ready = node.condition("Ready")
    cordon = (Taint(key=CORDON, effect="NoSchedule"),) if node.spec.unschedulable else ()
    taints = tuple(
        Taint(key=taint.key, value=taint.value, effect=taint.effect)
        for taint in node.spec.taints
        if taint.effect != "PreferNoSchedule" and taint.key != CORDON
    )
    is_ready = ready is not None and ready.status == "True"
    return Place(
        node.name, node.metadata.labels, (*cordon, *taints), is_ready, node.zone, node.status.allocatable
    )  # fmt: skip


def ties(pod: Pod, claims: Lookup[PersistentVolumeClaim], volumes: Lookup[PersistentVolume]) -> Iterator[Tied]:
    """List the volumes of a pod that can be used from some nodes only.

    Args:
        pod: The pod.
        claims: The claims.
        volumes: The volumes.

    Yields:
        Each with its nodes.
    """
    for name in pod.claims:
        claim = claims.get(pod.namespace, name)
        volume = volumes.get("", claim.spec.volume_name) if claim and claim.spec.volume_name else None
        affinity = volume.spec.node_affinity if volume else None
        if volume and affinity and affinity.required:
            yield volume, affinity.required


def named(names: Iterable[str]) -> str:
    """Name some of many: ``a``, ``a and b``, ``a, b and c``, ``a, b and 5 more``."""
    found = list(names)
    if len(found) > FEW:
        found = [*found[: FEW - 1], f"{len(found) - FEW + 1} more"]
    return f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else "".join(found)


def demanded(selector: NodeSelector) -> str:
    """Put a node selector into words: ``topology.kubernetes.io/zone=a``, or terms with "or" between them."""
    terms = [
        " and ".join(demand(one) for one in (*term.match_expressions, *term.match_fields))
        for term in selector.node_selector_terms
    ]
    return " or ".join(filter(None, terms[:FEW])) or "no labels at all"


def demand(one: Requirement) -> str:
    """Put one requirement on labels into words."""
    match one.operator:
        case "In" if len(one.values) == 1:
            return f"{one.key}={one.values[0]}"
        case "In" | "NotIn":
            return f"{one.key} {'in' if one.operator == 'In' else 'not in'} ({named(one.values)})"
        case "Exists":
            return f"a label {one.key}"
        case "DoesNotExist":
            return f"no label {one.key}"
    return f"{one.key} {one.operator} {', '.join(one.values)}"
