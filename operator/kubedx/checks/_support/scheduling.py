"""Why a pod fits no node: parsing what the scheduler says, and the nodes that are closed to pods."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from kubedx.core.inputs import Reader, derived
from kubedx.kube.meta import Condition
from kubedx.kube.views import Node, Pod, Taint

CORDON = "node.kubernetes.io/unschedulable"
"""The taint of a cordoned node (`staging/src/k8s.io/api/core/v1/well_known_taints.go`)."""

_TROUBLE = frozenset(
    f"node.kubernetes.io/{trouble}"
    for trouble in (
        "disk-pressure",
        "memory-pressure",
        "network-unavailable",
        "not-ready",
        "out-of-service",
        "pid-pressure",
        "unreachable",
    )
)
"""The taints that tell of a node's trouble, and not of a purpose that somebody gave it."""

_HEAD = re.compile(r"^0/\d+ nodes are available: ?")
_TAIL = re.compile(r"(?:no new claims to deallocate, )?preemption: .*$", re.DOTALL)
_REASON = re.compile(r"^(?P<nodes>\d+) (?P<reason>.+)$", re.DOTALL)
_BINDINGS = (
    ("untolerated taint", r"untolerated taint|taints? .{0,512}that the pod didn't tolerate"),
    ("unschedulable node", r"were unschedulable|had unknown conditions"),
    ("insufficient resources", r"^Insufficient |^Too many pods"),
    (
        "unbound claim",
        (
            r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim \"|PersistentVolumeClaim is not found"
            r"|waiting for ephemeral volume controller|find available persistent volumes to bind"
            r"|not have enough free storage|bound to non-existent pv"
        ),
    ),
    (
        "volume",
        (
            r"volume node affinity conflict|PersistentVolume's node affinity|no available volume zone"
            r"|exceed max volume count|no available disk|ReadWriteOncePod"
        ),
    ),
    ("host port", r"free ports for the requested pod ports"),
    ("device claim", r"allocate all claims|resourceclaim"),
    ("affinity", r"affinity|requested node name|topology spread constraints"),
    ("no nodes", r"^no nodes available to schedule pods"),
)
_PATTERNS = tuple((name, re.compile(pattern)) for name, pattern in _BINDINGS)


@dataclass(frozen=True, slots=True)
class Reason:
    """One of the scheduler's reasons.

    Attributes:
        nodes: How many nodes it excludes; 0 for one that holds for the pod as a whole.
        text: The scheduler's words.
        binding: Its class, as the param ``binding`` of PodUnschedulable.
    """

    nodes: int
    text: str
    binding: str

    @property
    def shown(self) -> str:
        """The reason with its number, as the scheduler writes it."""
        return f"{self.nodes} {self.text}" if self.nodes else self.text


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a pod fits no node.

    Attributes:
        why: The scheduler's reasons, without what it says about preemption.
        reasons: The same one by one.
        counts: For each class of reason the number of nodes that it excludes; 0 for one that holds for the pod as a
            whole. The classes are those of the param ``binding`` of PodUnschedulable.
    """

    why: str
    reasons: tuple[Reason, ...]
    counts: tuple[tuple[str, int], ...]

    def of(self, binding: str) -> tuple[Reason, ...]:
        """The reasons of one class."""
        return tuple(reason for reason in self.reasons if reason.binding == binding)

    def binding(self, *, nodes_in_trouble: bool) -> str:
        """Name the reason that stands in the way.

        Where a pod may run at all is its author's choice: affinity, and the taints that give nodes a purpose. Among the
        nodes that this leaves, the reason that excludes most of them is the one to mend.

        Args:
            nodes_in_trouble: Whether there are nodes that exclude the pod by a taint of their own trouble.

        Returns:
            The class of the reason.
        """
        chosen = {"affinity"} if nodes_in_trouble else {"affinity", "untolerated taint"}
        candidates = [count for count in self.counts if count[0] not in chosen] or list(self.counts)
        return max(candidates, key=lambda count: count[1])[0] if candidates else "other"


@lru_cache(maxsize=4096)
def misfit(message: str) -> Misfit:
    """Read the message of a pod's condition PodScheduled, or of a FailedScheduling Event.

    The grammar is that of `FitError` in `pkg/scheduler/framework/types.go`, 1.30 to 1.36: the number of nodes, then
    either one reason that holds for the pod, or reasons with the number of nodes each, then the outcome of
    preemption.

    Args:
        message: ``0/5 nodes are available: 1 node(s) had untolerated taint(s), 4 Insufficient cpu. preemption: …``

    Returns:
        The reasons.
    """
    text = _TAIL.sub("", _HEAD.sub("", message)).strip()
    if text.endswith(". not found"):
        # A pod-wide reason is followed by what the plugin for preemption says where it has nothing to say.
        text = text.removesuffix(". not found")
    reasons: list[Reason] = []
    counts: dict[str, int] = {}
    for part in re.split(r", (?=\d+ )", text.split(". ")[0].rstrip(".")):
        match = _REASON.match(part)
        reason, nodes = (match["reason"], int(match["nodes"])) if match else (part, 0)
        name = next((name for name, pattern in _PATTERNS if pattern.search(reason)), "other")
        reasons.append(Reason(nodes, reason, name))
        counts[name] = counts.get(name, 0) + nodes
    return Misfit(text.rstrip(". "), tuple(reasons), tuple(counts.items()))


def unschedulable(pod: Pod) -> Condition | None:
    """Find the condition by which the scheduler says that it found no node for a pod.

    Args:
        pod: The pod.

    Returns: The condition PodScheduled; None while nobody looked, where a node was found, where the pod waits on
        purpose, and for a pod that is being deleted.
    """
    condition = pod.condition("PodScheduled")
    if pod.deleted or condition is None or condition.status != "False":
        return None
    return condition if condition.reason in {"Unschedulable", "SchedulerError"} else None


@dataclass(frozen=True, slots=True)
class ClosedNode:
    """A node that takes no new pods because of its state.

    Attributes:
        name: The node's name.
        labels: Its labels.
        taints: The taints that close it, a cordon among them.
    """

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]

    def excludes(self, pod: Pod) -> bool:
        """Whether the pod wants nodes such as this one, by selector and affinity, and does not tolerate its taints."""
        return pod.spec.wants(self.name, self.labels) and any(
            not any(one.tolerates(taint) for one in pod.spec.tolerations) for taint in self.taints
        )


@derived(Node)
def closed_nodes(read: Reader) -> tuple[ClosedNode, ...]:
    """List the nodes that are cordoned or carry a taint of their own trouble: few, so it seldom changes.

    Args:
        read: Access to the nodes.

    Returns:
        The nodes in the order of their names.
    """
    nodes = read.lookup(Node)
    found = (ClosedNode(node.name, node.metadata.labels, _closing(node)) for node in (nodes.all() if nodes else ()))
    return tuple(node for node in found if node.taints)


def _closing(node: Node) -> tuple[Taint, ...]:
    taints = tuple(taint for taint in node.spec.taints if taint.key in _TROUBLE and taint.effect != "PreferNoSchedule")
    return (*taints, Taint(key=CORDON, effect="NoSchedule")) if node.spec.unschedulable else taints
