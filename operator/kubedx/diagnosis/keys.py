"""Where causes and symptoms find each other: by the keys of joins.

Nearly every key belongs to one group or one finding alone, and there are several for each finding, so a single one is
kept as it is and only more of them in a table.
"""

from kubedx.diagnosis.group import Group, Member


class Crowd:
    """The groups that share a key, as causes."""

    __slots__ = ("_ranked", "_round", "counts")

    def __init__(self, group: Group) -> None:
        self.counts = {group: 1}
        self._ranked: list[Group] = []
        self._round = -1

    def ranked(self, round_: int) -> list[Group]:
        """Give the groups, the preferred first.

        Args:
            round_: Another number after groups came, went, or changed their rank.

        Returns:
            The groups, sorted at most once in a round.
        """
        if self._round != round_:
            self._round = round_
            self._ranked = sorted(self.counts, key=lambda group: group.rank)
        return self._ranked


Causes = dict[str, Group | Crowd]
Symptoms = dict[str, Member | dict[Member, None]]


def crowd(causes: Causes, key: str, group: Group) -> bool:
    """Enter a group as a cause under a key that is taken, once for each member that has it.

    Returns:
        Whether the group was not there before.
    """
    found = causes[key]
    if isinstance(found, Group):
        found = causes[key] = Crowd(found)
    count = found.counts.get(group, 0)
    found.counts[group] = count + 1
    return not count


def withdraw(causes: Causes, key: str, group: Group) -> bool:
    """Undo entering a group once.

    Returns:
        Whether the group is no longer there.
    """
    found = causes[key]
    if isinstance(found, Group):
        del causes[key]
        return True
    found.counts[group] -= 1
    if found.counts[group]:
        return False
    del found.counts[group]
    if not found.counts:
        del causes[key]
    return True


def give_up(symptoms: Symptoms, key: str, member: Member) -> None:
    """Take a member from those that wait under a key."""
    found = symptoms[key]
    if isinstance(found, Member):
        del symptoms[key]
    else:
        del found[member]
        if not found:
            del symptoms[key]
