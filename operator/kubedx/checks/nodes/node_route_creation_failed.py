"""NodeRouteCreationFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.reports import is_over, reports
from kubedx.checks._support.routes import REASONS, no_route
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Node


class NodeRouteCreationFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeRouteCreationFailed."""

    quiet_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes without another failure after which it counts as over.")
    ] = 30
    times: Annotated[int, Meta(ge=1, le=100, description="Failures within ten minutes that are worth a word.")] = 3


@check(
    title="Cloud controller cannot create the route to a node's pods",
    message="Node {name} gets no route to its pods: {detail}",
    layer=2,
    events=REASONS,
    explains={"NodeNetworkUnavailable": join.same_node},
    steps=(
        Step("Read what the cloud answers.", "kubectl describe node {name}"),
        Step(
            "Read the log of the cloud controller manager. Permissions, overlapping networks and throttling are usual.",
            "kubectl -n kube-system logs -l k8s-app=cloud-controller-manager --tail=200",
        ),
        Step(
            "See which networks the nodes have for their pods.",
            "kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDR",
        ),
        Step("Grant the controller's role what the answer says is missing, or remove the route that is in the way."),
    ),
    since="0.1.0",
)
def node_route_creation_failed(
    node: Node, events: Events, now: Now, settings: NodeRouteCreationFailedSettings
) -> Answer:
    """The cloud refuses the route to a node's pods, again and again.

    ## Meaning
    The cloud controller manager wants to add a route to the node's pods. The cloud answers with an error that is not
    about a quota: a missing permission, a network that overlaps another, throttling, or no answer in time.

    ## Impact
    The node keeps the condition NetworkUnavailable and takes no pods; those that are there cannot be reached from
    others.

    ## Diagnosis
    The Events of the node hold the cloud's answer; the log of the cloud controller manager has more.

    ## Mitigation
    Grant the permission, remove the route in the way, reduce the calls where the cloud throttles. The controller tries
    again by itself.

    ## Limitations
    Fewer than three failures, or rarer ones, are not reported. It is known from Events, and counts as over after half
    an hour without one, or as soon as the node's network is reported as available.

    ## References
    - `staging/src/k8s.io/cloud-provider/controllers/route/route_controller.go`, reason `FailedToCreateRoute`: `Could
      not create route … for node … after …: …`, 1.8 to 1.36. Alibaba Cloud: `CreateRouteFailed`, `SyncRouteFailed`.
    - https://kubernetes.io/docs/concepts/architecture/cloud-controller/#route-controller
    """
    found = reports(_failure, node, events, REASONS, now, minutes(settings.quiet_minutes))
    if found and found.often(settings.times, minutes(10)) and not is_over(node, "NetworkUnavailable", found.last):
        yield Finding(node, since=found.first, evidence=(found.record.evidence,), detail=found.what)


def _failure(record: EventRecord) -> str | None:
    told = no_route(record.message)
    return None if told.over_quota else told.why
