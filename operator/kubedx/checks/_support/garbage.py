"""Why a kubelet cannot remove images: parsing what its garbage collector reports."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from kubedx.kube.quantity import MIB, shown_bytes

Trouble = Literal["space", "deletion", "stats", "capacity", "other"]
"""What is wrong: too little to remove, images that cannot be removed, no figures, a disk of no size."""

_WANTED = re.compile(r"Wanted to free (\d{1,20}) bytes, but freed (\d{1,20}) bytes", re.IGNORECASE)  # Up to 1.26.
_FOUND = re.compile(r"Attempted to free (\d{1,20}) bytes, but only found (\d{1,20}) bytes eligible")  # 1.27 to 1.34.
_USED = re.compile(r"image filesystem \((\d{1,3})% of ([^)]{1,32}) used\).*\(freed (\d{1,20}) bytes\)")  # Since 1.35.
_IN_DELETION = re.compile(r"space with errors in image deletion")
_NO_CAPACITY = re.compile(r"invalid capacity 0 on image filesystem")
_NO_STATS = re.compile(
    r"image(?: ?fs)? (?:stats|info)|rpc error: code = (?:DeadlineExceeded|Unavailable)|context deadline exceeded",
    re.IGNORECASE,
)

NEXT_TO_NOTHING = 16 * MIB
"""Freed bytes up to which it was not images that filled the disk."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """An attempt to free disk space that did not free enough.

    Attributes:
        freed: The bytes of the unused images that were found.
        why: The figures, in words.
    """

    freed: int
    why: str

    @property
    def in_vain(self) -> bool:
        """Whether there was next to nothing to free: what fills the disk are no unused images."""
        return self.freed <= NEXT_TO_NOTHING


@lru_cache(maxsize=1024)
def shortage(message: str) -> Shortage | None:
    """Read the message of a FreeDiskSpaceFailed Event (`pkg/kubelet/images/image_gc_manager.go`).

    Args:
        message: In one of the three forms that it has had.

    Returns:
        The figures; None where the message is about something else.
    """
    if _IN_DELETION.search(message):
        return None
    if match := _WANTED.search(message) or _FOUND.search(message):
        wanted, freed = int(match[1]), int(match[2])
        return Shortage(freed, f"it wanted {shown_bytes(wanted)} and unused images made up {shown_bytes(freed)}")
    if match := _USED.search(message):
        freed = int(match[3])
        return Shortage(freed, f"{match[1]} % of {match[2]} are in use and unused images made up {shown_bytes(freed)}")
    return None


@lru_cache(maxsize=1024)
def trouble(message: str) -> Trouble:
    """Class the message of an ImageGCFailed Event.

    Args:
        message: What the garbage collector said.

    Returns:
        What is wrong.
    """
    if shortage(message):
        return "space"
    if _IN_DELETION.search(message):
        return "deletion"
    if _NO_CAPACITY.search(message):
        return "capacity"
    return "stats" if _NO_STATS.search(message) else "other"
