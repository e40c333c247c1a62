"""The ledger: what is open since when, what lingers, what came back, and what is out of sight."""

from datetime import timedelta

import pytest

from kubedx.core import by
from kubedx.core.finding import Ref, Severity
from kubedx.diagnosis.diagnosis import Resolution, State, Suppression
from kubedx.diagnosis.ledger import UNKNOWN_AFTER
from kubedx.engine.verdict import Outcome
from tests.unit.toys import START, Story, finding, pod, toy

SLOW = toy("pod_slow", raise_after=timedelta(minutes=5), clear_after=timedelta(minutes=1))
QUICK = toy("pod_quick")
OWNED = toy("pod_owned", group=by.owner, clear_after=timedelta(minutes=1))
DEPLOYMENT = Ref("Deployment", "x", "web")
A = pod("a")


def test_a_problem_is_said_once_it_has_lasted_raise_after_and_not_a_second_earlier() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A, since=START))

    assert story.ledger.next_deadline() == START + timedelta(minutes=5)
    story.later(minutes=4, seconds=59)
    assert story.diagnoses() == []
    story.later(seconds=1)

    assert story.states() == {"PodSlow a": "Open"}
    assert story.one().first_seen == START


def test_a_problem_without_a_time_of_its_own_counts_from_when_it_was_first_seen() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A))
    story.later(minutes=4, seconds=59)
    assert story.diagnoses() == []
    story.later(seconds=1)

    assert story.one().first_seen == START


def test_a_problem_that_passes_before_raise_after_is_never_said() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A))
    story.later(minutes=4)
    story.silent(SLOW, A)
    story.says(finding(SLOW, A))
    story.later(minutes=4)

    assert story.diagnoses() == []


def test_a_diagnosis_is_withdrawn_once_it_was_false_for_clear_after_and_not_a_second_earlier() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A, since=START - timedelta(hours=1)))
    story.silent(SLOW, A)

    assert story.ledger.next_deadline() is not None
    story.later(seconds=59)
    assert story.one().state is State.OPEN
    story.later(seconds=1)

    assert (story.one().state, story.one().resolution) == (State.RESOLVED, Resolution.CLEARED)


def test_what_is_open_stays_open_while_it_is_so_even_if_it_began_anew() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A, since=START - timedelta(hours=1)))
    for _ in range(10):
        story.later(seconds=50)
        story.says(finding(SLOW, A, since=story.now))
        story.later(seconds=20)
        story.silent(SLOW, A)

    assert story.one().state is State.OPEN
    assert story.one().flaps == 0


def test_a_deleted_subject_resolves_its_diagnosis_at_once() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A, since=START - timedelta(hours=1)))
    story.gone.add(A)
    story.silent(SLOW, A)

    assert (story.one().state, story.one().resolution) == (State.RESOLVED, Resolution.SUBJECT_DELETED)
    assert story.one().history[-1].reason == "SubjectDeleted"


def test_a_deleted_pod_of_a_deployment_leaves_the_diagnosis_of_the_deployment_open() -> None:
    story = Story(OWNED)
    story.says(finding(OWNED, A, group=DEPLOYMENT, since=START))
    story.gone.add(A)
    story.silent(OWNED, A)
    story.later(seconds=30)
    assert story.one().state is State.OPEN
    story.says(finding(OWNED, pod("b"), group=DEPLOYMENT, since=story.now))
    story.later(minutes=2)

    assert (story.one().state, story.one().first_seen) == (State.OPEN, START)


def test_a_check_that_is_switched_off_resolves_what_it_said() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A, since=START - timedelta(hours=1)))
    del story.outcomes[SLOW]
    story.configured({"checks": {"PodSlow": {"enabled": False}}})

    assert (story.one().state, story.one().resolution) == (State.RESOLVED, Resolution.CHECK_DISABLED)


def test_a_check_that_is_switched_off_forgets_what_it_was_about_to_say() -> None:
    story = Story(SLOW)
    story.says(finding(SLOW, A, since=START))
    del story.outcomes[SLOW]
    story.configured({"checks": {"PodSlow": {"enabled": False}}})
    story.silent(SLOW, A)
    story.later(hours=1)

    assert story.diagnoses() == []


