"""The ledger: what has been open since when, what lingers, what came back, what is out of sight.

Raw findings are a function of the cluster's present state; the ledger is fed with them in order and remembers. Its
memory survives a restart in the ClusterDiagnosis objects, from which it is restored. A feed costs what it changes.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter

from kubedx.core.check import Check, Registry
from kubedx.core.finding import Confidence, Ref, Severity
from kubedx.diagnosis import diagnosis as model
from kubedx.diagnosis.counts import Counts, Tables
from kubedx.diagnosis.diagnosis import LONGEST_KEY, MOST_KEYS, Diagnosis, Resolution, State, Suppression
from kubedx.diagnosis.entry import FLAPPING, NOBODY, Entry, Shape
from kubedx.diagnosis.folding import IN_PLAY, Folding
from kubedx.diagnosis.group import NEVER, Group, Identity, Member
from kubedx.engine.engine import Pair
from kubedx.engine.verdict import Outcome, RawFinding, Verdict
from kubedx.settings import Settings

UNKNOWN_AFTER = timedelta(minutes=10)
"""How long a diagnosis stays Open while it cannot be looked at."""

SETTLE = timedelta(seconds=2)
"""How long a new root must stand before it is written: its cause may be on its way."""

AFTERMATH = timedelta(seconds=30)
"""How long so where it was a symptom until now: what was broken by its cause heals after it, and not at once. The
scheduler, say, tries a pod again within ten seconds of a change of its nodes (`podMaxBackoffSeconds`)."""

VERDICTS = 200
"""Verdicts taken in one step."""

FINDINGS = 400
"""Findings that came or went in the groups looked at in one step."""

STALE = 50
"""Diagnoses made in one step. Fewer are left until somebody asks, as they may be others by then."""

_Place = tuple[bool, int, int, datetime, str]
"""What diagnoses are put in order by."""

_WORDS = {severity: severity.text for severity in Severity}


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
        self._registry = registry
        self._exists = exists
        self._one_shot = one_shot
        self._now: datetime | None = None
        self._folding = Folding(registry)
        self._entries: dict[Identity, Entry] = {}
        self._entry_of: dict[Group, Entry] = {}
        self._members: dict[Pair, tuple[Member, ...]] = {}
        self._unjudged: dict[Pair, frozenset[Identity]] = {}
        self._unjudged_by: dict[Identity, int] = {}
        self._dirty: list[Entry] = []
        self._stale: list[Entry] = []
        self._ranked: list[tuple[_Place, Diagnosis]] = []
        self._fresh: list[tuple[_Place, Diagnosis]] = []
        self._over: dict[int, Diagnosis] = {}
        self._told: list[Diagnosis] = []
        self._counts = Counts()
        self._deadlines: list[tuple[datetime, int, Entry]] = []
        self._reminders = 0
        self._silence_ends: datetime | None = None
        self._suppressed: dict[Identity, Suppression] = {}
        self._outcomes: Mapping[Check, Outcome] = {}
        self._outcome_of: dict[str, Outcome] = {}
        self._is_reset = True

    # --- feeding ---

    def restore(self, remembered: Iterable[Diagnosis]) -> None:
        """Take over what the objects of an earlier run tell. To be called before the first `feed`.

        Args:
            remembered: One for each readable object.
        """
        for one in remembered:
            self._soil(self._enter(Entry.of(one, self.settings.checks[one.check.id])))

    def suppress(self, identity: Identity, suppression: Suppression | None) -> None:
        """Take note of what a person wrote into the spec of a diagnosis."""
        if self._suppressed.get(identity) == suppression:
            return
        if suppression is None:
            self._suppressed.pop(identity, None)
        else:
            self._suppressed[identity] = suppression
        entry = self._entries.get(identity)
        if entry is not None:
            self._soil(entry)
            self._retell(entry)

    def configure(self, settings: Settings) -> None:
        """Follow new settings."""
        before, self.settings = self.settings, settings
        changed = {id_ for id_, one in settings.checks.items() if before.checks.get(id_) != one}
        all_differ = (before.suppressions, before.retention) != (settings.suppressions, settings.retention)
        # How severe a cause is depends on what it explains.
        all_differ |= any(before.checks[id_].severity != settings.checks[id_].severity for id_ in changed)
        for entry in self._entries.values():
            if entry.check.id in changed:
                entry.rule = settings.checks[entry.check.id]
                self._sort(entry)
            if all_differ or entry.check.id in changed:
                self._soil(entry)
        self._is_reset = True

    def feed(self, verdicts: Mapping[Pair, Verdict], outcomes: Mapping[Check, Outcome], now: datetime) -> bool:
        """Take the verdicts that changed and let time pass.

        Args:
            verdicts: The changed verdicts, in the order in which they settled.
            outcomes: How it went with each enabled check.
            now: The time.

        Returns:
            Whether any diagnosis may be different.
        """
        return any([*self.steps(verdicts.items(), outcomes, now)])

    def steps(
        self, verdicts: Iterable[tuple[Pair, Verdict]], outcomes: Mapping[Check, Outcome], now: datetime
    ) -> Iterator[bool]:
        """Do what `feed` does in steps of a few milliseconds, so that others may do something in between.

        Args:
            verdicts: As for `feed`. Groups are judged once all are taken, so what moves within one feed never clears.
            outcomes: As for `feed`.
            now: As for `feed`.

        Yields:
            After each step whether it changed anything.
        """
        self._now = now
        for number, (pair, verdict) in enumerate(verdicts, 1):
            self._take(pair, verdict, now)
            if number % VERDICTS == 0:
                yield False
        if outcomes != self._outcomes:
            self._note(outcomes)
        self._ring(now)
        dirty, self._dirty = self._dirty, []
        touched: dict[Entry, None] = {}
        yield from self._look_at(dirty, touched, now)
        while proved := [entry for entry in touched if entry.group.is_proved]:
            for entry in proved:
                self._promote(entry, now)
            touched.update(dict.fromkeys(self._settle()))
        for number, entry in enumerate(touched):
            self._stand(entry, now)
            if number % VERDICTS == VERDICTS - 1:
                yield True
        while self._folding.tell_some(FINDINGS):
            yield False
        while len(self._stale) > STALE:
            part, self._stale = self._stale[:STALE], self._stale[STALE:]
            self._tell(part, now)
            yield True
        yield bool(touched)

    def _look_at(self, dirty: Iterable[Entry], touched: dict[Entry, None], now: datetime) -> Iterator[bool]:
        changes = 0
        for entry in dirty:
            changes += 1 + len(entry.fresh) + len(entry.gone)
            entry.is_dirty = False
            touched[entry] = None
            self._look(entry, now)
            if changes >= FINDINGS:
                changes = 0
                touched.update(dict.fromkeys(self._settle()))
                yield False
        touched.update(dict.fromkeys(self._settle()))

    def next_deadline(self) -> datetime | None:
        """When time alone may change something next, None if never."""
        first = self._deadlines[0][0] if self._deadlines else None
        return min(filter(None, (first, self._silence_ends)), default=None)

    def _soil(self, entry: Entry) -> None:
        """Have an entry looked at."""
        if not entry.is_dirty:
            entry.is_dirty = True
            self._dirty.append(entry)

    def _retell(self, entry: Entry) -> None:
        """Have the diagnosis of an entry made again when it is asked for."""
        if not entry.is_stale:
            entry.is_stale = True
            self._stale.append(entry)

    def _note(self, outcomes: Mapping[Check, Outcome]) -> None:
        turned = {
            check.id for check in {*self._outcomes, *outcomes} if self._outcomes.get(check) != outcomes.get(check)
        }
        self._outcomes = dict(outcomes)
        self._outcome_of = {check.id: outcome for check, outcome in outcomes.items()}
        for entry in self._entries.values():
            if entry.check.id in turned:
                self._soil(entry)

    def _ring(self, now: datetime) -> None:
        while self._deadlines and self._deadlines[0][0] <= now:
            at, _, entry = heapq.heappop(self._deadlines)
            if entry.due == at:
                entry.due = None
            if entry.group in self._entry_of:
                self._soil(entry)
        if self._silence_ends is not None and self._silence_ends <= now:
            self._is_reset = True
            for entry in self._entries.values():
                self._soil(entry)
        if self._is_reset:
            self._is_reset = False
            self._silence_ends = self.settings.next_expiry(now)

    def _take(self, pair: Pair, verdict: Verdict, now: datetime) -> None:
        before = self._members.pop(pair, ())
        if verdict.findings:
            members = [self._member(finding, place, before, now) for place, finding in enumerate(verdict.findings)]
            self._members[pair] = tuple(members)
        for member in before:
            entry = self._entry_of[member.group]
            entry.raised.pop(member, None)
            entry.waiting.pop(member, None)
            entry.gone.append(member)
            self._soil(entry)
        if verdict.unknowns or (self._unjudged and pair in self._unjudged):
            self._take_unknowns(pair, frozenset((pair[0].id, subject) for subject, _ in verdict.unknowns))

    def _member(self, finding: RawFinding, place: int, before: tuple[Member, ...], now: datetime) -> Member:
        identity = finding.identity
        entry = self._entries.get(identity)
        if entry is None:
            entry = self._enter(Entry(identity, finding.check, self.settings.checks[finding.check.id], now))
        known = [one for one in before if one.group is entry.group and _is_about_the_same(one.finding, finding)]
        since = finding.since
        if since is None and not self._one_shot:
            since = next((one.since for one in known if one.finding.since is None), None)
            since = since or (entry.first_seen if entry.in_play else now)
        member = Member(finding, entry.group, place, since)
        member.is_promoted = any(one.is_promoted for one in known)
        self._sort_in(entry, member, now)
        self._soil(entry)
        return member

    def _sort_in(self, entry: Entry, member: Member, now: datetime) -> None:
        """Put a member to what is raised or to what waits."""
        due = None if member.since is None else member.since + entry.rule.raise_after
        if due is None or due <= now or member.is_promoted:
            entry.raised[member] = None
        else:
            entry.waiting[member] = None
            entry.next_due = min(due, entry.next_due or due)
        entry.fresh.append(member)

    def _sort(self, entry: Entry) -> None:
        """Sort all members of an entry anew, as how long they have to wait is another."""
        found = (*entry.raised, *entry.waiting)
        entry.raised.clear()
        entry.waiting.clear()
        entry.source = entry.next_due = None
        if self._now is not None:
            for member in found:
                self._sort_in(entry, member, self._now)

    def _take_unknowns(self, pair: Pair, unjudged: frozenset[Identity]) -> None:
        before = self._unjudged.pop(pair, frozenset())
        if unjudged:
            self._unjudged[pair] = unjudged
        for identities, step in ((before, -1), (unjudged, 1)):
            for identity in identities:
                count = self._unjudged_by.pop(identity, 0) + step
                if count:
                    self._unjudged_by[identity] = count
        for identity in before | unjudged:
            if identity in self._entries:
                self._soil(self._entries[identity])

    # --- one group ---

    def _look(self, entry: Entry, now: datetime) -> None:
        if entry.next_due is not None:
            self._ripen(entry, entry.next_due, now)
        if not entry.rule.enabled:
            self._resolve(entry, now, Resolution.CHECK_DISABLED)
            self._rest(entry, now)
        elif self._is_blind(entry):
            self._lose_sight(entry, now)
            self._link(entry)
            entry.source = None
            if entry.state is State.RESOLVED and not entry.group.is_pending:
                self._rest(entry, now)
        else:
            entry.blind_since = None
            self._judge(entry, now)
        entry.fresh.clear()
        entry.gone.clear()
        if self._suppressed or self.settings.suppressions or entry.group.is_silenced:
            self._hush(entry, now)
        silenced = self._suppressed.get(entry.identity) if self._suppressed else None
        if silenced is not None and silenced.until is not None and silenced.until > now:
            self._remind(silenced.until, entry)
        if entry.state is State.RESOLVED:
            self._keep_or_forget(entry, now)
        elif entry.state is None and not entry.raised and not entry.waiting:
            self._forget(entry)

    def _hush(self, entry: Entry, now: datetime) -> None:
        """Take note whether somebody silenced a group: what is known and silenced makes no cause louder."""
        labels = entry.group.worst.finding.labels if entry.group.members else {}
        found = self._suppression(entry, labels, now)
        self._folding.silence(entry.group, is_silenced=found is not None and not found.expired)

    def _link(self, entry: Entry) -> None:
        """Let what cannot be seen now explain and be explained as before.

        A new ledger, after a takeover, is told what was so when it could still be seen. That holds until then, though
        nothing is said for it that was not said before: without its links a chain would fall apart.
        """
        found = entry.raised or entry.waiting or entry.recalled
        if found and not entry.group.members and entry.state is not State.RESOLVED:
            self._have(entry, found)
            self._folding.place(entry.group, is_pending=not entry.in_play)

    def _ripen(self, entry: Entry, due: datetime, now: datetime) -> None:
        """Raise what has waited for long enough."""
        if due <= now:
            waiting = list(entry.waiting)
            entry.waiting.clear()
            entry.next_due = None
            for member in waiting:
                self._sort_in(entry, member, now)
        if entry.next_due is not None:
            self._remind(entry.next_due, entry)

    def _judge(self, entry: Entry, now: datetime) -> None:
        # What is said already stays said while it is so, even if it began anew a moment ago.
        said = entry.raised or (entry.waiting if entry.in_play else None)
        if said:
            self._have(entry, said)
            self._folding.place(entry.group)
            if entry.false_since is not None or entry.state is not State.OPEN:
                entry.steady_since = now
            entry.false_since = None
            entry.recalled = NOBODY
            if entry.state is not State.OPEN:
                self._open(entry, now)
            if entry.is_flapping:
                self._calm(entry, now)
            return
        if entry.in_play:
            self._linger(entry, now)
        if not entry.in_play:
            if entry.waiting:
                self._have(entry, entry.waiting)
                self._folding.place(entry.group, is_pending=True)
            else:
                self._rest(entry, now)

    def _calm(self, entry: Entry, now: datetime) -> None:
        """Let what flapped be itself again once it is found without a break for long enough."""
        entry.steady_since = entry.steady_since or now  # A restart does not tell; it counts anew.
        over = entry.steady_since + FLAPPING
        if over <= now:
            entry.is_flapping = False
        else:
            self._remind(over, entry)

    def _linger(self, entry: Entry, now: datetime) -> None:
        """Nothing is found any more of what is said."""
        if entry.recalled and not entry.group.members:
            self._have(entry, entry.recalled)
            self._folding.place(entry.group)
        entry.source = None
        if self._is_gone(entry):
            self._resolve(entry, now, Resolution.SUBJECT_DELETED)
            return
        entry.false_since = entry.false_since or now
        quiet = FLAPPING if entry.is_flapping else timedelta(0)
        over = entry.false_since + max(entry.rule.clear_after, quiet)
        if over <= now:
            self._resolve(entry, now, Resolution.CLEARED)
        else:
            self._remind(over, entry)

    def _is_gone(self, entry: Entry) -> bool:
        """Whether an ungrouped finding was about an object that existed, and does no longer."""
        if entry.check.group.name != "itself":
            return False
        uid = entry.remembered.uid if entry.remembered else ""
        if entry.is_seen:
            uid = entry.group.worst.finding.uid
        return bool(uid) and self._exists(entry.identity[1]) is False

    def _have(self, entry: Entry, target: Mapping[Member, None]) -> None:
        """Make a group's members those of a table: by what changed in it, where they were taken from it before."""
        group = entry.group
        if entry.source is target:
            removed = [member for member in entry.gone if member in group.members and member not in target]
            added = [member for member in entry.fresh if member in target and member not in group.members]
        else:
            removed = [member for member in group.members if member not in target]
            added = [member for member in target if member not in group.members]
        entry.source = target
        if not removed and not added:
            return
        self._folding.change(group, added=added, removed=removed)
        for members, step in ((removed, -1), (added, 1)):
            for member in members:
                finding = member.finding
                subject = finding.subject
                shape = (subject.namespace, subject.kind, finding.severity)
                count = entry.shapes.get(shape, 0) + step
                if count:
                    entry.shapes[shape] = count
                else:
                    del entry.shapes[shape]
                if entry.counted is not None:
                    self._add(entry, entry.counted, shape, step)

    def _rest(self, entry: Entry, now: datetime) -> None:
        """Have what cleared still explain what began before, for a while."""
        over = entry.last_transition
        if entry.state is State.RESOLVED and over is not None and now - over < IN_PLAY and entry.cleared:
            self._have(entry, entry.cleared)
            self._folding.place(entry.group, cleared_at=over)
        else:
            self._folding.drop(entry.group)
            entry.cleared = {}
            self._have(entry, entry.cleared)

    def _open(self, entry: Entry, now: datetime) -> None:
        known = entry.state
        if known is not State.UNKNOWN:
            since = (member.since for member in entry.group.members)
            entry.first_seen = min(filter(None, since), default=now)
            entry.flaps += known is State.RESOLVED
            entry.is_flapping = entry.cleared_often(now)
        entry.resolution = entry.said = None
        entry.cleared = {}
        entry.turn(State.OPEN, now, "Raised" if known is None else "Returned")

    def _resolve(self, entry: Entry, now: datetime, resolution: Resolution) -> None:
        if not entry.in_play:
            return
        entry.said = entry.speak()
        entry.cleared = dict(entry.group.members)
        entry.resolution = resolution
        entry.is_flapping = False
        entry.false_since = None
        entry.turn(State.RESOLVED, now, resolution.value)

    def _keep_or_forget(self, entry: Entry, now: datetime) -> None:
        """Forget what has been over for long enough: to be shown, and to explain what began before."""
        over = entry.last_transition or entry.first_seen
        ends = [over + IN_PLAY, self._shown_until(entry)]
        ahead = [end for end in ends if end is None or end > now]
        if not ahead and not entry.raised and not entry.waiting:
            self._forget(entry)
        for end in filter(None, ahead):
            self._remind(end, entry)

    def _enter(self, entry: Entry) -> Entry:
        self._entries[entry.identity] = self._entry_of[entry.group] = entry
        return entry

    def _forget(self, entry: Entry) -> None:
        self._folding.drop(entry.group)
        del self._entries[entry.identity], self._entry_of[entry.group]

    def _shown_until(self, entry: Entry) -> datetime | None:
        """When a resolved diagnosis may go; None for never, as what a person silenced stays silenced if it returns."""
        over = (entry.last_transition or entry.first_seen) + self.settings.retention
        silenced = self._suppressed.get(entry.identity)
        if silenced is None:
            return over
        return max(over, silenced.until) if silenced.until else None

    # --- what cannot be looked at ---

    def _is_blind(self, entry: Entry) -> bool:
        outcome = self._outcome_of.get(entry.group.identity[0])
        if outcome is None or (outcome.missing and _concerns(outcome, entry)):
            return True
        if entry.raised or entry.waiting:
            return False
        before = entry.remembered if not entry.is_seen else None
        if before is not None and before.uid and self._exists(entry.identity[1]) is None:
            return True  # Its kind was seen before the restart, and has not been since.
        return bool(outcome.errors) or entry.identity in self._unjudged_by

    def _lose_sight(self, entry: Entry, now: datetime) -> None:
        if entry.state is not State.OPEN:
            return
        entry.blind_since = entry.blind_since or now
        due = entry.blind_since + UNKNOWN_AFTER
        if due <= now:
            entry.turn(State.UNKNOWN, now, "InputsMissing")
        else:
            self._remind(due, entry)

    # --- all groups ---

    def _settle(self) -> list[Entry]:
        return [entry for group in self._folding.settle() if (entry := self._entry_of.get(group))]

    def _promote(self, entry: Entry, now: datetime) -> None:
        """Say a cause before its time, as something that it causes is said already: that it is no noise is proved."""
        for member in entry.waiting:
            member.is_promoted = True
        entry.raised.update(entry.waiting)
        entry.waiting.clear()
        entry.next_due = None
        self._judge(entry, now)

    def _stand(self, entry: Entry, now: datetime) -> None:
        """Take note of what became of a group among the others."""
        if entry.state is not State.OPEN:
            entry.settles_at, entry.was_symptom = None, False
        elif entry.group.is_folded:
            entry.settles_at, entry.was_symptom = None, True
        else:
            entry.settles_at = entry.settles_at or now + (AFTERMATH if entry.was_symptom else SETTLE)
            if now < entry.settles_at:
                self._remind(entry.settles_at, entry)
        self._count(entry)
        self._retell(entry)

    def _remind(self, at: datetime, entry: Entry) -> None:
        """Look at a group again at a time. Each look asks anew for the next one, so only the earliest is kept."""
        if entry.due is None or at < entry.due:
            entry.due = at
            self._reminders += 1
            heapq.heappush(self._deadlines, (at, self._reminders, entry))

    # --- what there is to say ---

    def _count(self, entry: Entry) -> None:
        """Count the findings of a group as what they are now, if they are said."""
        counted = None
        if entry.state is State.OPEN or entry.state is State.UNKNOWN:
            counted = (entry.rule.severity, "symptom" if entry.group.is_folded else "cause")
        if counted != entry.counted:
            for shape, count in entry.shapes.items():
                if entry.counted is not None:
                    self._add(entry, entry.counted, shape, -count)
                if counted is not None:
                    self._add(entry, counted, shape, count)
            entry.counted = counted

    def _add(self, entry: Entry, counted: tuple[Severity, str], shape: Shape, count: int) -> None:
        (most, role), (namespace, kind, severity) = counted, shape
        shown = min(most, severity)
        self._counts.add(namespace, (entry.group.identity[0], _WORDS[shown], kind, role), count)

    def findings(self) -> Tables:
        """Count the members of open groups: by namespace, and by check, severity, kind and role."""
        return self._counts.show()

    def diagnoses(self) -> Sequence[Diagnosis]:
        """Give every root group that is open, out of sight, or resolved and still kept, the most severe first.

        Returns:
            The diagnoses as of the last `feed`; while the next one is under way, as far as that has come. What did not
            change since the last call is the same object.
        """
        if self._now is not None and len(self._stale) <= STALE:
            stale, self._stale = self._stale, []
            self._tell(stale, self._now)
        if self._fresh or self._over:
            ranked = [one for one in (*self._ranked, *self._fresh) if id(one[1]) not in self._over]
            ranked.sort(key=itemgetter(0))  # Nearly sorted already, which takes hardly longer than looking.
            self._ranked, self._told = ranked, [one for _, one in ranked]
            self._fresh, self._over = [], {}
        return self._told

    def _tell(self, stale: Iterable[Entry], now: datetime) -> None:
        """Make diagnoses anew, and keep those that are as they were."""
        for entry in stale:
            entry.is_stale = False
            before = entry.diagnosis
            told = self._diagnosis(entry, now) if self._is_shown(entry, now) else None
            if told != before:
                entry.diagnosis = told
                if before is not None:
                    self._over[id(before)] = before
                if told is not None:
                    self._fresh.append((_most_severe_first(told), told))

    def _is_shown(self, entry: Entry, now: datetime) -> bool:
        if entry.group not in self._entry_of:
            return False
        if entry.state is State.RESOLVED:
            until = self._shown_until(entry)
            return until is None or now < until
        return entry.state is not None and not entry.group.is_folded

    def _diagnosis(self, entry: Entry, now: datetime) -> Diagnosis:
        # What only lingers is as good as over: nobody need hear of it who has not yet.
        stands = entry.settles_at is None or (now >= entry.settles_at and entry.false_since is None)
        said = entry.speak()
        if said is None:
            return self._as_before(entry, now, stands=stands)
        worst = said.worst
        uid = worst.uid if worst.subject == entry.identity[1] else ""
        explains, path, is_proved = self._explained(entry)
        confidence = worst.confidence if is_proved else Confidence.PROBABLE
        severity = min(worst.severity, entry.rule.severity)
        if explains:
            severity = max(severity, *[one.severity for one in explains])
        return Diagnosis(
            entry.identity, entry.name, entry.check, entry.state or State.OPEN, severity, confidence, uid,
            said.message, worst.evidence, worst.params, said.count, explains, path, entry.first_seen,
            entry.last_transition or now, entry.resolution, entry.history, entry.flaps, entry.is_flapping,
            _keys(entry.group) if explains else (), self._suppression(entry, worst.labels, now),
            self._one_shot or stands,
        )  # fmt: skip

    def _as_before(self, entry: Entry, now: datetime, *, stands: bool) -> Diagnosis:
        """Tell what only an object of an earlier run tells, and what has become of it since."""
        before = entry.remembered
        if before is None:
            raise AssertionError("an entry that is said has members or a memory")
        explains, path = before.explains, before.path
        if entry.recalled:
            explains, path, _ = self._explained(entry)
        return replace(
            before, state=entry.state or State.OPEN, explains=explains, path=path, first_seen=entry.first_seen,
            last_transition=entry.last_transition or now, resolution=entry.resolution, history=entry.history,
            flaps=entry.flaps, is_flapping=entry.is_flapping, suppression=self._suppression(entry, {}, now),
            settled=stands,
        )  # fmt: skip

    def _explained(self, entry: Entry) -> tuple[tuple[model.Explained, ...], str, bool]:
        """What a group explains, the longest chain from it, and whether all of that is proved."""
        found, chain = self._folding.explained(entry.group)
        explained = [
            model.Explained(
                check, min(tally.severity, self.settings.checks[check].severity), tally.count,
                tuple(one.text for one in tally.samples), None if tally.since == NEVER else tally.since,
            )
            for check, tally in found.items()
        ]  # fmt: skip
        explained.sort(key=lambda one: (-one.count, one.check))
        return tuple(explained), " → ".join(chain), not any(tally.likely for tally in found.values())

    def _suppression(self, entry: Entry, labels: Mapping[str, str], now: datetime) -> Suppression | None:
        own = self._suppressed.get(entry.identity)
        if own is not None and (own.until is None or now < own.until):
            return own
        found = self.settings.suppression_for(entry.check, entry.identity[1], labels, now)
        if found is not None:
            return Suppression(found.reason, found.until, field=found.field)
        return replace(own, expired=True) if own is not None else None


