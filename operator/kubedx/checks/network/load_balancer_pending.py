"""LoadBalancerPending."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.services import answer
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Events, Now, Settings, minutes
from kubedx.kube.views import Service

BEGUN = "EnsuringLoadBalancer"
REFUSED = (
    "SyncLoadBalancerFailed",
    "CreatingLoadBalancerFailed",  # Up to 1.13.
    "UnAvailableLoadBalancer",
    "AllocationFailed",  # MetalLB and PureLB.
    "FailedBuildModel",  # The AWS Load Balancer Controller.
    "FailedDeployModel",
)
CILIUM = "cilium.io/IPAMRequestSatisfied"


class LoadBalancerPendingSettings(Settings, frozen=True, rename="camel"):
    """Settings of LoadBalancerPending."""

    warning_minutes: Annotated[
        int, Meta(ge=3, le=1440, description="Minutes without an address after which it is a warning.")
    ] = 10


@check(
    title="A load balancer gets no address",
    message="The Service {namespace}/{name} of type LoadBalancer has no address: {why}",
    layer=7,
    raise_after=minutes(3),
    events=(BEGUN, *REFUSED),
    explains={"IngressAddressMissing": join.service_behind},
    steps=(
        Step("Read its events and conditions.", "kubectl -n {namespace} describe service {name}"),
        Step(
            "See whether something runs here that gives addresses.",
            "kubectl get pods -A | grep -iE 'cloud-controller|cloud-provider|metallb|kube-vip|svclb|load-balancer'",
        ),
        Step(
            "Without a cloud, install one, such as MetalLB with a pool of addresses. To go on without: use a NodePort.",
            "kubectl -n {namespace} get service {name} -o wide",
        ),
    ),
    since="0.1.0",
)
def load_balancer_pending(
    service: Service, events: Events | None, settings: LoadBalancerPendingSettings, now: Now
) -> Answer:
    """A Service of type LoadBalancer has had no address for some minutes.

    ## Meaning
    Nothing has written an address into the Service's status. Either what should do so refuses, and says why, or nothing
    in the cluster is responsible for it.

    ## Impact
    Nobody reaches the Service from outside. Within the cluster it works.

    ## Diagnosis
    The events of the Service hold the refusal. If there are none at all, no controller feels responsible: a cluster
    without a cloud needs one of its own, and a `loadBalancerClass` needs a controller of that class.

    ## Mitigation
    Mend what the refusal names: rights, quota, subnets, annotations, an exhausted pool of addresses. Bring the cloud
    controller manager back, or install a controller of load balancers.

    ## Limitations
    Events are kept for an hour; later only the state is known. The time counts from when a controller began, and else
    from when the Service was created, which is too early if its type was changed since.

    ## References
    - `staging/src/k8s.io/cloud-provider/controllers/service/controller.go`, 1.14 to 1.36.
    - MetalLB `controller/service.go` (`AllocationFailed`); Cilium's LB IPAM (condition
      `cilium.io/IPAMRequestSatisfied`).
    - https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/
    """
    if service.spec.type != "LoadBalancer" or service.deleted or service.status.load_balancer.ingress:
        return
    why, evidence, began = _why(service, events)
    since = max(filter(None, (service.created, began)), default=None)
    yield Finding(
        service,
        since=since,
        severity=Severity.WARNING if now.older(since, minutes(settings.warning_minutes)) else Severity.INFO,
        evidence=(field(service, "status.loadBalancer.ingress", "empty"), *evidence),
        why=why,
    )


def _why(service: Service, events: Events | None) -> tuple[str, tuple[Evidence, ...], datetime | None]:
    refused = events.about(service, *REFUSED) if events else ()
    begun = events.about(service, BEGUN) if events else ()
    began = min(filter(None, (one.first for one in begun)), default=None)
    pool = service.condition(CILIUM)
    if pool and pool.status == "False":
        evidence = field(service, f"status.conditions[{CILIUM}]", pool.reason, pool.last_transition_time)
        return f"Cilium has none for it: {pool.message or pool.reason}", (evidence,), began
    if refused:
        return answer(refused[0].message), (refused[0].evidence,), began
    if begun:
        return "its controller has begun to make one and has not finished", (begun[0].evidence,), began
    if service.spec.load_balancer_class:
        return f"no controller of the class {service.spec.load_balancer_class} has reported about it", (), None
    if events is None:
        return "its events, which would tell why, cannot be read", (), None
    return "no controller of load balancers has reported about it", (), None
