"""The incremental engine.

The law: after any sequence of changes the verdicts equal those of a full evaluation of the same objects, history and
time. It holds because a check is a pure function of what it reads, and everything it reads is noted: a change re-runs
the checks asked about the object itself and those that read a place which the object is or was in.
"""

import heapq
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from kubedx.core.check import Check, Input, Registry
from kubedx.core.finding import Confidence, Finding, Ref, Unknown, ref
from kubedx.core.inputs import CLUSTER, Cluster, Derived
from kubedx.engine.verdict import SILENT, Argument, Outcome, RawFinding, Verdict
from kubedx.kube.bits import bits
from kubedx.kube.meta import View
from kubedx.kube.text import clean
from kubedx.kube.views import Event
from kubedx.settings import Settings
from kubedx.store.lookups import Desk, Notes
from kubedx.store.store import Change, Store, Token

logger = logging.getLogger(__name__)

Pair = tuple[Check, Argument]
"""A check and what it is asked about."""

_AT_ONCE = timedelta(0)


class Engine:
    """Keeps the verdicts of all checks as the store changes.

    Args:
        registry: The checks.
        store: The mirror of the cluster.
        settings: The live settings.
        now: The time.
        cluster_interval: The least time between two runs of a check about the cluster.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        settings: Settings,
        now: datetime,
        cluster_interval: timedelta = _AT_ONCE,
    ) -> None:
        self.registry = registry
        self.store = store
        self.verdicts: dict[Pair, Verdict] = {}
        self.evaluations: dict[str, int] = defaultdict(int)
        self.failed_evaluations: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)
        self._settings = settings
        self._now = now
        self._cluster_interval = cluster_interval
        self._desk = Desk(store, now)
        self._joins = {check: registry.joins(check) for check in registry}
        self._missing: dict[Check, tuple[str, ...]] = {}
        self._errors: dict[Pair, str] = {}
        self._values: dict[Derived[Any], object] = {}
        self._value_reads: dict[Derived[Any], set[Token]] = {}
        self._stale_values: dict[Derived[Any], None] = {}
        self._readable: set[type[View]] = set()
        self._dirty: dict[Pair, None] = {}
        self._reads: dict[Pair, frozenset[Token]] = {}
        self._readers: dict[Token, set[Pair]] = defaultdict(set)
        self._wakes: dict[Pair, datetime] = {}
        self._timers: list[tuple[datetime, int, Pair]] = []
        self._timer_count = 0
        self._last_run: dict[Pair, datetime] = {}
        self._changed: dict[Pair, None] = {}
        self._by_kind: dict[type[View], tuple[Check, ...]] = {}
        self.refresh()

    # --- what changed ---

    def changed(self, change: Change) -> None:
        """Note a change of the store; `run` then asks the checks that it concerns.

        Args:
            change: What `Store` returned.
        """
        seen = bits(change.new) if change.new is not None else 0
        argument: Argument = (change.view, change.key)
        for check in self._by_kind.get(change.view, ()):
            pair = (check, argument)
            if not check.when or check.when & seen or self._is_known(pair):
                self._mark(pair)
        for token in change.touched:
            for pair in self._readers.get(token, ()):
                self._mark(pair)
        for value, tokens in self._value_reads.items():
            if not tokens.isdisjoint(change.touched):
                self._stale_values[value] = None

    def refresh(self, settings: Settings | None = None) -> None:
        """Ask every check again where it may matter: after new settings, or when a kind became readable or not.

        Args:
            settings: The new settings, None for the same ones.
        """
        all_again = settings is not None
        self._by_kind = self._dispatch()
        if settings is not None:
            self._settings = settings
        again: set[Check] = set()
        for check in self.registry:
            was, missing = self._missing.get(check), self._what_is_missing(check)
            self._missing[check] = missing
            if all_again or (not missing and was != missing):
                again.add(check)
        readable = {view for view in self.store.tables if self.store.readable(view)}
        turned, self._readable = readable ^ self._readable, readable
        for view, checks in self._by_kind.items():
            is_new = view in turned and view in readable
            self._mark_rows(view, checks if is_new else [check for check in checks if check in again])
        for check in again:
            if check.about_cluster:
                self._mark((check, None))
        for pair in {**self.verdicts, **self._reads, **self._errors}:
            if pair[0] in again or any(view in turned for view, _, _ in self._reads.get(pair, ())):
                self._mark(pair)
        self._stale_values.update(dict.fromkeys(self._values))

    def _is_known(self, pair: Pair) -> bool:
        """Whether something is kept about a pair, which a new answer has to replace."""
        return pair in self._reads or pair in self.verdicts or pair in self._errors

    def _mark_rows(self, view: type[View], checks: Sequence[Check]) -> None:
        table = self.store.tables.get(view)
        for key, row in table.rows.items() if table and checks else ():
            seen = bits(row)
            for check in checks:
                if not check.when or check.when & seen:
                    self._mark((check, (view, key)))

    def _mark(self, pair: Pair) -> None:
        last = self._last_run.get(pair)
        if last is not None and self._now < last + self._cluster_interval:
            self._wake(pair, last + self._cluster_interval)
        else:
            self._dirty[pair] = None

    # --- asking ---

    def run(self, now: datetime, limit: int | None = None) -> bool:
        """Ask the checks whose answers may have changed.

        Args:
            now: The time; it never goes back.
            limit: How many runs at most, so that a turn of the loop stays short; None for all.

        Returns:
            Whether everything is settled.
        """
        self._now = max(self._now, now)
        self._ring_timers()
        self._renew_values()
        count = 0
        while self._dirty and (limit is None or count < limit):
            pair = next(iter(self._dirty))
            del self._dirty[pair]
            self._ask(pair)
            count += 1
        return not self._dirty

    def next_wake(self) -> datetime | None:
        """When time alone may change an answer next, None if never."""
        while self._timers and self._wakes.get(self._timers[0][2]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def drain(self) -> dict[Pair, Verdict]:
        """Give the verdicts that changed since the last call; a silent one stands for nothing left to say."""
        changed, self._changed = self._changed, {}
        return {pair: self.verdicts.get(pair, SILENT) for pair in changed}

    def outcomes(self) -> dict[Check, Outcome]:
        """Tell how it went with each enabled check."""
        errors: dict[Check, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for (check, _), error in self._errors.items():
            errors[check][error] += 1
        return {
            check: Outcome(self._missing[check], dict(errors[check]) if check in errors else {})
            for check in self.registry
            if self._settings.enabled(check)
        }

    def undecided(self) -> list[tuple[Check, Ref, str]]:
        """Name the subjects that an enabled check cannot judge, with the reason, in a fixed order."""
        found = [(pair[0], *unknown) for pair, verdict in self.verdicts.items() for unknown in verdict.unknowns]
        return sorted(found, key=lambda one: (one[0].id, one[1]))

    def _ask(self, pair: Pair) -> None:
        check, argument = pair
        subject = self._subject(argument)
        if not self._settings.enabled(check) or subject is None:
            self._errors.pop(pair, None)
            self._settle(pair, SILENT, None)
            return
        if self._missing[check]:
            return  # Skipped: what was said before stands until the inputs are back.
        notes = self._desk.notes = Notes(self._now)
        if argument is None:
            self._last_run[pair] = self._now
        self.evaluations[check.id] += 1
        begun = time.perf_counter()
        try:
            asked = isinstance(subject, Cluster) or not check.when or bool(check.when & bits(subject))
            verdict = self._verdict(check, subject) if asked else SILENT
        except Exception as error:  # noqa: BLE001 -- the one place where a broken check is kept from the others
            self._failed(pair, error)
            self._note(pair, notes)
            return
        finally:
            self.seconds[check.id] += time.perf_counter() - begun
        self._errors.pop(pair, None)
        if notes.watched_too_short and not verdict.findings and isinstance(subject, View):
            verdict = Verdict(unknowns=((ref(subject), "It has not been watched for long enough yet."),))
        self._settle(pair, verdict, notes)

    def _verdict(self, check: Check, subject: View | Cluster) -> Verdict:
        inputs = {one.name: self._input(check, one) for one in check.inputs}
        findings: list[RawFinding] = []
        unknowns: list[tuple[Ref, str]] = []
        for answer in check.run(subject, **inputs):
            if isinstance(answer, Unknown):
                about = answer.subject if isinstance(answer.subject, Ref) else ref(answer.subject)
                unknowns.append((about, answer.why))
            elif self._settings.looks_at(answer.ref.namespace):
                findings.append(self._raw(check, subject, answer))
        return Verdict(tuple(findings), tuple(unknowns))

    def _raw(self, check: Check, asked: View | Cluster, finding: Finding) -> RawFinding:
        subject = finding.subject if isinstance(finding.subject, View) else None
        if finding.confidence is not None:
            confidence = finding.confidence
        else:
            firm = any(one.is_field for one in finding.evidence)
            confidence = Confidence.CONFIRMED if firm else Confidence.PROBABLE
        name = finding.ref
        return RawFinding(
            check=check,
            member=ref(asked) if isinstance(asked, View) else name,
            subject=name,
            uid=subject.uid if subject else "",
            labels=subject.metadata.labels if subject else {},
            group=check.group.key(finding, self._desk),
            since=finding.since,
            severity=check.severity if finding.severity is None else finding.severity,
            confidence=confidence,
            evidence=finding.evidence,
            params={**finding.params, "kind": name.kind, "namespace": name.namespace, "name": name.name},
            keys={join.name: frozenset(join.keys(finding, self._desk)) for join in self._joins[check]},
        )

    def _input(self, check: Check, one: Input) -> object:
        match one.role:
            case "lookup":
                return self._desk.lookup(one.view) if one.view else None
            case "events":
                return self._desk.events if self.store.readable(Event) else None
            case "history":
                return self._desk.history
            case "now":
                return self._desk.now
            case "settings":
                return self._settings.check_settings(check)
            case "derived":
                return self._value(one.derived) if one.derived else None

    # --- derived values ---

    def _value(self, derived: Derived[Any]) -> object:
        self._desk.notes.tokens.add(_token(derived))
        if derived not in self._values:
            self._values[derived] = self._compute(derived)
        return self._values[derived]

    def _compute(self, derived: Derived[Any]) -> object:
        outer, self._desk.notes = self._desk.notes, Notes(self._now)
        try:
            return derived.compute(self._desk)
        finally:
            self._value_reads[derived] = self._desk.notes.tokens
            self._desk.notes = outer

    def _renew_values(self) -> None:
        while self._stale_values:
            derived, _ = self._stale_values.popitem()
            before = self._values.pop(derived, self)
            with suppress(Exception):  # Where it breaks, each of its readers meets the error, and tells it as its own.
                self._values[derived] = self._compute(derived)
            if derived not in self._values or self._values[derived] != before:
                for pair in self._readers.get(_token(derived), ()):
                    self._mark(pair)

    # --- keeping ---

    def _settle(self, pair: Pair, verdict: Verdict, notes: Notes | None) -> None:
        self._note(pair, notes)
        if self.verdicts.get(pair, SILENT) == verdict:
            return
        if verdict:
            self.verdicts[pair] = verdict
        else:
            self.verdicts.pop(pair, None)
        self._changed[pair] = None

    def _note(self, pair: Pair, notes: Notes | None) -> None:
        tokens = frozenset(notes.tokens) if notes else frozenset()
        before = self._reads.pop(pair, frozenset())
        for token in before - tokens:
            readers = self._readers[token]
            readers.discard(pair)
            if not readers:
                del self._readers[token]
        for token in tokens - before:
            self._readers[token].add(pair)
        if tokens:
            self._reads[pair] = tokens
        self._wakes.pop(pair, None)
        if notes and notes.wake:
            self._wake(pair, notes.wake)

    def _wake(self, pair: Pair, at: datetime) -> None:
        self._wakes[pair] = at
        self._timer_count += 1
        heapq.heappush(self._timers, (at, self._timer_count, pair))

    def _ring_timers(self) -> None:
        while (at := self.next_wake()) is not None and at <= self._now:
            _, _, pair = heapq.heappop(self._timers)
            del self._wakes[pair]
            self._dirty[pair] = None

    def _failed(self, pair: Pair, error: Exception) -> None:
        text = clean(f"{type(error).__name__}: {error}")
        self.failed_evaluations[pair[0].id] += 1
        if self.failed_evaluations[pair[0].id] == 1:
            logger.error("A check failed", exc_info=error, extra={"check": pair[0].id, "argument": str(pair[1])})
        self._errors[pair] = text

    # --- who is asked about what ---

    def _dispatch(self) -> dict[type[View], tuple[Check, ...]]:
        found: dict[type[View], list[Check]] = defaultdict(list)
        for check in self.registry:
            for view in self._subject_kinds(check):
                found[view].append(check)
        return {view: tuple(checks) for view, checks in found.items()}

    def _subject_kinds(self, check: Check) -> Iterable[type[View]]:
        return self.store.tables if check.any_kind else check.subjects

    def _subject(self, argument: Argument) -> View | Cluster | None:
        if argument is None:
            return CLUSTER
        view, key = argument
        return self.store.table(view).rows.get(key)

    def _what_is_missing(self, check: Check) -> tuple[str, ...]:
        missing = [view.resource.kind for view in check.required if not self.store.readable(view)]
        if self.store.since is None and any(one.role == "history" for one in check.inputs):
            missing.append("history")
        return tuple(missing)


def _token(derived: Derived[Any]) -> Token:
    return (View, "derived", derived)
