"""NodeAllocatableDropped."""

import re
from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import Events, Lookup, Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node, Pod

_REASONS = ("OutOfcpu", "OutOfmemory", "OutOfephemeral-storage", "OutOfpods")
_MESSAGE = re.compile(
    r"Node didn't have enough resource: (?P<resource>[\w./-]+), (?P<figures>requested: \d.*)", re.DOTALL
)
_AGAIN = minutes(5)
"""How long after its start the kubelet must have rejected a pod, so that it had admitted it before."""


class NodeAllocatableDroppedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeAllocatableDropped."""

    window_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes for which it is reported after the last pod was put out.")
    ] = 60


@check(
    title="Node has less for its pods than before",
    message="Node {name} has less {resource} for pods than before: pod {pod}, which ran there, does not fit any more "
    "({figures})",
    layer=2,
    when=Bit.FAILED,
    events=_REASONS,
    explains={"PodRejectedOutOfResource": join.same_node},
    steps=(
        Step("Compare what is allocatable with what the pods request.", "kubectl describe node {name}"),
        Step(
            "On the machine, see what the kubelet is told to keep back.",
            "grep -iE -A4 'reserved|evictionHard|maxPods' /var/lib/kubelet/config.yaml",
        ),
        Step(
            "If the reservation is meant, lower the requests of the pods or use larger nodes. Roll such a change node "
            "by node, and drain each first."
        ),
    ),
    since="0.1.0",
)
def node_allocatable_dropped(
    pod: Pod, nodes: Lookup[Node], events: Events, now: Now, settings: NodeAllocatableDroppedSettings
) -> Answer:
    """A node offers less than the pods that ran on it request, so its kubelet put some out.

    ## Meaning
    A kubelet that starts admits its pods again. One that had run there did not fit any more: since the last start
    less is allocatable, as more is reserved for the system, after an upgrade or a change of the kubelet's
    configuration.

    ## Impact
    The pod failed. Its controller makes another, which needs room elsewhere. All nodes with that configuration shrink
    so.

    ## Diagnosis
    The message of the failed pod has the figures: CPU in thousandths of a core, memory and disk in bytes; its
    capacity is what the node has for pods. Compare `kubeReserved`, `systemReserved` and `evictionHard` with those of
    an older node.

    ## Mitigation
    Calculate anew how many nodes the pods need, lower requests, or take the reservation back. Drain nodes before you
    change what they reserve.

    ## Limitations
    The API does not tell what a node had before: it is seen only where a pod was put out, for an hour. A pod whose
    requests were raised in place, and static pods that were added, look the same.

    ## References
    - `pkg/kubelet/lifecycle/predicate.go`: `Node didn't have enough resource: …, requested: …, used: …, capacity: …`,
      reasons `OutOfcpu`, `OutOfmemory` and so on, 1.4 to 1.36.
    - https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
    """
    told = _MESSAGE.search(pod.status.message) if pod.status.reason in _REASONS else None
    records = events.about(pod, pod.status.reason) if told else ()
    if told is None or not records or records[0].first is None or pod.status.start_time is None:
        return
    since = records[0].first
    if since - pod.status.start_time < _AGAIN or now.older(since, minutes(settings.window_minutes)):
        return
    node = nodes.get("", pod.spec.node_name)
    if node is not None and not node.deleted:
        yield Finding(
            node,
            since=since,
            evidence=(field(pod, "status.message", pod.status.message), records[0].evidence),
            resource=told["resource"],
            figures=told["figures"].strip(),
            pod=f"{pod.namespace}/{pod.name}",
        )
