"""How much a pod asks for, and what is left on nodes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubedx.checks._support.ports import host_ports
from kubedx.core.inputs import Reader, derived
from kubedx.kube.quantity import amount, shown_bytes
from kubedx.kube.views import Amounts, Container, ContainerPort, Node, Pod

MOST_NODES = 24
"""Nodes of the largest cluster in which what is left of each is reckoned: it takes a look at all pods of all nodes."""

CPU, MEMORY, DISK = "cpu", "memory", "ephemeral-storage"
RESOURCES = (CPU, MEMORY, DISK)
"""The resources that are reckoned with; of others, such as GPUs, only who has them."""

Need = tuple[float, float, float]
"""How much of each of `RESOURCES`, in cores and bytes."""

NOTHING: Need = (0.0, 0.0, 0.0)


def need(pod: Pod) -> Need:
    """Reckon what a pod asks for (`k8s.io/component-helpers/resource/helpers.go`, PodRequests).

    What its containers and sidecars ask for together, or what one of its init containers does beside the sidecars
    before it, whichever is more; and the overhead of its runtime.

    Args:
        pod: The pod.

    Returns:
        How much of each resource.
    """
    beside, peak = NOTHING, NOTHING
    for one in pod.spec.init_containers:
        asked = _asked(one)
        if one.restart_policy == "Always":
            beside = _sum(beside, asked)
            peak = _most(peak, beside)
        else:
            peak = _most(peak, _sum(beside, asked))
    for one in pod.spec.containers:
        beside = _sum(beside, _asked(one))
    return _sum(_most(beside, peak), _amounts(pod.spec.overhead))


def _asked(one: Container) -> Need:
    return _amounts(one.resources.requests)


def _amounts(of: Amounts) -> Need:
    return amount(of.cpu) or 0.0, amount(of.memory) or 0.0, amount(of.ephemeral_storage) or 0.0


def _sum(one: Need, other: Need) -> Need:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def _most(one: Need, other: Need) -> Need:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])


@dataclass(frozen=True, slots=True)
class Room:
    """What pods have of a node.

    Attributes:
        used: What they asked for together.
        pods: How many they are.
        ports: The node's ports that they have.
    """

    used: Need
    pods: int
    ports: tuple[ContainerPort, ...] = ()


def room_left_by(pods: Iterable[Pod]) -> Room:
    """Add up what pods on one node have of it; those that have ended have nothing."""
    used, count = NOTHING, 0
    ports: list[ContainerPort] = []
    for pod in pods:
        if not pod.finished:
            used, count = _sum(used, need(pod)), count + 1
            ports += host_ports(pod)
    return Room(used, count, tuple(dict.fromkeys(ports)))


@derived(Node, Pod)
def rooms(read: Reader) -> Mapping[str, Room]:
    """Reckon what pods have of each node, in a cluster of at most `MOST_NODES` nodes.

    Pods that are being deleted still have their part, but not on a node that is not ready: it is theirs until it is
    well again, and then they go.

    Args:
        read: Access to nodes and pods.

    Returns:
        The rooms by the nodes' names; nothing for a larger cluster.
    """
    nodes, pods = read.lookup(Node), read.lookup(Pod)
    all_ = nodes.all() if nodes else ()
    if pods is None or len(all_) > MOST_NODES:
        return {}
    return {node.name: room_left_by(_staying(node, pods.on_node(node))) for node in all_}


def _staying(node: Node, pods: Iterable[Pod]) -> Iterable[Pod]:
    ready = node.condition("Ready")
    if ready is not None and ready.status == "True":
        return pods
    return [pod for pod in pods if not pod.deleted]


def shown_amount(resource: str, number: float) -> str:
    """Show an amount: ``300m CPU``, ``2 CPU``, ``1.5 GiB of memory``."""
    if resource == CPU:
        return f"{number:g} CPU" if number >= 1 or not number else f"{round(number * 1000)}m CPU"
    return f"{shown_bytes(number)} of {'memory' if resource == MEMORY else 'disk'}"
