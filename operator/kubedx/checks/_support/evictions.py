"""Why kubelets evicted pods: parsing the message that an evicted pod keeps as a record.

Strings: `pkg/kubelet/eviction/helpers.go` and `eviction_manager.go` (Admit, emptyDirLimitEviction),
`pkg/kubelet/kubelet.go` (rejectPod), 1.30 to 1.36; what was different before is said beside it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Literal

from msgspec import Meta

from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.quantity import amount
from kubedx.kube.views import Pod

Kind = Literal["node low", "rejected", "emptyDir", "container", "pod", "other"]

REASON = "Evicted"

_LOW = re.compile(r"^The node was low on resource: (?P<resource>[\w.-]+?)\. ?(?P<details>.*)", re.DOTALL)
_THRESHOLD = re.compile(r"Threshold quantity: (?P<quantity>[^\s,]+), available: ")
_USED = re.compile(r"Container (?P<container>\S+) was using (?P<used>[^\s,]+), ")
_WORDS: tuple[tuple[Kind, str], ...] = (
    # "Pod The node had condition: …" up to 1.25.
    ("rejected", r"^(?:Pod was rejected: |Pod )?The node had condition: \[(?P<what>[^\]]+)\](?P<rest>)"),
    # Without quotes in old versions.
    ("emptyDir", r'^Usage of EmptyDir volume "?(?P<what>[^" ]+)"? exceeds the limit "?(?P<rest>[^" ]+?)"?\.(?: |$)'),
    (
        "container",
        r'^Container (?P<what>\S+) exceeded its local ephemeral storage limit "?(?P<rest>[^" ]+?)"?\.(?: |$)',
    ),
    ("pod", r"^(?P<what>Pod) ephemeral local storage usage exceeds the total limit of containers (?P<rest>\S+)\."),
)
_MESSAGES = tuple((kind, re.compile(words, re.DOTALL)) for kind, words in _WORDS)


class EvictionSettings(Settings, frozen=True, rename="camel"):
    """Settings of the checks on evicted pods."""

    window_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes for which an evicted pod, which stays as a record, is reported.")
    ] = 60


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


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a pod was evicted.

    Attributes:
        kind: The class of the reason.
        what: The resource, the node's conditions, the volume or the container that it is about.
        rest: The limit that was exceeded; for a node that was low, the figures.
    """

    kind: Kind
    what: str
    rest: str


@lru_cache(maxsize=1024)
def reason(message: str) -> Reason:
    """Read the message of any evicted pod.

    Args:
        message: Its `status.message`.

    Returns:
        The reason; of the kind ``other``, with the message itself, where the words are none that we know.
    """
    low = eviction(message)
    if low:
        return Reason("node low", low.resource, low.details)
    for kind, pattern in _MESSAGES:
        if match := pattern.match(message):
            return Reason(kind, match["what"], match["rest"].strip())
    return Reason("other", message.strip() or "the kubelet gives no reason", "")


def evicted(pod: Pod, settings: EvictionSettings, now: Now) -> tuple[Reason, datetime | None] | None:
    """Tell why and when a pod was evicted.

    Args:
        pod: The pod.
        settings: For how long it is reported.
        now: The time.

    Returns:
        The reason and the time; None for a pod that was not evicted, or so long ago that it is only a record.
    """
    if pod.status.reason != REASON or pod.status.phase != "Failed" or pod.deleted is not None:
        return None
    at = evicted_at(pod)
    if now.older(at, minutes(settings.window_minutes)):
        return None
    return reason(pod.status.message), at


def evicted_at(pod: Pod) -> datetime | None:
    """When it was evicted: its DisruptionTarget says so, or else the end of its last container or readiness.

    Pods that exceed limits of their own and pods that are refused have no DisruptionTarget; the latter never ran.
    """
    target, ready = pod.condition("DisruptionTarget"), pod.condition("Ready")
    if target:
        return target.last_transition_time
    ends = [one.state.terminated.finished_at for one in pod.containers if one.state.terminated]
    known = [end for end in ends if end]
    if known:
        return max(known)
    return ready.last_transition_time if ready else pod.status.start_time or pod.created
