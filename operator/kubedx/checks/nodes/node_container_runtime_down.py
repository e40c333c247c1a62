"""NodeContainerRuntimeDown."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import departing, eased, new, true_condition
from kubedx.checks._support.readiness import reported
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.views import Node

STARTING = "container runtime status check may not have completed yet"
DETECTED = "ContainerRuntimeUnhealthy"
"""The condition that node-problem-detector sets."""


class NodeContainerRuntimeDownSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeContainerRuntimeDown."""

    grace_minutes: Annotated[int, Meta(ge=0, le=60, description="Minutes that a new node may take to start.")] = 5


@check(
    title="Container runtime of a node is down",
    message="The container runtime of node {name} does not work: {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    raise_after=minutes(1),
    explains={
        "ContainerNameReserved": join.same_node,
        "KubeletRestartLoop": join.same_node,
        "NodeCNINotReady": join.same_node,
        "NodeContainerGCFailed": join.same_node,
        "NodeImageGCFailed": join.same_node.where(cause="stats"),
        "NodeImageStatsUnavailable": join.same_node,
        "NodeNotReady": join.same_node,
        "NodePLEGUnhealthy": join.same_node,
        "PodExecContainerNotFound": join.same_node,
        "PodSandboxCreateFailed": join.same_node.where(cause="runtime"),
        "PodSandboxTimeout": join.same_node,
        "PodStuckTerminating": join.same_node,
        "ProbeFailuresNodeWide": join.same_node,
    },
    steps=(
        Step("Read what the kubelet says about the runtime.", "kubectl describe node {name}"),
        Step(
            "On the machine, see whether the runtime runs and answers, and read its log.",
            "systemctl status containerd crio; crictl info; journalctl -u containerd -u crio -n 200",
        ),
        Step("On the machine, see whether its disk is full or read-only.", "df -h /var/lib; grep ' ro,' /proc/mounts"),
        Step(
            "Restart the runtime, then the kubelet. Containers keep running.",
            "systemctl restart containerd && systemctl restart kubelet",
        ),
        Step(
            "If that does not help, move the work away, then restart the machine. This evicts every pod of the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_container_runtime_down(node: Node, now: Now, settings: NodeContainerRuntimeDownSettings) -> Answer:
    """The kubelet gets no answer from the container runtime, or the answer that it is not ready.

    ## Meaning
    containerd, CRI-O or another runtime has stopped, hangs, or reports `RuntimeReady=false`. The kubelet has waited for
    30 seconds before it says so.

    ## Impact
    The node is not ready. Containers that run keep running, but none is started, stopped, probed by exec or deleted.

    ## Diagnosis
    On the machine, `crictl info` hangs or fails; `journalctl -u containerd` (or `crio`) tells why.

    ## Mitigation
    Restart the runtime, then the kubelet. Look for a full or read-only disk first, as a restart does not help there.

    ## Limitations
    A kubelet that has just started has two minutes for its first check of the runtime, a new node five minutes.
    It counts from the moment when the node became not ready, even if the runtime failed later.

    ## References
    - `pkg/kubelet/runtime.go` (runtimeErrors), `pkg/kubelet/kubelet.go` (updateRuntimeUp), 1.20 to 1.36.
    - node-problem-detector, `config/health-checker-containerd.json` (condition `ContainerRuntimeUnhealthy`).
    """
    found = _report(node)
    if found is None:
        return
    path, detail, since = found
    starting = detail == STARTING and not now.older(since, minutes(2))
    if starting or new(node, now, minutes(settings.grace_minutes)) or departing(node, since, now):
        return
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.CRITICAL, node, now),
        evidence=(field(node, path, detail, since),),
        detail=detail,
    )


def _report(node: Node) -> tuple[str, str, datetime | None] | None:
    """Where somebody says that the runtime is down, in which words, and since when."""
    found = reported(node, "runtime")
    if found:
        error, since = found
        return "status.conditions[Ready].message", error.text, since
    detected = true_condition(node, DETECTED)
    if detected:
        text = detected.message or detected.reason
        return f"status.conditions[{DETECTED}].message", text, detected.last_transition_time
    return None
