"""WorkloadCascadingCrash."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from kubedx.checks._support.pods import crashed, how_ended, status_path
from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, minutes, seconds
from kubedx.kube.views import DaemonSet, Deployment, Pod, ReplicaSet, StatefulSet

_FEWEST = 2
_AGE = minutes(30)
_RECENT = minutes(15)
_SHORTEST, _LONGEST = seconds(10), minutes(5)


@check(
    title="The pods of a workload crash one after the other",
    message="Of {wanted} pods of {kind} {name}, {count} that ran well crashed one after the other between {first} "
    "and {last}, "
    "with {how}; {there} are available",
    severity=Severity.CRITICAL,
    layer=6,
    clear_after=minutes(5),
    group=by.owner,
    steps=(
        Step("See which pods crash, and how often.", "kubectl -n {namespace} get pods -o wide"),
        Step(
            "Read what one of them wrote before it ended.",
            "kubectl -n {namespace} logs {example} --previous --all-containers --tail=50",
        ),
        Step("If the log tells of something that is away (a database, a queue), mend that: all pods need it."),
        Step(
            "If the load is too much for those that are left, keep it away (rate limit, ingress), let more pods "
            "start than "
            "before, and only then let the traffic back in."
        ),
    ),
    since="0.1.0",
)
def workload_cascading_crash(
    workload: ReplicaSet | StatefulSet | DaemonSet,
    pods: Lookup[Pod],
    deployments: Lookup[Deployment] | None,
    now: Now,
) -> Answer:
    """Half of a workload's pods or more, which had run well, crash within a few minutes in the same way.

    ## Meaning
    The pods are older than half an hour, so no rollout brought this about, and they began to crash within five minutes
    of each other but not at once: either the load of the fallen is too much for the rest, or all need something that
    went away.

    ## Impact
    The workload serves little or nothing. Each pod that comes back gets the traffic of all, and falls again.

    ## Diagnosis
    The message has the pods' common exit code. `OOMKilled` and time-outs point at overload; errors of connection at
    something that all pods need.

    ## Mitigation
    Keep traffic away or let more pods start before it returns; leave head-room (an autoscaler, more replicas) and shed
    load in the program.

    ## Limitations
    A changed ConfigMap or Secret does not show in the pods and looks the same. The kubelet keeps only two runs of a
    container, so a pod counts from the oldest crash that is still known. Whether the load grew is not known.

    ## References
    - Rule over `status.containerStatuses` and the workload's `availableReplicas`; all versions.
    - https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
    """
    wanted, there = _counts(workload)
    if workload.deleted or wanted < _FEWEST or 2 * there > wanted:
        return
    crashes = [crash for pod in pods.owned_by(workload) if (crash := _crash(pod, now))]
    how, count = Counter(crash.how for crash in crashes).most_common(1)[0] if crashes else ("", 0)
    alike = sorted((crash for crash in crashes if crash.how == how), key=lambda crash: (crash.began, crash.pod.name))
    if count < _FEWEST or 2 * count < wanted:
        return
    first, last = alike[0].began, alike[-1].began
    if _SHORTEST <= last - first <= _LONGEST:
        owner = workload.controller
        deployment = deployments.get(workload.namespace, owner.name) if deployments and owner else None
        yield Finding(
            deployment or workload,
            since=first,
            evidence=tuple(crash.evidence for crash in alike[:3]),
            wanted=wanted,
            count=count,
            first=first,
            last=last,
            how=how,
            there=there,
            example=alike[0].pod.name,
        )


@dataclass(frozen=True, slots=True)
class _Crash:
    pod: Pod
    began: datetime
    how: str
    evidence: Evidence


def _counts(workload: ReplicaSet | StatefulSet | DaemonSet) -> tuple[int, int]:
    if isinstance(workload, DaemonSet):
        return workload.status.desired_number_scheduled, workload.status.number_available
    return workload.spec.replicas, workload.status.available_replicas


def _crash(pod: Pod, now: Now) -> _Crash | None:
    """What is known of the crashes of a pod that is no new one."""
    if pod.deleted or pod.finished or not now.older(pod.created, _AGE):
        return None
    for container in pod.status.container_statuses:
        ends = [one for one in (container.state.terminated, container.last_state.terminated) if one and one.finished_at]
        if (
            container.ready
            or not ends
            or not crashed(pod, container, ends[0])
            or now.older(ends[0].finished_at, _RECENT)
        ):
            continue
        unready = pod.condition("ContainersReady")
        times = [one.finished_at for one in ends]
        if unready and unready.status != "True":
            times.append(unready.last_transition_time)
        began = min(filter(None, times))
        evidence = field(pod, f"{status_path(pod, container)}.lastState", how_ended(ends[0]), ends[0].finished_at)
        return _Crash(pod, began, how_ended(ends[0]), evidence)
    return None
