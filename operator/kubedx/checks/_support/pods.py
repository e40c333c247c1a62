"""What several checks on pods need to know about a pod."""

from datetime import datetime, timedelta

from kubedx.core.finding import Severity
from kubedx.core.inputs import Now, minutes
from kubedx.kube.views import ContainerStatus, Pod, Terminated

SYSTEM_NAMESPACE = "kube-system"

_PATIENCE = minutes(10)


def is_system(pod: Pod) -> bool:
    """Whether the pod belongs to the cluster itself, so that its trouble is everybody's."""
    return pod.namespace == SYSTEM_NAMESPACE


def status_path(pod: Pod, container: ContainerStatus) -> str:
    """Give the path of a container's status within its pod, for evidence.

    Args:
        pod: The pod.
        container: The status of one of its containers.

    Returns:
        Such as ``status.initContainerStatuses[migrate]``.
    """
    of = "initContainerStatuses" if container in pod.status.init_container_statuses else "containerStatuses"
    return f"status.{of}[{container.name}]"


def containers_unready_since(pod: Pod) -> datetime | None:
    """Say since when the pod's containers are not all ready.

    A waiting container has no time of its own. The condition ContainersReady turned False when the pod began, or when
    the first of its containers stopped being ready.

    Args:
        pod: The pod.

    Returns:
        The time, or None where the kubelet has not said anything yet.
    """
    condition = pod.condition("ContainersReady")
    if condition and condition.status != "True":
        return condition.last_transition_time
    return pod.status.start_time


def severity_of_waiting(pod: Pod, now: Now, patience: timedelta = _PATIENCE) -> Severity:
    """Rate a pod that cannot start: first a warning, then critical.

    Args:
        pod: The pod.
        now: The time.
        patience: After how long it is critical, ten minutes unless the check knows better.

    Returns:
        The severity.
    """
    return Severity.CRITICAL if now.older(containers_unready_since(pod), patience) else Severity.WARNING


def is_ready(pod: Pod) -> bool:
    """Tell whether a pod's Ready condition is True."""
    ready = pod.condition("Ready")
    return ready is not None and ready.status == "True"


def unready_since(pod: Pod) -> datetime | None:
    """Say since when a pod that is not ready is so; one that the kubelet has not looked at counts from its creation."""
    ready = pod.condition("Ready")
    since = ready.last_transition_time if ready else None
    return since or pod.created


_STARTING = ("ContainerCreating", "PodInitializing")


def trouble(pod: Pod) -> str:
    """Say in a few words why a pod is not ready.

    Args:
        pod: A pod that is not ready.

    Returns:
        Such as ``container web waits: CrashLoopBackOff, it ended with exit code 1``.
    """
    if pod.deleted:
        return "it is being deleted"
    if pod.status.phase == "Failed":
        return f"it failed: {pod.status.reason or 'its containers ended'}"
    if not pod.spec.node_name:
        return "it has no node"
    return next(filter(None, (_waits(pod), _ended(pod), _starts(pod), _unready(pod))), "it is not ready")


def _waits(pod: Pod) -> str:
    for one in pod.containers:
        if one.state.waiting and one.state.waiting.reason not in _STARTING:
            ended = one.last_state.terminated
            how = f", it ended with exit code {ended.exit_code}" if ended else ""
            return f"container {one.name} waits: {one.state.waiting.reason}{how}"
    return ""


def _ended(pod: Pod) -> str:
    ended = [(one.name, one.state.terminated) for one in pod.containers if one.state.terminated]
    return next((f"container {name} ended with exit code {how.exit_code}" for name, how in ended if how.exit_code), "")


def _starts(pod: Pod) -> str:
    waiting = [(one.name, one.state.waiting) for one in pod.containers if one.state.waiting]
    return next((f"container {name} waits: {why.reason}" for name, why in waiting), "")


def _unready(pod: Pod) -> str:
    return next((f"container {one.name} is not ready" for one in pod.status.container_statuses if not one.ready), "")


NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})
"""What containerd and CRI-O say of a container whose program could not be started; it has no time of a start."""

_WHAT_FAILED = "unable to start container process: "
_LONGEST_REASON = 200


def how_ended(ended: Terminated | None) -> str:
    """Say how a container ended: its exit code, the runtime's word for it, and why its program did not start."""
    if ended is None:
        return "an unknown exit code"
    said = f"exit code {ended.exit_code} ({ended.reason})" if ended.reason else f"exit code {ended.exit_code}"
    if ended.reason in NEVER_RAN and ended.message:
        return f"{said}, as it could not be started: {ended.message.rpartition(_WHAT_FAILED)[2][:_LONGEST_REASON]}"
    return said


_NOBODY_KNOWS = frozenset({"ContainerStatusUnknown", "Unknown"})
"""What runtime and kubelet say of a container that ended while they were not there, as when its machine restarts."""


def crashed(pod: Pod, container: ContainerStatus, ended: Terminated) -> bool:
    """Tell whether the end of a container was none that is meant to be.

    Args:
        pod: The pod.
        container: The status of one of its containers.
        ended: How it ended.

    Returns:
        Whether it failed, or ended at all though it should run for ever; False for the restart of its machine.
    """
    if ended.reason in _NOBODY_KNOWS:
        return False
    if ended.exit_code != 0:
        return True
    return pod.spec.restart_policy == "Always" and container in pod.status.container_statuses


def run_length(ended: Terminated) -> timedelta | None:
    """How long a container ran until it ended, None where the times do not tell."""
    if ended.started_at is None or ended.finished_at is None:
        return None
    return ended.finished_at - ended.started_at
