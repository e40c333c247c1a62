"""NodeNetworkUnavailable."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import condition_evidence, departing, eased, new, true_condition
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node

NO_ROUTE = "NoRouteCreated"


class NodeNetworkUnavailableSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeNetworkUnavailable."""

    grace_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes that a new node, and a network plugin that restarts, may take.")
    ] = 3


@check(
    title="Network of a node is unavailable",
    message="Node {name} reports its network as unavailable ({reason}): {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    when=Bit.PRESSURE,
    explains={
        "CrossNodeNetworkBroken": join.same_node,
        "NodeNotReady": join.same_node,
        "NodeReadyFlapping": join.same_node,
        "PodUnschedulable": join.same_node.where(binding="untolerated taint"),
    },
    steps=(
        Step("Read who says so and why.", "kubectl describe node {name}"),
        Step(
            "For NoRouteCreated, read the cloud controller manager's log. Quotas and permissions are usual reasons.",
            "kubectl -n kube-system logs -l k8s-app=cloud-controller-manager --tail=200",
        ),
        Step(
            "For a reason of the network plugin, look at its pod on this node.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={name}",
        ),
        Step("If an overlay network carries the pods, run the cloud controller with --configure-cloud-routes=false."),
    ),
    since="0.1.0",
)
def node_network_unavailable(node: Node, now: Now, settings: NodeNetworkUnavailableSettings) -> Answer:
    """The route controller or the network plugin reports that pods on the node cannot be reached.

    ## Meaning
    The cloud's route controller could not create the route to the node's pods (`NoRouteCreated`), or the network plugin
    says that it is down on this node (such as `CalicoIsDown`).

    ## Impact
    The node is tainted `node.kubernetes.io/network-unavailable` and takes no new pods. Pods that are there may not
    reach those of other nodes.

    ## Diagnosis
    The reason tells who reports it. The log of the cloud controller manager or of the plugin's pod tells why.

    ## Mitigation
    Raise the route quota, grant the missing permission, mend the plugin. The controllers retry by themselves.

    ## Limitations
    Nothing sets the condition to Unknown when its owner dies: a dead controller leaves an old False behind. A new node
    has three minutes for its route. So has a plugin that restarts, as it may report itself down while it is updated.

    ## References
    - `staging/src/k8s.io/cloud-provider/controllers/route/route_controller.go` (updateNetworkingCondition), 1.6 to
      1.36.
    - https://kubernetes.io/docs/concepts/architecture/nodes/#condition
    """
    condition = true_condition(node, "NetworkUnavailable")
    if condition is None:
        return
    since, grace = condition.last_transition_time, minutes(settings.grace_minutes)
    restarting = condition.reason != NO_ROUTE and not now.older(since, grace)
    if restarting or new(node, now, grace) or departing(node, since, now):
        return
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.CRITICAL, node, now),
        evidence=(condition_evidence(node, condition),),
        reason=condition.reason,
        detail=condition.message,
    )
