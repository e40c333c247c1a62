"""ServiceNoReadyEndpoints."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.views import EndpointSlice, Pod, Service

NAME_LABEL = "kubernetes.io/service-name"


class ServiceNoReadyEndpointsSettings(Settings, frozen=True, rename="camel"):
    """Settings of ServiceNoReadyEndpoints."""

    grace_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes after a Service was created in which it is not judged.")
    ] = 5
    starting_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes after a pod was created in which it may start.")
    ] = 2
    critical_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Minutes without a ready endpoint after which it is critical.")
    ] = 3


@check(
    title="A Service sends its traffic nowhere",
    message="No traffic reaches the Service {namespace}/{name}: {why}",
    severity=Severity.CRITICAL,
    layer=7,
    raise_after=minutes(1),
    explains={
        "APIDiscoveryPartial": join.service_behind,
        "APIServiceUnavailable": join.service_behind,
        "AdmissionWebhookUnreachable": join.service_behind,
        "MetricsAPIUnavailable": join.service_behind,
    },
    steps=(
        Step(
            "See the endpoints and their state.",
            "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name} -o wide",
        ),
        Step("See what the pods behind it say.", "kubectl -n {namespace} get pods -o wide -l {selector}"),
        Step("Compare its ports with those of the pods.", "kubectl -n {namespace} describe service {name}"),
    ),
    since="0.1.0",
)
def service_no_ready_endpoints(
    service: Service,
    slices: Lookup[EndpointSlice],
    pods: Lookup[Pod],
    settings: ServiceNoReadyEndpointsSettings,
    now: Now,
) -> Answer:
    """A Service selects pods, and none of them can be sent traffic.

    ## Meaning
    Every endpoint behind the Service is not ready, or the Service's ports name a port that the pods do not have.

    ## Impact
    Each connection to the Service fails, and so does what stands in front of it: Ingresses, webhooks, aggregated APIs.

    ## Diagnosis
    `kubectl get endpointslices` shows the endpoints with their conditions. If they are not ready, the reason is with
    the pods: a readiness probe that fails, a crash, a lost node.

    ## Mitigation
    Mend the pods. If the port is at fault, let the Service's `targetPort` name a port of the containers.

    ## Limitations
    Services whose selector selects no pod, or only pods that have no address yet, are not reported here. A
    Service has no timestamp for it: the time counts from when the last of its pods became not ready, and not while a
    pod is younger than two minutes. So a further pod that starts and fails lets it begin anew.

    ## References
    - `staging/src/k8s.io/api/discovery/v1/types.go`: an endpoint without the condition `ready` counts as ready.
    - `staging/src/k8s.io/endpointslice/utils.go`: pods that lack the named port are put in a slice without ports.
    - https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/
    """
    if not service.spec.selector or service.spec.type == "ExternalName" or service.deleted:
        return
    if not now.older(service.created, minutes(settings.grace_minutes)):
        return
    found = [one for one in slices.selected_by({NAME_LABEL: service.name}, service.namespace) if one.endpoints]
    usable = [one for one in found if any(endpoint.conditions.ready is not False for endpoint in one.endpoints)]
    if not found or any(one.ports or not service.spec.ports for one in usable):
        return
    living = [pod for pod in pods.selected_by(service.spec.selector, service.namespace) if _lives(pod)]
    if not living:
        return
    if usable:
        wanted = ", ".join(str(port.target_port) for port in service.spec.ports)
        why, evidence = f"its pods have no port {wanted}", field(usable[0], "ports", "none")
    else:
        count = sum(len(one.endpoints) for one in found)
        why, evidence = (
            f"none of its endpoints ({count}) is ready",
            field(found[0], "endpoints.conditions.ready", "false"),
        )
    if not all(now.older(pod.created, minutes(settings.starting_minutes)) for pod in living):
        return
    since = max(filter(None, map(_turned, living)), default=None)
    yield Finding(
        service,
        since=since,
        severity=Severity.CRITICAL if now.older(since, minutes(settings.critical_minutes)) else Severity.WARNING,
        evidence=(evidence,),
        why=why,
        selector=",".join(f"{key}={value}" for key, value in sorted(service.spec.selector.items())),
    )


def _lives(pod: Pod) -> bool:
    return not pod.deleted and not pod.finished


def _turned(pod: Pod) -> datetime | None:
    """When the pod became ready or not ready; one that the kubelet has not looked at yet counts from its creation."""
    ready = pod.condition("Ready")
    return ready.last_transition_time if ready else pod.created
