"""NodeCordoned."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import UNSCHEDULABLE, leaving, shown_time
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Reader, Settings, derived, hours, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node

FEW = 3
"""Below this number of cordoned nodes their share says nothing: one of three is an ordinary upgrade."""


class NodeCordonedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeCordoned."""

    warning_after_hours: Annotated[
        int, Meta(ge=1, le=720, description="Hours after which a cordon counts as forgotten and is a warning.")
    ] = 24
    critical_percent: Annotated[
        int, Meta(ge=1, le=100, description="Percent of cordoned nodes above which it is critical.")
    ] = 30
    critical_after_hours: Annotated[
        int, Meta(ge=0, le=720, description="Hours that so many nodes may stay cordoned, as in an upgrade.")
    ] = 2


@derived(Node)
def cordoned_of_all(read: Reader) -> tuple[int, int]:
    """Count the cordoned nodes and all nodes, but those that somebody is taking away."""
    lookup = read.lookup(Node)
    staying = [node for node in lookup.all() if not leaving(node)] if lookup else []
    return sum(node.spec.unschedulable for node in staying), len(staying)


@check(
    title="Node is cordoned",
    message="Node {name} has been cordoned since {at}: it takes no new pods",
    severity=Severity.INFO,
    layer=1,
    clear_after=minutes(0),
    when=Bit.CORDONED,
    explains={
        "PodUnschedulable": join.same_node.where(binding="unschedulable node"),
        "PodVolumeNodeAffinityConflict": join.same_node,
    },
    steps=(
        Step("See who or what works on the node, and what still runs there.", "kubectl describe node {name}"),
        Step("When the work is done, let pods come again.", "kubectl uncordon {name}"),
        Step(
            "To take the node away instead, move its pods first. Their emptyDir volumes are lost.",
            "kubectl drain {name} --ignore-daemonsets --delete-emptydir-data",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_cordoned(
    node: Node, now: Now, settings: NodeCordonedSettings, share: Annotated[tuple[int, int], cordoned_of_all]
) -> Answer:
    """Somebody took the node out of scheduling.

    ## Meaning
    `kubectl cordon` or `kubectl drain`, or a tool that does the same, set `spec.unschedulable`. During maintenance this
    is intended, so it is an info. After a day it was probably forgotten.

    ## Impact
    The pods on the node go on, but no new ones come. What the other nodes cannot take stays Pending.

    ## Diagnosis
    The `timeAdded` of the taint `node.kubernetes.io/unschedulable` is the time of the cordon. The API server's audit
    log tells who did it.

    ## Mitigation
    Uncordon the node when the work is done, or drain it, stop the machine, and delete the Node object.

    ## Limitations
    It cannot tell whether work is going on. Nodes that are being deleted or that an autoscaler is about to remove are
    not reported. Where the taint has no time, it counts from when kubedx first saw it.

    ## References
    - `pkg/controller/nodelifecycle/node_lifecycle_controller.go` (doNoScheduleTaintingPass), 1.12 to 1.36.
    - https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/
    """
    if not node.spec.unschedulable or leaving(node):
        return
    taint = node.taint(UNSCHEDULABLE)
    at = taint.time_added if taint else None
    severity = Severity.WARNING if now.older(at, hours(settings.warning_after_hours)) else Severity.INFO
    cordoned, total = share
    many = cordoned >= FEW and cordoned * 100 > total * settings.critical_percent
    if many and now.older(at, hours(settings.critical_after_hours)):
        severity = Severity.CRITICAL
    yield Finding(
        node,
        since=at,
        severity=severity,
        evidence=(field(node, "spec.unschedulable", "true", at),),
        at=shown_time(at),
    )
