"""NodeRouteQuotaExceeded."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.reports import is_over, reports
from kubedx.checks._support.routes import REASONS, no_route
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Node


class NodeRouteQuotaExceededSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeRouteQuotaExceeded."""

    quiet_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes without another refusal after which it counts as over.")
    ] = 30


@check(
    title="Cloud allows no more routes",
    message="Node {name} gets no route to its pods, as the cloud allows no more routes: {detail}",
    severity=Severity.CRITICAL,
    layer=0,
    group=by.cluster,
    events=REASONS,
    explains={
        "NodeNetworkUnavailable": join.same_node,
        "NodeRouteCreationFailed": join.same_node,
        "PodUnschedulable": join.same_node.where(binding="untolerated taint"),
    },
    steps=(
        Step("Read what the cloud answers.", "kubectl describe node {name}"),
        Step(
            "Count the nodes, and compare with the entries of the route table and with its quota at the cloud.",
            "kubectl get nodes --no-headers | wc -l",
        ),
        Step("Have the quota of routes raised, or remove routes that nodes left behind which are gone."),
        Step("In the long run use a network plugin that needs no route for each node."),
    ),
    since="0.1.0",
)
def node_route_quota_exceeded(node: Node, events: Events, now: Now, settings: NodeRouteQuotaExceededSettings) -> Answer:
    """The route table of the cloud is full, so a node's pods cannot be reached.

    ## Meaning
    The cloud controller manager wants to add a route to the node's pods, and the cloud refuses, as the route table
    has as many entries as it may have.

    ## Impact
    The node keeps the condition NetworkUnavailable and takes no pods. Every further node has the same fate.

    ## Diagnosis
    The Events of the node hold the cloud's answer. Compare the number of entries of the route table with its quota.

    ## Mitigation
    Raise the quota, remove stale routes, or use an overlay network. The controller tries again by itself; no node
    needs a restart.

    ## Limitations
    It is known from Events, and counts as over after half an hour without one, or as soon as the node's network is
    reported as available.

    ## References
    - `staging/src/k8s.io/cloud-provider/controllers/route/route_controller.go`, reason `FailedToCreateRoute`: `Could
      not create route … for node … after …: …`, 1.8 to 1.36. Alibaba Cloud: `CreateRouteFailed`, `SyncRouteFailed`.
    - https://kubernetes.io/docs/concepts/architecture/cloud-controller/#route-controller
    """
    found = reports(_refused, node, events, REASONS, now, minutes(settings.quiet_minutes))
    if found and not is_over(node, "NetworkUnavailable", found.last):
        yield Finding(node, since=found.first, evidence=(found.record.evidence,), detail=found.what)


def _refused(record: EventRecord) -> str | None:
    told = no_route(record.message)
    return told.why if told.over_quota else None
