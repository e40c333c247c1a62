"""LoadBalancerSyncFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.services import answer
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Service

FAILED = (
    "SyncLoadBalancerFailed",
    "UpdateLoadBalancerFailed",
    "LoadBalancerUpdateFailed",  # Up to 1.17.
    "CreatingLoadBalancerFailed",  # Up to 1.13.
    "DeleteLoadBalancerFailed",
    "CleanLoadBalancerFailed",  # Alibaba.
)
DONE = ("EnsuredLoadBalancer", "UpdatedLoadBalancer", "DeletedLoadBalancer")
PORTS = "LoadBalancerPortsError"


class LoadBalancerSyncFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of LoadBalancerSyncFailed."""

    failures: Annotated[int, Meta(ge=1, le=100, description="Failures that are more than a passing one.")] = 3
    window_minutes: Annotated[
        int, Meta(ge=6, le=120, description="Minutes without another failure after which it counts as over.")
    ] = 15


@check(
    title="The cloud refuses a load balancer",
    message="The load balancer of the Service {namespace}/{name} cannot be set up: {why}",
    layer=6,
    events=(*FAILED, *DONE),
    explains={"LoadBalancerPending": join.itself},
    steps=(
        Step("Read the whole error.", "kubectl -n {namespace} describe service {name}"),
        Step(
            "Look for what the error names: credentials, quota, subnets, or an annotation of the Service.",
            "kubectl -n {namespace} get service {name} -o yaml",
        ),
        Step(
            "Read the log of the cloud controller manager.",
            "kubectl -n kube-system logs -l k8s-app=cloud-controller-manager --tail=200",
        ),
    ),
    since="0.1.0",
)
def load_balancer_sync_failed(
    service: Service, events: Events, settings: LoadBalancerSyncFailedSettings, now: Now
) -> Answer:
    """The cloud controller manager tries to set up, change or delete a load balancer, and the cloud refuses.

    ## Meaning
    The controller has failed at least three times, and last within a quarter of an hour; or it says that the cloud does
    not take the combination of ports that the Service has.

    ## Impact
    A new Service gets no address. An existing load balancer goes on with the nodes and ports that it knows: traffic
    goes to nodes that are gone. A Service that is being deleted stays.

    ## Diagnosis
    The message is the cloud's own answer.

    ## Mitigation
    Mend what it names. The controller tries again by itself, at most every five minutes.

    ## Limitations
    It is known from Events, which are kept for an hour and of which some are dropped when there are many.

    ## References
    - `staging/src/k8s.io/cloud-provider/controllers/service/controller.go`: `Error syncing load balancer: ` and
      `Error updating load balancer with new hosts`, 1.14 to 1.36; `pkg/apis/core/types.go` (LoadBalancerPortsError),
      since 1.20.
    - `kubernetes/cloud-provider-alibaba-cloud`, `pkg/controller/helper/event.go` (CleanLoadBalancerFailed).
    - https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/
    """
    if (
        service.spec.type != "LoadBalancer" and not service.metadata.finalizers
    ):  # Which keeps it until all is cleaned up.
        return
    ports = service.condition(PORTS)
    if ports and ports.status == "True" and service.spec.type == "LoadBalancer":
        evidence = field(service, f"status.conditions[{PORTS}]", ports.reason, ports.last_transition_time)
        yield Finding(
            service, since=ports.last_transition_time, evidence=(evidence,), why=ports.message or ports.reason
        )
        return
    window = minutes(settings.window_minutes)
    failed = [one for one in events.about(service, *FAILED) if one.last and not now.older(one.last, window)]
    if sum(one.count for one in failed) < settings.failures or _is_over(failed[0], events.about(service, *DONE)):
        return
    yield Finding(
        service,
        since=min(filter(None, (one.first for one in failed)), default=None),
        evidence=tuple(one.evidence for one in failed[:2]),
        why=answer(failed[0].message),
    )


def _is_over(newest: EventRecord, done: tuple[EventRecord, ...]) -> bool:
    return any(one.last and newest.last and one.last >= newest.last for one in done)
