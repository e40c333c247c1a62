"""The status of the DiagnosisPolicy: whether the operator sees everything, and that it is alive."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kubedx.api.model import API_VERSION, show_time, whole_seconds
from kubedx.api.policy import (
    NAME,
    RESOURCE,
    ChecksStatus,
    Condition,
    ConditionStatus,
    FailedCheck,
    PolicyStatus,
    ProblemStatus,
    SkippedCheck,
    Summary,
    SuppressionStatus,
    UndecidedCheck,
    WatchStatus,
    read_status,
)
from kubedx.core.check import Check
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import Diagnosis, State
from kubedx.engine.verdict import Outcome
from kubedx.report.writer import Client, Clock
from kubedx.settings import Problem, Suppression
from kubedx.store import store

logger = logging.getLogger(__name__)

IDLE_AFTER = timedelta(days=7)
"""How long a suppression may silence nothing before that is a problem: what it is for may come back each week."""

HEARTBEAT = 60.0
"""Seconds between two statuses that say nothing new."""

_SHORTEST_INTERVAL = 1.0
_NOT_FOUND = 404


@dataclass(frozen=True)
class Watched:
    """How one kind is watched: its name, its state, how many objects are known."""

    kind: str
    state: store.State
    objects: int


@dataclass(frozen=True)
class Sight:
    """What the operator sees and does not see.

    Attributes:
        ready: Whether everything has been read once.
        outcomes: How it went with each enabled check.
        watches: How each kind is watched.
        diagnoses: The roots.
        problems: The entries of the configuration that cannot be followed.
        suppressions: Each suppression in force, and how many diagnoses it silences.
        undecided: The subjects that a check cannot judge, with the reason.
        left_out: How many diagnoses have no object because of the limit.
    """

    ready: bool
    outcomes: Mapping[Check, Outcome] = field(default_factory=dict)
    watches: Sequence[Watched] = ()
    diagnoses: Sequence[Diagnosis] = ()
    problems: Sequence[Problem] = ()
    suppressions: Sequence[tuple[Suppression, int]] = ()
    undecided: Sequence[tuple[Check, Ref, str]] = ()
    left_out: int = 0


def policy_status(sight: Sight, generation: int, before: PolicyStatus, now: datetime) -> PolicyStatus:
    """Say what the operator sees.

    Args:
        sight: What it sees.
        generation: The generation of the policy's spec that is in force.
        before: The status as it was, whose times are kept where nothing turned.
        now: The time.

    Returns:
        The status.
    """
    skipped = [(check, outcome) for check, outcome in sight.outcomes.items() if outcome.missing]
    failed = [(check, outcome) for check, outcome in sight.outcomes.items() if outcome.errors and not outcome.missing]
    conditions = (_ready(sight), _complete(sight, skipped, failed))
    suppressions = _suppressions(sight, before, now)
    return PolicyStatus(
        observed_generation=generation,
        conditions=tuple(_since(one, before.conditions, generation, now) for one in conditions),
        summary=_summary(sight),
        checks=ChecksStatus(
            enabled=len(sight.outcomes),
            evaluated=len(sight.outcomes) - len(skipped) - len(failed),
            skipped=tuple(SkippedCheck(check=check.id, missing=outcome.missing) for check, outcome in skipped),
            failed=tuple(FailedCheck(check=check.id, error="; ".join(outcome.errors)) for check, outcome in failed),
            undecided=_undecided(sight.undecided),
        ),
        watches=tuple(
            WatchStatus(kind=one.kind, state=_WATCH_STATES[one.state], objects=one.objects) for one in sight.watches
        ),
        problems=(
            *(ProblemStatus(field=one.field, message=one.message) for one in sight.problems),
            *_idle(suppressions, now),
        ),
        suppressions=suppressions,
        last_seen=now,
    )


_WATCH_STATES: dict[store.State, Any] = {state: state.value for state in store.State} | {store.State.SYNCING: "Stale"}

_Condition = tuple[str, ConditionStatus, str, str]
"""Type, status, reason and message."""


def _ready(sight: Sight) -> _Condition:
    if sight.ready:
        return ("Ready", "True", "Watching", "Everything that may be read has been read, and is being watched.")
    return ("Ready", "False", "Starting", "The first reading of the cluster is not complete yet.")


_Ran = list[tuple[Check, Outcome]]


def _complete(sight: Sight, skipped: _Ran, failed: _Ran) -> _Condition:
    if not sight.ready:
        return ("Complete", "Unknown", "Starting", "Nothing can be said before the first reading is complete.")
    if failed:
        message = f"{len(failed)} checks broke, which is a defect of kubedx: {_named(failed, 'failed')}."
        return ("Complete", "False", "CheckFailed", message)
    if skipped:
        missing = Counter(kind for _, outcome in skipped for kind in outcome.missing)
        states = {one.kind: one.state.value for one in sight.watches}
        named = ", ".join(f"{kind} ({states.get(kind, 'not watched')})" for kind in sorted(missing))
        message = f"{len(skipped)} checks have no answer, as {named} cannot be read: {_named(skipped, 'skipped')}."
        return ("Complete", "False", "InputsMissing", message)
    return ("Complete", "True", "AllSeen", "Every enabled check has an answer.")


_MOST_NAMED = 20
"""Ids that a condition's message has room for, however many kinds it names."""


