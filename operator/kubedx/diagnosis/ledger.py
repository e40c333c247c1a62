"""The ledger: what has been open since when, what lingers, what came back, what is out of sight.

Raw findings are a function of the cluster's present state; the ledger is fed with them in order and remembers. Its
memory survives a restart in the ClusterDiagnosis objects, from which it is restored.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from kubedx.core.check import Check, Registry
from kubedx.core.finding import Confidence, Evidence, Param, Ref, Severity
from kubedx.core.message import render
from kubedx.diagnosis.diagnosis import (
    SAMPLES,
    Diagnosis,
    Explained,
    Resolution,
    State,
    Suppression,
    Turn,
    object_name,
)
from kubedx.diagnosis.folding import IN_PLAY, Folding, Group, Identity, fold
from kubedx.engine.engine import Pair
from kubedx.engine.verdict import Outcome, RawFinding, Verdict
from kubedx.settings import Settings

UNKNOWN_AFTER = timedelta(minutes=10)
"""How long a diagnosis stays Open while it cannot be looked at."""

SETTLE = timedelta(seconds=2)
"""How long a new root must stand before it is written: its cause may be on its way."""

HISTORY = 5
"""How many turns are remembered."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an object tells about a diagnosis of an earlier run.

    Attributes:
        identity: What names it.
        state: Its state.
        severity: How bad it was.
        confidence: How sure.
        uid: The uid of the subject.
        message: What it said.
        evidence: What it rested on.
        explains: What it explained.
        path: Its path.
        first_seen: Since when.
        last_transition: When its state turned last.
        resolution: Why it was over.
        history: Its turns.
        flaps: How often it came back.
    """

    identity: Identity
    state: State
    severity: Severity
    confidence: Confidence
    uid: str
    message: str
    evidence: tuple[Evidence, ...]
    explains: tuple[Explained, ...]
    path: str
    first_seen: datetime
    last_transition: datetime
    resolution: Resolution | None
    history: tuple[Turn, ...]
    flaps: int


@dataclass(slots=True)
class _Entry:
    """The memory of one group, from its first finding until its object may go."""

    identity: Identity
    check: Check
    first_seen: datetime
    members: tuple[RawFinding, ...] = ()
    state: State | None = None
    """None while it has not lasted long enough to be said."""
    last_transition: datetime | None = None
    resolution: Resolution | None = None
    history: tuple[Turn, ...] = ()
    flaps: int = 0
    false_since: datetime | None = None
    blind_since: datetime | None = None
    root_since: datetime | None = None
    remembered: Remembered | None = None
    pending: tuple[RawFinding, ...] = ()
    """Findings that have not lasted long enough, while no other of the group has."""
    promoted: frozenset[tuple[Ref, Ref]] = frozenset()
    """Findings that are said early, because something that they cause is said."""
    noticed: dict[tuple[Ref, Ref], datetime] = field(default_factory=dict)
    """For findings without a time of their own, when they were first seen."""

    @property
    def in_play(self) -> bool:
        """Whether the group is said: open, or out of sight."""
        return self.state in {State.OPEN, State.UNKNOWN}


class Ledger:
    """Turns verdicts into diagnoses.

    Args:
        registry: The checks.
        settings: The live settings.
        exists: Tells whether an object still exists; None where that cannot be seen.
        one_shot: Whether this is a single look: what has no time of its own then counts as old enough, and a root need
            not settle.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        exists: Callable[[Ref], bool | None],
        *,
        one_shot: bool = False,
    ) -> None:
        self.settings = settings
        self.folding = Folding({}, {}, {}, {})
        self._registry = registry
        self._exists = exists
        self._one_shot = one_shot
        self._findings: dict[Identity, dict[Pair, tuple[RawFinding, ...]]] = defaultdict(dict)
        self._identities: dict[Pair, frozenset[Identity]] = {}
        self._unjudged: dict[Pair, frozenset[tuple[str, Ref]]] = {}
        self._entries: dict[Identity, _Entry] = {}
        self._dirty: set[Identity] = set()
        self._deadlines: list[tuple[datetime, str, Ref]] = []
        self._due: dict[Identity, datetime] = {}
        self._silence_ends: datetime | None = None
        self._suppressed: dict[Identity, Suppression] = {}
        self._outcomes: Mapping[Check, Outcome] = {}

    # --- feeding ---

    def restore(self, remembered: Iterable[Remembered]) -> None:
        """Take over what the objects of an earlier run tell. To be called before the first `feed`.

        Args:
            remembered: One for each readable object.
        """
        for one in remembered:
            check = self._registry.by_id.get(one.identity[0])
            if check is None:
                continue
            self._entries[one.identity] = _Entry(
                one.identity, check, one.first_seen, (), one.state, one.last_transition, one.resolution, one.history,
                one.flaps, remembered=one,
            )  # fmt: skip
            self._dirty.add(one.identity)

    def suppress(self, identity: Identity, suppression: Suppression | None) -> None:
        """Take note of what a person wrote into the spec of a diagnosis."""
        if self._suppressed.get(identity) == suppression:
            return
        self._dirty.add(identity)
        if suppression is None:
            self._suppressed.pop(identity, None)
        else:
            self._suppressed[identity] = suppression

    def configure(self, settings: Settings) -> None:
        """Follow new settings."""
        self.settings = settings
        self._dirty.update(self._entries)

    def feed(self, verdicts: Mapping[Pair, Verdict], outcomes: Mapping[Check, Outcome], now: datetime) -> bool:
        """Take the verdicts that changed and let time pass.

        Args:
            verdicts: The changed verdicts, in the order in which they settled.
            outcomes: How it went with each enabled check.
            now: The time.

        Returns:
            Whether any diagnosis may be different.
        """
        for pair, verdict in verdicts.items():
            self._take(pair, verdict)
        turned = {
            check.id for check in {*self._outcomes, *outcomes} if self._outcomes.get(check) != outcomes.get(check)
        }
        self._outcomes = outcomes
        self._dirty.update(identity for identity in self._entries if identity[0] in turned)
        self._ring(now)
        dirty, self._dirty = self._dirty, set()
        for identity in dirty:
            self._update(identity, now)
        if dirty:
            self._fold(now)
        return bool(dirty)

    def next_deadline(self) -> datetime | None:
        """When time alone may change something next, None if never."""
        first = self._deadlines[0][0] if self._deadlines else None
        return min(filter(None, (first, self._silence_ends)), default=None)

    def _ring(self, now: datetime) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            at, check, subject = heapq.heappop(self._deadlines)
            if self._due.get((check, subject)) == at:
                del self._due[check, subject]
            self._dirty.add((check, subject))
        if self._silence_ends is not None and self._silence_ends <= now:
            self._dirty.update(self._entries)
        self._silence_ends = self.settings.next_expiry(now)

    def _take(self, pair: Pair, verdict: Verdict) -> None:
        by_identity: dict[Identity, list[RawFinding]] = defaultdict(list)
        for finding in verdict.findings:
            by_identity[finding.identity].append(finding)
        before = self._identities.pop(pair, frozenset())
        for identity in before - set(by_identity):
            self._findings[identity].pop(pair, None)
            if not self._findings[identity]:
                del self._findings[identity]
        for identity, findings in by_identity.items():
            self._findings[identity][pair] = tuple(findings)
        if by_identity:
            self._identities[pair] = frozenset(by_identity)
        unjudged = frozenset((pair[0].id, subject) for subject, _ in verdict.unknowns)
        self._dirty.update(before, by_identity, unjudged, self._unjudged.pop(pair, ()))
        if unjudged:
            self._unjudged[pair] = unjudged

    # --- one group ---

    def _update(self, identity: Identity, now: datetime) -> None:
        found = [one for findings in self._findings.get(identity, {}).values() for one in findings]
        entry = self._entries.get(identity)
        if entry is None:
            if not found:
                return
            entry = self._entries[identity] = _Entry(identity, found[0].check, now)
        if not self.settings.enabled(entry.check):
            entry.pending = ()
            self._resolve(entry, now, Resolution.CHECK_DISABLED)
        elif self._is_blind(entry, found):
            self._lose_sight(entry, now)
        else:
            entry.blind_since = None
            self._judge(entry, found, now)
        silenced = self._suppressed.get(identity)
        if silenced is not None and silenced.until is not None and silenced.until > now:
            self._remind(silenced.until, identity)
        if entry.state is State.RESOLVED and entry.last_transition is not None:
            self._keep_or_forget(entry, entry.last_transition, now)
        elif entry.state is None and not found:
            del self._entries[identity]

    def _judge(self, entry: _Entry, found: list[RawFinding], now: datetime) -> None:
        # What is said already stays said while it is so, even if it began anew a moment ago.
        raised = self._raised(entry, found, now) or (tuple(sorted(found, key=_worst_first)) if entry.in_play else ())
        entry.pending = () if raised else tuple(sorted(found, key=_worst_first))
        if raised:
            entry.members = raised
            entry.false_since = None
            if entry.state is not State.OPEN:
                self._open(entry, now)
            return
        if not entry.in_play:
            return
        if self._is_gone(entry):
            self._resolve(entry, now, Resolution.SUBJECT_DELETED)
            return
        entry.false_since = entry.false_since or now
        over = entry.false_since + self.settings.clear_after(entry.check)
        if over <= now:
            self._resolve(entry, now, Resolution.CLEARED)
        else:
            self._remind(over, entry.identity)

    def _is_gone(self, entry: _Entry) -> bool:
        """Whether an ungrouped finding was about an object that existed, and does no longer."""
        if entry.check.group.name != "itself":
            return False
        before = entry.members[0] if entry.members else entry.remembered
        return before is not None and bool(before.uid) and self._exists(entry.identity[1]) is False

    def _raised(self, entry: _Entry, found: list[RawFinding], now: datetime) -> tuple[RawFinding, ...]:
        wait = self.settings.raise_after(entry.check)
        raised: list[RawFinding] = []
        noticed: dict[tuple[Ref, Ref], datetime] = {}
        for one in found:
            since = one.since
            if since is None and not self._one_shot:
                key = (one.subject, one.member)
                since = noticed[key] = entry.noticed.get(key) or (entry.first_seen if entry.in_play else now)
            if since is None or since + wait <= now or (one.subject, one.member) in entry.promoted:
                raised.append(one)
            else:
                self._remind(since + wait, entry.identity)
        entry.noticed = noticed
        entry.promoted &= {(one.subject, one.member) for one in found}
        return tuple(sorted(raised, key=_worst_first))

    def _open(self, entry: _Entry, now: datetime) -> None:
        known = entry.state
        if known is not State.UNKNOWN:
            since = [entry.noticed.get((one.subject, one.member)) or one.since for one in entry.members]
            entry.first_seen = min(filter(None, since), default=now)
            entry.flaps += known is State.RESOLVED
        entry.resolution = None
        self._turn(entry, State.OPEN, now, "Raised" if known is None else "Returned")

    def _resolve(self, entry: _Entry, now: datetime, resolution: Resolution) -> None:
        if entry.state is State.RESOLVED:
            return
        if entry.state is None:
            entry.members = ()
            return
        entry.resolution = resolution
        entry.false_since = entry.root_since = None
        self._turn(entry, State.RESOLVED, now, resolution.value)

    def _turn(self, entry: _Entry, state: State, now: datetime, reason: str) -> None:
        entry.state = state
        entry.last_transition = now
        entry.history = (*entry.history, Turn(state, now, reason))[-HISTORY:]

    def _keep_or_forget(self, entry: _Entry, over: datetime, now: datetime) -> None:
        """Forget what has been over for long enough: to be shown, and to explain what began before."""
        ends = [over + IN_PLAY, self._shown_until(entry)]
        ahead = [end for end in ends if end is None or end > now]
        if not ahead:
            del self._entries[entry.identity]
        for end in filter(None, ahead):
            self._remind(end, entry.identity)

    def _shown_until(self, entry: _Entry) -> datetime | None:
        """When a resolved diagnosis may go; None for never, as what a person silenced stays silenced if it returns."""
        over = (entry.last_transition or entry.first_seen) + self.settings.retention
        silenced = self._suppressed.get(entry.identity)
        if silenced is None:
            return over
        return max(over, silenced.until) if silenced.until else None

    # --- what cannot be looked at ---

    def _is_blind(self, entry: _Entry, found: list[RawFinding]) -> bool:
        outcome = self._outcomes.get(entry.check)
        if outcome is None or outcome.missing:
            return True
        if found:
            return False
        before = entry.remembered if not entry.members else None
        if before is not None and before.uid and self._exists(entry.identity[1]) is None:
            return True  # Its kind was seen before the restart, and has not been since.
        return bool(outcome.errors) or any(entry.identity in unjudged for unjudged in self._unjudged.values())

    def _lose_sight(self, entry: _Entry, now: datetime) -> None:
        if entry.state is not State.OPEN:
            return
        entry.blind_since = entry.blind_since or now
        due = entry.blind_since + UNKNOWN_AFTER
        if due <= now:
            self._turn(entry, State.UNKNOWN, now, "InputsMissing")
        else:
            self._remind(due, entry.identity)

    # --- all groups ---

    def _fold(self, now: datetime) -> None:
        groups = [group for entry in self._entries.values() if (group := _group(entry, now))]
        self.folding = fold(groups, self._registry, now)
        for identity in self.folding.promoted:
            self._promote(self._entries[identity], now)
        for entry in self._entries.values():
            if entry.state is not State.OPEN or entry.identity in self.folding.cause:
                entry.root_since = None
            else:
                entry.root_since = entry.root_since or now
                if now < entry.root_since + SETTLE:
                    self._remind(entry.root_since + SETTLE, entry.identity)

    def _promote(self, entry: _Entry, now: datetime) -> None:
        """Say a cause before its time, as something that it causes is said already: that it is no noise is proved."""
        entry.promoted = frozenset((one.subject, one.member) for one in entry.pending)
        entry.members, entry.pending = entry.pending, ()
        self._open(entry, now)

    def _remind(self, at: datetime, identity: Identity) -> None:
        """Look at a group again at a time. Each look asks anew for the next one, so only the earliest is kept."""
        due = self._due.get(identity)
        if due is None or at < due:
            self._due[identity] = at
            heapq.heappush(self._deadlines, (at, *identity))

    # --- what there is to say ---

    def findings(self) -> dict[tuple[Check, str, str, Severity, str], int]:
        """Count the members of open groups by check, namespace, kind, severity and role (``cause`` or ``symptom``)."""
        counts: dict[tuple[Check, str, str, Severity, str], int] = defaultdict(int)
        for entry in self._entries.values():
            if entry.in_play:
                role = "symptom" if entry.identity in self.folding.cause else "cause"
                for one in entry.members:
                    severity = min(one.severity, self.settings.severity(entry.check))
                    counts[entry.check, one.subject.namespace, one.subject.kind, severity, role] += 1
        return counts

    def diagnoses(self, now: datetime) -> list[Diagnosis]:
        """Give every root group that is open, out of sight, or resolved and still kept, the most severe first.

        Args:
            now: The time, for suppressions that end.

        Returns:
            The diagnoses.
        """
        found = [self._diagnosis(entry, now) for entry in self._entries.values() if self._is_shown(entry, now)]
        return sorted(found, key=lambda one: (one.state is State.RESOLVED, -one.severity, one.first_seen, one.name))

    def _is_shown(self, entry: _Entry, now: datetime) -> bool:
        if entry.state is State.RESOLVED:
            until = self._shown_until(entry)
            return until is None or now < until
        return entry.state is not None and entry.identity not in self.folding.cause

    def _diagnosis(self, entry: _Entry, now: datetime) -> Diagnosis:
        subject = entry.identity[1]
        worst = entry.members[0] if entry.members else None
        before = entry.remembered
        symptoms = self.folding.symptoms.get(entry.identity, ())
        explains = _explained(symptoms)
        if worst is not None:
            proved = all(self.folding.exact[symptom] for symptom, _ in symptoms)
            confidence = worst.confidence if proved else Confidence.PROBABLE
            evidence, params = worst.evidence, dict(worst.params)
            severity = min(worst.severity, self.settings.severity(entry.check))
            uid = worst.uid if worst.subject == subject else ""
            message = _message(entry.members, subject)
            path = self._path(entry.identity)
        elif before is not None:
            confidence, severity, uid, message = before.confidence, before.severity, before.uid, before.message
            evidence, explains, path = before.evidence, before.explains, before.path
            params = _names(subject)
        else:
            raise AssertionError("an entry that is said has members or a memory")
        settled = self._one_shot or entry.root_since is None or now - entry.root_since >= SETTLE
        return Diagnosis(
            entry.identity, object_name(entry.check, subject), entry.check, entry.state or State.OPEN, severity,
            confidence, uid, message, evidence, params, len(entry.members), explains, path, entry.first_seen,
            entry.last_transition or now, entry.resolution, entry.history, entry.flaps,
            self._suppression(entry, worst, now), settled,
        )  # fmt: skip

    def _suppression(self, entry: _Entry, worst: RawFinding | None, now: datetime) -> Suppression | None:
        own = self._suppressed.get(entry.identity)
        if own is not None and (own.until is None or now < own.until):
            return own
        found = self.settings.suppression_for(entry.check, entry.identity[1], worst.labels if worst else {}, now)
        if found is not None:
            return Suppression(found.reason, found.until, field=found.field)
        return replace(own, expired=True) if own is not None else None

    def _path(self, root: Identity) -> str:
        chains = {tuple(self.folding.chain(symptom)) for symptom, _ in self.folding.symptoms.get(root, ())}
        longest = min(chains, key=lambda chain: (-len(chain), chain), default=())
        return " → ".join(longest)


