"""KubeletSetupFailed."""

from kubedx.checks._support.nodes import departing, eased
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node

_REASON = "KubeletSetupFailed"
_QUIET = minutes(30)
_NOTICED = minutes(10)
"""How long before the node stopped being ready such an Event may have come; nodes are found silent after a minute."""


@check(
    title="The kubelet of a node cannot start",
    message="The kubelet of node {name} ends while it starts: {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    when=Bit.NOT_READY,
    events=(_REASON,),
    explains={
        "KubeletRestartLoop": join.same_node,
        "NodeNotReady": join.same_node,
        "NodeUnreachable": join.same_node,
    },
    steps=(
        Step("Read what the kubelet said last, and see since when the node is silent.", "kubectl describe node {name}"),
        Step("On the machine, read the kubelet's log.", "systemctl status kubelet; journalctl -u kubelet -b -n 200"),
        Step("On the machine, see whether a disk is full or read-only.", "df -h; df -i; grep ' ro,' /proc/mounts"),
        Step("Once the reason is gone, start the kubelet. Containers keep running.", "systemctl restart kubelet"),
    ),
    since="0.1.0",
)
def kubelet_setup_failed(node: Node, events: Events, now: Now) -> Answer:
    """A kubelet starts, finds that it cannot work, and ends.

    ## Meaning
    The kubelet could not prepare what it needs: its folders, its certificates' folder, the control groups of the node,
    the watcher for out-of-memory kills. It reports this in an Event and ends; systemd starts it again, with the same
    result.

    ## Impact
    The node falls silent, and after five minutes its pods are replaced elsewhere. Containers keep running unwatched.

    ## Diagnosis
    The Event has the kubelet's error. `journalctl -u kubelet -b` on the machine has what went before it.

    ## Mitigation
    Mend what the error names, often a disk that is full or read-only, or a setting that the machine does not support.

    ## Limitations
    A kubelet that ends before it reaches the API server leaves no Event. A node that is ready is not reported, whatever
    its Events say. It counts as over half an hour after the last such Event.

    ## References
    - `pkg/kubelet/kubelet.go` (Run), `pkg/kubelet/events/event.go`: `KubeletSetupFailed`, 1.4 to 1.36.
    """
    ready = node.condition("Ready")
    record = next(iter(events.about(node, _REASON)), None)
    if record is None or record.last is None or ready is None or ready.status == "True":
        return
    since = ready.last_transition_time
    before = since is not None and since - record.last > _NOTICED
    if before or now.older(record.last, _QUIET) or departing(node, since, now):
        return
    yield Finding(
        node,
        since=record.first,
        severity=eased(Severity.CRITICAL, node, now),
        evidence=(record.evidence, field(node, "status.conditions[Ready]", ready.status, since)),
        detail=record.message,
    )
