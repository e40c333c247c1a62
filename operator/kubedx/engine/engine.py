"""The incremental engine.

The law: after any sequence of changes the verdicts equal those of a full evaluation of the same objects, history and
time. It holds because a check is a pure function of what it reads, and everything it reads is noted: a change re-runs
the checks asked about the object itself and those that read a place which the object is or was in.
"""

import heapq
import logging
import time
from collections import defaultdict, deque
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any

from kubedx.core.check import Check, Input, Registry
from kubedx.core.finding import Confidence, Finding, Param, Ref, Unknown, ref
from kubedx.core.inputs import CLUSTER, Cluster, Derived
from kubedx.engine.asks import Asks
from kubedx.engine.verdict import SILENT, Argument, Outcome, RawFinding, Verdict
from kubedx.kube.known import Known
from kubedx.kube.meta import View
from kubedx.kube.text import clean
from kubedx.settings import Settings
from kubedx.store.lookups import READABLE, Desk, Notes
from kubedx.store.store import Change, Key, Store, Token, places

logger = logging.getLogger(__name__)

Pair = tuple[Check, Argument]
"""A check and what it is asked about."""

Reader = tuple[tuple[Check, ...], Argument] | Derived[Any]
"""What is to be asked again, or computed again, when something that it read changes: checks that read the same when
they were asked about one thing, as many do, or a derived value."""

Readings = tuple[tuple[frozenset[Token], tuple[Check, ...]], ...]
"""What was read for one thing, each time with the checks that read that and nothing else."""

_AT_ONCE = timedelta(0)
_MOST_READINGS = 4096
"""Sets of places that were read that are remembered: the pods of a workload read the same."""

_MOST_PARTS = 1 << 14
"""Keys and params of findings that are remembered, as others have the same."""

_FEW_TIMERS = 4096
"""Timers that may stand for wakes that were taken back."""

_KNOWN_AT_ONCE = 256
"""Objects of known shapes that one step of a sweep looks at: they take far less than a millisecond."""

LEFT_OUT = "left out"
"""Stands for an index in the note that a finding was left out because of its namespace."""

