"""ServiceNoReadyEndpoints."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.services import living, missing_ports, routes, shown_labels, slices_of, turned
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field, ref
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.views import EndpointSlice, Pod, Service


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
        "CRDConversionWebhookFailing": join.service_behind,
        "IngressBackendUnavailable": join.service_behind,
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
    pods: Lookup[Pod],
    slices: Lookup[EndpointSlice] | None,
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
    the pods: a readiness probe that fails, a crash, a lost node. If the port is missing, the message says which ports
    the containers declare.

    ## Mitigation
    Mend the pods. If the port is at fault, let the Service's `targetPort` name a port of the containers.

    ## Limitations
    Services whose selector selects no pod, or only pods that have no address yet, are not reported here. A
    Service has no timestamp for it: the time counts from when the last of its pods became not ready, and not while a
    pod is younger than two minutes. So a further pod that starts and fails lets it begin anew. Where EndpointSlices
    cannot be read, the pods that run stand for them.

    ## References
    - `staging/src/k8s.io/api/discovery/v1/types.go`: an endpoint without the condition `ready` counts as ready.
    - `staging/src/k8s.io/endpointslice/utils.go`: pods that lack the named port are put in a slice without ports.
    - `pkg/api/v1/pod/util.go` (FindPort): name and protocol must both match.
    - https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/
    """
    if not routes(service) or not now.older(service.created, minutes(settings.grace_minutes)):
        return
    found = slices_of(service, slices, pods)
    usable = [one for one in found if any(endpoint.conditions.ready is not False for endpoint in one.endpoints)]
    if not found or any(one.ports or not service.spec.ports for one in usable):
        return
    behind = living(pods.selected_by(service.spec.selector, service.namespace))
    if not behind:
        return
    if usable:
        specs = (pod.spec for pod in behind)
        missing = (missing_ports(service.spec.ports, (*one.init_containers, *one.containers)) for one in specs)
        why = f"its pods have {next(filter(None, missing), 'none of its ports')}"
        evidence = field(usable[0], "ports", "none") if slices else field(service, "spec.ports.targetPort", why)
    else:
        count = sum(len(one.endpoints) for one in found)
        why, evidence = (
            f"none of its endpoints ({count}) is ready",
            field(found[0], "endpoints.conditions.ready", "false")
            if slices
            else field(behind[0], "status.conditions[Ready]", "False"),
        )
    if not all(now.older(pod.created, minutes(settings.starting_minutes)) for pod in behind):
        return
    since = max(filter(None, map(turned, behind)), default=None)
    yield Finding(
        service,
        since=since,
        severity=Severity.CRITICAL if now.older(since, minutes(settings.critical_minutes)) else Severity.WARNING,
        evidence=(evidence,),
        # What its slices would tell about how it is related to others.
        nodes=() if slices else tuple(pod.spec.node_name for pod in behind if pod.spec.node_name),
        backends=() if slices else tuple(map(ref, behind)),
        why=why,
        selector=shown_labels(service.spec.selector.items()),
    )
