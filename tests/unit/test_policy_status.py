"""The policy's status: healthy, or is nobody looking?"""

import asyncio
import string
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kubedx.api.policy import NAME, RESOURCE, PolicyStatus
from kubedx.core.finding import Severity
from kubedx.diagnosis.diagnosis import Suppression
from kubedx.engine.verdict import Outcome
from kubedx.report import policy as module
from kubedx.report.policy import PolicyReporter, Sight, Watched, policy_status
from kubedx.settings import Problem, resolve
from kubedx.store.store import State
from tests.unit.toys import START, Story, finding, pod, toy

SICK, DOWN = toy("pod_sick"), toy("node_down")
NOTHING = PolicyStatus()
PATH = f"{RESOURCE.path}/{NAME}"


def told(sight: Sight) -> dict[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in policy_status(sight, 1, NOTHING, START).conditions}


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
    status = policy_status(sight, 4, NOTHING, START)
    complete = status.conditions[1]

    assert (complete.status, complete.reason) == ("False", "InputsMissing")
    assert complete.message == "1 checks have no answer, as Pod (Forbidden) cannot be read: PodSick."
    assert [(one.check, one.missing) for one in status.checks.skipped] == [("PodSick", ("Pod",))]
    assert (status.checks.enabled, status.checks.evaluated) == (2, 1)
    assert [(one.kind, one.state) for one in status.watches] == [("Pod", "Forbidden"), ("Node", "Synced")]
    assert status.observed_generation == 4


def test_more_checks_than_a_message_has_room_for_are_counted_and_listed_beside_it() -> None:
    blind = {toy(f"pod_sick_{letter}"): Outcome(missing=("Pod",)) for letter in string.ascii_lowercase}
    status = policy_status(Sight(ready=True, outcomes=blind), 1, NOTHING, START)
    message = status.conditions[1].message

    assert message.startswith("26 checks have no answer, as Pod (not watched) cannot be read: PodSickA, PodSickB, ")
    assert message.endswith("PodSickT and 6 more, see status.checks.skipped.")
    assert len(status.checks.skipped) == 26


def test_a_check_that_broke_is_named_with_its_error() -> None:
    status = policy_status(
        Sight(ready=True, outcomes={SICK: Outcome(errors={"ValueError: oops": 2})}), 1, NOTHING, START
    )

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
    summary = policy_status(Sight(ready=True, diagnoses=story.diagnoses(), left_out=7), 1, NOTHING, START).summary

    assert (summary.critical, summary.warning, summary.info) == (1, 1, 0)
    assert (summary.suppressed, summary.unknown, summary.left_out) == (1, 1, 7)


def test_a_condition_keeps_its_time_while_it_does_not_turn() -> None:
    first = policy_status(Sight(ready=True, outcomes={SICK: Outcome()}), 1, NOTHING, START)
    later = START + timedelta(minutes=1)
    second = policy_status(Sight(ready=True, outcomes={SICK: Outcome(missing=("Pod",))}), 1, first, later)

    assert [one.last_transition_time for one in second.conditions] == [START, later]


def test_wrong_entries_are_shown() -> None:
    status = policy_status(Sight(ready=True, problems=(Problem("spec.checks.X", "no"),)), 1, NOTHING, START)

    assert [(one.field, one.message) for one in status.problems] == [("spec.checks.X", "no")]


WEEK = timedelta(days=7)


def silencing(*counts: int, patterns: Sequence[str] = ("a-*", "b-*")) -> Sight:
    """A policy with these suppressions, each of which silences so many diagnoses."""
    entries = [{"name": name, "reason": "known"} for name in patterns]
    found = resolve(None, {"spec": {"suppressions": entries}}, (SICK,))
    return Sight(ready=True, suppressions=tuple(zip(found.in_force(START), counts, strict=True)))


def idle(status: PolicyStatus) -> dict[str, str]:
    """What is said about suppressions that silence nothing, by the path of the entry."""
    return {one.field: one.message for one in status.problems if one.field.startswith("spec.suppressions")}


def test_a_suppression_that_silences_nothing_is_a_problem_after_seven_days_and_not_a_second_earlier() -> None:
    status = policy_status(silencing(0, 2), 1, NOTHING, START)
    assert [(one.silences, one.idle_since) for one in status.suppressions] == [(0, START), (2, None)]
    status = policy_status(silencing(0, 1), 1, status, START + WEEK - timedelta(seconds=1))
    assert idle(status) == {}
    status = policy_status(silencing(0, 1), 1, status, START + WEEK)

    said = "has silenced nothing since 2026-01-01T00:00:00Z; remove it if it is not needed any more"
    assert idle(status) == {"spec.suppressions[0]": said}


def test_a_suppression_that_silences_something_again_is_idle_anew_afterwards() -> None:
    status = policy_status(silencing(0, 0), 1, NOTHING, START)
    status = policy_status(silencing(0, 3), 1, status, START + WEEK)
    assert list(idle(status)) == ["spec.suppressions[0]"]
    status = policy_status(silencing(0, 0), 1, status, START + WEEK)

    assert list(idle(status)) == ["spec.suppressions[0]"]
    assert [one.idle_since for one in status.suppressions] == [START, START + WEEK]


def test_a_suppression_is_known_by_what_it_matches_when_another_before_it_is_removed() -> None:
    status = policy_status(silencing(0, 0), 1, NOTHING, START)
    status = policy_status(silencing(0, 0, patterns=("b-*", "new-*")), 1, status, START + WEEK)

    assert list(idle(status)) == ["spec.suppressions[0]"]
    assert [one.idle_since for one in status.suppressions] == [START, START + WEEK]


def test_before_the_first_reading_nothing_is_said_about_suppressions_but_what_was_known() -> None:
    status = policy_status(silencing(2, 0), 1, NOTHING, START)
    starting = policy_status(Sight(ready=False), 1, status, START + WEEK)

    assert starting.suppressions == status.suppressions


async def test_a_restarted_operator_goes_on_from_the_status_that_is_there() -> None:
    before = policy_status(silencing(0, 1), 3, NOTHING, START - WEEK)
    api = Api()
    reporter = PolicyReporter(api, lambda: START, lambda: silencing(0, 1))
    reporter.follow({"metadata": {"generation": 4}, "status": before.wire()})
    task = asyncio.create_task(reporter.run())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    status = api.bodies[0]["status"]
    assert [one["field"] for one in status["problems"]] == ["spec.suppressions[0]"]
    assert status["observedGeneration"] == 4
    assert status["conditions"][0]["lastTransitionTime"] == "2025-12-25T00:00:00Z"


@pytest.mark.parametrize("status", [None, {"conditions": "none"}, {"suppressions": [{"idleSince": "soon"}]}])
async def test_a_status_that_makes_no_sense_is_no_memory(status: Any) -> None:
    reporter = PolicyReporter(Api(), lambda: START, lambda: silencing(0, 1))
    reporter.follow({"metadata": {"generation": 4}, "status": status})

    assert reporter.generation == 4


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
