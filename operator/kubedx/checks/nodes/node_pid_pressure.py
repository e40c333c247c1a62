"""NodePIDPressure."""

from kubedx.checks._support.nodes import condition_evidence, true_condition
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import minutes, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node


@check(
    title="Node runs out of process ids",
    message="Node {name} reports {reason}: {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    raise_after=seconds(30),
    clear_after=minutes(1),
    when=Bit.PRESSURE,
    explains={
        "NodeEvictionThresholdMet": join.same_node.where(pressure="pid"),
        "NodePressureTaintManual": join.same_node.where(pressure="PIDPressure"),
        "PodCgroupProcsWriteFailed": join.same_node,
        "PodEvictedNodePressure": join.same_node.where(pressure="pid"),
        "PodRejectedNodePressure": join.same_node.where(pressure="pid"),
        "PodSandboxCreateFailed": join.same_node.where(cause="process ids"),
        "PodUnschedulable": join.same_node.where(binding="untolerated taint"),
        "ProbeFailuresNodeWide": join.same_node,
    },
    steps=(
        Step("Read what the kubelet says and which pods it evicted.", "kubectl describe node {name}"),
        Step(
            "On the machine, count threads by control group, the largest last, and compare with the limit.",
            "ps -eLo cgroup= | sort | uniq -c | sort -n | tail -20; cat /proc/sys/kernel/pid_max",
        ),
        Step(
            "Limit the process ids of each pod: set podPidsLimit in the kubelet's configuration, for example to 4096."
        ),
        Step("If the machine itself allows too few, allow more.", "sysctl -w kernel.pid_max=4194304"),
    ),
    since="0.1.0",
)
def node_pid_pressure(node: Node) -> Answer:
    """The kubelet reports that the node runs out of process ids.

    ## Meaning
    The process ids that are left fell below the eviction threshold `pid.available`. Threads count as well. Usually one
    pod starts processes without end, or leaves ended ones unreaped.

    ## Impact
    The node is tainted `node.kubernetes.io/pid-pressure` and takes no new pods; pods are evicted. Programs fail with
    `fork: Resource temporarily unavailable`, probes that run commands with them.

    ## Diagnosis
    On the machine, count threads by control group: the path names the pod's uid.

    ## Mitigation
    Set `podPidsLimit`, so that one pod cannot take all, and mend the program. Raise `kernel.pid_max` where it is low.

    ## Limitations
    Kubernetes has no default threshold for process ids: without `pid.available` in `evictionHard` or `evictionSoft` the
    kubelet never reports this, however few are left.

    ## References
    - Strings: `pkg/kubelet/nodestatus/setters.go` (PIDPressureCondition), unchanged from 1.13 to 1.36.
    - https://kubernetes.io/docs/concepts/policy/pid-limiting/
    """
    condition = true_condition(node, "PIDPressure")
    if condition:
        yield Finding(
            node,
            since=condition.last_transition_time,
            evidence=(condition_evidence(node, condition),),
            reason=condition.reason,
            detail=condition.message,
        )
