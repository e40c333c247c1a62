"""IngressBackendUnavailable."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.replicas import pods_of
from kubedx.checks._support.selection import Workload, likest, selected
from kubedx.checks._support.services import readiness, routes, slices_of
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Ref, Step, absent, field
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.views import (
    BackendService,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Ingress,
    ReplicaSet,
    Service,
    StatefulSet,
)

BY_ANNOTATION = "use-annotation"
"""The port of what is no Service but an action of the AWS Load Balancer Controller."""


class IngressBackendUnavailableSettings(Settings, frozen=True, rename="camel"):
    """Settings of IngressBackendUnavailable."""

    grace_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes after an Ingress was created in which it is not judged.")
    ] = 5


@check(
    title="An Ingress has a backend that cannot answer",
    message="The Ingress {namespace}/{name} has a backend that cannot answer: {why}",
    layer=8,
    raise_after=minutes(2),
    steps=(
        Step("See its hosts, paths and backends.", "kubectl -n {namespace} describe ingress {name}"),
        Step("See the Service {service} and its ports.", "kubectl -n {namespace} get services -o wide"),
        Step(
            "See what is behind it.",
            "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={service}",
        ),
    ),
    since="0.1.0",
)
def ingress_backend_unavailable(  # noqa: PLR0913, PLR0917 -- one input for each kind that may bring pods
    ingress: Ingress,
    services: Lookup[Service],
    slices: Lookup[EndpointSlice] | None,
    deployments: Lookup[Deployment] | None,
    stateful_sets: Lookup[StatefulSet] | None,
    daemon_sets: Lookup[DaemonSet] | None,
    replica_sets: Lookup[ReplicaSet] | None,
    settings: IngressBackendUnavailableSettings,
    now: Now,
) -> Answer:
    """An Ingress sends some of its traffic to a Service that cannot take it.

    ## Meaning
    The Service does not exist, has no such port, or has no ready pod behind it.

    ## Impact
    Who comes in by this Ingress gets 502, 503 or 404, on the paths of this Service.

    ## Diagnosis
    `kubectl describe ingress` marks backends with errors. If the Service is there and its port is right, the trouble is
    with its pods.

    ## Mitigation
    Correct the name or the port of the Service in the Ingress, or mend what is behind the Service.

    ## Limitations
    The first backend at fault is named. One whose workload is scaled to zero is left out, as that is done on purpose.
    Certificates, the controller and its class are not looked at, and neither are the routes of Gateway API.

    ## References
    - `staging/src/k8s.io/api/networking/v1/types.go`; the port is found by name or by number, since 1.19.
    - https://kubernetes.io/docs/concepts/services-networking/ingress/
    """
    if ingress.deleted or not now.older(ingress.created, minutes(settings.grace_minutes)):
        return
    namespace = ingress.namespace
    for backend in ingress.backends:
        service = services.get(namespace, backend.name)
        if service is None:
            found = _no_service(ingress, backend, services)
        else:
            found = _no_port(service, backend)
            held = slices_of(service, slices)
            if not found and slices and routes(service) and not readiness(held)[0]:
                workloads: list[Workload] = [
                    *(deployments.in_namespace(namespace) if deployments else ()),
                    *(stateful_sets.in_namespace(namespace) if stateful_sets else ()),
                    *(daemon_sets.in_namespace(namespace) if daemon_sets else ()),
                    *(replica_sets.selected_by(service.spec.selector, namespace) if replica_sets else ()),
                ]
                found = None if not held and _is_at_zero(service, workloads) else _none_ready(service)
        if found:
            why, evidence = found
            backends = (Ref("Service", namespace, backend.name),)
            yield Finding(ingress, evidence=(evidence,), backends=backends, why=why, service=backend.name)
            return


_Reason = tuple[str, Evidence]


def _no_service(ingress: Ingress, backend: BackendService, services: Lookup[Service]) -> _Reason | None:
    if backend.port.name == BY_ANNOTATION:
        return None
    like = likest(backend.name, (one.name for one in services.in_namespace(ingress.namespace)))
    why = f"there is no Service {backend.name}" + (f", though there is {like}" if like else "")
    return why, absent(Ref("Service", ingress.namespace, backend.name))


def _none_ready(service: Service) -> _Reason:
    return f"no pod behind the Service {service.name} is ready", field(service, "endpoints", "none is ready")


def _no_port(service: Service, backend: BackendService) -> _Reason | None:
    wanted = backend.port.name or backend.port.number
    ports = service.spec.ports
    if service.spec.type == "ExternalName" or not wanted or any(wanted in {one.name, one.port} for one in ports):
        return None
    have = ", ".join(f"{one.port} ({one.name})" if one.name else str(one.port) for one in ports)
    return f"the Service {service.name} has no port {wanted}, but {have}", field(service, "spec.ports", have)


def _is_at_zero(service: Service, workloads: list[Workload]) -> bool:
    bringing = selected(service, workloads)
    return bool(bringing) and not any(pods_of(one)[0] for one in bringing)
