"""NodeEvictionThresholdMet."""

import re
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.reports import is_over, reports, since_within
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Node

_RECLAIMS = re.compile(r"Attempting to reclaim (?P<resource>[\w.-]+)", re.IGNORECASE)
_PRESSURES = {"memory": ("memory", "MemoryPressure"), "pids": ("pid", "PIDPressure")}
_DISK = ("disk", "DiskPressure")
"""Of ephemeral-storage and inodes, and of the nodefs and imagefs of old kubelets."""


class NodeEvictionThresholdMetSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeEvictionThresholdMet."""

    quiet_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes without another attempt after which it counts as over.")
    ] = 30
    critical_times: Annotated[
        int, Meta(ge=2, le=1000, description="Attempts within half an hour that mean that reclaiming does not win.")
    ] = 10


@check(
    title="Node ran below an eviction threshold",
    message="Node {name} is low on {resource}, and its kubelet tries to reclaim it",
    layer=2,
    events=("EvictionThresholdMet",),
    explains={"PodEvictedNodePressure": join.same_node},
    steps=(
        Step("See which resource is low, and which pods were evicted.", "kubectl describe node {name}"),
        Step("Find the pods that use most.", "kubectl top pods -A --sort-by=memory"),
        Step("On the machine, compare space, inodes and memory.", "df -h; df -i; free -m"),
        Step("Keep new pods away while you look into it.", "kubectl cordon {name}"),
    ),
    since="0.1.0",
)
def node_eviction_threshold_met(
    node: Node, events: Events, now: Now, settings: NodeEvictionThresholdMetSettings
) -> Answer:
    """A kubelet began to reclaim a resource of which its node has too little left.

    ## Meaning
    Memory, disk space, inodes or process ids that are left fell below a threshold of the kubelet (`evictionHard`, or
    `evictionSoft` for longer than its grace period). It first removes dead containers and unused images, then it evicts
    pods.

    ## Impact
    Pods may be evicted. It is critical where the kubelet has had to try ten times within half an hour.

    ## Diagnosis
    The `EvictionThresholdMet` events of the node name the resource. `kubectl describe node` shows the conditions of
    pressure, which stay for five minutes after the resource is back.

    ## Mitigation
    As for the pressure on that resource: NodeDiskPressure, NodeMemoryPressure, NodePIDPressure.

    ## Limitations
    It is known from Events, which do not say how much was left. It counts as over when the node's condition has turned
    False since, or when the kubelet has not tried for half an hour.

    ## References
    - `pkg/kubelet/eviction/eviction_manager.go`: `Attempting to reclaim ephemeral-storage` (`inodes`, `memory`,
      `pids`), 1.20 to 1.36; old kubelets said `nodefs` and `imagefs`.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    found = reports(_resource, node, events, ("EvictionThresholdMet",), now, minutes(settings.quiet_minutes))
    if found is None:
        return
    pressure, condition = _PRESSURES.get(found.what, _DISK)
    if is_over(node, condition, found.last):
        return
    often = found.often(settings.critical_times, minutes(30))
    yield Finding(
        node,
        since=since_within(node, condition, found.first),
        severity=Severity.CRITICAL if often else Severity.WARNING,
        evidence=(found.record.evidence,),
        resource=found.what,
        pressure=pressure,
    )


def _resource(record: EventRecord) -> str | None:
    match = _RECLAIMS.search(record.message)
    return match["resource"].lower() if match else None
