"""Why a controller could not create a pod: parsing what admission answered."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from kubedx.core.inputs import EventRecord, Events, Now
from kubedx.kube.meta import find
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, StatefulSet

CONTROLLERS_REASON = "FailedCreate"
"""The reason of the Events about it (`pkg/controller/controller_utils.go`)."""

_FORBIDDEN = re.compile(r'(?:pods?|persistentvolumeclaims?) "[^"]*" is forbidden: (?P<why>.*)', re.DOTALL)
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>.*?), used: (?P<used>.*?), limited: (?P<limited>.*)"
)
_QUOTA_DEMANDS = re.compile(r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.*)")
_QUOTA_NEEDED = re.compile(r"insufficient quota to consume: (?P<what>.*)")
_CLASSES = (
    ("quota", re.compile(r"exceeded quota: |failed quota: |insufficient quota to consume")),
    ("pod security", re.compile(r"violates PodSecurity")),
    ("security context", re.compile(r"SecurityContext|unable to validate against any")),
    ("limit range", re.compile(r"(maximum|minimum) \S+ usage per|max limit to request ratio")),
    ("service account", re.compile(r"error looking up service account")),
    ("priority class", re.compile(r"no PriorityClass with name")),
    ("runtime class", re.compile(r"RuntimeClass .* not found")),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A pod, or a claim for one, that admission refused.

    Attributes:
        why: What admission said, from behind ``is forbidden:``.
        cause: The class of the reason, ``other`` where it is none that we know.
    """

    why: str
    cause: str


@dataclass(frozen=True, slots=True)
class OverQuota:
    """A pod that a quota refused.

    Attributes:
        quota: The name of the ResourceQuota; empty where the trouble is that there is none.
        why: What it refused, in words.
        limits: The limits that counted, as pairs of resource and quantity.
    """

    quota: str
    why: str
    limits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The newest refusal of a workload's pods.

    Attributes:
        refusal: What admission said.
        record: The Event that says so.
        since: Since when pods are refused.
    """

    refusal: Refusal
    record: EventRecord
    since: datetime | None


@lru_cache(maxsize=1024)
def refusal(message: str) -> Refusal | None:
    """Read the message of a FailedCreate Event, or of a ReplicaFailure condition.

    Args:
        message: ``Error creating: pods "x" is forbidden: …``

    Returns:
        What admission said, or None where the message is about something else.
    """
    match = _FORBIDDEN.search(message)
    if match is None:
        return None
    why = match["why"].strip()
    return Refusal(why, next((name for name, pattern in _CLASSES if pattern.search(why)), "other"))


@lru_cache(maxsize=1024)
def over_quota(why: str) -> OverQuota | None:
    """Read what the quota admission said (`staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota`).

    Args:
        why: The text behind ``is forbidden:``.

    Returns:
        The quota and its figures, or None where no quota is to blame.
    """
    if match := _QUOTA.search(why):
        limited = match["limited"].strip()
        limits = tuple((name, value) for name, _, value in (pair.partition("=") for pair in limited.split(",")))
        return OverQuota(
            match["quota"], f"requested {match['requested']}, used {match['used']}, limited to {limited}", limits
        )
    if match := _QUOTA_DEMANDS.search(why):
        return OverQuota(match["quota"], f"pods must specify {match['what'].strip()}")
    if match := _QUOTA_NEEDED.search(why):
        return OverQuota("", f"no quota allows {match['what'].strip()}")
    return None


def newest_refusal(
    workload: ReplicaSet | StatefulSet | DaemonSet | Job, events: Events, now: Now, quiet: timedelta
) -> Refused | None:
    """Find the newest refusal of a workload's pods.

    Each attempt has a pod name of its own and so a message of its own; only a ReplicaSet's condition tells since when.

    Args:
        workload: The workload.
        events: The Events.
        now: The time.
        quiet: How old the newest Event may be.

    Returns:
        The refusal, or None where the newest Events tell of none.
    """
    found = [(told, one) for one in events.about(workload, CONTROLLERS_REASON) if (told := refusal(one.message))]
    if not found or now.older(found[0][1].last, quiet):
        return None
    failure = find(workload.status.conditions, "ReplicaFailure") if isinstance(workload, ReplicaSet) else None
    if failure and failure.status == "True" and failure.last_transition_time:
        since: datetime | None = failure.last_transition_time
    else:
        since = min((one.first for _, one in found if one.first), default=None)
    return Refused(found[0][0], found[0][1], since)
