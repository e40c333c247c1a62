"""The status of the DiagnosisPolicy: whether the operator sees everything, and that it is alive."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubedx.api.model import API_VERSION
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
    UndecidedCheck,
    WatchStatus,
)
from kubedx.core.check import Check
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import Diagnosis, State
from kubedx.engine.verdict import Outcome
from kubedx.report.writer import Client, Clock
from kubedx.settings import Problem
from kubedx.store import store

logger = logging.getLogger(__name__)

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
        unmatched: The suppressions that match nothing.
        undecided: The subjects that a check cannot judge, with the reason.
    """

    ready: bool
    outcomes: Mapping[Check, Outcome] = field(default_factory=dict)
    watches: Sequence[Watched] = ()
    diagnoses: Sequence[Diagnosis] = ()
    problems: Sequence[Problem] = ()
    unmatched: Sequence[str] = ()
    undecided: Sequence[tuple[Check, Ref, str]] = ()


def policy_status(sight: Sight, generation: int, before: Sequence[Condition], now: datetime) -> PolicyStatus:
    """Say what the operator sees.

    Args:
        sight: What it sees.
        generation: The generation of the policy's spec that is in force.
        before: The conditions as they were, whose times are kept where nothing turned.
        now: The time.

    Returns:
        The status.
    """
    skipped = [(check, outcome) for check, outcome in sight.outcomes.items() if outcome.missing]
    failed = [(check, outcome) for check, outcome in sight.outcomes.items() if outcome.errors and not outcome.missing]
    conditions = (_ready(sight), _complete(sight, skipped, failed))
    return PolicyStatus(
        observed_generation=generation,
        conditions=tuple(_since(one, before, generation, now) for one in conditions),
        summary=_summary(sight.diagnoses),
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
        problems=tuple(ProblemStatus(field=one.field, message=one.message) for one in sight.problems),
        unmatched_suppressions=tuple(sight.unmatched),
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
        ids = ", ".join(sorted(check.id for check, _ in failed))
        message = f"{len(failed)} checks broke, which is a defect of kubedx: {ids}."
        return ("Complete", "False", "CheckFailed", message)
    if skipped:
        missing = Counter(kind for _, outcome in skipped for kind in outcome.missing)
        states = {one.kind: one.state.value for one in sight.watches}
        named = ", ".join(f"{kind} ({states.get(kind, 'not watched')})" for kind in sorted(missing))
        ids = ", ".join(sorted(check.id for check, _ in skipped))
        message = f"{len(skipped)} checks have no answer, as {named} cannot be read: {ids}."
        return ("Complete", "False", "InputsMissing", message)
    return ("Complete", "True", "AllSeen", "Every enabled check has an answer.")


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


def _summary(diagnoses: Sequence[Diagnosis]) -> Summary:
    loud = Counter(one.severity.text for one in diagnoses if one.state is State.OPEN and not one.silenced)
    return Summary(
        critical=loud["critical"],
        warning=loud["warning"],
        info=loud["info"],
        suppressed=sum(one.state is State.OPEN and one.silenced for one in diagnoses),
        unknown=sum(one.state is State.UNKNOWN for one in diagnoses),
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
        self._conditions: Sequence[Condition] = ()
        self._wake = asyncio.Event()

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
            status = policy_status(self._sight(), self.generation, self._conditions, self._clock())
            self._conditions = status.conditions
            is_new = written is None or status.model_copy(update={"last_seen": written.last_seen}) != written
            if self._may_write() and (is_new or loop.time() - written_at >= HEARTBEAT):
                if await self._write(status):
                    written, written_at = status, loop.time()
                await asyncio.sleep(_SHORTEST_INTERVAL)
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