def test_what_comes_back_is_counted_and_is_a_new_incident() -> None:
    story = Story(QUICK)
    for round_ in range(3):
        story.says(finding(QUICK, A))
        assert (story.one().flaps, story.one().first_seen) == (round_, story.now)
        story.later(minutes=1)
        story.silent(QUICK, A)
        story.later(minutes=1)

    assert [turn.reason for turn in story.one().history] == ["Cleared", "Returned", "Cleared", "Returned", "Cleared"]


def test_a_resolved_diagnosis_stays_for_retention_and_then_goes() -> None:
    story = Story(QUICK, policy={"retention": "2h"})
    story.says(finding(QUICK, A))
    story.silent(QUICK, A)
    story.later(minutes=119, seconds=59)
    assert story.one().state is State.RESOLVED
    assert story.later(seconds=1)

    assert story.diagnoses() == []
    assert story.ledger.next_deadline() is None


def test_a_short_retention_holds_although_the_cause_is_remembered_for_longer() -> None:
    story = Story(QUICK, policy={"retention": "1m"})
    story.says(finding(QUICK, A))
    story.silent(QUICK, A)
    story.later(seconds=59)
    assert story.one().state is State.RESOLVED
    assert story.ledger.next_deadline() == START + timedelta(minutes=1)
    story.later(seconds=1)

    assert story.diagnoses() == []
    story.later(minutes=14)
    assert story.ledger.next_deadline() is None


def test_a_resolved_diagnosis_that_a_person_silenced_stays_until_the_silence_ends() -> None:
    story = Story(QUICK, policy={"retention": "1h"})
    story.says(finding(QUICK, A))
    story.ledger.suppress(story.one().identity, Suppression("known", START + timedelta(hours=5)))
    story.silent(QUICK, A)
    story.later(hours=4, minutes=59)
    assert story.one().state is State.RESOLVED
    story.later(minutes=1)

    assert story.diagnoses() == []


def test_a_diagnosis_that_was_silenced_for_good_is_recognised_when_it_returns() -> None:
    story = Story(QUICK)
    story.says(finding(QUICK, A))
    story.ledger.suppress(story.one().identity, Suppression("known"))
    story.silent(QUICK, A)
    story.later(days=400)
    story.says(finding(QUICK, A))

    assert (story.one().silenced, story.one().flaps) == (True, 1)


def test_what_a_person_silences_is_silent_without_any_other_change() -> None:
    story = Story(QUICK)
    story.says(finding(QUICK, A))
    story.ledger.suppress(story.one().identity, Suppression("known"))

    assert story.later(seconds=0)
    assert story.one().suppression == Suppression("known")
    story.ledger.suppress(story.one().identity, None)
    assert story.later(seconds=0)
    assert story.one().suppression is None


def test_a_diagnosis_becomes_loud_again_when_the_silence_in_its_spec_ends() -> None:
    story = Story(QUICK)
    story.says(finding(QUICK, A))
    ends = START + timedelta(hours=3)
    story.ledger.suppress(story.one().identity, Suppression("known", ends))
    story.later(seconds=10)
    assert story.one().silenced

    assert story.ledger.next_deadline() == ends
    assert story.later(seconds=(ends - story.now).total_seconds())
    assert not story.one().silenced
    assert story.one().suppression == Suppression("known", ends, expired=True)


def test_a_diagnosis_becomes_loud_again_when_the_policys_suppression_ends() -> None:
    suppression = {"check": "PodQuick", "namespace": "x*", "reason": "known", "until": "2026-01-01T03:00:00Z"}
    story = Story(QUICK, policy={"suppressions": [suppression]})
    story.says(finding(QUICK, A))
    told = story.one().suppression
    assert told is not None
    assert (told.reason, told.field) == ("known", "spec.suppressions[0]")
    story.later(seconds=10)

    ends = START + timedelta(hours=3)
    assert story.ledger.next_deadline() == ends
    assert story.later(seconds=(ends - story.now).total_seconds())
    assert not story.one().silenced


