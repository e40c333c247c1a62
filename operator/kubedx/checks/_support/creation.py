"""Why a controller could not create a pod: parsing what admission answered."""

import re
from dataclasses import dataclass
from functools import lru_cache

CONTROLLERS_REASON = "FailedCreate"
"""The reason of the Events about it (`pkg/controller/controller_utils.go`)."""

_FORBIDDEN = re.compile(r'pods? "(?P<pod>[^"]*)" is forbidden: (?P<why>.*)', re.DOTALL)
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<requested>.*?), used: (?P<used>.*?), limited: (?P<limited>.*)"
)
_QUOTA_DEMANDS = re.compile(r"failed quota: (?P<quota>[^:]+): must specify (?P<what>.*)")
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
    """A pod that admission refused.

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
        quota: The name of the ResourceQuota.
        requested: What the pod asked for.
        used: What was in use; empty where the quota demands that the pod states something.
        limited: The limit, or what the pod must state.
    """

    quota: str
    requested: str
    used: str
    limited: str


@lru_cache(maxsize=1024)
def refusal(message: str) -> Refusal | None:
    """Read the message of a FailedCreate Event.

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
        return OverQuota(match["quota"], match["requested"], match["used"], match["limited"].strip())
    if match := _QUOTA_DEMANDS.search(why):
        return OverQuota(match["quota"], "nothing", "", f"pods must state {match['what'].strip()}")
    return None
