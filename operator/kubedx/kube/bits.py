"""What can be seen of an object at a glance, as bits: most checks need to look only at objects that have some."""

from enum import IntFlag, auto

from kubedx.kube.meta import View
from kubedx.kube.views import Node, Pod


class Bit(IntFlag):
    """A fact about one object that is true for few objects of a healthy cluster."""

    TERMINATING = auto()
    """Somebody asked to delete it."""
    NOT_READY = auto()
    """A node or pod whose Ready condition is anything but True."""
    PRESSURE = auto()
    """A node that reports disk, memory or PID pressure or an unavailable network."""
    CORDONED = auto()
    """A node that takes no new pods."""
    PENDING = auto()
    """A pod in phase Pending."""
    FAILED = auto()
    """A pod in phase Failed."""
    WAITING = auto()
    """A pod with a container that waits."""
    TERMINATED = auto()
    """A pod with a container that ended, now or before its last restart."""
    DISRUPTED = auto()
    """A pod that something chose to end (condition DisruptionTarget)."""
    UNSCHEDULED = auto()
    """A pod for which the scheduler has found no node (condition PodScheduled)."""
    LARGE = auto()
    """An object of 200 KiB or more."""


ANY = Bit(0)
"""No bits: where a guard is asked for, everything passes."""

_PRESSURES = frozenset({"DiskPressure", "MemoryPressure", "PIDPressure", "NetworkUnavailable"})


def bits(view: View) -> Bit:
    """Say what can be seen of an object at a glance.

    Args:
        view: Any object.

    Returns:
        Its bits.
    """
    found = Bit.TERMINATING if view.deleted else Bit(0)
    if view.metadata.weight:
        found |= Bit.LARGE
    if isinstance(view, Pod):
        return found | _pod(view)
    if isinstance(view, Node):
        return found | _node(view)
    return found


def _node(node: Node) -> Bit:
    found = Bit.CORDONED if node.spec.unschedulable else Bit(0)
    ready = False
    for condition in node.status.conditions:
        if condition.type == "Ready":
            ready = condition.status == "True"
        elif condition.status == "True" and condition.type in _PRESSURES:
            found |= Bit.PRESSURE
    return found if ready else found | Bit.NOT_READY


_PHASES = {"Pending": Bit.PENDING, "Failed": Bit.FAILED}


def _pod(pod: Pod) -> Bit:
    found = _PHASES.get(pod.status.phase, Bit(0))
    ready = False
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            ready = condition.status == "True"
        elif condition.type == "DisruptionTarget":
            found |= Bit.DISRUPTED
        elif condition.type == "PodScheduled" and condition.status == "False":
            found |= Bit.UNSCHEDULED
    for container in pod.containers:
        if container.state.waiting:
            found |= Bit.WAITING
        if container.state.terminated or container.last_state.terminated:
            found |= Bit.TERMINATED
    return found if ready else found | Bit.NOT_READY
