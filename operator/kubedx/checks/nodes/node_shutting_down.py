"""NodeShuttingDown."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import departing, eased, shown_time
from kubedx.checks._support.readiness import reported
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node


class NodeShuttingDownSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeShuttingDown."""

    warning_after_minutes: Annotated[
        int, Meta(ge=1, le=240, description="Minutes after which a shutdown counts as stuck and is a warning.")
    ] = 15


@check(
    title="Node is shutting down",
    message="Node {name} has been shutting down since {at}",
    severity=Severity.INFO,
    layer=2,
    raise_after=minutes(2),
    when=Bit.NOT_READY,
    explains={"NodeNotReady": join.same_node, "PodRejectedAdmissionError": join.same_node},
    steps=(
        Step("See what still runs on the node.", "kubectl describe node {name}"),
        Step(
            "On the machine, see who asked for it and what holds it up.", "systemctl list-jobs; systemd-inhibit --list"
        ),
        Step(
            "If a shutdown was called off and the kubelet still waits for it, restart the kubelet.",
            "systemctl restart kubelet",
        ),
    ),
    since="0.1.0",
)
def node_shutting_down(node: Node, now: Now, settings: NodeShuttingDownSettings) -> Answer:
    """A machine is being shut down, and its kubelet ends the pods in order.

    ## Meaning
    Somebody shuts the machine down or reboots it. The kubelet has heard of it (`shutdownGracePeriod`) and holds it up
    until its pods have ended, critical ones last.

    ## Impact
    The node is not ready and admits no pods. Its pods end with the reason `Terminated`; their workloads replace them.

    ## Diagnosis
    This is expected during a reboot: it is said after two minutes, as an info. After a quarter of an hour something
    holds it up, a warning: `systemd-inhibit --list` on the machine names who does.

    ## Mitigation
    Nothing during a reboot. Drain nodes before you reboot them, so that budgets for disruptions are kept.

    ## Limitations
    Only kubelets that are told to shut down gracefully report this. When the machine is off, the node is silent and
    becomes NodeUnreachable. Nodes that an autoscaler takes away have half an hour.

    ## References
    - `pkg/kubelet/nodeshutdown/nodeshutdown_manager_linux.go`: `node is shutting down`, 1.20 to 1.36.
    - https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/
    """
    found = reported(node, "shutdown")
    if found is None or departing(node, found[1], now):
        return
    error, since = found
    late = now.older(since, minutes(settings.warning_after_minutes))
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.WARNING if late else Severity.INFO, node, now),
        evidence=(field(node, "status.conditions[Ready].message", error.text, since),),
        at=shown_time(since),
    )
