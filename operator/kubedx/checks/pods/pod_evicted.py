"""PodEvicted."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.evictions import REASON, EvictionSettings, evicted, evicted_at
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_TOGETHER = minutes(30)
_BY_ITSELF = frozenset({"emptyDir", "container", "pod"})


class PodEvictedSettings(EvictionSettings, frozen=True, rename="camel"):
    """Settings of PodEvicted."""

    critical_pods: Annotated[
        int, Meta(ge=2, le=500, description="Pods of one node, evicted within half an hour, from which it is critical.")
    ] = 5


@check(
    title="A pod was evicted",
    message="Pod {name} was evicted from node {node} at {at}: {why}",
    severity=Severity.WARNING,
    layer=5,
    group=by.owner,
    when=Bit.FAILED,
    explains={"EvictedPodsAccumulating": join.same_namespace, "WorkloadUnavailable": join.same_owner},
    steps=(
        Step("Read why. The record keeps the message.", "kubectl -n {namespace} describe pod {name}"),
        Step("See whether the node is still under pressure.", "kubectl describe node {node}"),
        Step(
            "Remove the records of failed pods of the namespace. Their messages go with them.",
            "kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_evicted(pod: Pod, pods: Lookup[Pod] | None, settings: PodEvictedSettings, now: Now) -> Answer:
    """A kubelet ended a pod, or refused it, to protect its node or because the pod went beyond a limit of its own.

    ## Meaning
    The pod is in phase Failed with the reason Evicted. Where the message is one of the known ones, a check of its own
    says more and stands above this one; this one also tells of evictions in words that nobody knows yet.

    ## Impact
    A workload replaces the pod; until that is ready there is one less. Nobody replaces a pod without a controller. Five
    pods of a node within half an hour are critical, as the node does not get well by that.

    ## Diagnosis
    `kubectl describe pod` shows the message: what the node lacked, or which limit was exceeded.

    ## Mitigation
    Mend the node's pressure, or raise the limit that was exceeded.

    ## Limitations
    Such records stay until somebody or the garbage collector removes them, so one is reported for an hour
    (`windowMinutes`) and no longer. Evictions through the API, as `kubectl drain` makes them, delete the pod and leave
    no record.

    ## References
    - `pkg/kubelet/eviction/helpers.go` (Reason), `eviction_manager.go`, 1.13 to 1.36.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    found = evicted(pod, settings, now)
    if found is None:
        return
    why, since = found
    many = why.kind not in _BY_ITSELF and _evicted_lately(pod, pods, now) >= settings.critical_pods
    yield Finding(
        pod,
        since=since,
        severity=Severity.CRITICAL if many else Severity.WARNING,
        evidence=(field(pod, "status.reason", f"{pod.status.reason}: {pod.status.message}", since),),
        node=pod.spec.node_name,
        at=since or "an unknown time",
        why=pod.status.message.strip() or why.what,
    )


def _evicted_lately(pod: Pod, pods: Lookup[Pod] | None, now: Now) -> int:
    """Count the pods that the pod's node evicted in the last half hour."""
    others = pods.failed_on(pod.spec.node_name) if pods and pod.spec.node_name else ()
    times = [evicted_at(other) for other in others if other.status.reason == REASON]
    return sum(1 for at in times if at and not now.older(at, _TOGETHER))
