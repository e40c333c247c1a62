"""Why a kubelet says that its node is not ready: parsing the message of the Ready condition.

The kubelet adds up what it misses. One error stands bare, several stand as `[e1, e2]`, and an error may itself hold
commas (`pkg/kubelet/nodestatus/setters.go`, `pkg/kubelet/runtime.go`, `apimachinery/pkg/util/errors`; 1.13 to 1.36).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal

from kubedx.kube.views import Node

About = Literal["runtime", "pleg", "network", "storage", "shutdown", "capacity", "other"]
"""What an error is about: the part of the node that does not work."""

_BEGINNINGS: tuple[tuple[About, str], ...] = (
    ("runtime", r"container runtime (?:is down|status check may not have completed yet|not ready: )"),
    ("pleg", r"\w{0,32}PLEG is not healthy: "),
    ("network", r"(?:container )?runtime network not ready: "),  # Without "container" up to 1.18.
    ("other", r"network state unknown"),  # The runtime has not been asked yet: no word about the network.
    ("storage", r"CSINode is not yet initialized|failed to initialize CSINode: "),
    ("shutdown", r"node is shutting down"),
    ("capacity", r"[Mm]issing node capacity for resources: "),
)
_SEPARATOR = re.compile(rf", (?={'|'.join(pattern for _, pattern in _BEGINNINGS)})")
_KINDS = tuple((about, re.compile(pattern)) for about, pattern in _BEGINNINGS)
_WARNING = re.compile(r"\. WARNING: .*$", re.DOTALL)
_AGO = re.compile(r"(last seen active )\S+( ago)")


@dataclass(frozen=True, slots=True)
class NodeError:
    """One of the errors for which a node is not ready.

    Attributes:
        about: What it is about.
        text: Its words, durations that grow with each report left out.
    """

    about: About
    text: str


@lru_cache(maxsize=1024)
def node_errors(message: str) -> tuple[NodeError, ...]:
    """Take the message of a Ready condition apart.

    Args:
        message: The message of a Ready condition with status False.

    Returns:
        The errors in the order in which the kubelet names them; none for an empty message.
    """
    joined = _AGO.sub(r"\1…\2", _WARNING.sub("", message)).strip()
    if joined.startswith("["):
        joined = joined[1:].removesuffix("]")
    return tuple(NodeError(_about(part), part) for part in _SEPARATOR.split(joined) if part)


def _about(text: str) -> About:
    return next((about for about, pattern in _KINDS if pattern.match(text)), "other")


def reported(node: Node, about: About) -> tuple[NodeError, datetime | None] | None:
    """Find what the kubelet reports about one part of its node.

    Args:
        node: The node.
        about: The part.

    Returns:
        The error, and since when the node is not ready; None where the kubelet names no such error, and where it is
        silent, as its last words say nothing about now.
    """
    ready = node.condition("Ready")
    if ready is None or ready.status != "False":
        return None
    found = next((error for error in node_errors(ready.message) if error.about == about), None)
    return (found, ready.last_transition_time) if found else None
