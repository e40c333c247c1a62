"""PodUnschedulable."""

from collections.abc import Mapping
from typing import Annotated

from kubedx.checks._support.fit import deviceless, fit
from kubedx.checks._support.places import Nodes, places, ties
from kubedx.checks._support.pods import is_system
from kubedx.checks._support.room import Room, rooms
from kubedx.checks._support.scheduling import misfit, unschedulable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.meta import Condition
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim, Pod

_SCALING_UP = ("TriggeredScaleUp", "Nominated")
_NOT_SCALING_UP = "NotTriggerScaleUp"


@check(
    title="A pod fits no node",
    message="Pod {name} waits for a node: {why}",
    severity=Severity.WARNING,
    layer=5,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.UNSCHEDULED,
    events=(*_SCALING_UP, _NOT_SCALING_UP),
    explains={
        "ClusterDNSDown": join.component,
        "DaemonSetUnavailable": join.same_owner,
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "JobStuck": join.same_owner,
        "StatefulSetReplicasMismatch": join.same_owner,
        "StatefulSetRolloutStuck": join.same_owner,
        "WorkloadUnavailable": join.same_owner,
    },
    steps=(
        Step("Read what the scheduler says about each node.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See what the nodes have left, and their taints.",
            "kubectl describe nodes | grep -E '^(Name|Taints|Unschedulable)|Allocated resources' -A 8",
        ),
        Step(
            "Insufficient resources: lower the requests or add nodes. Taints: mend the node or tolerate them. "
            "Affinity: correct it, or label a node. Claims: see why they are not bound.",
            "kubectl -n {namespace} get pod {name} -o yaml; kubectl -n {namespace} get pvc",
        ),
    ),
    since="0.1.0",
)
def pod_unschedulable(
    pod: Pod,
    nodes: Annotated[Nodes, places],
    taken: Annotated[Mapping[str, Room], rooms],
    claims: Lookup[PersistentVolumeClaim] | None,
    volumes: Lookup[PersistentVolume] | None,
    events: Events | None,
    now: Now,
) -> Answer:
    """The scheduler finds no node for a pod.

    ## Meaning
    Each node is excluded by something: too little CPU or memory left, a taint that the pod does not tolerate, a cordon,
    the pod's own selector or affinity, a volume that is tied elsewhere; or the pod waits for a claim that is not bound.

    ## Impact
    The pod does not exist on any machine. It is worth knowing for five minutes, then a warning, and critical after a
    quarter of an hour, or at once after five minutes for pods of kube-system.

    ## Diagnosis
    The message holds the scheduler's own reasons with the number of nodes for each, and then what follows from the
    nodes themselves: which single change would let the pod fit, which label no node has, or that no node is large
    enough. A cordoned node is in the scheduler's message even where the pod could not run on it anyway.

    ## Mitigation
    Do what the message says would let the pod fit. Where it says nothing, mend the reason that excludes most of the
    nodes on which the pod may run at all. The scheduler tries again by itself.

    ## Limitations
    The scheduler stops at the first rule that excludes a node, so mending one may bring another to light. What is left
    of nodes is reckoned in clusters of up to 24 nodes, from requests of CPU, memory and disk, the number of pods and
    host ports; in larger ones only labels, taints, volumes and the size of whole nodes are. Affinity between pods,
    spreading, limits on volumes, device claims, and requests of a pod as a whole are not reckoned with: where one of
    these is the reason, the scheduler's words must do. While an autoscaler says that it brings a node, nothing is
    reported for ten minutes. Pods with scheduling gates wait on purpose.

    ## References
    - `pkg/scheduler/framework/types.go` (FitError) and `pkg/scheduler/framework/plugins` (ErrReason constants), 1.30 to
      1.36. Changed: `had volume node affinity conflict` became `didn't match PersistentVolume's node affinity` in 1.33,
      `had untolerated taint {…}` became `had untolerated taint(s)` in 1.34.
    - `TriggeredScaleUp`, `NotTriggerScaleUp`: Cluster Autoscaler. `Nominated`: Karpenter.
    """
    scheduled = unschedulable(pod)
    if scheduled is None or _is_node_coming(pod, events, now):
        return
    said = misfit(scheduled.message)
    tied = [where for _, where in ties(pod, claims, volumes)] if claims and volumes else []
    found = fit(pod, said, nodes, taken, tied)
    yield Finding(
        pod,
        since=scheduled.last_transition_time,
        severity=_severity(pod, scheduled, events, now),
        evidence=(field(pod, "status.conditions[PodScheduled]", scheduled.message, scheduled.last_transition_time),),
        nodes=(*found.closed, *deviceless(pod, said, nodes)),
        why=f"{said.why}. {found.advice}" if found.advice else said.why,
        binding=said.binding(nodes_in_trouble=bool(found.closed), alone=found.alone),
    )


def _is_node_coming(pod: Pod, events: Events | None, now: Now) -> bool:
    records = events.about(pod, *_SCALING_UP) if events else ()
    return bool(records) and not now.older(records[0].last, minutes(10))


def _severity(pod: Pod, scheduled: Condition, events: Events | None, now: Now) -> Severity:
    since = scheduled.last_transition_time
    if now.older(since, minutes(5 if is_system(pod) else 15)):
        return Severity.CRITICAL
    if now.older(since, minutes(5)) or (events and events.about(pod, _NOT_SCALING_UP)):
        return Severity.WARNING
    return Severity.INFO
