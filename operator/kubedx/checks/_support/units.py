"""Quantities that hardly anybody means: a tenth of a byte, or five hundred cores."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from kubedx.core.inputs import Reader, derived
from kubedx.kube.quantity import MIB, amount
from kubedx.kube.views import Container, Node, Pod

SMALLEST_BLOCK = 4096
"""Bytes of the smallest block of a disk: less of it holds nothing."""

MANY_CORES, TOO_MANY_CORES = 100, 1000
"""Cores from which on a request is looked at, and those that no machine has."""

_NUMBER = re.compile(r"^\d+")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A quantity that looks like a slip of the pen.

    Attributes:
        where: What it is, such as ``memory limit of container web``.
        path: Where it stands in the pod.
        written: The quantity.
        value: How much it is, in bytes or cores.
        is_limit: Whether the container is held to it.
    """

    where: str
    path: str
    written: str
    value: float
    is_limit: bool = True

    @property
    def means(self) -> str:
        """The amount in words."""
        return f"{self.value:g} byte{'' if self.value == 1 else 's'}"

    @property
    def guess(self) -> str:
        """What was probably meant."""
        number = _NUMBER.match(self.written)
        return f"{number[0]}Mi" if number else "an amount in Mi"


def is_tiny(memory: str | float) -> bool:
    """Whether an amount of memory is one that no program fits in: above nothing and below a mebibyte."""
    return _below(memory, MIB) is not None


def too_small(pod: Pod) -> Iterator[Suspect]:
    """Find the amounts of memory and disk in a pod's spec that are too small to be meant, limits first.

    Kubernetes itself writes ``1288490188800m`` for 1.2Gi: what counts is the amount and not its suffix.

    Args:
        pod: The pod.

    Yields:
        Each suspicious amount.
    """
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    yield from (one for container in containers for one in _small(container, "limits"))
    for volume in pod.spec.volumes:
        limit = volume.empty_dir.size_limit if volume.empty_dir else ""
        value = _below(limit, SMALLEST_BLOCK)
        if value is not None:
            path = f"spec.volumes[{volume.name}].emptyDir.sizeLimit"
            yield Suspect(f"size limit of volume {volume.name}", path, str(limit), value)
    yield from (one for container in containers for one in _small(container, "requests"))


def _small(container: Container, which: str) -> Iterator[Suspect]:
    amounts = container.resources.limits if which == "limits" else container.resources.requests
    for resource, written, least in (
        ("memory", amounts.memory, MIB),
        ("ephemeral-storage", amounts.ephemeral_storage, SMALLEST_BLOCK),
    ):
        value = _below(written, least)
        if value is not None:
            where = f"{resource} {which.removesuffix('s')} of container {container.name}"
            path = f"spec.containers[{container.name}].resources.{which}[{resource}]"
            yield Suspect(where, path, str(written), value, is_limit=which == "limits")


@lru_cache(maxsize=4096)
def _below(written: str | float, least: int) -> float | None:
    value = amount(written or None)
    return value if value is not None and 0 < value < least else None


def most_cores(pod: Pod) -> Suspect | None:
    """Find the largest request for CPU of a pod's containers, if it is one of `MANY_CORES` or more.

    Args:
        pod: The pod.

    Returns:
        The request, None where all are ordinary.
    """
    found = [
        Suspect(
            f"cpu request of container {container.name}",
            f"spec.containers[{container.name}].resources.requests[cpu]",
            str(container.resources.requests.cpu),
            cores,
        )
        for container in (*pod.spec.init_containers, *pod.spec.containers)
        if (cores := amount(container.resources.requests.cpu or None)) is not None and cores >= MANY_CORES
    ]
    return max(found, key=lambda one: one.value, default=None)


@derived(Node)
def largest_node(read: Reader) -> float:
    """Say how many cores the largest node gives to pods.

    Args:
        read: Access to the nodes.

    Returns:
        The cores, 0 where no node says.
    """
    nodes = read.lookup(Node)
    cores = (amount(node.status.allocatable.get("cpu")) for node in (nodes.all() if nodes else ()))
    return max((one for one in cores if one is not None), default=0)