def test_a_diagnosis_out_of_sight_stays_open_turns_unknown_and_comes_back_as_the_same_incident() -> None:
    story = Story(QUICK)
    story.says(finding(QUICK, A))
    story.goes(QUICK, Outcome(missing=("Pod",)))
    story.later(seconds=UNKNOWN_AFTER.total_seconds() - 1)
    assert story.one().state is State.OPEN
    story.later(seconds=1)
    assert (story.one().state, story.one().history[-1].reason) == (State.UNKNOWN, "InputsMissing")
    story.later(days=3)
    assert story.one().state is State.UNKNOWN
    story.goes(QUICK, Outcome())

    assert (story.one().state, story.one().flaps, story.one().first_seen) == (State.OPEN, 0, START)


def test_a_subject_that_cannot_be_judged_is_not_resolved() -> None:
    story = Story(QUICK)
    story.says(finding(QUICK, A))
    story.cannot_tell(QUICK, A)
    story.later(hours=5)

    assert story.states() == {"PodQuick a": "Unknown"}


def test_a_check_that_broke_resolves_nothing() -> None:
    story = Story(QUICK)
    story.says(finding(QUICK, A))
    story.outcomes[QUICK] = Outcome(errors={"ValueError: oops": 1})
    story.silent(QUICK, A)
    story.later(hours=5)

    assert story.states() == {"PodQuick a": "Unknown"}


@pytest.mark.parametrize(("most", "expected"), [("info", Severity.INFO), ("critical", Severity.CRITICAL)])
def test_the_policy_caps_the_severity(most: str, expected: Severity) -> None:
    story = Story(QUICK, policy={"checks": {"PodQuick": {"severity": most}}})
    story.says(finding(QUICK, A, severity=Severity.CRITICAL))

    assert story.one().severity is expected
    assert {severity for (_, _, _, severity, _) in story.ledger.findings()} == {expected}


def test_five_hundred_pods_of_one_deployment_are_one_diagnosis_with_a_true_count_and_five_samples() -> None:
    story = Story(OWNED)
    pods = [pod(f"web-{number:03}") for number in range(500)]
    story.says(*(finding(OWNED, one, group=DEPLOYMENT, since=START) for one in pods))

    told = story.one()
    assert (told.subject, told.members) == (DEPLOYMENT, 500)
    assert told.message.startswith("500 Pods of Deployment/x/web (web-000, web-001, web-002, web-003, web-004 and 495")
    assert sum(story.ledger.findings().values()) == 500


def test_the_worst_member_speaks_for_its_group() -> None:
    story = Story(OWNED)
    story.says(
        finding(OWNED, pod("a"), group=DEPLOYMENT, since=START),
        finding(OWNED, pod("c"), group=DEPLOYMENT, since=START, severity=Severity.CRITICAL),
        finding(OWNED, pod("b"), group=DEPLOYMENT, since=START - timedelta(hours=1), severity=Severity.CRITICAL),
    )

    assert story.one().message.endswith("The worst: b is broken")


def test_what_lies_ahead_stays_bounded_however_often_a_large_group_changes() -> None:
    slow = toy("pod_slow_owned", group=by.owner, raise_after=timedelta(minutes=15))
    story = Story(slow)
    story.says(*(finding(slow, pod(f"p{number}"), group=DEPLOYMENT, since=START) for number in range(200)))
    for _ in range(50):
        story.says(finding(slow, pod("p1"), group=DEPLOYMENT, since=story.now))
        story.later(seconds=1)

    assert len(story.ledger._deadlines) <= 10


def test_a_new_root_settles_for_two_seconds() -> None:
    story = Story(QUICK)
    story.says(finding(QUICK, A))
    assert not story.one().settled
    story.later(seconds=1.9)
    assert not story.one().settled
    assert story.later(seconds=0.1)

    assert story.one().settled


def test_the_most_severe_come_first_and_the_resolved_last() -> None:
    story = Story(QUICK)
    story.says(
        finding(QUICK, pod("mild"), severity=Severity.INFO, since=START),
        finding(QUICK, pod("young"), severity=Severity.CRITICAL, since=START),
        finding(QUICK, pod("old"), severity=Severity.CRITICAL, since=START - timedelta(days=1)),
        finding(QUICK, pod("over"), severity=Severity.CRITICAL, since=START),
    )
    story.silent(QUICK, pod("over"))

    assert [one.subject.name for one in story.diagnoses()] == ["old", "young", "mild", "over"]