def _named(ran: _Ran, where: str) -> str:
    """Name checks, and where to find the names of all if they are too many for a message."""
    ids = sorted(check.id for check, _ in ran)
    if len(ids) <= _MOST_NAMED:
        return ", ".join(ids)
    return f"{', '.join(ids[:_MOST_NAMED])} and {len(ids) - _MOST_NAMED} more, see status.checks.{where}"


def _since(found: _Condition, before: Sequence[Condition], generation: int, now: datetime) -> Condition:
    kind, status, reason, message = found
    same = next((one for one in before if one.type == kind and one.status == status), None)
    return Condition(
        type=kind, status=status, reason=reason, message=message,
        last_transition_time=same.last_transition_time if same else now, observed_generation=generation,
    )  # fmt: skip


def _undecided(found: Sequence[tuple[Check, Ref, str]]) -> tuple[UndecidedCheck, ...]:
    reasons: dict[str, list[str]] = {}
    for check, _, why in found:
        reasons.setdefault(check.id, []).append(why)
    return tuple(UndecidedCheck(check=check, count=len(whys), why=whys[0]) for check, whys in reasons.items())


def _suppressions(sight: Sight, before: PolicyStatus, now: datetime) -> tuple[SuppressionStatus, ...]:
    """Say what each suppression silences, and since when nothing: the status is the memory, also over a restart."""
    if not sight.ready:  # Nothing is diagnosed yet, so nothing is silenced; that says nothing about a suppression.
        return before.suppressions
    idle = {one.pattern: one.idle_since for one in before.suppressions if one.idle_since}
    found = [SuppressionStatus(field=one.field, pattern=one.pattern, silences=n) for one, n in sight.suppressions]
    return tuple(
        one if one.silences else one.model_copy(update={"idle_since": idle.get(one.pattern) or whole_seconds(now)})
        for one in found
    )


def _idle(suppressions: Sequence[SuppressionStatus], now: datetime) -> Iterator[ProblemStatus]:
    for one in suppressions:
        if one.idle_since and now - one.idle_since >= IDLE_AFTER:
            message = f"has silenced nothing since {show_time(one.idle_since)}; remove it if it is not needed any more"
            yield ProblemStatus(field=one.field, message=message)


def _summary(sight: Sight) -> Summary:
    diagnoses = sight.diagnoses
    loud = Counter(one.severity.text for one in diagnoses if one.state is State.OPEN and not one.silenced)
    return Summary(
        critical=loud["critical"],
        warning=loud["warning"],
        info=loud["info"],
        suppressed=sum(one.state is State.OPEN and one.silenced for one in diagnoses),
        unknown=sum(one.state is State.UNKNOWN for one in diagnoses),
        left_out=sight.left_out,
    )


class PolicyReporter:
    """Keeps the policy's status, and creates an empty policy where there is none.

    Args:
        api: The client.
        clock: Gives the time.
        sight: Gives what the operator sees.
        may_write: Tells whether this replica may write now.
    """

    def __init__(
        self, api: Client, clock: Clock, sight: Callable[[], Sight], may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self.generation = 0
        self._api = api
        self._clock = clock
        self._sight = sight
        self._may_write = may_write
        self._before = PolicyStatus()
        self._wake = asyncio.Event()

    def follow(self, body: Mapping[str, Any]) -> None:
        """Take note of the policy as the API server tells it.

        Args:
            body: The object; empty where it was deleted. The first status that is seen is the memory of earlier runs.
        """
        self.generation = body.get("metadata", {}).get("generation", 0)
        if not self._before.conditions:
            self._before = read_status(body)
        self._wake.set()

    def wake(self) -> None:
        """Say that something may be different."""
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; no refusal ends it."""
        written: PolicyStatus | None = None
        written_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            status = self._before = policy_status(self._sight(), self.generation, self._before, self._clock())
            is_new = written is None or status.model_copy(update={"last_seen": written.last_seen}) != written
            is_due = self._may_write() and (is_new or loop.time() - written_at >= HEARTBEAT)
            if is_due and await self._write(status):
                written, written_at = status, loop.time()
            await asyncio.sleep(_SHORTEST_INTERVAL)  # However often it is woken: a look goes over all diagnoses.
            try:
                async with asyncio.timeout(HEARTBEAT / 4):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _write(self, status: PolicyStatus) -> bool:
        path = f"{RESOURCE.path}/{NAME}"
        try:
            try:
                await self._patch(path, status)
            except Exception as error:
                if getattr(error, "status", 0) != _NOT_FOUND:
                    raise
                empty = {"apiVersion": API_VERSION, "kind": RESOURCE.kind, "metadata": {"name": NAME}}
                await self._api.request("POST", RESOURCE.path, body=empty)
                await self._patch(path, status)
        except Exception as error:  # noqa: BLE001 -- the next heartbeat tries again
            logger.warning("Could not write the status of the DiagnosisPolicy: %s", error)
            return False
        return True

    async def _patch(self, path: str, status: PolicyStatus) -> None:
        await self._api.request(
            "PATCH", f"{path}/status", body={"status": status.patch()}, content_type="application/merge-patch+json"
        )
