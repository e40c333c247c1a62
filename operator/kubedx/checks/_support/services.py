"""Services: what they send traffic to, which ports they look for there, and what clouds say about their addresses."""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from kubedx.core.inputs import Lookup
from kubedx.kube.views import (
    APIService,
    Container,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    Pod,
    Service,
    ServicePort,
    Target,
)

NAME_LABEL = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""

_REQUEST = re.compile(r"[,;]? ?\(?\brequest ?id: ?[^\s,;)]+\)?", re.IGNORECASE)


def routes(service: Service) -> bool:
    """Tell whether the control plane looks for pods behind a Service: it selects some, and is not being deleted."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName" and not service.deleted


def slices_of(
    service: Service, slices: Lookup[EndpointSlice] | None, pods: Lookup[Pod] | None = None
) -> list[EndpointSlice]:
    """List the slices of a Service that hold an endpoint.

    Args:
        service: The Service.
        slices: The slices; None where they cannot be read, as in many a dump.
        pods: The pods, to tell from them in that case what its slices must be.

    Returns:
        The slices.
    """
    if slices is None:
        return _as_slices(service, pods.selected_by(service.spec.selector, service.namespace)) if pods else []
    return [one for one in slices.selected_by({NAME_LABEL: service.name}, service.namespace) if one.endpoints]


def _as_slices(service: Service, pods: Iterable[Pod]) -> list[EndpointSlice]:
    """Make the slices that the control plane makes of pods; those that do not run yet may have no address."""
    found: list[EndpointSlice] = []
    for pod in living(pods):
        ready = pod.condition("Ready")
        endpoint = Endpoint(
            conditions=EndpointConditions(ready=ready is not None and ready.status == "True"),
            target_ref=Target(kind="Pod", name=pod.name),
            node_name=pod.spec.node_name,
        )
        declared = declared_ports((*pod.spec.init_containers, *pod.spec.containers))
        goes = [targets(one) for one in service.spec.ports]
        reached = any(isinstance(target, int) or (target, protocol) in declared for target, protocol in goes)
        if pod.status.phase == "Running":
            ports = (EndpointPort(),) if reached else ()
            found.append(EndpointSlice(metadata=pod.metadata, endpoints=(endpoint,), ports=ports))
    return found


def readiness(found: Iterable[EndpointSlice]) -> tuple[int, int]:
    """Count the endpoints in slices.

    An endpoint without the condition `ready` counts as ready (`staging/src/k8s.io/api/discovery/v1/types.go`).

    Args:
        found: The slices of one Service.

    Returns:
        How many are ready, and how many there are.
    """
    ready = [endpoint.conditions.ready is not False for one in found for endpoint in one.endpoints]
    return sum(ready), len(ready)


def ready_pod(found: Iterable[EndpointSlice], pods: Lookup[Pod]) -> Pod | None:
    """Find one of the pods that get traffic: it tells enough of nearly all Services, at little cost.

    Args:
        found: The slices of a Service.
        pods: The pods.

    Returns:
        The pod of the first ready endpoint.
    """
    for one in found:
        for endpoint in one.endpoints:
            if endpoint.conditions.ready is not False and endpoint.target_ref and endpoint.target_ref.kind == "Pod":
                return pods.get(one.namespace, endpoint.target_ref.name)
    return None


def living(pods: Iterable[Pod]) -> list[Pod]:
    """List the pods that neither ended nor are being deleted."""
    return [pod for pod in pods if not pod.deleted and not pod.finished]


def turned(pod: Pod) -> datetime | None:
    """Say when a pod became ready or not ready; one that the kubelet has not looked at yet counts from its creation."""
    ready = pod.condition("Ready")
    return ready.last_transition_time if ready else pod.created


def shown_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Write labels as kubectl takes them: ``app=web,tier=front``."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels))


def api_behind(service: Service, apis: Lookup[APIService] | None) -> str:
    """Name an aggregated API that a Service answers for; empty where there is none, or where that cannot be read."""
    for one in apis.in_namespace("") if apis else ():
        wanted = one.spec.service
        if wanted and not one.deleted and (wanted.namespace, wanted.name) == (service.namespace, service.name):
            return one.name
    return ""


@lru_cache(maxsize=1024)
def missing_ports(ports: tuple[ServicePort, ...], containers: tuple[Container, ...]) -> str:
    """Say which named ports of a Service the containers of its pods do not declare, and what they declare instead.

    A name counts only together with its protocol (`pkg/api/v1/pod/util.go`, FindPort, all versions); a number needs no
    declaration.

    Args:
        ports: The Service's ports.
        containers: The containers of one of its pods.

    Returns:
        Such as ``no port htpp, they have http (8080/TCP)``; empty where no named port is missing.
    """
    declared = [one for container in containers for one in container.ports]
    names = {(one.name, one.protocol) for one in declared}
    wanted = [one for one in ports if isinstance(one.target_port, str) and one.target_port]
    missing = [one for one in wanted if (one.target_port, one.protocol) not in names]
    if not missing:
        return ""
    others = {one.name: one.protocol for one in declared}
    shown = [
        f"{one.target_port} for {one.protocol}" if one.target_port in others else str(one.target_port)
        for one in missing
    ]
    have = [f"{one.name or 'a port without a name'} ({one.container_port}/{one.protocol})" for one in declared]
    return f"no port {', '.join(shown)}, they {'have ' + ', '.join(have[:5]) if have else 'declare no ports'}"


def targets(port: ServicePort) -> tuple[int | str, str]:
    """Say where a port of a Service goes: the number or the name, and the protocol."""
    return port.target_port or port.port, port.protocol


@lru_cache(maxsize=1024)
def declared_ports(containers: tuple[Container, ...]) -> frozenset[tuple[int | str, str]]:
    """List what `targets` may find in a pod: the numbers and names of the ports that its containers declare."""
    ports = [one for container in containers for one in container.ports]
    numbers = {(one.container_port, one.protocol) for one in ports}
    return frozenset({*numbers, *((one.name, one.protocol) for one in ports if one.name)})


def answer(message: str) -> str:
    """Give what a controller of load balancers says, without the number of the request, which is another each time."""
    return _REQUEST.sub("", message).strip()
