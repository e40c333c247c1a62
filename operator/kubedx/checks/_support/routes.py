"""Why a cloud controller could not create the route to a node's pods: parsing what it reports."""

import re
from dataclasses import dataclass
from functools import lru_cache

REASONS = ("FailedToCreateRoute", "CreateRouteFailed", "SyncRouteFailed", "DescriberRouteFailed")
"""The reasons of the Events: of the route controller of Kubernetes, and of Alibaba Cloud's own."""

_HEAD = re.compile(r"^Could not create route .{1,600}? for node .{1,300}? after [\d.hmsµun]{1,40}: ", re.DOTALL)
_QUOTA = re.compile(
    r"quota(?: '[\w-]{1,64}')?[ _]?exceeded|RouteLimitExceeded|exceeded.{0,100}routes?.{0,100}limit|RESOURCE_LIMIT"
    r"|cannot create more than \d+ routes",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate ?limit|throttl|per (?:minute|second|\d+ seconds)|quota metric", re.IGNORECASE)
"""Of calls of the cloud's API there are quotas as well: these are about time, not about routes."""
_REQUEST = re.compile(r"\bRequest ?ID: ?\S{1,100} ?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NoRoute:
    """A route that could not be created.

    Attributes:
        why: What the cloud said, without what differs with each attempt.
        over_quota: Whether there are as many routes as the cloud allows.
    """

    why: str
    over_quota: bool


@lru_cache(maxsize=1024)
def no_route(message: str) -> NoRoute:
    """Read the message of an Event about a route that could not be created.

    Args:
        message: ``Could not create route … 10.1.2.0/24 for node … after 1.2s: …``, or the words of another controller.

    Returns:
        Why.
    """
    why = _REQUEST.sub("", _HEAD.sub("", message)).strip()
    return NoRoute(
        why or message.strip() or "no reason is given",
        _QUOTA.search(message) is not None and _RATE.search(message) is None,
    )
