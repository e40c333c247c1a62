"""StatefulSetPodOnLostNode."""

from kubedx.checks._support.nodes import condition_evidence, departing, shown_time
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node, Pod

_RELEASED = "node.kubernetes.io/out-of-service"


@check(
    title="A StatefulSet waits for a pod on a lost node",
    message="StatefulSet {workload} makes no new pod {name}: the old one should have been gone at {due}, but its "
    "node {node} "
    "has been silent since {at}{claims}",
    severity=Severity.CRITICAL,
    layer=5,
    when=Bit.TERMINATING,
    explains={
        "ServiceNoReadyEndpoints": join.selected_pods,
        "VolumeMultiAttach": join.claim,  # Not back(): the pod had the volume before anyone else wanted it.
    },
    steps=(
        Step("See since when the node is silent.", "kubectl describe node {node}"),
        Step(
            "Look at the machine in the console of your cloud or at its power switch. Bring it back, or power it off."
        ),
        Step(
            "Only if the machine is off for certain: release its pods and volumes. This is better than to delete by "
            "force, as "
            "volumes are detached as well.",
            "kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
            danger=True,
        ),
        Step(
            "Only if the machine is off for certain: forget the pod. If it still runs, two programs write to one "
            "volume.",
            "kubectl -n {namespace} delete pod {name} --grace-period=0 --force",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def stateful_set_pod_on_lost_node(pod: Pod, nodes: Lookup[Node], now: Now) -> Answer:
    """A pod of a StatefulSet is to be deleted, and its node cannot confirm that it ended.

    ## Meaning
    The node does not report, so the pod was marked for deletion, mostly five minutes later. A StatefulSet never runs
    two pods of one name: it waits until the old one is gone for certain, and nobody can say so but the node's kubelet.

    ## Impact
    The replica is missing until somebody acts; its volume stays attached to the lost node. With ordered pod management
    the replicas behind it are not updated either.

    ## Diagnosis
    The pod is Terminating for more than a minute after its grace period, on a node whose Ready condition is Unknown.

    ## Mitigation
    Bring the node back, or power it off and taint it `out-of-service`: then the pod is deleted and its volumes are
    detached. Deleting the pod by force on a machine that still runs can corrupt data.

    ## Limitations
    Whether the machine is off cannot be seen from inside the cluster. A node with the taint `out-of-service` is not
    reported, nor for half an hour one that an autoscaler is taking away.

    ## References
    - `pkg/controller/statefulset`, `pkg/controller/podgc` (out-of-service, since 1.28 for all clusters), 1.30 to 1.36.
    - https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/
    """
    owner = pod.controller
    if owner is None or owner.kind != "StatefulSet" or pod.finished or not now.older(pod.deleted, minutes(1)):
        return
    node = nodes.get("", pod.spec.node_name) if pod.spec.node_name else None
    ready = node.condition("Ready") if node else None
    if node is None or ready is None or ready.status != "Unknown" or node.taint(_RELEASED):
        return
    if departing(node, ready.last_transition_time, now):
        return
    claims = ", ".join(pod.claims)
    yield Finding(
        pod,
        since=pod.deleted,
        evidence=(field(pod, "metadata.deletionTimestamp", pod.deleted, pod.deleted), condition_evidence(node, ready)),
        workload=owner.name,
        due=shown_time(pod.deleted),
        node=node.name,
        at=shown_time(ready.last_transition_time),
        claims=f". Its volumes wait with it: {claims}" if claims else "",
    )
