"""NodePLEGUnhealthy."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import departing, eased, new
from kubedx.checks._support.readiness import reported
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node

STARTING = "has yet to be successful"


class NodePLEGUnhealthySettings(Settings, frozen=True, rename="camel"):
    """Settings of NodePLEGUnhealthy."""

    grace_minutes: Annotated[int, Meta(ge=0, le=60, description="Minutes that a new node may take to start.")] = 5


@check(
    title="Kubelet cannot list the containers of its node",
    message="The kubelet of node {name} does not get the list of its containers in time: {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    when=Bit.NOT_READY,
    explains={
        "NodeContainerGCFailed": join.same_node,
        "NodeNotReady": join.same_node,
        "NodeReadyFlapping": join.same_node,
        "PodStuckTerminating": join.same_node,
    },
    steps=(
        Step("See since when, and how many pods the node has.", "kubectl describe node {name}"),
        Step(
            "On the machine, time the runtime and count its containers. A call that hangs names the sick one.",
            "time crictl pods; crictl ps -a | wc -l",
        ),
        Step("On the machine, look for processes that hang in the kernel.", "ps -eo pid,stat,cmd | grep ' D'"),
        Step(
            "Restart the runtime, then the kubelet. Containers keep running.",
            "systemctl restart containerd && systemctl restart kubelet",
        ),
        Step("If processes hang in the kernel, only a restart of the machine helps.", "reboot", danger=True),
    ),
    since="0.1.0",
)
def node_pleg_unhealthy(node: Node, now: Now, settings: NodePLEGUnhealthySettings) -> Answer:
    """The kubelet's list of containers (PLEG, the pod lifecycle event generator) is too old.

    ## Meaning
    The kubelet asks the container runtime every second what runs. It has got no answer for three minutes: the runtime
    is slow or hangs, often on a single container, or the machine is overloaded.

    ## Impact
    The node is not ready. The kubelet notices neither that containers ended nor that pods are to be deleted.

    ## Diagnosis
    On the machine, `crictl pods` and `crictl ps` hang or are slow. Processes in state D point at the kernel or at
    storage that does not answer. Look for a workload that is on every such node.

    ## Mitigation
    Restart the runtime, then the kubelet; restart the machine if the kernel is wedged. In the long run: fewer pods on
    the node, fewer exec probes, a newer kernel and runtime.

    ## Limitations
    It is seen only once the kubelet has waited for three minutes (ten where EventedPLEG is on). The time since the last
    list grows with every report and is therefore shown as "…".

    ## References
    - `pkg/kubelet/pleg/generic.go` (Healthy), `pkg/kubelet/runtime.go` (`%s is not healthy: %v`), 1.8 to 1.36.
    - https://github.com/kubernetes/kubernetes/issues/45419
    """
    found = reported(node, "pleg")
    if found is None:
        return
    error, since = found
    starting = STARTING in error.text and not now.older(since, minutes(2))
    if starting or new(node, now, minutes(settings.grace_minutes)) or departing(node, since, now):
        return
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.CRITICAL, node, now),
        evidence=(field(node, "status.conditions[Ready].message", error.text, since),),
        detail=error.text,
    )
