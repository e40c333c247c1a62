"""Why a pod fits no node, worked out from the nodes themselves, and which single change would let it fit."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubedx.checks._support.places import (
    CORDONED,
    ELSEWHERE,
    IN_TROUBLE,
    TAINTED,
    Nodes,
    Place,
    Seen,
    demanded,
    named,
)
from kubedx.checks._support.ports import clashing_ports, host_ports
from kubedx.checks._support.room import RESOURCES, Need, Room, need, shown_amount
from kubedx.checks._support.scheduling import Misfit
from kubedx.kube.quantity import amount
from kubedx.kube.views import NodeSelector, Pod, PodSpec

FULL, SLOTS, PORTS, VOLUMES = "resources", "pods", "ports", "volumes"
"""What keeps a pod from a node that depends on what is there."""

BINDINGS = {
    CORDONED: "unschedulable node",
    IN_TROUBLE: "untolerated taint",
    TAINTED: "untolerated taint",
    ELSEWHERE: "affinity",
    FULL: "insufficient resources",
    SLOTS: "insufficient resources",
    PORTS: "host port",
    VOLUMES: "volume",
}
"""The class of the scheduler's reason, as the param ``binding`` of PodUnschedulable, by what keeps a pod away."""

_MENDABLE = (CORDONED, IN_TROUBLE, FULL, SLOTS, PORTS)
_CHOSEN = (ELSEWHERE, TAINTED, VOLUMES)
"""What somebody chose. It is told only where nothing else would help."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What was worked out.

    Attributes:
        advice: What to change, a sentence without its full stop; empty where that cannot be told.
        alone: What of `BINDINGS` alone keeps the pod from some node; empty where that cannot be told.
        closed: The nodes that would take the pod by its own choice and by its volumes, were they not cordoned or in
            trouble.
    """

    advice: str
    alone: frozenset[str]
    closed: tuple[str, ...]


def fit(pod: Pod, said: Misfit, nodes: Nodes, rooms: Mapping[str, Room], tied: Iterable[NodeSelector] = ()) -> Fit:
    """Work out why a pod fits no node.

    The scheduler's filters run in one order (cordon, taints, affinity, ports, room, volumes), and the first that
    excludes a node is told. So what alone excludes a node must have been told; where it was not, the message is old or
    something else is at work, and nothing is said.

    Args:
        pod: The pod.
        said: What the scheduler says.
        nodes: All nodes.
        rooms: What pods have of each node; empty where that is not reckoned.
        tied: The places of its volumes, each of which a node must be in.

    Returns:
        What there is to say.
    """
    spec, where = pod.spec, tuple(tied)
    key = (
        said.why, where, spec.node_selector, spec.affinity, spec.tolerations, spec.containers, spec.init_containers,
        spec.overhead,
    )  # fmt: skip
    return nodes.worked_out(key, lambda all_: _fit(pod, said, all_, rooms, where), about=rooms)


def _fit(pod: Pod, said: Misfit, nodes: Nodes, rooms: Mapping[str, Room], tied: tuple[NodeSelector, ...]) -> Fit:
    seen = nodes.seen_by(pod.spec)
    if seen.groups and all(ELSEWHERE in kept for kept in seen.groups):
        return Fit(_unknown_place(pod.spec, nodes), frozenset({"affinity"}), ())
    reachable = [nodes.at(where) for where in tied]
    closed = tuple(place.name for place in seen.shut if all(place.name in names for names in reachable))
    asked = need(pod)
    too_much = _too_much(asked, [one for one in said.lacking if one not in RESOURCES], seen)
    if too_much:
        return Fit(too_much, frozenset({"insufficient resources"}), closed)
    if not rooms or not all(reason.nodes for reason in said.reasons):
        return Fit(_full(said, seen) if not tied else "", frozenset(), closed)
    kept_by = {
        place.name: (place, kept | frozenset(_there(pod, asked, place, rooms.get(place.name), reachable)))
        for kept, those in seen.groups.items()
        for place in those
    }
    single: dict[str, list[Place]] = {}
    for place, kept in kept_by.values():
        if len(kept) == 1:
            single.setdefault(min(kept), []).append(place)
    alone = frozenset(BINDINGS[one] for one in single)
    if not all(kept for _, kept in kept_by.values()) or not alone <= {reason.binding for reason in said.reasons}:
        return Fit("", frozenset(), closed)
    advice = _advice(pod, asked, single, rooms) if single else _nearest(pod, asked, kept_by.values(), rooms)
    return Fit(advice, alone, closed)


