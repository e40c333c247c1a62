"""Why a node evicted a pod: parsing what the kubelet says."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from kubedx.kube.quantity import amount
from kubedx.kube.views import Pod

_LOW = re.compile(r"^The node was low on resource: (?P<resource>[\w.-]+?)\. ?(?P<details>.*)", re.DOTALL)
_THRESHOLD = re.compile(r"Threshold quantity: (?P<quantity>[^\s,]+), available: ")
_USED = re.compile(r"Container (?P<container>\S+) was using (?P<used>[^\s,]+), ")


@dataclass(frozen=True, slots=True)
class Eviction:
    """An eviction by a node under pressure.

    Attributes:
        resource: What the node was low on, such as ``memory`` or ``ephemeral-storage``.
        details: The figures, in the kubelet's words; empty where it gives none.
        threshold: How much the node wanted to have free, in bytes or pieces; None where it does not say.
        used: What the containers used of the resource, as far as that was more than they had requested.
    """

    resource: str
    details: str
    threshold: float | None
    used: tuple[tuple[str, float], ...]


@lru_cache(maxsize=1024)
def eviction(message: str) -> Eviction | None:
    """Read the message of an evicted pod (`pkg/kubelet/eviction/helpers.go`, evictionMessage).

    Args:
        message: ``The node was low on resource: …. Threshold quantity: …, available: …. Container … was using …``

    Returns:
        The eviction, None where a pod was evicted for another reason.
    """
    low = _LOW.match(message)
    if low is None:
        return None
    details = low["details"].strip()
    threshold = _THRESHOLD.search(details)
    used = ((one["container"], amount(one["used"])) for one in _USED.finditer(details))
    return Eviction(
        low["resource"],
        details,
        amount(threshold["quantity"]) if threshold else None,
        tuple((container, number) for container, number in used if number is not None),
    )


def evicted_at(pod: Pod) -> datetime | None:
    """Say when a pod was evicted: its DisruptionTarget tells, or else the end of its last container or readiness.

    Args:
        pod: An evicted pod.

    Returns:
        The time, or None where nothing tells.
    """
    target, ready = pod.condition("DisruptionTarget"), pod.condition("Ready")
    if target:
        return target.last_transition_time
    ends = [one.state.terminated.finished_at for one in pod.containers if one.state.terminated]
    known = [end for end in ends if end]
    return max(known) if known else ready.last_transition_time if ready else pod.status.start_time
