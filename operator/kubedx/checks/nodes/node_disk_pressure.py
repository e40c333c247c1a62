"""NodeDiskPressure."""

from kubedx.checks._support.nodes import condition_evidence, true_condition
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import minutes, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node


@check(
    title="Node has disk pressure",
    message="Node {name} reports {reason}: {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    raise_after=seconds(30),
    clear_after=minutes(1),
    when=Bit.PRESSURE,
    explains={
        "APIServerStaticPodUnhealthy": join.back(join.same_node),
        "DaemonSetUnavailable": join.same_node,
        "ImageParentSnapshotMissing": join.same_node,
        "ImagePullFailed": join.same_node.where(cause="disk full"),
        "KubeletSetupFailed": join.same_node,
        "NodeCNINotReady": join.same_node,
        "NodeContainerRuntimeDown": join.same_node,
        "NodeEvictionThresholdMet": join.same_node.where(pressure="disk"),
        "NodeExtendedResourceZero": join.same_node,
        "NodeFreeDiskSpaceFailed": join.same_node,
        "NodeImageGCFailed": join.same_node.where(cause="space"),
        "NodeNotReady": join.same_node,
        "NodePLEGUnhealthy": join.same_node,
        "NodePressureTaintManual": join.same_node.where(pressure="DiskPressure"),
        "PodEvictedNodePressure": join.same_node.where(pressure="disk"),
        "PodRejectedNodePressure": join.same_node.where(pressure="disk"),
        "PodSandboxCreateFailed": join.same_node.where(cause="disk full"),
        "PodUnschedulable": join.same_node.where(binding="untolerated taint"),
    },
    steps=(
        Step("Read what the kubelet says and which pods it evicted.", "kubectl describe node {name}"),
        Step(
            "On the machine, find what fills the disk: look at bytes and at inodes.",
            "df -h; df -i; du -xh --max-depth=2 /var | sort -h | tail -30",
        ),
        Step("Remove images that no container uses. This is safe.", "crictl rmi --prune"),
        Step(
            "Move the work away until the disk is free. This evicts every pod of the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_disk_pressure(node: Node) -> Answer:
    """The kubelet reports that the node's disk or its inodes run out.

    ## Meaning
    The free space or the free inodes of the node's filesystem, or of the one for images, fell below the kubelet's
    eviction threshold: by default 10 % (nodefs), 15 % (imagefs) and 5 % of the inodes.

    ## Impact
    The node is tainted `node.kubernetes.io/disk-pressure`, new pods are rejected, unused images are deleted and
    pods are evicted, those that use more than they requested first.

    ## Diagnosis
    `kubectl describe node` shows the condition, the taint and the `EvictionThresholdMet` events. On the machine,
    `df -h` and `df -i` tell which filesystem is full, `du` tells what fills it.

    ## Mitigation
    Free space: unused images, rotated logs, dead containers. Give the container runtime a disk of its own. Set
    `ephemeral-storage` requests and limits, so that the pod at fault is evicted and not its neighbours. The taint need
    not be removed by hand; the control plane puts it back while the condition lasts.

    ## Limitations
    The condition says neither which filesystem is full nor what fills it. It stays True for at least five minutes after
    the space is back (`evictionPressureTransitionPeriod`).

    ## References
    - Strings: `pkg/kubelet/nodestatus/setters.go` (DiskPressureCondition), unchanged from 1.13 to 1.36.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    condition = true_condition(node, "DiskPressure")
    if condition:
        yield Finding(
            node,
            since=condition.last_transition_time,
            evidence=(condition_evidence(node, condition),),
            reason=condition.reason,
            detail=condition.message,
        )
