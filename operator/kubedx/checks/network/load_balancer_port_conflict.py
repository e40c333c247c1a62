"""LoadBalancerPortConflict."""

from collections.abc import Iterator
from typing import Annotated

from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import Cluster, Lookup, Reader, derived
from kubedx.kube.views import Service

Conflict = tuple[str, str, tuple[tuple[str, str], ...]]
"""A load balancer, a port of it, and the namespaces and names of the Services that claim it, the oldest first."""

ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 -- what kube-vip takes for an address from DHCP


@derived(Service)
def conflicts(read: Reader) -> tuple[Conflict, ...]:
    """Find the ports of load balancers that more than one Service claims."""
    services = read.lookup(Service)
    claims: dict[tuple[str, str], dict[tuple[str, str], Service]] = {}
    for one in services.all() if services else ():
        if one.spec.type == "LoadBalancer" and not one.deleted:
            for balancer in _balancers(one):
                for port in one.spec.ports:
                    claim = claims.setdefault((balancer, f"{port.port}/{port.protocol}"), {})
                    claim[one.namespace, one.name] = one
    return tuple(
        (balancer, port, tuple((one.namespace, one.name) for one in sorted(claim.values(), key=_age)))
        for (balancer, port), claim in sorted(claims.items())
        if len(claim) > 1
    )


def _balancers(service: Service) -> Iterator[str]:
    annotations = service.metadata.annotations
    named = annotations.balancer or annotations.old_balancer
    addresses = {service.spec.load_balancer_ip, *(one.ip for one in service.status.load_balancer.ingress)}
    if named:
        yield named
    yield from sorted(address for address in addresses if address and address not in ANY_ADDRESS)


def _age(service: Service) -> tuple[str, str, str]:
    return (service.created.isoformat() if service.created else "", service.namespace, service.name)


@check(
    title="Two Services share a port of a load balancer",
    message="The Service {namespace}/{name} claims port {port} of the load balancer {balancer}, as {other} does",
    layer=2,
    steps=(
        Step("See who claims what.", "kubectl get services -A -o wide | grep -F {balancer}"),
        Step(
            "Give one of the two another port, or a load balancer of its own.",
            "kubectl -n {namespace} edit service {name}",
        ),
    ),
    since="0.1.0",
)
def load_balancer_port_conflict(
    _: Cluster, found: Annotated[tuple[Conflict, ...], conflicts], services: Lookup[Service]
) -> Answer:
    """Two Services of type LoadBalancer use the same load balancer and claim the same port and protocol of it.

    ## Meaning
    They name the same load balancer or the same address, so that only one of them can have the port. The younger one is
    reported.

    ## Impact
    Depending on the controller the port belongs to whoever was set up last, so that traffic goes now to one and now to
    the other, or the younger Service never gets an address.

    ## Diagnosis
    Compare `spec.ports`, `spec.loadBalancerIP` and the annotations of the two Services.

    ## Mitigation
    Change one of the ports, or use two load balancers. With Alibaba Cloud beware of the annotation
    `…-force-override-listeners: "true"`, which takes a listener from another Service without a word.

    ## Limitations
    Load balancers that are known by a host name only, and those that several clusters share, are not compared.

    ## References
    - Annotations `service.beta.kubernetes.io/alibaba-cloud-loadbalancer-id`, older `…/alicloud-loadbalancer-id`:
      https://github.com/kubernetes/cloud-provider-alibaba-cloud/issues/57
    - https://metallb.io/usage/#ip-address-sharing
    """
    for balancer, port, claiming in found:
        oldest, *younger = claiming
        for namespace, name in younger:
            service = services.get(namespace, name)
            if service is not None:
                yield Finding(
                    service,
                    since=service.created,
                    evidence=(field(service, "spec.ports", port),),
                    port=port,
                    balancer=balancer,
                    other="/".join(oldest),
                )
