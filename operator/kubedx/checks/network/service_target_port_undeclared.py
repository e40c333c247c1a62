"""ServiceTargetPortUndeclared."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.services import declared_ports, living, ready_pod, routes, shown_labels, slices_of, targets
from kubedx.core.check import Answer, check
from kubedx.core.finding import Confidence, Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.views import EndpointSlice, Pod, Service


class ServiceTargetPortUndeclaredSettings(Settings, frozen=True, rename="camel"):
    """Settings of ServiceTargetPortUndeclared."""

    grace_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes after a Service was created in which it is not judged.")
    ] = 5


@check(
    title="A Service sends to a port that its pods do not declare",
    message="The Service {namespace}/{name} sends to {target}, and its pods declare {declared}",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=7,
    raise_after=minutes(2),
    steps=(
        Step("Compare the ports of both.", "kubectl -n {namespace} describe service {name}"),
        Step("See what the pods declare.", "kubectl -n {namespace} describe pods -l {selector}"),
        Step(
            "If nothing listens on {target}: set targetPort to {declared}.",
            "kubectl -n {namespace} edit service {name}",
        ),
    ),
    since="0.1.0",
)
def service_target_port_undeclared(
    service: Service,
    pods: Lookup[Pod],
    slices: Lookup[EndpointSlice] | None,
    services: Lookup[Service],
    settings: ServiceTargetPortUndeclaredSettings,
    now: Now,
) -> Answer:
    """All containers behind a Service declare ports, and the Service sends to none of them.

    ## Meaning
    None of the ports that the Service sends to is declared by a container of its pods, and none of those that they
    declare gets traffic from a Service: one of the two sides most probably has a wrong number.

    ## Impact
    If nothing listens on the port, each connection to the Service is refused, though its pods are ready.

    ## Diagnosis
    Ask a pod on both ports. `kubectl port-forward` reaches the pod without the Service.

    ## Mitigation
    Let `targetPort` be the port on which the program listens, and let the containers declare it.

    ## Limitations
    A port that is reached by its number need not be declared: the Service may work, so this is only probable. It is a
    warning if probes of the ready pods ask a declared port, and else for your information. Services of which a
    controller is the owner, headless ones, and pods with a container that declares no port at all are not judged.

    ## References
    - `pkg/api/v1/pod/util.go` (FindPort): a numeric targetPort is used as it is, all versions.
    - https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service
    """
    if not routes(service) or service.is_headless or service.metadata.owner_references or not service.spec.ports:
        return
    if not now.older(service.created, minutes(settings.grace_minutes)):
        return
    wanted = {targets(port) for port in service.spec.ports}
    held = [one for one in slices_of(service, slices, pods) if one.ports]
    ready = ready_pod(held, pods)
    # One pod tells enough of nearly all Services; all of its pods are looked at only then.
    if ready is None or not _declares_others(ready, wanted):
        return
    behind = living(pods.selected_by(service.spec.selector, service.namespace))
    if not all(_declares_others(pod, wanted) for pod in behind):
        return
    used = {
        targets(port)
        for other in services.in_namespace(service.namespace)
        if other.spec.selector.items() <= ready.metadata.labels.items()
        for port in other.spec.ports
    }
    probed = _probed(ready)
    if used & declared_ports((*ready.spec.init_containers, *ready.spec.containers)) or probed & wanted:
        return
    declared = sorted({(one.container_port, one.protocol) for part in ready.spec.containers for one in part.ports})
    yield Finding(
        service,
        severity=Severity.WARNING if probed & {*declared} else Severity.INFO,
        confidence=Confidence.PROBABLE,
        evidence=(
            field(service, "spec.ports.targetPort", _shown(wanted)),
            field(ready, "spec.containers.ports", _shown(declared)),
        ),
        target=_shown(wanted),
        declared=_shown(declared),
        selector=shown_labels(service.spec.selector.items()),
    )


def _declares_others(pod: Pod, wanted: set[tuple[int | str, str]]) -> bool:
    """Whether all containers of the pod declare ports, and none of them is wanted."""
    containers = pod.spec.containers
    everywhere = bool(containers) and all(one.ports for one in containers)
    return everywhere and wanted.isdisjoint(declared_ports((*pod.spec.init_containers, *containers)))


def _probed(pod: Pod) -> set[tuple[int | str, str]]:
    """The ports at which the kubelet asks the pod, by number; HTTP, gRPC and a mere connection all use TCP."""
    numbers = {one.name: one.container_port for container in pod.spec.containers for one in container.ports}
    probes = (
        probe
        for container in pod.spec.containers
        for probe in (container.startup_probe, container.liveness_probe, container.readiness_probe)
    )
    ports = (probe.port for probe in probes if probe and probe.port)
    return {(numbers.get(port, port) if isinstance(port, str) else port, "TCP") for port in ports}


def _shown(ports: Iterable[tuple[int | str, str]]) -> str:
    return ", ".join(f"{port}/{protocol}" for port, protocol in sorted(ports, key=str))
