"""SSHServiceExposed."""

from ipaddress import ip_address

from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup
from kubedx.kube.views import Pod, Service, ServicePort

_SSH = 22


@check(
    title="A Service leads from outside to the SSH server of nodes",
    message="{type} Service {name} leads to port 22 of node {node} through pod {pod}, {reach}",
    profile=Profile.RISK,
    layer=0,
    steps=(
        Step(
            "See where it can be reached and what stands behind it.", "kubectl -n {namespace} describe service {name}"
        ),
        Step(
            "If nobody needs it any more, remove it; open sessions break.",
            "kubectl -n {namespace} delete service {name}",
            danger=True,
        ),
        Step("For a shell on a node use this, or a bastion.", "kubectl debug node/{node} -it --image=busybox"),
        Step("If it must stay, set spec.loadBalancerSourceRanges to the addresses that may come in."),
    ),
    since="0.1.0",
)
def ssh_service_exposed(service: Service, pods: Lookup[Pod]) -> Answer:
    """A Service of type LoadBalancer or NodePort sends traffic to port 22 of pods with their node's network.

    ## Meaning
    A pod with `hostNetwork` has the address of its node, so port 22 behind the Service is the SSH server of the node:
    a well-known way to log in to nodes without an address of their own, and easily forgotten.

    ## Impact
    The SSH server of a node can be reached from wherever the load balancer or the node can be. It is critical if that
    is a public address.

    ## Diagnosis
    `kubectl describe service` shows the address and the endpoints.

    ## Mitigation
    Remove the Service and its pods after use. `kubectl debug node/…` needs neither.

    ## Limitations
    SSH servers in pods with a network of their own, such as those of Git servers, are meant to be reached and not
    reported, and neither are endpoints that were written by hand. A load balancer known only by a host name counts as
    not public, as what it resolves to is not looked up. Firewalls in front are not seen.

    ## References
    - https://kubernetes.io/docs/tasks/debug/debug-cluster/kubectl-node-debug/
    """
    if service.spec.type not in {"LoadBalancer", "NodePort"} or service.deleted or not service.spec.selector:
        return
    if not any(map(_leads_to_ssh, service.spec.ports)):
        return
    behind = pods.selected_by(service.spec.selector, service.namespace)
    on_host = next((pod for pod in behind if pod.spec.host_network and pod.spec.node_name and not pod.finished), None)
    if on_host:
        addresses = [one.ip or one.hostname for one in service.status.load_balancer.ingress]
        public = next((one for one in addresses if _is_public(one)), None)
        yield Finding(
            service,
            since=service.created,
            severity=Severity.CRITICAL if public else Severity.WARNING,
            evidence=(field(service, "spec.type", service.spec.type), field(on_host, "spec.hostNetwork", "true")),
            type=service.spec.type,
            node=on_host.spec.node_name,
            pod=on_host.name,
            reach=f"reached at {public or addresses[0]}" if addresses else "reached at a port of every node",
        )


def _leads_to_ssh(port: ServicePort) -> bool:
    return (port.target_port or port.port) == _SSH


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False
