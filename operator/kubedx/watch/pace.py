"""How patient the watching is: every time it waits for is here."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait for what, in seconds.

    Attributes:
        idle: Silence after which a stream counts as dead; the server sends bookmarks about each minute.
        stale_after: Time without an answer after which what is known of a kind is no longer trusted.
        refused_retry: Until a kind that is forbidden or not served is tried again.
        shortest_backoff: The pause after a first failure; it doubles with each further one.
        longest_backoff: The longest such pause.
        longest_wait: The longest that a server's Retry-After is obeyed, as nothing is seen meanwhile.
        silent_close: A stream that ends sooner than this without a word is a failure, not the end of a good one.
        between_lists: Between two lists, where several in a row did not help.
    """

    idle: float = 70.0
    stale_after: float = 60.0
    refused_retry: float = 30.0
    shortest_backoff: float = 0.8
    longest_backoff: float = 30.0
    longest_wait: float = 120.0
    silent_close: float = 2.0
    between_lists: float = 10.0

    def faster(self, times: float) -> "Pace":
        """The same in less time: ten minutes become one second if it is 600 times faster.

        Args:
            times: How many times faster.

        Returns:
            A pace of which all proportions are the same.
        """
        return Pace(**{one.name: getattr(self, one.name) / times for one in fields(self)})
