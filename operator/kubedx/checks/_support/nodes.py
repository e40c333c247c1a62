"""What checks on nodes have in common: nodes that come, go or are worked on, and how conditions are shown."""

from datetime import datetime, timedelta

from kubedx.core.finding import Evidence, Severity, field
from kubedx.core.inputs import Now, hours, minutes
from kubedx.kube.meta import Condition
from kubedx.kube.views import Node

BOOTSTRAP = minutes(5)
"""How long a new node may take until everything on it works."""

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
"""The taint of a cordoned node; its timeAdded is the time of the cordon."""

_DEPARTURE = minutes(30)
_MAINTENANCE = hours(1)
_LEAVING = (
    "ToBeDeletedByClusterAutoscaler",
    "aws-node-termination-handler/asg-lifecycle-termination",
    "aws-node-termination-handler/spot-itn",
    "cloud.google.com/impending-node-termination",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",  # Up to Karpenter 0.37.
)


def new(node: Node, now: Now, grace: timedelta = BOOTSTRAP) -> bool:
    """Tell whether a node was created a short time ago.

    Args:
        node: The node.
        now: The time.
        grace: How long it counts as new.

    Returns:
        Whether it is new; False where nobody knows when it was created.
    """
    return node.created is not None and not now.older(node.created, grace)


def awaited(node: Node, ready: Condition, now: Now) -> bool:
    """Tell whether a new node's kubelet is still expected to report for the first time.

    Args:
        node: The node.
        ready: Its Ready condition.
        now: The time.

    Returns:
        Whether the control plane has heard nothing yet, and the node is new.
    """
    return ready.reason == "NodeStatusNeverUpdated" and new(node, now)


def leaving(node: Node) -> bool:
    """Tell whether somebody is about to take the node away: it is being deleted, or an autoscaler has marked it."""
    return node.deleted is not None or any(taint.key in _LEAVING for taint in node.spec.taints)


def departing(node: Node, since: datetime | None, now: Now) -> bool:
    """Tell whether a trouble of a node is the ordinary end of its life.

    Args:
        node: The node.
        since: When the trouble began.
        now: The time.

    Returns:
        Whether the node is leaving and the trouble is younger than half an hour; an older one means that it is stuck.
    """
    return leaving(node) and not now.older(since, _DEPARTURE)


def eased(severity: Severity, node: Node, now: Now) -> Severity:
    """Ease a severity during planned work: a node that was cordoned less than an hour ago may well be rebooting.

    Args:
        severity: The severity otherwise.
        node: The node.
        now: The time.

    Returns:
        Info during planned work, else the severity itself.
    """
    cordon = node.taint(UNSCHEDULABLE)
    if node.spec.unschedulable and cordon and cordon.time_added and not now.older(cordon.time_added, _MAINTENANCE):
        return Severity.INFO
    return severity


def true_condition(node: Node, kind: str) -> Condition | None:
    """Find a condition that says that something is wrong.

    Args:
        node: The node.
        kind: The condition's type, such as ``DiskPressure``.

    Returns:
        The condition where it is True and the node is not being deleted, else None.
    """
    condition = node.condition(kind)
    return condition if condition and condition.status == "True" and not node.deleted else None


def condition_evidence(node: Node, condition: Condition) -> Evidence:
    """Give a node's condition as evidence."""
    return field(node, f"status.conditions[{condition.type}]", condition.status, condition.last_transition_time)


def shown_time(at: datetime | None) -> datetime | str:
    """Give a time as a param of a message, in words where nobody knows it."""
    return at or "an unknown time"
