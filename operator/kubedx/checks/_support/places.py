"""The nodes as a scheduler sees them: where a pod, a volume or a port may be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubedx.checks._support.scheduling import CORDON
from kubedx.core.inputs import Reader, derived
from kubedx.kube.meta import NO_PAIRS
from kubedx.kube.selectors import Requirement
from kubedx.kube.views import Node, NodeSelector, Pod, Taint

FEW = 3
"""How many names a sentence takes."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node, as far as it matters for what may be put there.

    Attributes:
        name: The node's name.
        labels: Its labels.
        taints: The taints that keep pods away, a cordon among them, without their times.
        is_ready: Whether its Ready condition is True.
        zone: The zone that its labels name, empty where there is none.
        allocatable: What pods may use of it in all, by resource, as quantities in text form.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    is_ready: bool
    zone: str = ""
    allocatable: Mapping[str, str | int | float] = NO_PAIRS

    @property
    def is_cordoned(self) -> bool:
        """Whether it takes no new pods because somebody said so."""
        return any(taint.key == CORDON for taint in self.taints)

    def repels(self, pod: Pod) -> Taint | None:
        """The first taint that the pod does not tolerate, the cordon first."""
        return next(
            (taint for taint in self.taints if not any(one.tolerates(taint) for one in pod.spec.tolerations)), None
        )

    def takes(self, pod: Pod) -> bool:
        """Whether selector, affinity, taints and cordon let the pod go there."""
        return pod.spec.wants(self.name, self.labels) and self.repels(pod) is None


@derived(Node)
def places(read: Reader) -> tuple[Place, ...]:
    """List all nodes as a scheduler sees them. Heartbeats change nothing in it.

    Args:
        read: Access to the nodes.

    Returns:
        The nodes in the order of their names.
    """
    nodes = read.lookup(Node)
    return tuple(_place(node) for node in nodes.all()) if nodes else ()


def _place(node: Node) -> Place:
    ready = node.condition("Ready")
    cordon = (Taint(key=CORDON, effect="NoSchedule"),) if node.spec.unschedulable else ()
    taints = tuple(
        Taint(key=taint.key, value=taint.value, effect=taint.effect)
        for taint in node.spec.taints
        if taint.effect != "PreferNoSchedule" and taint.key != CORDON
    )
    is_ready = ready is not None and ready.status == "True"
    return Place(node.name, node.metadata.labels, (*cordon, *taints), is_ready, node.zone)


def named(names: Iterable[str]) -> str:
    """Name some of many: ``a``, ``a and b``, ``a, b and c``, ``a, b and 5 more``."""
    found = list(names)
    if len(found) > FEW:
        found = [*found[: FEW - 1], f"{len(found) - FEW + 1} more"]
    return f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else "".join(found)


def demanded(selector: NodeSelector) -> str:
    """Put a node selector into words: ``topology.kubernetes.io/zone=a``, or terms with "or" between them."""
    terms = [
        " and ".join(_demand(one) for one in (*term.match_expressions, *term.match_fields))
        for term in selector.node_selector_terms
    ]
    return " or ".join(filter(None, terms[:FEW])) or "no labels at all"


def _demand(one: Requirement) -> str:
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
