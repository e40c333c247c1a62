"""What time it is: by the API server, as far as it tells, and never earlier than before."""

import email.utils
import logging
import statistics
import time
from collections import deque
from datetime import UTC, datetime

logger = logging.getLogger(__name__)

NOISE = 2.0
"""Seconds by which the server's clock may differ unnoticed: a Date has whole seconds, and answers travel."""

LONGEST_EXCHANGE = 2.0
"""Seconds that an answer may take for its Date to say something."""

_REMEMBERED = 5


class Clock:
    """The time of the API server.

    The times in objects were written by the cluster's machines, so ages are told by its clock, not by ours, which may
    be wrong. This machine's wall clock is read once, at the start; whatever jumps it makes later change nothing. Where
    the clock is found to be ahead, it goes at half speed until it is right again.
    """

    def __init__(self) -> None:
        self._ahead_of_ticks = time.time() - time.monotonic()
        self._found: deque[float] = deque(maxlen=_REMEMBERED)
        self._last = float("-inf")
        """What was told last; nothing yet, so that a first answer may still put the clock back."""
        self._last_ticks = time.monotonic()

    def __call__(self) -> datetime:
        """The time in UTC."""
        ticks = time.monotonic()
        least = self._last + (ticks - self._last_ticks) / 2
        self._last = max(least, ticks + self._ahead_of_ticks)
        self._last_ticks = ticks
        return datetime.fromtimestamp(self._last, UTC)

    def observe(self, date: str | None, asked: float, answered: float) -> None:
        """Take note of the Date of an answer.

        Of the latest answers the one in the middle counts, so that a single wrong one, from a proxy perhaps, is none.

        Args:
            date: The header, None where there was none.
            asked: When the request was sent, by `time.monotonic`.
            answered: When the answer's headers had come, by `time.monotonic`.
        """
        if date is None or answered - asked > LONGEST_EXCHANGE:
            return
        try:
            at = email.utils.parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        self._found.append(at + 0.5 - (asked + answered) / 2)
        found = statistics.median(self._found)
        difference = found - self._ahead_of_ticks
        if abs(difference) > NOISE:
            self._ahead_of_ticks = found
            logger.info(
                "The API server's clock is %.0f seconds %s of what was believed; ages are told by the server's clock",
                abs(difference),
                "ahead" if difference > 0 else "short",
            )