_NO_TOKENS: frozenset[Token] = frozenset()
_BY_ID = attrgetter("id")
_NO_INPUTS: dict[str, object] = {}
_NOTHING: dict[str, dict[Hashable, set[Reader]]] = {}


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
        self._unsure: dict[Pair, None] = {}
        self._undecided: list[tuple[Check, Ref, str]] | None = None
        self.evaluations: dict[str, int] = defaultdict(int)
        self.failed_evaluations: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)
        self._settings = settings
        self._now = now
        self._cluster_interval = cluster_interval
        self._desk = Desk(store, now)
        self._joins = {check: registry.joins(check) for check in registry}
        self._errors: dict[Pair, str] = {}
        self._outcomes: dict[Check, Outcome] | None = None
        self._values: dict[Derived[Any], object] = {}
        self._value_reads: dict[Derived[Any], frozenset[Token]] = {}
        self._stale_values: dict[Derived[Any], None] = {}
        self._readable: set[type[View]] = set()
        self._dirty: dict[Argument, dict[Check, None]] = {}
        self._sweeps: deque[Iterator[None]] = deque()
        self._reads: dict[Argument, Readings] = {}
        self._readers: dict[type[View], dict[str, dict[Hashable, set[Reader]]]] = {}
        self._wakes: dict[Pair, datetime] = {}
        self._timers: list[tuple[datetime, int, Pair]] = []
        self._timer_count = 0
        self._last_run: dict[Check, datetime] = {}
        self._changed: dict[Pair, None] = {}
        self._parts: Known[Any, Any] = Known(_MOST_PARTS)
        self._shared_tokens: Known[frozenset[Token], frozenset[Token]] = Known(_MOST_READINGS)
        self._shared_checks: Known[tuple[Check, ...], tuple[Check, ...]] = Known(_MOST_READINGS)
        self._kept: dict[Argument, tuple[Check, ...]] = {}
        self._asks = Asks(registry, store)
        self._enabled: frozenset[Check] = frozenset()
        self.refresh()

    # --- what changed ---

    def changed(self, change: Change) -> None:
        """Note a change of the store; `run` then asks the checks that it concerns.

        Args:
            change: What `Store` returned.
        """
        argument = (change.view, change.key)
        if change.new is not None:
            self._mark(argument, self._asks.of(change.new.shape))
        self._mark(argument, self._kept.get(argument, ()))
        for index, readers in self._readers.get(change.view, _NOTHING).items():
            for place in places(index, change):
                for reader in readers.get(place, ()):
                    self._reread(reader)

    def refresh(self, settings: Settings | None = None) -> None:
        """Ask checks again where it may matter: after new settings, or when a kind became readable or not.

        Args:
            settings: The new settings, None for the same ones.
        """
        before, self._settings = self._settings, settings or self._settings
        self._outcomes = None
        enabled = frozenset([check for check in self.registry if self._settings.enabled(check)])
        switched, self._enabled = enabled ^ self._enabled, enabled
        altered = self._asks.refresh(self._settings)
        again = switched.union(check for check in altered if not self._asks.missing[check])
        readable = {view for view in self.store.tables if self.store.readable(view)}
        turned, self._readable = readable ^ self._readable, readable
        for view in self.store.tables:
            if wanted := (again & enabled).intersection(self._asks.about(view)):
                self._sweeps.append(self._mark_rows(view, list(self.store.tables[view].rows), wanted))
        self._mark(None, [check for check in again if check.about_cluster])
        if again or turned:
            self._mark_kept(again, turned)
        if turned:
            self._stale_values.update(dict.fromkeys(self._values))
        if before.namespaces != self._settings.namespaces:
            self._mark_namespaces(before)

    def _mark_kept(self, again: Collection[Check], turned: Collection[type[View]]) -> None:
        """Mark of what something is kept: what is to be asked again, and what read, or missed, a kind that turned."""
        for argument, kept in self._kept.items():
            self._mark(argument, [check for check in kept if check in again])
        for argument, readings in self._reads.items():
            for tokens, checks in readings:
                if any(view in turned for view, _, _ in tokens):
                    self._mark(argument, checks)

    def _mark_namespaces(self, before: Settings) -> None:
        """Mark who found something in a namespace that is looked at now and was not, or the other way round."""
        is_other = cache(lambda namespace: before.looks_at(namespace) != self._settings.looks_at(namespace))
        for (check, argument), verdict in self.verdicts.items():
            if any(is_other(finding.subject.namespace) for finding in verdict.findings):
                self._mark(argument, (check,))
        for namespace, readers in self._readers.get(View, {}).get(LEFT_OUT, {}).items():
            if is_other(namespace):
                for reader in readers:
                    self._reread(reader)

    def _reread(self, reader: Reader) -> None:
        if isinstance(reader, Derived):
            self._stale_values[reader] = None
        else:
            checks, argument = reader
            self._mark(argument, checks)

    def _mark_rows(self, view: type[View], keys: list[Key], checks: Collection[Check]) -> Iterator[None]:
        """Mark what checks have to look at, row by row; what changes in the meantime is marked by `changed`.

        Yields:
            After some rows.
        """
        rows, asks = self.store.tables[view].rows, self._asks
        looked_at = 0
        for key in keys:
            row = rows.get(key)
            if row is None:
                continue
            looked_at += 1 if asks.knows(row.shape) else _KNOWN_AT_ONCE
            self._mark((view, key), [check for check in asks.of(row.shape) if check in checks])
            if looked_at >= _KNOWN_AT_ONCE:
                looked_at = 0
                yield

    def _mark(self, argument: Argument, checks: Collection[Check]) -> None:
        """Have checks asked about an object or, as soon as they may be, about the cluster."""
        if argument is None:
            checks = [check for check in checks if not self._has_to_rest(check)]
        if checks:
            self._dirty.setdefault(argument, {}).update(dict.fromkeys(checks))

    def _has_to_rest(self, check: Check) -> bool:
        """Whether a check about the cluster was asked a moment ago; it is woken when it may be asked again."""
        last = self._last_run.get(check)
        if last is None or self._now >= last + self._cluster_interval:
            return False
        self._wake((check, None), last + self._cluster_interval)
        return True

    # --- asking ---

    def run(self, now: datetime, patience: float | None = None) -> bool:
        """Ask the checks whose answers may have changed.

        Args:
            now: The time; it never goes back.
            patience: Seconds after which to pause, so that a turn of the loop stays short; None for never.

        Returns:
            Whether everything is settled.
        """
        self._now = max(self._now, now)
        self._ring_timers()
        self._renew_values()
        until = None if patience is None else time.perf_counter() + patience
        while self._dirty or self._sweeps:
            if self._dirty:
                self._ask(*self._next())
            else:
                self._sweep()
            if until is not None and time.perf_counter() >= until:
                break
        return not self._dirty and not self._sweeps

    def _next(self) -> tuple[Argument, Collection[Check]]:
        """Take what is to be asked next: all about one object, but one question at a time about the cluster."""
        # The latest first: to take the first one of a dict again and again would skip what was taken before.
        argument, checks = self._dirty.popitem()
        if argument is not None or len(checks) == 1:
            return argument, checks
        check, _ = checks.popitem()
        self._dirty[argument] = checks
        return argument, (check,)

    def _sweep(self) -> None:
        """Go on with a sweep over all objects of a kind: over many whose shapes are known, or one that is not."""
        for _ in self._sweeps[0]:
            return
        self._sweeps.popleft()

    def next_wake(self) -> datetime | None:
        """When time alone may change an answer next, None if never."""
        while self._timers and self._wakes.get(self._timers[0][2]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def drain(self) -> Iterator[tuple[Pair, Verdict]]:
        """Give the verdicts that changed since the last call, as they are when they are taken.

        Yields:
            Each with what was asked; a silent one stands for nothing left to say.
        """
        changed, self._changed = self._changed, {}
        for pair in changed:
            yield pair, self.verdicts.get(pair, SILENT)

    def outcomes(self) -> dict[Check, Outcome]:
        """Tell how it went with each enabled check."""
        if self._outcomes is None:
            errors: dict[Check, dict[str, int]] = defaultdict(lambda: defaultdict(int))
            for (check, _), error in self._errors.items():
                errors[check][error] += 1
            states = {view.resource.kind: table.state for view, table in self.store.tables.items()}
            unread = tuple(sorted(kind for kind, state in states.items() if state.settled and not state.readable))
            self._outcomes = {
                check: Outcome(
                    self._asks.missing[check] or (unread if check.any_kind else ()),
                    dict(errors[check]) if check in errors else {},
                    is_partial=check.any_kind and not self._asks.missing[check] and bool(unread),
                )
                for check in self.registry
                if check in self._enabled
            }
        return self._outcomes

    def undecided(self) -> Sequence[tuple[Check, Ref, str]]:
        """Name the subjects that an enabled check cannot judge, with the reason, in a fixed order."""
        if self._undecided is None:
            found = [(pair[0], *unknown) for pair in self._unsure for unknown in self.verdicts[pair].unknowns]
            self._undecided = sorted(found, key=lambda one: (one[0].id, one[1]))
        return self._undecided

    def _ask(self, argument: Argument, checks: Iterable[Check]) -> None:
        """Ask checks about one thing: an object is put together once for all that have to look at it."""
        looking = self._who_looks(argument)
        kept = self._kept.get(argument, ())
        read: dict[Check, frozenset[Token]] = {}
        subject: View | Cluster | None = None
        for check in checks:
            if check not in looking or check not in self._enabled:
                if check in kept:
                    self._forget_error((check, argument))
                    self._settle((check, argument), SILENT, None)
                    read[check] = _NO_TOKENS
            elif not self._asks.missing[check]:  # Skipped: what was said before stands until the inputs are back.
                subject = subject or self._subject(argument)
                tokens = self._ask_one(check, argument, subject, is_kept=check in kept)
                if tokens is not None:
                    read[check] = tokens
        if read:
            self._set_readings(argument, read)
            self._keep(argument, read)

    def _who_looks(self, argument: Argument) -> Collection[Check]:
        """The checks that have something to look for in an object, all of them in the cluster."""
        if argument is None:
            return self._enabled
        view, key = argument
        row = self.store.table(view).rows.get(key)
        return () if row is None else self._asks.of(row.shape)

    def _ask_one(
        self, check: Check, argument: Argument, subject: View | Cluster, *, is_kept: bool
    ) -> frozenset[Token] | None:
        """Ask a check; returns what it read, or None where there is nothing to remember of it."""
        desk = self._desk
        notes = desk.notes
        if desk.memo or not notes.is_blank or notes.now != self._now:  # Most questions read nothing to be noted.
            notes = desk.begin(self._now)
        if argument is None:
            self._last_run[check] = self._now
        self.evaluations[check.id] += 1
        begun = time.perf_counter()
        try:
            verdict = self._verdict(check, subject)
        except Exception as error:  # noqa: BLE001 -- the one place where a broken check is kept from the others
            self._failed((check, argument), error)
            self._wake_at((check, argument), notes.wake)
            return frozenset(notes.tokens)
        finally:
            self.seconds[check.id] += time.perf_counter() - begun
        if verdict is SILENT and not is_kept and notes.is_blank:
            return None  # As most answers are: there was nothing to remember, and there is nothing.
        pair = (check, argument)
        self._forget_error(pair)
        if notes.watched_too_short and not verdict.findings and isinstance(subject, View):
            verdict = Verdict(unknowns=((ref(subject), "It has not been watched for long enough yet."),))
        self._settle(pair, verdict, notes.wake)
        return frozenset(notes.tokens)

    def _verdict(self, check: Check, subject: View | Cluster) -> Verdict:
        inputs = {one.name: self._input(check, one) for one in check.inputs} if check.inputs else _NO_INPUTS
        findings: list[RawFinding] = []
        unknowns: list[tuple[Ref, str]] = []
        for answer in check.run(subject, **inputs):
            if isinstance(answer, Unknown):
                about = answer.subject if isinstance(answer.subject, Ref) else ref(answer.subject)
                unknowns.append((about, answer.why))
            elif self._settings.looks_at(answer.ref.namespace):
                findings.append(self._raw(check, subject, answer))
            else:
                self._desk.notes.tokens.add((View, LEFT_OUT, answer.ref.namespace))
        return Verdict(tuple(findings), tuple(unknowns)) if findings or unknowns else SILENT

    def _raw(self, check: Check, asked: View | Cluster, finding: Finding) -> RawFinding:
        subject = finding.subject if isinstance(finding.subject, View) else None
        if finding.confidence is not None:
            confidence = finding.confidence
        else:
            firm = any(one.is_field for one in finding.evidence)
            confidence = Confidence.CONFIRMED if firm else Confidence.PROBABLE
        name: Ref = self._parts.shared(finding.ref)
        return RawFinding(
            check=check,
            member=ref(asked) if isinstance(asked, View) and asked is not subject else name,
            subject=name,
            uid=subject.uid if subject else "",
            labels=subject.metadata.labels if subject else {},
            group=self._parts.shared(check.group.key(finding, self._desk)),
            since=finding.since,
            severity=check.severity if finding.severity is None else finding.severity,
            confidence=confidence,
            evidence=finding.evidence,
            own_params=self._params(check, finding.params),
            keys=self._keys(check, finding),
        )

    def _keys(self, check: Check, finding: Finding) -> dict[str, tuple[str, ...]]:
        found, shared = {}, self._parts.shared  # Joins have the same keys, and pods the same owner.
        for join in self._joins[check]:
            if keys := set(join.keys(finding, self._desk)):
                found[join.name] = shared(tuple([shared(key) for key in sorted(keys)]))
        return found

    def _params(self, check: Check, params: Mapping[str, Param]) -> Mapping[str, Param]:
        told = (check.id, *params.items())  # In one check equal values are of one type as well, unlike 1 and True.
        found: Mapping[str, Param] = self._parts.get(told) or self._parts.keep(told, params)
        return found

    def _input(self, check: Check, one: Input) -> object:
        match one.role:
            case "lookup":
                return self._desk.lookup(one.view) if one.view else None
            case "events":
                return self._desk.readable_events()
            case "history":
                return self._desk.history
            case "now":
                return self._desk.now
            case "settings":
                return self._settings.check_settings(check)
            case "derived":
                return self._derived(one.derived, optional=one.optional) if one.derived else None

    # --- derived values ---

    def _derived(self, derived: Derived[Any], *, optional: bool) -> object:
        """The value; None where it is optional and one of its kinds cannot be read."""
        if optional and any(self._desk.lookup(view) is None for view in derived.kinds):
            return None
        return self._value(derived)

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
            self._set_value_reads(derived, frozenset(self._desk.notes.tokens))
            self._desk.notes = outer

    def _set_value_reads(self, derived: Derived[Any], tokens: frozenset[Token]) -> None:
        before = self._value_reads.pop(derived, _NO_TOKENS)
        self._follow(before - tokens, tokens - before, derived)
        if tokens:
            self._value_reads[derived] = tokens

    def _renew_values(self) -> None:
        while self._stale_values:
            derived, _ = self._stale_values.popitem()
            before = self._values.pop(derived, self)
            if not self._readers_of(_token(derived)):
                self._set_value_reads(derived, _NO_TOKENS)  # Computed anew when somebody asks again.
                continue
            with suppress(Exception):  # Where it breaks, each of its readers meets the error, and tells it as its own.
                self._values[derived] = self._compute(derived)
            if derived not in self._values or self._values[derived] != before:
                for reader in self._readers_of(_token(derived)):
                    self._reread(reader)

    # --- keeping ---

    def _settle(self, pair: Pair, verdict: Verdict, wake: datetime | None) -> None:
        self._wake_at(pair, wake)
        if self.verdicts.get(pair, SILENT) != verdict:
            if verdict:
                self.verdicts[pair] = verdict
            else:
                self.verdicts.pop(pair, None)
            if verdict.unknowns or pair in self._unsure:
                self._undecided = None
                self._unsure.pop(pair, None)
            if verdict.unknowns:
                self._unsure[pair] = None
            self._changed[pair] = None

    def _wake_at(self, pair: Pair, wake: datetime | None) -> None:
        if wake is None:
            self._wakes.pop(pair, None)
        elif self._wakes.get(pair) != wake:
            self._wake(pair, wake)

    def _keep(self, argument: Argument, asked: Collection[Check]) -> None:
        """Remember of which checks something is kept about an argument, which a new answer has to replace."""
        kept = [check for check in self._kept.get(argument, ()) if check not in asked]
        reading = {check for _, checks in self._reads.get(argument, ()) for check in checks}
        for check in asked:
            pair = (check, argument)
            if check in reading or pair in self.verdicts or pair in self._wakes or pair in self._errors:
                kept.append(check)
        if kept:
            self._kept[argument] = self._shared_checks.shared(tuple(kept))
        else:
            self._kept.pop(argument, None)

    def _set_readings(self, argument: Argument, read: Mapping[Check, frozenset[Token]]) -> None:
        """Take note of what checks read that were asked about something; the others have read what they had read."""
        before = dict(self._reads.get(argument, ()))
        readers: dict[frozenset[Token], list[Check]] = defaultdict(list)
        for tokens, checks in before.items():
            readers[tokens] += [check for check in checks if check not in read]
        for check, tokens in read.items():
            readers[tokens].append(check)
        share = self._shared_checks.shared
        now = {
            tokens: share(tuple(sorted(checks, key=_BY_ID))) for tokens, checks in readers.items() if tokens and checks
        }
        if now == before:
            return
        for tokens, checks in before.items():
            if now.get(tokens) != checks:
                self._follow(tokens, (), (checks, argument))
        for tokens, checks in now.items():
            if before.get(tokens) != checks:
                self._follow((), tokens, (checks, argument))
        if now:
            self._reads[argument] = tuple([(self._shared_tokens.shared(tokens), its) for tokens, its in now.items()])
        else:
            del self._reads[argument]

    def _follow(self, no_more: Iterable[Token], from_now_on: Iterable[Token], reader: Reader) -> None:
        """Have somebody asked again when what is in some places changes, and no more when others do."""
        for token in no_more:
            self._forget_reader(token, reader)
        for view, index, key in from_now_on:
            if index != READABLE:  # `refresh` looks at these.
                self._readers.setdefault(view, {}).setdefault(index, {}).setdefault(key, set()).add(reader)

    def _forget_reader(self, token: Token, reader: Reader) -> None:
        view, index, key = token
        if index == READABLE:
            return
        by_key = self._readers[view][index]
        by_key[key].discard(reader)
        if not by_key[key]:
            del by_key[key]
            if not by_key:
                del self._readers[view][index]

    def _readers_of(self, token: Token) -> tuple[Reader, ...]:
        view, index, key = token
        return tuple(self._readers.get(view, {}).get(index, {}).get(key, ()))

    def _wake(self, pair: Pair, at: datetime) -> None:
        self._wakes[pair] = at
        self._timer_count += 1
        heapq.heappush(self._timers, (at, self._timer_count, pair))
        if len(self._timers) > _FEW_TIMERS + 2 * len(self._wakes):  # Most are of wakes that were taken back.
            self._timers = [(at, number, pair) for number, (pair, at) in enumerate(self._wakes.items())]
            self._timer_count = len(self._timers)
            heapq.heapify(self._timers)

    def _ring_timers(self) -> None:
        while (at := self.next_wake()) is not None and at <= self._now:
            _, _, pair = heapq.heappop(self._timers)
            check, argument = pair
            del self._wakes[pair]
            self._dirty.setdefault(argument, {})[check] = None

    def _forget_error(self, pair: Pair) -> None:
        if self._errors.pop(pair, None) is not None:
            self._outcomes = None

    def _failed(self, pair: Pair, error: Exception) -> None:
        text = clean(f"{type(error).__name__}: {error}")
        self.failed_evaluations[pair[0].id] += 1
        if self.failed_evaluations[pair[0].id] == 1:
            logger.error("A check failed", exc_info=error, extra={"check": pair[0].id, "argument": str(pair[1])})
        self._errors[pair] = text
        self._outcomes = None

    def _subject(self, argument: Argument) -> View | Cluster:
        if argument is None:
            return CLUSTER
        view, key = argument
        table = self.store.table(view)
        return table.whole(table.rows[key])


def _token(derived: Derived[Any]) -> Token:
    return (View, "derived", derived)
