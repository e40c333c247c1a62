"""What the ledger remembers of one group, from its first finding until its object may go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from kubedx.core.check import Check
from kubedx.core.finding import Severity
from kubedx.core.message import render
from kubedx.diagnosis.diagnosis import Diagnosis, Resolution, State, Turn, object_name
from kubedx.diagnosis.group import SAMPLES, Group, Identity, Member
from kubedx.engine.verdict import RawFinding
from kubedx.settings import CheckSettings

HISTORY = 5
"""How many turns are remembered."""

FLAPS = 3
"""How often something has to clear within `FLAPPING` to be kept open the next time."""

FLAPPING = timedelta(minutes=30)
"""How long that looks back, and how long such a thing must be quiet, either way, to be itself again."""

NOBODY: Mapping[Member, None] = MappingProxyType({})

Shape = tuple[str, str, Severity]
"""What findings are counted by: namespace, kind and severity."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a group says.

    Attributes:
        worst: The member that speaks for it.
        message: What that one says, or how many there are.
        count: How many there are.
    """

    worst: RawFinding
    message: str
    count: int


class Entry:
    """The memory of one group.

    Attributes:
        group: The group as it takes part in folding: what is said, lingers, was said until lately, or is about to be.
        check: Its check.
        name: The name of its object.
        raised: The findings that have lasted long enough to be said.
        waiting: Those that have not. In a group that is said already they stay said if no other is left.
        next_due: When the first of these will have, at the earliest; None where none waits.
        fresh: What was raised or began to wait since the group was last brought up to date.
        gone: The findings that ended since then.
        source: What the group's members were taken from; None where they have to be compared one by one.
        cleared: What was said until it cleared, while that still explains its symptoms.
        said: What was said last, once that is over.
        remembered: What the object of an earlier run told.
        recalled: A finding that stands for those of an earlier run while none is found: it has their keys.
        shapes: The group's members, counted.
        counted: The severity cap and the role with which that is in the ledger's counts; None if it is not.
        rule: How its check is run.
        state: Where it is in its life; None while it has not lasted long enough to be said.
        first_seen: Since when.
        last_transition: When its state turned last.
        resolution: Why it is over.
        history: Its last turns.
        flaps: How often it came back.
        is_flapping: Whether it came and went so often that it is kept open.
        steady_since: Since when it is found without a break; None where that is not known.
        false_since: Since when nothing is found although it is said.
        blind_since: Since when it cannot be looked at.
        settles_at: When it has been open and no symptom for long enough to be written; None where it is not so.
        was_symptom: Whether it was a symptom since it opened.
        due: When it is to be looked at next because of time alone.
        is_dirty: Whether it is to be looked at.
        is_stale: Whether its diagnosis may be another.
        diagnosis: What was told of it last.
    """

    __slots__ = (
        "blind_since", "check", "cleared", "counted", "diagnosis", "due", "false_since", "first_seen", "flaps", "fresh",
        "gone", "group", "history", "is_dirty", "is_flapping", "is_stale", "last_transition", "name", "next_due",
        "raised", "recalled", "remembered", "resolution", "rule", "said", "settles_at", "shapes", "source", "state",
        "steady_since", "waiting", "was_symptom",
    )  # fmt: skip

    def __init__(self, identity: Identity, check: Check, rule: CheckSettings, first_seen: datetime) -> None:
        self.group = Group(identity, check)
        self.check = check
        self.rule = rule
        self.name = object_name(check, identity[1])
        self.raised: dict[Member, None] = {}
        self.waiting: dict[Member, None] = {}
        self.next_due: datetime | None = None
        self.fresh: list[Member] = []
        self.gone: list[Member] = []
        self.source: Mapping[Member, None] | None = None
        self.cleared: dict[Member, None] = {}
        self.said: Said | None = None
        self.remembered: Diagnosis | None = None
        self.recalled = NOBODY
        self.shapes: dict[Shape, int] = {}
        self.counted: tuple[Severity, str] | None = None
        self.state: State | None = None
        self.first_seen = first_seen
        self.last_transition: datetime | None = None
        self.resolution: Resolution | None = None
        self.history: tuple[Turn, ...] = ()
        self.flaps = 0
        self.is_flapping = False
        self.steady_since: datetime | None = None
        self.false_since: datetime | None = None
        self.blind_since: datetime | None = None
        self.settles_at: datetime | None = None
        self.was_symptom = False
        self.due: datetime | None = None
        self.is_dirty = False
        self.is_stale = False
        self.diagnosis: Diagnosis | None = None

    @classmethod
    def of(cls, remembered: Diagnosis, rule: CheckSettings) -> "Entry":
        """Take over what an object tells."""
        entry = cls(remembered.identity, remembered.check, rule, remembered.first_seen)
        entry.state = remembered.state
        entry.last_transition = remembered.last_transition
        entry.resolution = remembered.resolution
        entry.history = remembered.history
        entry.flaps = remembered.flaps
        entry.is_flapping = remembered.is_flapping
        entry.remembered = remembered
        if remembered.keys:
            entry.recalled = {Member(_recalled(remembered), entry.group, 0, remembered.first_seen): None}
        if entry.state is State.RESOLVED:
            entry.cleared = dict(entry.recalled)
        return entry

    @property
    def identity(self) -> Identity:
        """What names the group."""
        return self.group.identity

    @property
    def in_play(self) -> bool:
        """Whether the group is said: open, or out of sight."""
        return self.state is State.OPEN or self.state is State.UNKNOWN

    @property
    def is_seen(self) -> bool:
        """Whether its members were found by this process, and not only told of by an object of an earlier run."""
        members = self.group.members
        return bool(members) and members.keys() != self.recalled.keys()

    def cleared_often(self, now: datetime) -> bool:
        """Whether it cleared so often lately that it must not do so again before it has been quiet."""
        times = [turn.at for turn in self.history if turn.reason == Resolution.CLEARED.value]
        return len(times) >= FLAPS and now - times[-FLAPS] <= FLAPPING

    def turn(self, state: State, now: datetime, reason: str) -> None:
        """Take another state."""
        self.state = state
        self.last_transition = now
        self.history = (*self.history, Turn(state, now, reason))[-HISTORY:]

    def speak(self) -> Said | None:
        """What the group says, or said when it was over; None where only its object of an earlier run tells."""
        if self.state is State.RESOLVED:
            return self.said
        if not self.is_seen:
            return None
        worst = self.group.worst.finding
        return Said(worst, self._message(worst), len(self.group.members))

    def _message(self, worst: RawFinding) -> str:
        """What the worst member says; of many subjects under one owner, their number and some of their names."""
        said = render(worst.check.message, worst.params)
        count, first = self.group.subjects()
        if count == 1:
            return said
        names = ", ".join(name for _, _, name in first)
        more = f" and {count - SAMPLES} more" if count > SAMPLES else ""
        about = self.identity[1].text
        return f"{count} {worst.subject.kind}s of {about} ({names}{more}). The worst: {said}"


def _recalled(before: Diagnosis) -> RawFinding:
    """Stand in for the findings of an earlier run, as far as folding asks."""
    subject = before.subject
    keys: dict[str, tuple[str, ...]] = {}
    for join, key in before.keys:
        keys[join] = (*keys.get(join, ()), key)
    return RawFinding(
        check=before.check, member=subject, subject=subject, uid=before.uid, labels={}, group=subject,
        since=before.first_seen, severity=before.severity, confidence=before.confidence, evidence=before.evidence,
        own_params={}, keys=keys,
    )  # fmt: skip
