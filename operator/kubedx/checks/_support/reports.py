"""What components report about a node by Events, again and again: how often, since when, and whether it counts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from kubedx.checks._support.nodes import true_condition
from kubedx.core.inputs import EventRecord, Events, Now, minutes
from kubedx.kube.views import Node

SPARSE = minutes(6)
"""How far apart the Events may come at the least: after the first 25 about one object the sender's spam filter lets one
pass in five minutes (`client-go/tools/record/events_cache.go`)."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reports(Generic[T]):
    """The Events about a node that say something of a kind, added up.

    Attributes:
        what: What the newest of them says.
        record: The newest of them.
        first: When the first of them came.
        last: When the newest came.
        count: How many came, at least.
    """

    what: T
    record: EventRecord
    first: datetime | None
    last: datetime | None
    count: int

    def often(self, times: int, within: timedelta) -> bool:
        """Tell whether they come often.

        Args:
            times: How many there must be.
            within: In which time.

        Returns:
            Whether there are so many, and whether they come, on the average, as fast or as fast as a spam filter lets
            them.
        """
        span = self.last - self.first if self.last and self.first else timedelta(0)
        return self.count >= times and span <= max(SPARSE, within / times) * self.count


def reports(
    read: Callable[[EventRecord], T | None],
    node: Node,
    events: Events,
    reasons: tuple[str, ...],
    now: Now,
    quiet: timedelta,
) -> Reports[T] | None:
    """Add up the Events about a node that say something of a kind.

    Args:
        read: Reads an Event; None for one that says something else.
        node: The node.
        events: The Events.
        reasons: The reasons of the Events.
        now: The time.
        quiet: How long ago the newest may have come.

    Returns:
        What they say; None where there are none, where the newest is older than that, and for a node that is being
        deleted. Events about an earlier node of the same name do not count.
    """
    found = [
        (what, one)
        for one in events.about(node, *reasons)
        if not _of_an_earlier_node(one, node) and (what := read(one)) is not None
    ]
    if node.deleted or not found or now.older(found[0][1].last, quiet):
        return None
    what, newest = found[0]
    first = min((one.first for _, one in found if one.first), default=None)
    return Reports(what, newest, first, newest.last, sum(one.count for _, one in found))


def _of_an_earlier_node(record: EventRecord, node: Node) -> bool:
    return record.last is not None and node.created is not None and record.last < node.created


def is_over(node: Node, condition: str, last: datetime | None) -> bool:
    """Tell whether a node's condition says that what was reported is over.

    Args:
        node: The node.
        condition: The type of the condition that is True while the trouble lasts.
        last: When it was reported last.

    Returns:
        Whether the condition has turned False since then.
    """
    found = node.condition(condition)
    turned = found.last_transition_time if found and found.status == "False" else None
    return turned is not None and last is not None and turned > last


def since_within(node: Node, condition: str, first: datetime | None) -> datetime | None:
    """Say since when something is reported that goes along with a condition, and that may also come alone.

    Args:
        node: The node.
        condition: The type of the condition.
        first: When it was reported first: one Event adds up the reports of hours.

    Returns:
        That time, or since when the condition is True, if that is later: what came before was before this trouble.
    """
    present = true_condition(node, condition)
    return max(filter(None, (first, present.last_transition_time if present else None)), default=None)
