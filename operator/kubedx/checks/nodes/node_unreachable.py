"""NodeUnreachable."""

from kubedx.checks._support.nodes import awaited, condition_evidence, departing, eased, shown_time
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node

KNOWN_TO_BE_DOWN = ("node.cloudprovider.kubernetes.io/shutdown", "node.kubernetes.io/out-of-service")


@check(
    title="Node does not report any more",
    message="Node {name} has been silent since {at}: {detail}",
    severity=Severity.CRITICAL,
    layer=3,
    raise_after=minutes(1),
    when=Bit.NOT_READY,
    explains={
        "DaemonSetUnavailable": join.same_node,
        "DeploymentMinimumReplicasUnavailable": join.same_node,
        "PodContainerCreatingStuck": join.same_node,
        "PodEvictedByTaint": join.same_node,
        "PodNodeLost": join.same_node,
        "PodNotReady": join.same_node,
        "PodStuckTerminating": join.same_node,
        "PodUnschedulable": join.same_node.where(binding="untolerated taint"),
        "PodVolumeNodeAffinityConflict": join.same_node,
        "ServiceNoReadyEndpoints": join.same_node,
        "StatefulSetPodOnLostNode": join.same_node,
        "VolumeAttachmentStuck": join.same_node,
        "VolumeMultiAttach": join.same_node,
    },
    steps=(
        Step("See since when the node is silent, and which pods it has.", "kubectl describe node {name}"),
        Step("Look at the machine in the console of your cloud or at its power switch, and ping it."),
        Step(
            "On the machine, see whether the kubelet runs, and read why it does not reach the API server. A wrong "
            "clock and an expired client certificate are frequent reasons.",
            "systemctl status kubelet; journalctl -u kubelet --since -30min; timedatectl",
        ),
        Step(
            "Only if the machine is off for certain: release its pods and volumes, so that they start elsewhere.",
            "kubectl taint nodes {name} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_unreachable(node: Node, now: Now) -> Answer:
    """The control plane has heard nothing from a node's kubelet.

    ## Meaning
    The kubelet has renewed neither its Lease nor its status for 40 s (50 s from 1.31 on), so that the control plane set
    the Ready condition to Unknown. The machine is off, cut off from the network, or its kubelet does not run.

    ## Impact
    The node's pods count as not ready and leave their Services. After five minutes they are marked for deletion, but
    stay Terminating, as nobody can confirm their end: StatefulSets and single-writer volumes do not move elsewhere.

    ## Diagnosis
    The message tells whether the kubelet `stopped posting` or `never posted` its status. Look at the machine itself.

    ## Mitigation
    Start the machine or its kubelet, restore the network, renew the client certificate. If the machine is lost, power
    it off and taint the node `out-of-service`. Automatic repair of machines by the cloud avoids this work.

    ## Limitations
    From inside the cluster a dead machine, a dead kubelet and a cut network look the same. A node that never reported
    has five minutes to do so, one that an autoscaler takes away half an hour to go. It is a warning where the cloud
    says that the instance is stopped, an info where the node was cordoned within the last hour.

    ## References
    - `pkg/controller/nodelifecycle/node_lifecycle_controller.go` (tryUpdateNodeHealth), 1.12 to 1.36.
    - https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
    """
    ready = node.condition("Ready")
    if ready is None or ready.status != "Unknown":
        return
    since = ready.last_transition_time
    if awaited(node, ready, now) or departing(node, since, now):
        return
    down = any(taint.key in KNOWN_TO_BE_DOWN for taint in node.spec.taints)
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.WARNING if down else Severity.CRITICAL, node, now),
        evidence=(condition_evidence(node, ready),),
        at=shown_time(since),
        detail=ready.message or ready.reason,
    )
