"""Why a controller could not create a pod: parsing what admission answered."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Generic, TypeVar

from kubedx.core.finding import Ref
from kubedx.core.inputs import EventRecord, Events, Now
from kubedx.kube.meta import find
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, StatefulSet

CONTROLLERS_REASON = "FailedCreate"
"""The reason of the Events about it (`pkg/controller/controller_utils.go`)."""

_FORBIDDEN = re.compile(r'(?:pods?|persistentvolumeclaims?) "[^"]*" is forbidden: (?P<why>.*)', re.DOTALL)
_QUOTA_DEMANDS = re.compile(r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.*)")
_QUOTA_NEEDED = re.compile(r"insufficient quota to consume: (?P<what>.*)")
_FAILED_CALL = re.compile(
    r'failed calling webhook "(?P<webhook>[^"]+)": (?:failed to call webhook: )?(?P<why>.+)', re.DOTALL
)
_URL = re.compile(r'https?://([^/:"\s]+)')
_PREFIX = re.compile(r"^(?:Error creating: |[Cc]reate .{1,512}? failed error: )")
_NAMED = re.compile(r"(?:metadata\.(?:labels|name|generateName)|spec\.hostname): ")
_TOO_LONG = re.compile(
    r"must be no more than \d{1,9} (?:character|byte)|may not be more than \d{1,9} byte|must have at most \d{1,9} byte"
)
_TOO_LARGE = re.compile(
    r"etcdserver: request is too large|Request entity too large: limit is \d+"
    r"|trying to send message larger than max(?: \(\d+ vs\. \d+\))?"
)
_CLASSES = (
    ("quota", re.compile(r"exceeded quota: |failed quota: |insufficient quota to consume")),
    ("pod security", re.compile(r"violates PodSecurity")),
    ("security context", re.compile(r"SecurityContext|unable to validate against any")),
    ("limit range", re.compile(r"(maximum|minimum) \S+ usage per|max limit to request ratio")),
    ("service account", re.compile(r"error looking up service account")),
    ("priority class", re.compile(r"no PriorityClass with name")),
    ("runtime class", re.compile(r"RuntimeClass \S{1,256} not found")),
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
class FailedCall:
    """An admission webhook that did not answer the API server.

    Attributes:
        webhook: The webhook's name.
        backend: Who should have answered: a Service or a host; None where the message does not tell.
        why: What came instead of an answer.
    """

    webhook: str
    backend: Ref | None
    why: str


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """What the newest of the Events about a workload's missing pods says, of those that say something of a kind.

    Attributes:
        what: What it says.
        record: The Event.
        since: Since when pods could not be created.
        count: How often such Events came, at least.
    """

    what: T
    record: EventRecord
    since: datetime | None
    count: int


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
    if exceeded := _exceeded(why):
        return exceeded
    if match := _QUOTA_DEMANDS.search(why):
        return OverQuota(match["quota"], f"pods must specify {match['what'].strip()}")
    if match := _QUOTA_NEEDED.search(why):
        return OverQuota("", f"no quota allows {match['what'].strip()}")
    return None


def _exceeded(why: str) -> OverQuota | None:
    """Read ``exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2``."""
    quota, _, rest = why.partition("exceeded quota: ")[2].partition(", requested: ")
    requested, _, rest = rest.partition(", used: ")
    used, complete, limited = rest.partition(", limited: ")
    if not complete:
        return None
    limited = limited.strip()
    limits = tuple((name, value) for name, _, value in (pair.partition("=") for pair in limited.split(",")))
    return OverQuota(quota, f"requested {requested}, used {used}, limited to {limited}", limits)


@lru_cache(maxsize=1024)
def failed_call(message: str) -> FailedCall | None:
    """Read the message about an admission webhook that the API server could not call.

    Args:
        message: ``… failed calling webhook "v.example.com": failed to call webhook: Post "https://…": …``

    Returns:
        The webhook and what went wrong, or None where the message is about something else.
    """
    match = _FAILED_CALL.search(message)
    if match is None:
        return None
    host = _URL.search(match["why"])
    return FailedCall(match["webhook"], _backend(host[1]) if host else None, match["why"].strip())


def _backend(host: str) -> Ref:
    """The API server calls a webhook with a Service by ``https://<name>.<namespace>.svc:<port>/<path>``."""
    name, _, namespace = host.removesuffix(".svc").partition(".")
    is_service = host.endswith(".svc") and namespace and "." not in namespace
    return Ref("Service", namespace, name) if is_service else Ref("Host", "", host)


@lru_cache(maxsize=1024)
def failure(message: str) -> str | None:
    """Read the message about a pod that could not be created for any reason but a refusal.

    Args:
        message: ``Error creating: Internal error occurred: …``

    Returns:
        What the API server said, or None for a refusal.
    """
    return None if refusal(message) else _PREFIX.sub("", message).strip()


@lru_cache(maxsize=1024)
def name_too_long(message: str) -> str | None:
    """Read the message about a pod whose name, labels or host name the API server finds too long.

    Args:
        message: ``create Pod x-0 in StatefulSet x failed error: Pod "x-0" is invalid: metadata.labels: …``

    Returns:
        What is too long, or None where the message is about something else.
    """
    why = message.partition("is invalid: ")[2]
    named = _NAMED.search(why)
    return why.strip() if named and _TOO_LONG.search(why, named.end()) else None


@lru_cache(maxsize=1024)
def too_large(message: str) -> str | None:
    """Read the message about a pod that is too large for the API server or for etcd.

    Args:
        message: ``Error creating: etcdserver: request is too large``

    Returns:
        Who finds it too large, or None where the message is about something else.
    """
    match = _TOO_LARGE.search(message)
    return match[0] if match else None


def newest(
    read: Callable[[str], T | None],
    workload: ReplicaSet | StatefulSet | DaemonSet | Job,
    events: Events,
    now: Now,
    quiet: timedelta,
) -> Told[T] | None:
    """Find the newest of the Events about a workload's missing pods that say something of a kind.

    Each attempt has a pod name of its own and so a message of its own; only a ReplicaSet's condition tells since when.

    Args:
        read: Reads a message; None for one that says something else.
        workload: The workload.
        events: The Events.
        now: The time.
        quiet: How old the newest such Event may be.

    Returns:
        What it says, or None where the newest Events tell of nothing like it.
    """
    found = [(told, one) for one in events.about(workload, CONTROLLERS_REASON) if (told := read(one.message))]
    if not found or now.older(found[0][1].last, quiet):
        return None
    failed = find(workload.status.conditions, "ReplicaFailure") if isinstance(workload, ReplicaSet) else None
    if failed and failed.status == "True" and failed.last_transition_time:
        since: datetime | None = failed.last_transition_time
    else:
        since = min((one.first for _, one in found if one.first), default=None)
    return Told(found[0][0], found[0][1], since, sum(one.count for _, one in found))
