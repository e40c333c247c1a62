"""NodeNotReady."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import condition_evidence, departing, eased, new, shown_time
from kubedx.checks._support.readiness import node_errors
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node


class NodeNotReadySettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeNotReady."""

    critical_after_minutes: Annotated[
        int, Meta(ge=2, le=60, description="Minutes after which it is critical: by default its pods are evicted then.")
    ] = 5
    grace_minutes: Annotated[int, Meta(ge=0, le=60, description="Minutes that a new node may take to start.")] = 5


@check(
    title="Node is not ready",
    message="Node {name} has not been ready since {at}: {detail}",
    layer=3,
    raise_after=minutes(2),
    when=Bit.NOT_READY,
    explains={
        "ClusterDNSDown": join.same_node,
        "DaemonSetUnavailable": join.same_node,
        "DeploymentMinimumReplicasUnavailable": join.same_node,
        "PodContainerCreatingStuck": join.same_node,
        "PodEvictedByTaint": join.same_node,
        "PodNotReady": join.same_node,
        "PodUnschedulable": join.same_node.where(binding="untolerated taint"),
        "ServiceNoReadyEndpoints": join.same_node,
    },
    steps=(
        Step("Read the message of the Ready condition.", "kubectl describe node {name}"),
        Step("On the machine, read what the kubelet logs.", "journalctl -u kubelet --since -30min"),
        Step("On the machine, see whether the container runtime answers.", "crictl info; df -h; df -i"),
        Step("If the kubelet hangs, restart it. Containers keep running.", "systemctl restart kubelet"),
        Step(
            "If the machine cannot be saved, move the work away. This evicts every pod of the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_not_ready(node: Node, now: Now, settings: NodeNotReadySettings) -> Answer:
    """The kubelet reports that its node cannot run pods.

    ## Meaning
    The kubelet is alive and says that something on the node does not work: the container runtime, the pod network,
    storage drivers, the filesystem. It names each in the message of the Ready condition.

    ## Impact
    The node takes no new pods, its pods leave the endpoints of their Services. After five minutes, unless pods tolerate
    it for longer, they are evicted.

    ## Diagnosis
    `kubectl describe node` shows the message. On the machine, `journalctl -u kubelet` tells more. NodePLEGUnhealthy,
    NodeContainerRuntimeDown and NodeCNINotReady report the common causes by their own names.

    ## Mitigation
    Mend what the message names. Restart the runtime first, then the kubelet. A machine that is beyond repair is drained
    and replaced; power it off before you delete its Node object, or pods of StatefulSets may run twice.

    ## Limitations
    New nodes have five minutes to start, and nodes that an autoscaler takes away half an hour to go. A node whose
    kubelet is silent is reported as NodeUnreachable. A node that was cordoned within the last hour is only worth an
    info.

    ## References
    - `pkg/kubelet/nodestatus/setters.go` (ReadyCondition, reason `KubeletNotReady`), 1.20 to 1.36.
    - https://kubernetes.io/docs/tasks/debug/debug-cluster/
    """
    ready = node.condition("Ready")
    if ready is None or ready.status != "False":
        return
    since = ready.last_transition_time
    if new(node, now, minutes(settings.grace_minutes)) or departing(node, since, now):
        return
    late = now.older(since, minutes(settings.critical_after_minutes))
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.CRITICAL if late else Severity.WARNING, node, now),
        evidence=(condition_evidence(node, ready),),
        at=shown_time(since),
        detail="; ".join(error.text for error in node_errors(ready.message)) or ready.reason,
    )
