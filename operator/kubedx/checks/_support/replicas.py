"""How many pods a workload still lacks."""

from kubedx.kube.meta import find
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, StatefulSet


def pods_wanting(workload: ReplicaSet | StatefulSet | DaemonSet | Job) -> int:
    """Count the pods that a workload wants and that do not exist.

    Args:
        workload: The workload.

    Returns:
        The number of missing pods; 0 for one that is complete, finished, suspended or being deleted.
    """
    if workload.deleted:
        return 0
    match workload:
        case DaemonSet(status=status):
            wanted, there = status.desired_number_scheduled, status.current_number_scheduled
        case Job(spec=spec, status=status):
            ended = spec.suspend or any(find(status.conditions, end) for end in ("Complete", "Failed"))
            wanted, there = (0, 0) if ended else (spec.parallelism, status.active + status.succeeded)
        case _:
            wanted, there = workload.spec.replicas, workload.status.replicas
    return max(0, wanted - there)
