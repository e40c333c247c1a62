"""What several checks on pods need to know about a pod."""

from datetime import datetime, timedelta

from kubedx.core.finding import Severity
from kubedx.core.inputs import Now, minutes
from kubedx.kube.views import ContainerStatus, Pod

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
