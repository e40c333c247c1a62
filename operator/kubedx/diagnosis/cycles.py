"""Groups that explain each other: where such a cycle begins is decided by rank, whatever the order of arrival."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from kubedx.diagnosis.group import Group

T = TypeVar("T", bound=Hashable)


def rings(start: Iterable[T], causes: Callable[[T], Iterable[T]]) -> Iterator[list[T]]:
    """Find what explains each other: Tarjan's strongly connected components, without recursion.

    Args:
        start: Where to begin; what can be reached from there is looked at.
        causes: Gives the direct causes of each.

    Yields:
        Each ring of two or more.
    """
    number: dict[T, int] = {}
    lowest: dict[T, int] = {}
    stack: list[T] = []
    on_stack: set[T] = set()
    for first in start:
        if first in number:
            continue
        path = [(first, iter(causes(first)))]
        number[first] = lowest[first] = len(number)
        stack.append(first)
        on_stack.add(first)
        while path:
            group, ahead = path[-1]
            cause = next((one for one in ahead if one not in number or one in on_stack), None)
            if cause is None:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[group])
                if lowest[group] == number[group]:
                    ring = [stack.pop()]
                    while ring[-1] is not group:
                        ring.append(stack.pop())
                    on_stack.difference_update(ring)
                    if len(ring) > 1:
                        yield ring
            elif cause in number:
                lowest[group] = min(lowest[group], number[cause])
            else:
                number[cause] = lowest[cause] = len(number)
                stack.append(cause)
                on_stack.add(cause)
                path.append((cause, iter(causes(cause))))


def cuts(ring: Iterable[Group]) -> set[Group]:
    """Find the groups of a ring that are to be roots, so that no cycle is left.

    Two that explain each other are the shortest cycles, and there may be thousands through one group, a node's each; so
    they are broken first, each at the better-ranked of the two. Of what is left the best-ranked is a root, and so on.

    Args:
        ring: Groups that explain each other.

    Returns:
        Those whose own causes do not count.
    """
    ranked = sorted(ring, key=lambda group: group.rank)
    inside = set(ranked)
    causes: dict[Group, set[Group]] = {group: inside & group.causes.keys() for group in ranked}
    found: set[Group] = set()
    for group in ranked:
        if any(group in causes[cause] for cause in causes[group]):
            causes[group] = set()
            found.add(group)
    left = list(rings(ranked, causes.__getitem__))
    while left:
        part = set(left.pop())
        best = min(part, key=lambda group: group.rank)
        found.add(best)
        causes |= {group: causes[group] & part for group in part} | {best: set()}
        left += rings(part, causes.__getitem__)
    return found
