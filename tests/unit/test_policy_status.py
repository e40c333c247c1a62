"""The policy's status: healthy, or is nobody looking?"""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kubedx.api.policy import NAME, RESOURCE
from kubedx.core.finding import Severity
from kubedx.diagnosis.diagnosis import Suppression
from kubedx.engine.verdict import Outcome
from kubedx.report import policy as module
from kubedx.report.policy import PolicyReporter, Sight, Watched, policy_status
from kubedx.settings import Problem
from kubedx.store.store import State
from tests.unit.toys import START, Story, finding, pod, toy

SICK, DOWN = toy("pod_sick"), toy("node_down")
PATH = f"{RESOURCE.path}/{NAME}"


def told(sight: Sight) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in policy_status(sight, 1, (), START).conditions}


def test_before_the_first_reading_nothing_is_claimed() -> None:
    assert told(Sight(ready=False)) == {"Ready": ("False", "Starting"), "Complete": ("Unknown", "Starting")}


def test_all_seen_is_complete() -> None:
    assert told(Sight(ready=True, outcomes={SICK: Outcome()})) == {
        "Ready": ("True", "Watching"),
        "Complete": ("True", "AllSeen"),
    }


def test_what_may_not_be_read_is_named_with_the_checks_that_lack_it() -> None:
    sight = Sight(
        ready=True,
        outcomes={SICK: Outcome(missing=("Pod",)), DOWN: Outcome()},
        watches=(Watched("Pod", State.FORBIDDEN, 0), Watched("Node", State.SYNCED, 3)),
    )
    status = policy_status(sight, 4, (), START)
    complete = status.conditions[1]

    assert (complete.status, complete.reason) == ("False", "InputsMissing")
    assert complete.message == "1 checks have no answer, as Pod (Forbidden) cannot be read: PodSick."
    assert [(one.check, one.missing) for one in status.checks.skipped] == [("PodSick", ("Pod",))]
    assert (status.checks.enabled, status.checks.evaluated) == (2, 1)
    assert [(one.kind, one.state) for one in status.watches] == [("Pod", "Forbidden"), ("Node", "Synced")]
    assert status.observed_generation == 4


def test_a_check_that_broke_is_named_with_its_error() -> None:
    status = policy_status(Sight(ready=True, outcomes={SICK: Outcome(errors={"ValueError: oops": 2})}), 1, (), START)

    assert status.conditions[1].reason == "CheckFailed"
    assert [(one.check, one.error) for one in status.checks.failed] == [("PodSick", "ValueError: oops")]


def test_the_summary_counts_what_is_loud_apart_from_what_is_silenced_and_out_of_sight() -> None:
    story = Story(SICK, DOWN)
    story.says(
        finding(SICK, pod("a"), severity=Severity.CRITICAL), finding(SICK, pod("b")), finding(SICK, pod("c")),
        finding(DOWN, pod("d")),
    )  # fmt: skip
    story.ledger.suppress(("PodSick", pod("c")), Suppression("known"))
    story.goes(DOWN, Outcome(missing=("Node",)))
    story.later(minutes=11)
    summary = policy_status(Sight(ready=True, diagnoses=story.diagnoses()), 1, (), START).summary

    assert (summary.critical, summary.warning, summary.info) == (1, 1, 0)
    assert (summary.suppressed, summary.unknown) == (1, 1)


def test_a_condition_keeps_its_time_while_it_does_not_turn() -> None:
    first = policy_status(Sight(ready=True, outcomes={SICK: Outcome()}), 1, (), START)
    later = START + timedelta(minutes=1)
    second = policy_status(Sight(ready=True, outcomes={SICK: Outcome(missing=("Pod",))}), 1, first.conditions, later)

    assert [one.last_transition_time for one in second.conditions] == [START, later]


def test_wrong_entries_and_idle_suppressions_are_shown() -> None:
    sight = Sight(ready=True, problems=(Problem("spec.checks.X", "no"),), unmatched=("spec.suppressions[0]",))
    status = policy_status(sight, 1, (), START)

    assert [(one.field, one.message) for one in status.problems] == [("spec.checks.X", "no")]
    assert status.unmatched_suppressions == ("spec.suppressions[0]",)


class Api:
    """An API server that has the policy or has not."""

    def __init__(self, *, exists: bool = True) -> None:
        self.exists = exists
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.down = False

    async def request(self, method: str, path: str, *, body: object = None, content_type: str = "") -> SimpleNamespace:
        del content_type
        self.asked.append((method, path))
        self.bodies.append(body)
        if self.down:
            raise OSError("nobody answers")
        if method == "POST":
            self.exists = True
        elif not self.exists:
            error = Exception("not found")
            error.status = 404  # type: ignore[attr-defined]
            raise error
        return SimpleNamespace(body={})


async def reported(api: Api, sight: list[Sight], seconds: float) -> PolicyReporter:
    reporter = PolicyReporter(api, lambda: START, lambda: sight[0])
    task = asyncio.create_task(reporter.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return reporter


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHORTEST_INTERVAL", 0.01)


async def test_a_policy_that_does_not_exist_is_made_empty() -> None:
    api = Api(exists=False)
    await reported(api, [Sight(ready=True)], 0.1)

    assert api.asked == [("PATCH", f"{PATH}/status"), ("POST", RESOURCE.path), ("PATCH", f"{PATH}/status")]
    assert "spec" not in api.bodies[1]


async def test_what_is_not_new_is_written_once_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.2)
    api = Api()
    await reported(api, [Sight(ready=True)], 0.55)

    assert 2 <= len(api.asked) <= 4
    assert all(body["status"]["lastSeen"] == "2026-01-01T00:00:00Z" for body in api.bodies)


async def test_a_server_that_does_not_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT", 0.1)
    api = Api()
    api.down = True
    sight = [Sight(ready=True)]
    reporter = PolicyReporter(api, lambda: START, lambda: sight[0])
    task = asyncio.create_task(reporter.run())
    await asyncio.sleep(0.1)
    api.down = False
    before = len(api.asked)
    await asyncio.sleep(0.15)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert before >= 1
    assert len(api.asked) > before
