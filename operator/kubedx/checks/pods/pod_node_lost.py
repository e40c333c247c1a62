"""PodNodeLost."""

from kubedx.checks._support.nodes import awaited, condition_evidence, departing, eased, shown_time
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node, Pod, ReplicaSet, StatefulSet

_BOUND_TO_NODES = frozenset({"DaemonSet", "Node"})


@check(
    title="A pod is on a node that nobody hears of any more",
    message="Pod {name} is on node {node}, which has been silent since {at}: nobody knows whether it runs. {rest}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=minutes(1),
    group=by.node,
    when=Bit.NOT_READY,
    explains={
        "PodStuckTerminating": join.itself,
        "ServiceNoReadyEndpoints": join.selected_pods,
        "StatefulSetPodOnLostNode": join.itself,
    },
    steps=(
        Step("See since when the node is silent, and which pods it has.", "kubectl describe node {node}"),
        Step("Look at the machine in the console of your cloud or at its power switch, and bring it back."),
        Step(
            "Only if the machine is off for certain: release its pods and volumes, so that they start elsewhere.",
            "kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
            danger=True,
        ),
        Step(
            "Only if the machine is off for certain: forget this pod. If it still runs, there are two of it then.",
            "kubectl -n {namespace} delete pod {name} --grace-period=0 --force",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_node_lost(
    pod: Pod,
    nodes: Lookup[Node],
    replica_sets: Lookup[ReplicaSet] | None,
    stateful_sets: Lookup[StatefulSet] | None,
    now: Now,
) -> Answer:
    """A pod is bound to a node whose kubelet does not report any more.

    ## Meaning
    The control plane has set the node's Ready condition to Unknown and its pods to not ready. The pod still shows as
    Running, as nobody can tell otherwise. After five minutes it is marked for deletion and stays Terminating.

    ## Impact
    The pod gets no traffic. A ReplicaSet makes another one when the pod is deleted, a StatefulSet only when it is gone.
    It is critical where none of the workload's pods is available, or nothing replaces the pod.

    ## Diagnosis
    `kubectl describe node` shows since when the kubelet is silent. Pods of DaemonSets and static pods are left out, as
    they have no other place.

    ## Mitigation
    Bring the node back, or make sure that it is off and taint it `out-of-service`, which frees pods and volumes.

    ## Limitations
    Whether the pod runs on, cut off from the control plane only, cannot be seen from here. A pod whose node object was
    deleted is removed by the garbage collector within a minute, and is not reported.

    ## References
    - `pkg/controller/util/node/controller_utils.go` (MarkPodsNotReady), `pkg/controller/tainteviction`, 1.20 to 1.36.
      Up to 1.10 such pods had the phase Unknown and the reason NodeLost.
    - https://kubernetes.io/docs/concepts/architecture/nodes/#condition
    """
    owner = pod.controller
    if not pod.spec.node_name or pod.finished or (owner and owner.kind in _BOUND_TO_NODES):
        return
    node = nodes.get("", pod.spec.node_name)
    ready = node.condition("Ready") if node else None
    if node is None or ready is None or ready.status != "Unknown":
        return
    since = ready.last_transition_time
    if awaited(node, ready, now) or departing(node, since, now):
        return
    rest = _rest(pod, replica_sets, stateful_sets)
    yield Finding(
        pod,
        since=since,
        severity=eased(Severity.CRITICAL if rest in {_NONE, _ALONE} else Severity.WARNING, node, now),
        evidence=(condition_evidence(node, ready),),
        node=node.name,
        at=shown_time(since),
        rest=rest,
    )


_ALONE = "Nothing makes another one"
_NONE = "None of its workload's pods is available"
_SOME = "Its workload has other pods, or makes them"


def _rest(pod: Pod, replica_sets: Lookup[ReplicaSet] | None, stateful_sets: Lookup[StatefulSet] | None) -> str:
    """Say what is left of its workload."""
    owner = pod.controller
    if owner is None:
        return _ALONE
    sets = {"ReplicaSet": replica_sets, "StatefulSet": stateful_sets}.get(owner.kind)
    workload = sets.get(pod.namespace, owner.name) if sets else None
    return _NONE if workload and not workload.status.available_replicas else _SOME