def deviceless(pod: Pod, said: Misfit, nodes: Nodes) -> tuple[str, ...]:
    """Name the nodes that would take a pod, had they not lost what it lacks: they list the device, and offer none.

    Args:
        pod: The pod.
        said: What the scheduler says.
        nodes: All nodes.

    Returns:
        The names of the nodes.
    """
    spec, devices = pod.spec, tuple(one for one in said.lacking if "/" in one)

    def name(all_: Nodes) -> tuple[str, ...]:
        open_ = all_.seen_by(spec).groups.get(frozenset(), ())
        return tuple(place.name for place in open_ if any(amount(place.allocatable.get(one)) == 0 for one in devices))

    key = ("deviceless", devices, spec.node_selector, spec.affinity, spec.tolerations)
    return nodes.worked_out(key, name) if devices else ()


def _there(pod: Pod, asked: Need, place: Place, room: Room | None, reachable: list[frozenset[str]]) -> Iterator[str]:
    if not all(place.name in names for names in reachable):
        yield VOLUMES
    if room is None:
        return
    if any(short > 0 for short in _lacking(asked, place, room)):
        yield FULL
    most = amount(place.allocatable.get("pods"))
    if most is not None and room.pods >= most:
        yield SLOTS
    if clashing_ports(host_ports(pod), room.ports):
        yield PORTS


def _lacking(asked: Need, place: Place, room: Room) -> list[float]:
    """How much of each resource is missing; 0 where there is enough, where nobody asks, and where it is not known."""
    found = []
    for resource, wanted, used in zip(RESOURCES, asked, room.used, strict=True):
        has = amount(place.allocatable.get(resource))
        missing = wanted + used - has if wanted and has is not None else 0.0
        found.append(missing if missing > (has or 0) * _DUST else 0.0)
    return found


_DUST = 1e-9
"""Below this part of a node a difference is the computer's rounding."""


def _too_much(asked: Need, others: Iterable[str], seen: Seen) -> str:
    """Say that a pod asks for more than the largest node has, however empty, or for what none has."""
    for resource, wanted in zip(RESOURCES, asked, strict=True):
        largest = seen.sizes[resource]
        if largest and wanted > largest[0] * (1 + _DUST):
            asks, has = shown_amount(resource, wanted), shown_amount(resource, largest[0])
            return f"It asks for {asks}; the largest node that it may use, {largest[1]}, has {has}"
    for resource in others:
        has_any = any(amount(place.allocatable.get(resource)) for place in seen.usable)
        if seen.usable and not has_any and all(place.allocatable for place in seen.usable):
            return f"No node that it may use has any {resource}"
    return ""


def _full(said: Misfit, seen: Seen) -> str:
    """Say how many nodes are large enough but too full, where what is left of each is not reckoned."""
    open_ = seen.groups.get(frozenset(), ())
    if not open_ or not said.lacking or not all(place.allocatable for place in open_):
        return ""
    if len(open_) == 1:
        return f"The only node that it may use, {open_[0].name}, would be large enough, but is too full"
    return f"The {len(open_)} nodes that it may use would be large enough, but are too full"


