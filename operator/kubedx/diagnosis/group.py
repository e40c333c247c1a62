"""Findings that are said together, and where in the forest of causes and symptoms they stand."""

from bisect import insort
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from heapq import nsmallest
from operator import attrgetter

from kubedx.core.check import Check
from kubedx.core.finding import Ref, Severity
from kubedx.engine.verdict import RawFinding

Identity = tuple[str, Ref]
"""What names a group: the check's id and whom the group is about."""

Rank = tuple[bool, bool, int, datetime, int, str, Ref]
"""How groups are preferred as a cause: open ones, then said ones, lower layers, earlier, more severe, by id."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)

SAMPLES = 5
"""How many examples are shown of many."""

Name = tuple[str, str, str]

by_name: Callable[[Ref], Name] = attrgetter("kind", "namespace", "name")
"""What a `Ref` is ordered by and told by, at a fraction of its own price."""


class Member:
    """A finding as a member of its group.

    Attributes:
        finding: The finding.
        group: The group.
        place: Which of its verdict's findings it is, so that equals have an order.
        since: Since when it counts: the finding's own time, else when it was first seen. None: for long enough.
        is_promoted: Whether it is said early, because something that it causes is said.
        cause: The group that explains it, None where nothing does.
        exact: Whether the keys that joined it to its cause prove the relation, and the order in time does not deny it.
    """

    __slots__ = ("cause", "exact", "finding", "group", "is_promoted", "place", "since")

    def __init__(self, finding: RawFinding, group: "Group", place: int, since: datetime | None) -> None:
        self.finding = finding
        self.group = group
        self.place = place
        self.since = since
        self.is_promoted = False
        self.cause: Group | None = None
        self.exact = True


def is_worse(one: Member, other: Member) -> bool:
    """Whether one member rather than another speaks for their group: the more severe, the earlier, by name."""
    mine, its = one.finding, other.finding
    if mine.severity != its.severity:
        return mine.severity > its.severity
    if mine.since != its.since:
        return its.since is None or (mine.since is not None and mine.since < its.since)
    return (*by_name(mine.subject), *by_name(mine.member), one.place) < (
        *by_name(its.subject), *by_name(its.member), other.place,
    )  # fmt: skip


class Tally:
    """What a cause explains of one group, or of all groups of one check.

    Attributes:
        count: How many subjects show it.
        samples: The first of them by name.
        since: Since when the first of them does; `NEVER` where none tells.
        critical: How many findings are critical, those aside that somebody silenced.
        warning: How many are warnings, likewise.
        likely: How many groups are joined to the cause by likelihood only.
    """

    __slots__ = ("count", "critical", "likely", "samples", "since", "warning")

    def __init__(self, count: int = 0, samples: tuple[Ref, ...] = (), since: datetime = NEVER, likely: int = 0) -> None:
        self.count = count
        self.samples = samples
        self.since = since
        self.likely = likely
        self.critical = self.warning = 0

    @property
    def severity(self) -> Severity:
        """How bad the worst of them is."""
        if self.critical:
            return Severity.CRITICAL
        return Severity.WARNING if self.warning else Severity.INFO

    @classmethod
    def of(cls, members: Iterable[Member]) -> "Tally":
        """Sum up the members of one group that have one cause. There must be one."""
        subjects: dict[tuple[str, str, str], Ref] = {}
        since, likely = NEVER, 0
        critical = warning = 0
        for member in members:
            finding = member.finding
            subjects[by_name(finding.subject)] = finding.subject
            if finding.since is not None and finding.since < since:
                since = finding.since
            if not member.exact:
                likely = 1
            critical += finding.severity is Severity.CRITICAL
            warning += finding.severity is Severity.WARNING
        samples = tuple(subjects[name] for name in nsmallest(SAMPLES, subjects))
        found = cls(len(subjects), samples, since, likely)
        if not member.group.is_silenced:
            found.critical, found.warning = critical, warning
        return found

    def add(self, other: "Tally") -> None:
        """Add what another group shows."""
        self.count += other.count
        self.likely += other.likely
        self.critical += other.critical
        self.warning += other.warning
        self.since = min(self.since, other.since)
        if len(self.samples) < SAMPLES or by_name(other.samples[0]) < by_name(self.samples[-1]):
            self.samples = tuple(sorted((*self.samples, *other.samples), key=by_name)[:SAMPLES])

    def subtract(self, other: "Tally") -> bool:
        """Take away what was added; returns whether samples and time still hold."""
        self.count -= other.count
        self.likely -= other.likely
        self.critical -= other.critical
        self.warning -= other.warning
        is_first = other.since == self.since and other.since != NEVER
        return not is_first and not set(other.samples) & set(self.samples)


class Group:
    """The findings of one check that are said together.

    Attributes:
        identity: The check's id and whom the group is about.
        check: The check.
        members: The findings that take part, those that are said or are about to be; not in any order.
        cleared_at: When it cleared, for a cause that still explains its symptoms; None while it is open.
        is_pending: Whether it has not lasted long enough to be said. It may still be a link in a chain, and as the root
            of what is said it has proved to be no noise.
        is_in: Whether it takes part in folding at all.
        rank: How it is preferred as a cause.
        causes: The members that each direct cause explains.
        unlinked: How many members nothing explains.
        is_cut: Whether it stays a root although all its members have a cause, as it stands best in a cycle.
        is_folded: Whether it is a symptom as a whole: each of its members has a cause.
        is_silenced: Whether somebody silenced it: as a symptom it makes no cause more severe then.
        is_counted: Whether its members count as what a cause explains: it is folded, said, and has not cleared.
        parent: The direct cause of its worst member, None for a root.
        symptoms: The folded groups with members of which this is the direct cause.
        inner: Those of which it is the parent, and which have symptoms of their own.
        weight: How many members are explained by this, directly or not.
        ring: The groups with which it stands in cycles; empty where there is none.
        told: What each symptom adds to `explained`.
        explained: What this directly explains, by check.
    """

    __slots__ = (
        "_is_mixed", "_is_stale", "_names", "_severity", "_since", "_worst", "causes", "check", "cleared_at",
        "explained", "identity", "inner", "is_counted", "is_cut", "is_folded", "is_in", "is_pending", "is_silenced",
        "members", "parent", "rank", "ring", "symptoms", "told", "unlinked", "weight",
    )  # fmt: skip

    def __init__(self, identity: Identity, check: Check) -> None:
        self.identity = identity
        self.check = check
        self.members: dict[Member, None] = {}
        self.cleared_at: datetime | None = None
        self.is_pending = False
        self.is_in = False
        self._since: datetime = NEVER
        self._severity = Severity.INFO
        self._is_stale = False
        self._is_mixed = False
        self._names: list[Name] | None = []
        self._worst: Member | None = None
        self.rank: Rank = self._ranked()
        self.causes: dict[Group, dict[Member, None]] = {}
        self.unlinked = 0
        self.is_cut = False
        self.is_folded = False
        self.is_counted = False
        self.is_silenced = False
        self.parent: Group | None = None
        self.symptoms: dict[Group, None] = {}
        self.inner: dict[Group, None] = {}
        self.weight = 0
        self.ring: tuple[Group, ...] = ()
        self.told: dict[Group, Tally] = {}
        self.explained: dict[str, Tally] = {}

    @property
    def worst(self) -> Member:
        """The member that speaks for the group. There must be one."""
        if self._worst is None:
            worst, *others = self.members
            for other in others:
                if is_worse(other, worst):
                    worst = other
            self._worst = worst
        return self._worst

    @property
    def is_proved(self) -> bool:
        """Whether it has not lasted long enough to be said, and is the root of something that is said."""
        return self.is_in and self.is_pending and not self.is_folded and self.weight > 0

    @property
    def since(self) -> datetime:
        """Since when the first member has the problem; long ago where the cluster does not tell."""
        return self._since

    def subjects(self) -> tuple[int, list[Name]]:
        """Count the subjects of the members, and name the first of them."""
        if self._is_mixed:  # Several findings may be about one subject.
            names = {by_name(member.finding.subject) for member in self.members}
            return len(names), nsmallest(SAMPLES, names)
        if self._names is None:
            self._names = nsmallest(SAMPLES, [by_name(member.finding.subject) for member in self.members])
        return len(self.members), self._names

    def join(self, member: Member) -> None:
        """Take in a member. `sum_up` is to be called before anything is asked."""
        if not self.members:
            self._worst, self._severity, self._since = member, member.finding.severity, NEVER
        elif self._worst is not None and is_worse(member, self._worst):
            self._worst = member
        self.members[member] = None
        finding = member.finding
        if member.place or (finding.subject is not finding.member and finding.subject != finding.member):
            self._is_mixed = True
        if self._names is not None:
            insort(self._names, by_name(finding.subject))
            del self._names[SAMPLES:]
        self._severity = max(self._severity, member.finding.severity)
        self._since = min(self._since, member.finding.since or LONG_AGO)

    def leave(self, member: Member) -> None:
        """Let a member go. `sum_up` is to be called before anything is asked."""
        del self.members[member]
        finding = member.finding
        if self._worst is member:
            self._worst = None
        if self._names and by_name(finding.subject) <= self._names[-1]:
            self._names = None
        if finding.severity == self._severity or (finding.since or LONG_AGO) == self._since:
            self._is_stale = True

    def sum_up(self) -> bool:
        """Bring the rank up to date after members or state changed; returns whether it is another."""
        if self._is_stale:
            self._is_stale = False
            # Most often another member is as severe and as old as the one that left, and is met soon.
            if not any(member.finding.severity == self._severity for member in self.members):
                self._severity = max((member.finding.severity for member in self.members), default=Severity.INFO)
            if not any((member.finding.since or LONG_AGO) == self._since for member in self.members):
                self._since = min((member.finding.since or LONG_AGO for member in self.members), default=NEVER)
        before, self.rank = self.rank, self._ranked()
        return before != self.rank

    def _ranked(self) -> Rank:
        is_over = self.cleared_at is not None
        return (is_over, self.is_pending, self.check.layer, self._since, -self._severity, *self.identity)
