"""Durations as people write them in Kubernetes objects: ``90s``, ``5m``, ``1h30m``, ``2d``."""

import re
from datetime import timedelta

PATTERN = "^(0|([0-9]{1,7}[dhms])+)$"
"""What a duration looks like: whole numbers with their units, largest first by custom; a bare 0 needs no unit."""

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_WHOLE = re.compile(PATTERN, re.ASCII)
_PART = re.compile(r"([0-9]{1,7})([dhms])")


def parse(text: str) -> timedelta:
    """Read a duration.

    As in Go's ``time.ParseDuration`` the parts are added up; days are added to its units, fractions are left out.

    >>> parse("1h30m")
    datetime.timedelta(seconds=5400)
    >>> parse("2d")
    datetime.timedelta(days=2)

    Args:
        text: Numbers with the units ``d``, ``h``, ``m``, ``s``, or ``0``.

    Returns:
        The duration, never negative.

    Raises:
        ValueError: The text is no duration; the message says what to write.
    """
    if not _WHOLE.fullmatch(text):
        fix = f"write {text}s, {text}m or {text}h" if text.isdecimal() else "write 90s, 5m, 1h30m or 2d"
        raise ValueError(f"{text[:32]!r} is not a duration; {fix}")
    try:
        return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta(0))
    except OverflowError:
        raise ValueError(f"{text[:32]} is longer than any cluster lives") from None


def show(duration: timedelta) -> str:
    """Write a duration, so that `parse` reads the same whole seconds back.

    >>> show(timedelta(seconds=5400))
    '1h30m'
    >>> show(timedelta(0))
    '0s'

    Args:
        duration: The duration; fractions of a second are left out, a negative one is shown as zero.

    Returns:
        The parts that are not zero, largest first.
    """
    rest = max(duration, timedelta(0))
    parts = []
    for unit, size in _UNITS.items():
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"