def _is_about_the_same(one: RawFinding, other: RawFinding) -> bool:
    return one.subject == other.subject and one.member == other.member


def _concerns(outcome: Outcome, entry: Entry) -> bool:
    """Whether the kinds that a check could not be asked about may be those of a group; who tells no kind may be any."""
    kinds = {member.finding.subject.kind for member in entry.raised or entry.waiting or entry.group.members}
    return not outcome.is_partial or not kinds or not kinds.isdisjoint(outcome.missing)


def _most_severe_first(one: Diagnosis) -> _Place:
    # Of equals those that explain more come first: where there is no room for all, a cause of many is worth more. Only
    # the magnitude counts, as a chain within one pod is no cause of many, and one symptom more should move nothing.
    explained = sum(symptom.count for symptom in one.explains).bit_length()
    return (one.state is State.RESOLVED, -one.severity, -explained, one.first_seen, one.name)


def _keys(group: Group) -> tuple[tuple[str, str], ...]:
    """Give the keys by which a cause finds its symptoms; of many members those of the one that speaks for them."""
    joins = {join.name for join in group.check.explains.values()}
    members = group.members if len(group.members) <= MOST_KEYS else (group.worst,)
    found = {(join, key) for one in members for join in joins for key in one.finding.keys.get(join, ())}
    return tuple(sorted(pair for pair in found if len(pair[1]) <= LONGEST_KEY)[:MOST_KEYS])
