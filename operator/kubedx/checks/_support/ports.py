"""Ports of nodes that pods take for themselves."""

from collections.abc import Collection, Iterable

from kubedx.kube.views import ContainerPort, Pod

ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 -- addresses in pods, nothing is bound


def host_ports(pod: Pod) -> tuple[ContainerPort, ...]:
    """List the ports of its node that a pod takes: those with a hostPort, on the host network all of them."""
    return tuple(port for one in pod.spec.containers for port in one.ports if port.host_port)


def clashing(pod: Pod, other: Pod) -> ContainerPort | None:
    """Find a port for which two pods cannot be on one node (`pkg/scheduler/framework/types.go`, HostPortInfo).

    Args:
        pod: The pod that wants to go there.
        other: A pod that is there.

    Returns:
        The first port of the pod that the other one has, None where they get along or where the other one has ended.
    """
    if other.finished:
        return None
    return clashing_ports(host_ports(pod), host_ports(other))


def clashing_ports(wanted: Iterable[ContainerPort], taken: Collection[ContainerPort]) -> ContainerPort | None:
    """Find the first wanted port that cannot be had because of those that are taken."""
    return next((port for port in wanted if any(_clash(port, one) for one in taken)), None)


def _clash(one: ContainerPort, other: ContainerPort) -> bool:
    is_same = (one.host_port, one.protocol or "TCP") == (other.host_port, other.protocol or "TCP")
    return is_same and (one.host_ip == other.host_ip or not ANYWHERE.isdisjoint({one.host_ip, other.host_ip}))


def shown_ports(pod: Pod) -> str:
    """Name the ports of its node that a pod takes."""
    return ", ".join(dict.fromkeys(f"{port.host_port}/{port.protocol or 'TCP'}" for port in host_ports(pod)))
