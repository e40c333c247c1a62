"""NodeMemoryPressure."""

from kubedx.checks._support.nodes import condition_evidence, true_condition
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import minutes, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node


@check(
    title="Node has memory pressure",
    message="Node {name} reports {reason}: {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    raise_after=seconds(30),
    clear_after=minutes(1),
    when=Bit.PRESSURE,
    explains={
        "NodeEvictionThresholdMet": join.same_node.where(pressure="memory"),
        "NodePressureTaintManual": join.same_node.where(pressure="MemoryPressure"),
        "PodEvictedNodePressure": join.same_node.where(pressure="memory"),
        "PodRejectedNodePressure": join.same_node.where(pressure="memory"),
        "PodUnschedulable": join.same_node.where(binding="untolerated taint"),
    },
    steps=(
        Step("Read what the kubelet says and which pods it evicted.", "kubectl describe node {name}"),
        Step("Find the pods that use most memory.", "kubectl top pods -A --sort-by=memory"),
        Step("Keep new pods away while you look into it.", "kubectl cordon {name}"),
        Step(
            "Move the work away until the memory is free. This evicts every pod of the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_memory_pressure(node: Node) -> Answer:
    """The kubelet reports that the node runs out of memory.

    ## Meaning
    The memory that is left on the node, or for its pods, fell below the kubelet's eviction threshold: 100 MiB by
    default.

    ## Impact
    The node is tainted `node.kubernetes.io/memory-pressure`, pods without memory requests are rejected, and pods are
    evicted, those that use more than they requested first. If memory runs out faster than that, the kernel kills.

    ## Diagnosis
    `kubectl describe node` shows the condition, the taint, the `EvictionThresholdMet` events and what the pods
    requested. `kubectl top pods` shows what they use.

    ## Mitigation
    Set memory requests that match the use, and limits. Reserve memory for the system (`systemReserved`,
    `kubeReserved`). Find the leak, or use larger nodes.

    ## Limitations
    The condition does not say which pod uses the memory; a process outside of pods may do so. It stays True for at
    least five minutes after the memory is back (`evictionPressureTransitionPeriod`).

    ## References
    - Strings: `pkg/kubelet/nodestatus/setters.go` (MemoryPressureCondition), unchanged from 1.13 to 1.36.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    condition = true_condition(node, "MemoryPressure")
    if condition:
        yield Finding(
            node,
            since=condition.last_transition_time,
            evidence=(condition_evidence(node, condition),),
            reason=condition.reason,
            detail=condition.message,
        )
