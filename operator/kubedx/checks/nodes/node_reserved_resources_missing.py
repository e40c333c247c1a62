"""NodeReservedResourcesMissing."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import condition_evidence, true_condition
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Profile, Step, field
from kubedx.core.inputs import Events, Now, Settings, hours
from kubedx.kube.quantity import GIB, MIB, amount, shown_bytes
from kubedx.kube.views import Node


class NodeReservedResourcesMissingSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeReservedResourcesMissing."""

    evicts_at_mib: Annotated[
        int, Meta(ge=0, le=4096, description="MiB by which memory may be short of its capacity by eviction thresholds.")
    ] = 150


@check(
    title="Nothing of a node that runs out of memory is reserved for its system",
    message="Node {name} runs out of memory, and of its {capacity} nothing is reserved for kubelet and system",
    profile=Profile.RISK,
    layer=0,
    events=("SystemOOM",),
    explains={"NodeMemoryPressure": join.same_node, "NodeSystemOOM": join.same_node},
    steps=(
        Step("Compare capacity and allocatable.", "kubectl describe node {name}"),
        Step(
            "On the machine, see what the kubelet is told to reserve.",
            "grep -iE -A4 'reserved|evictionHard' /var/lib/kubelet/config.yaml",
        ),
        Step(
            "In the kubelet's configuration reserve something, for example systemReserved and kubeReserved with cpu "
            "100m and memory 300Mi each, and evictionHard memory.available 500Mi. Restart the kubelets node by node.",
            "systemctl restart kubelet",
        ),
    ),
    since="0.1.0",
)
def node_reserved_resources_missing(
    node: Node, events: Events | None, now: Now, settings: NodeReservedResourcesMissingSettings
) -> Answer:
    """A node that runs out of memory lets its pods have all of it.

    ## Meaning
    The kubelet has neither `kubeReserved` nor `systemReserved`: what pods may request is the whole machine, but for the
    eviction threshold of 100 MiB. Kubelet, container runtime and system have to share what pods leave.

    ## Impact
    The scheduler fills the node so far that the system runs short. Memory pressure, kills by the kernel and nodes
    that are not ready follow.

    ## Diagnosis
    In `kubectl describe node`, capacity and allocatable are the same in CPU and nearly so in memory.

    ## Mitigation
    Reserve CPU, memory, ephemeral storage and process ids for kubelet and system, and let the kubelet evict earlier.
    The node can take fewer pods then.

    ## Limitations
    Only a node that has memory pressure now, or whose kernel killed for want of memory within the last hour, is
    reported: many small clusters live well without reservations. Nodes below 2 GiB are left out. It counts since the
    node exists, as nothing tells since when it is configured so.

    ## References
    - `pkg/kubelet/apis/config/v1beta1/defaults.go`: nothing is reserved by default, 1.6 to 1.36.
    - https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
    """
    capacity, allocatable = node.status.capacity, node.status.allocatable
    memory, left = amount(capacity.get("memory")), amount(allocatable.get("memory"))
    if not memory or left is None or memory < 2 * GIB or memory - left > settings.evicts_at_mib * MIB:
        return
    if node.deleted or amount(capacity.get("cpu")) != amount(allocatable.get("cpu")):
        return
    suffers = _suffers(node, events, now)
    if suffers:
        yield Finding(
            node,
            since=node.created,
            evidence=(field(node, "status.allocatable[memory]", allocatable["memory"]), suffers),
            capacity=shown_bytes(memory),
        )


def _suffers(node: Node, events: Events | None, now: Now) -> Evidence | None:
    pressure = true_condition(node, "MemoryPressure")
    if pressure:
        return condition_evidence(node, pressure)
    killed = events.about(node, "SystemOOM") if events else ()
    return killed[0].evidence if killed and killed[0].last and not now.older(killed[0].last, hours(1)) else None