def _group(entry: _Entry, now: datetime) -> Group | None:
    """Give what of an entry takes part in folding: what is said, what was said until lately, what is not said yet."""
    if entry.in_play and entry.members:
        return Group(entry.identity, entry.check, entry.members)
    if entry.pending:
        return Group(entry.identity, entry.check, entry.pending, is_pending=True)
    over = entry.last_transition
    if entry.members and over is not None and now - over < IN_PLAY:
        return Group(entry.identity, entry.check, entry.members, cleared_at=over)
    return None


def _worst_first(finding: RawFinding) -> tuple[int, bool, datetime, Ref, Ref]:
    since = finding.since or datetime.max.replace(tzinfo=UTC)
    return (-finding.severity, finding.since is None, since, finding.subject, finding.member)


def _message(members: tuple[RawFinding, ...], subject: Ref) -> str:
    """What the worst member says; of many subjects under one owner, their number and some of their names."""
    worst = members[0]
    said = render(worst.check.message, worst.params)
    subjects = sorted({member.subject for member in members})
    if len(subjects) == 1:
        return said
    names = ", ".join(one.name for one in subjects[:SAMPLES])
    more = f" and {len(subjects) - SAMPLES} more" if len(subjects) > SAMPLES else ""
    return f"{len(subjects)} {worst.subject.kind}s of {subject.text} ({names}{more}). The worst: {said}"


def _explained(symptoms: Iterable[tuple[Identity, RawFinding]]) -> tuple[Explained, ...]:
    by_check: dict[str, list[RawFinding]] = defaultdict(list)
    for (check, _), member in symptoms:
        by_check[check].append(member)
    found = []
    for check, members in by_check.items():
        subjects = sorted({member.subject for member in members})
        since = min((member.since for member in members if member.since), default=None)
        found.append(Explained(check, len(subjects), tuple(one.text for one in subjects[:SAMPLES]), since))
    return tuple(sorted(found, key=lambda one: (-one.count, one.check)))


def _names(subject: Ref) -> dict[str, Param]:
    return {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name}
