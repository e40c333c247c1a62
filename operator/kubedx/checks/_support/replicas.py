"""How many pods a workload still lacks."""

from kubedx.kube.meta import find
from kubedx.kube.views import DaemonSet, Deployment, Job, ReplicaSet, StatefulSet

Workload = Deployment | ReplicaSet | StatefulSet | DaemonSet | Job


def pods_of(workload: Workload) -> tuple[int, int]:
    """Count the pods that a workload wants and those that exist.

    Args:
        workload: The workload.

    Returns:
        How many it wants, 0 for one that is finished, suspended or being deleted; and how many there are.
    """
    match workload:
        case DaemonSet(status=status):
            wanted, there = status.desired_number_scheduled, status.current_number_scheduled
        case Job(status=status):
            wanted, there = _wanted_at_once(workload), status.active
        case _:
            wanted, there = workload.spec.replicas, workload.status.replicas
    return (0 if workload.deleted else wanted), there


def pods_wanting(workload: Workload) -> int:
    """Count the pods that a workload wants and that do not exist."""
    wanted, there = pods_of(workload)
    return max(0, wanted - there)


def _wanted_at_once(job: Job) -> int:
    """The pods that should run now; without a number of completions none starts after the first success."""
    if job.spec.suspend or any(find(job.status.conditions, end) for end in ("Complete", "Failed")):
        return 0
    if job.spec.completions is None:
        return 0 if job.status.succeeded else job.spec.parallelism
    return min(job.spec.parallelism, job.spec.completions - job.status.succeeded)


def may_lack(deployment: Deployment) -> int:
    """Count the pods that a Deployment may lack while it replaces them.

    As `ResolveFenceposts` of `pkg/controller/deployment/util/deployment_util.go`: percentages of the replicas, rounded
    down for what may lack and up for what may be too much; where both come to nothing, one may lack.

    Args:
        deployment: The Deployment.

    Returns:
        The number; all of them for one that ends its old pods first.
    """
    wanted, strategy = deployment.spec.replicas, deployment.spec.strategy
    if strategy.type != "RollingUpdate":
        return wanted
    given = strategy.rolling_update
    lacking = _part(given.max_unavailable if given else None, wanted)
    if lacking >= 1:
        return int(lacking)
    return 0 if _part(given.max_surge if given else None, wanted) else 1


def _part(given: int | str | None, wanted: int) -> float:
    """A number as it is, a percentage of the replicas; a quarter where nothing is given."""
    if isinstance(given, int):
        return given
    number = (given or "25%").removesuffix("%")
    return wanted * int(number) / 100 if number.isdecimal() else 0