def _unknown_place(spec: PodSpec, nodes: Nodes) -> str:
    """Say which of the labels that a pod demands no node has."""
    missing = [
        f"{key}={value}"
        for key, value in spec.node_selector.items()
        if not any(one.labels.get(key) == value for one in nodes)
    ]
    if missing:
        near = sorted({one.labels[key] for one in nodes for key in spec.node_selector if key in one.labels
                       and f"{key}={spec.node_selector[key]}" in missing})  # fmt: skip
        hint = f"; those that have the label say {named(near)}" if len(missing) == 1 and near else ""
        return f"No node has the label {named(missing)}{hint}"
    affinity = spec.affinity and spec.affinity.node_affinity
    required = affinity and affinity.required_during_scheduling_ignored_during_execution
    if required and not any(_matches(required, one) for one in nodes):
        return f"No node meets its node affinity: {demanded(required)}"
    return "No node has all the labels together that it demands" if spec.node_selector else ""


def _matches(required: NodeSelector, place: Place) -> bool:
    return any(term.matches(place.name, place.labels) for term in required.node_selector_terms)


def _advice(pod: Pod, asked: Need, single: Mapping[str, list[Place]], rooms: Mapping[str, Room]) -> str:
    mendable = [one for one in _MENDABLE if one in single]
    chosen = mendable[:2] or [one for one in _CHOSEN if one in single][:1]
    told = [_lift(pod, asked, one, single[one], rooms) for one in chosen]
    return f"It would fit {', or '.join(told)}"


_LIFTED = {
    CORDONED: "without the cordon",
    ELSEWHERE: "if its selector or affinity allowed that",
    VOLUMES: "if its volume could be used there",
    PORTS: "if its host port were free there",
    SLOTS: "if more pods were allowed there",
}


def _lift(pod: Pod, asked: Need, kind: str, those: list[Place], rooms: Mapping[str, Room]) -> str:
    if kind == FULL:
        best = min(those, key=lambda place: (_shortage(asked, place, rooms), place.name))
        return f"on {best.name} if {_short(asked, best, rooms)} more were free there"
    where = f"on {named(place.name for place in those)}"
    if kind in _LIFTED:
        return f"{where} {_LIFTED[kind]}"
    return f"{where} {'without the taint' if kind == IN_TROUBLE else 'if it tolerated'} {_taints(pod, those)}"


def _taints(pod: Pod, those: list[Place]) -> str:
    found = (place.repels(pod) for place in those)
    return named(dict.fromkeys(f"{one.key}={one.value}" if one.value else one.key for one in found if one))


def _short(asked: Need, place: Place, rooms: Mapping[str, Room]) -> str:
    lacking = zip(RESOURCES, _lacking(asked, place, rooms[place.name]), strict=True)
    return " and ".join(shown_amount(resource, missing) for resource, missing in lacking if missing)


def _shortage(asked: Need, place: Place, rooms: Mapping[str, Room]) -> float:
    """How much is missing as a part of what is asked for, so that cores and bytes compare."""
    lacking = _lacking(asked, place, rooms[place.name])
    return sum(missing / wanted for missing, wanted in zip(lacking, asked, strict=True) if wanted)


def _nearest(pod: Pod, asked: Need, kept_by: Iterable[tuple[Place, frozenset[str]]], rooms: Mapping[str, Room]) -> str:
    """Where each node has more than one reason: which has the fewest, of those that the pod may use by choice."""
    found = sorted((len(kept), bool(kept & set(_CHOSEN)), place.name, place, kept) for place, kept in kept_by)
    if not found:
        return ""
    _, _, name, place, kept = found[0]
    why = [_obstacle(pod, asked, one, place, rooms) for one in (*_MENDABLE, *_CHOSEN) if one in kept]
    return f"No single change would do; {name} comes nearest: {', '.join(why)}"


_STANDING = {
    CORDONED: "it is cordoned",
    ELSEWHERE: "the pod's selector or affinity excludes it",
    VOLUMES: "the pod's volume cannot be used there",
    PORTS: "the host port is taken",
    SLOTS: "it may have no more pods",
}


def _obstacle(pod: Pod, asked: Need, kind: str, place: Place, rooms: Mapping[str, Room]) -> str:
    if kind == FULL:
        return f"it lacks {_short(asked, place, rooms)}"
    return _STANDING.get(kind) or f"it has the taint {_taints(pod, [place])}"
