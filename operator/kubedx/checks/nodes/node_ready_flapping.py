"""NodeReadyFlapping."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import BOOTSTRAP
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import History, Settings, Transition, minutes
from kubedx.kube.views import Node


class NodeReadyFlappingSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeReadyFlapping."""

    transitions: Annotated[
        int, Meta(ge=2, le=60, description="Changes of Ready within the window that count as flapping.")
    ] = 3
    window_minutes: Annotated[int, Meta(ge=1, le=240, description="The window, in minutes.")] = 15


@check(
    title="Node changes between ready and not ready",
    message="Node {name} changed between ready and not ready {count} times within {window} minutes, last at {last}",
    layer=3,
    clear_after=minutes(15),
    explains={
        "NodeNotReady": join.same_node,
        "PodEvictedByTaint": join.same_node,
        "PodNotReady": join.same_node,
    },
    steps=(
        Step("Read what the kubelet reported before each change.", "kubectl describe node {name}"),
        Step(
            "Look for restarts of the kubelet in the node's events.",
            "kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={name}",
        ),
        Step("Keep new pods away while you look into it.", "kubectl cordon {name}"),
    ),
    since="0.1.0",
)
def node_ready_flapping(node: Node, history: History[Node], settings: NodeReadyFlappingSettings) -> Answer:
    """A node's Ready condition changes again and again.

    ## Meaning
    The node became ready and not ready several times within a short time. Usual causes: a loaded machine whose kubelet
    or runtime answers late, an unstable network to the control plane, a kubelet that restarts.

    ## Impact
    Each time the node is tainted, its endpoints leave the Services and, if it lasts five minutes, its pods are evicted.

    ## Diagnosis
    `kubectl describe node` shows the Ready condition and its message. `Starting` events point at restarts of the
    kubelet, `PLEG is not healthy` at the container runtime.

    ## Mitigation
    Cordon the node while you look into it. Find what is short: CPU, memory, disk throughput, or the network to the API
    server. Reserve resources for the system.

    ## Limitations
    Changes are counted only while kubedx watches: right after its start it cannot tell. Two changes that happen between
    two updates of the Node are seen as one. The first five minutes of a new node do not count. Changes that are spread
    over an hour, and conditions of pressure that come and go, are not reported.

    ## References
    - Rule: more than two changes in 15 minutes, as KubeNodeReadinessFlapping of kubernetes-mixin.
    - `pkg/kubelet/nodestatus/setters.go` (ReadyCondition), all versions.
    """
    found = _flips(node, history.transitions(node, "Ready", minutes(settings.window_minutes)))
    if len(found) >= settings.transitions:
        yield Finding(
            node,
            since=found[0].at,
            evidence=tuple(field(node, "status.conditions[Ready]", one.status, one.at) for one in found[-5:]),
            count=len(found),
            window=settings.window_minutes,
            last=found[-1].at,
        )


def _flips(node: Node, transitions: tuple[Transition, ...]) -> list[Transition]:
    """Keep the changes between ready and not: in one restart of a machine Ready turns False, Unknown, False, True."""
    kept: list[Transition] = []
    for one in transitions:
        starting = node.created is not None and one.at < node.created + BOOTSTRAP
        if not starting and (not kept or (kept[-1].status == "True") != (one.status == "True")):
            kept.append(one)
    return kept
