"""StatefulSetRolloutStuck."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.pods import is_ready, trouble, unready_since
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, hours, minutes
from kubedx.kube.views import Pod, StatefulSet

REVISION = "controller-revision-hash"


class StatefulSetRolloutStuckSettings(Settings, frozen=True, rename="camel"):
    """Settings of StatefulSetRolloutStuck."""

    critical_hours: Annotated[int, Meta(ge=1, le=720, description="Hours after which it is critical.")] = 1


@check(
    title="A StatefulSet's rollout is stuck",
    message="The rollout of {namespace}/{name} waits for its pod {pod} since {at}: {updated} of {wanted} pods are "
    "new; {why}",
    severity=Severity.WARNING,
    layer=6,
    raise_after=minutes(10),
    explains={"WorkloadUnavailable": join.same_owner},
    steps=(
        Step("See what the pod waits for.", "kubectl -n {namespace} describe pod {pod}"),
        Step("See the rollout and its versions.", "kubectl -n {namespace} rollout history statefulset {name}"),
        Step(
            "If the new version is at fault, mend the template first; the controller does not replace a pod that is "
            "not ready by itself."
        ),
        Step(
            "Then delete the pod that is in the way. It comes back with the version that is wanted now.",
            "kubectl -n {namespace} delete pod {pod}",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def stateful_set_rollout_stuck(
    workload: StatefulSet, pods: Lookup[Pod], settings: StatefulSetRolloutStuckSettings, now: Now
) -> Answer:
    """A StatefulSet replaces its pods one by one, and one of them does not become ready.

    ## Meaning
    The template changed, not all pods have the new version, and one pod is not ready for ten minutes. The controller
    waits for it before it goes on.

    ## Impact
    Some pods have the old version and some the new one; the pod in the way does no work. An hour of that is critical.

    ## Diagnosis
    The message names the pod in the way, what it waits for and which version it has.

    ## Mitigation
    Mend the template, then delete the pod. Changing the template back is not enough: the pod of the broken version
    stays until somebody deletes it.

    ## Limitations
    A StatefulSet tells no time: it counts from when the pod stopped being ready, or was created. StatefulSets with the
    strategy `OnDelete`, and pods that could not be created at all, are not reported here. Pods that are ready and yet
    not replaced, as the controller does not work, are not seen.

    ## References
    - `pkg/controller/statefulset/stateful_set_control.go` (updateStatefulSet), 1.7 to 1.36.
    - https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    strategy, status, replicas = workload.spec.update_strategy, workload.status, workload.spec.replicas
    wanted = replicas - strategy.rolling_update.partition
    if strategy.type != "RollingUpdate" or status.updated_replicas >= wanted or workload.deleted:
        return
    own = sorted((_ordinal(pod) - workload.spec.ordinals.start, pod.name, pod) for pod in pods.owned_by(workload))
    blocking = next((pod for index, _, pod in own if index < replicas and (pod.deleted or not is_ready(pod))), None)
    if blocking is None or not status.update_revision:
        return
    late = [pod for index, _, pod in own if index >= strategy.rolling_update.partition and not _is_new(pod, workload)]
    if not late:
        return
    since = _waits_since(blocking, workload)
    stale = blocking in late and not blocking.deleted
    yield Finding(
        workload,
        since=since,
        severity=Severity.CRITICAL if now.older(since, hours(settings.critical_hours)) else Severity.WARNING,
        evidence=(
            field(workload, "status.updateRevision", status.update_revision),
            field(blocking, "status.conditions[Ready]", "False", since),
        ),
        nodes=(blocking.spec.node_name,) if blocking.spec.node_name else (),
        pod=blocking.name,
        at=since or "its start",
        updated=status.updated_replicas,
        wanted=wanted,
        why=trouble(blocking) + ("; it has an old version, which is replaced only if it is deleted" if stale else ""),
    )


def _ordinal(pod: Pod) -> int:
    tail = pod.name.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else 0


def _waits_since(pod: Pod, workload: StatefulSet) -> datetime | None:
    """Since when the rollout waits for the pod; one that crashes again and again is ready for a moment each time."""
    crashes = any(one.state.waiting and one.state.waiting.reason == "CrashLoopBackOff" for one in pod.containers)
    return pod.deleted or (pod.created if crashes and _is_new(pod, workload) else unready_since(pod))


def _is_new(pod: Pod, workload: StatefulSet) -> bool:
    return pod.metadata.labels.get(REVISION) == workload.status.update_revision
