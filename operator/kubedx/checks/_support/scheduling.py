"""Why a pod fits no node: parsing what the scheduler says."""

import re
from dataclasses import dataclass
from functools import lru_cache

from kubedx.kube.meta import Condition
from kubedx.kube.views import Pod

CORDON = "node.kubernetes.io/unschedulable"
"""The taint of a cordoned node (`staging/src/k8s.io/api/core/v1/well_known_taints.go`)."""

TROUBLE = frozenset(
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

_LACKING = "Insufficient "
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
            r"|not have enough free storage|bound to non-existent pv|[Bb]ind(?:ing)? volumes: "
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

    @property
    def lacking(self) -> tuple[str, ...]:
        """The resources of which nodes have too little left, such as ``cpu`` or ``nvidia.com/gpu``."""
        return tuple(one.text.removeprefix(_LACKING) for one in self.reasons if one.text.startswith(_LACKING))

    def of(self, binding: str) -> tuple[Reason, ...]:
        """The reasons of one class."""
        return tuple(reason for reason in self.reasons if reason.binding == binding)

    def binding(self, *, nodes_in_trouble: bool, alone: frozenset[str] = frozenset()) -> str:
        """Name the reason that stands in the way.

        Where a pod may run at all is its author's choice: affinity, and the taints that give nodes a purpose. Among the
        nodes that this leaves, the reason that excludes most of them is the one to mend.

        Args:
            nodes_in_trouble: Whether there are nodes that exclude the pod by a taint of their own trouble.
            alone: The classes of which one alone excludes some node, where that is known. A cordoned control-plane node
                is in every message, but as long as the pod may not run there anyway the cordon is not to blame.

        Returns:
            The class of the reason.
        """
        told = {name for name, _ in self.counts}
        if alone and not alone & told:
            return min(alone)
        chosen = {"affinity"} if nodes_in_trouble else {"affinity", "untolerated taint"}
        counts = [count for count in self.counts if not alone or count[0] in alone]
        candidates = [count for count in counts if count[0] not in chosen] or counts
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
    if pod.deleted or pod.finished or condition is None or condition.status != "False":
        return None
    return condition if condition.reason in {"Unschedulable", "SchedulerError"} else None
