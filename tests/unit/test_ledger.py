"""The ledger: what is open since when, what lingers, what came back, and what is out of sight."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedx.core import by, join
from kubedx.core.finding import Ref, Severity
from kubedx.diagnosis.diagnosis import Diagnosis, Resolution, State, Suppression
from kubedx.diagnosis.ledger import UNKNOWN_AFTER
from kubedx.engine.verdict import Outcome, Verdict
from kubedx.kube.views import Pod
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


def _goes_and_comes(story: Story, times: int = 3, minutes: float = 2) -> None:
    """Let something begin and clear so often, and begin once more."""
    for _ in range(times):
        story.says(finding(QUICK, A))
        story.later(minutes=minutes)
        story.silent(QUICK, A)
        story.later(minutes=minutes)
    story.says(finding(QUICK, A))


def test_what_cleared_three_times_in_half_an_hour_is_kept_open_until_it_is_quiet_as_long() -> None:
    story = Story(QUICK)
    _goes_and_comes(story)
    assert (story.one().is_flapping, story.one().flaps) == (True, 3)
    begun = story.one().last_transition
    for _ in range(20):
        story.silent(QUICK, A)
        story.later(minutes=2)
        story.says(finding(QUICK, A))
        story.later(minutes=2)
    assert (story.one().state, story.one().is_flapping, story.one().flaps) == (State.OPEN, True, 3)
    assert story.one().last_transition == begun
    story.silent(QUICK, A)
    story.later(minutes=29, seconds=59)
    assert story.one().state is State.OPEN

    assert story.ledger.next_deadline() == story.now + timedelta(seconds=1)
    story.later(seconds=1)
    assert (story.one().state, story.one().resolution) == (State.RESOLVED, Resolution.CLEARED)
    assert not story.one().is_flapping


def test_what_flapped_and_then_stays_is_itself_again_after_half_an_hour() -> None:
    story = Story(QUICK)
    _goes_and_comes(story)
    story.later(minutes=29, seconds=59)
    assert story.one().is_flapping
    story.later(seconds=1)
    assert (story.one().state, story.one().is_flapping) == (State.OPEN, False)
    story.silent(QUICK, A)

    assert story.one().state is State.RESOLVED


def test_what_comes_and_goes_more_slowly_does_not_flap() -> None:
    story = Story(QUICK, policy={"retention": "2h"})
    _goes_and_comes(story, times=6, minutes=8)

    assert (story.one().is_flapping, story.one().flaps) == (False, 6)


def test_a_subject_that_is_made_and_deleted_again_and_again_does_not_flap() -> None:
    story = Story(QUICK)
    for _ in range(4):
        story.gone.clear()
        story.says(finding(QUICK, A))
        story.gone.add(A)
        story.silent(QUICK, A)

    assert (story.one().state, story.one().resolution) == (State.RESOLVED, Resolution.SUBJECT_DELETED)
    assert story.one().flaps == 3


def test_what_flaps_is_resolved_at_once_when_its_subject_goes() -> None:
    story = Story(QUICK)
    _goes_and_comes(story)
    story.gone.add(A)
    story.silent(QUICK, A)

    assert (story.one().state, story.one().is_flapping) == (State.RESOLVED, False)


def test_what_flaps_does_so_still_after_it_was_out_of_sight() -> None:
    story = Story(QUICK)
    _goes_and_comes(story)
    story.goes(QUICK, Outcome(missing=("Pod",)))
    story.later(minutes=11)
    assert (story.one().state, story.one().is_flapping) == (State.UNKNOWN, True)
    story.goes(QUICK, Outcome())
    story.silent(QUICK, A)

    assert (story.one().state, story.one().is_flapping) == (State.OPEN, True)


Truth = tuple[timedelta, timedelta]
"""How long something was not so, and then how long it was."""


def _judged(truths: list[Truth], clear_after: timedelta) -> tuple[bool, int, bool]:
    """Work out from all that ever was whether it is open, how often it came back, and whether it flaps."""
    now = ended = START
    cleared: list[datetime] = []
    is_open = is_flapping = False
    flaps = 0
    for off, on in truths:
        now += off
        over = ended + max(clear_after, HALF_AN_HOUR if is_flapping else timedelta(0))
        if is_open and over <= now:
            cleared.append(over)
            is_open = is_flapping = False
        if not is_open:
            is_open, flaps = True, len(cleared)
            is_flapping = len(cleared) >= 3 and now - cleared[-3] <= HALF_AN_HOUR
        is_flapping = is_flapping and on < HALF_AN_HOUR
        now = ended = now + on
    return is_open, flaps, is_flapping


HALF_AN_HOUR = timedelta(minutes=30)
MINUTES = st.integers(1, 40).map(lambda number: timedelta(minutes=number))
SHORT = st.integers(1, 6).map(lambda number: timedelta(minutes=number))


@given(st.lists(st.tuples(SHORT | MINUTES, SHORT | MINUTES), min_size=1, max_size=14), st.sampled_from((0, 3)))
def test_the_ledger_says_of_what_comes_and_goes_what_its_whole_history_says(truths: list[Truth], hold: int) -> None:
    holding = toy("pod_quick", clear_after=timedelta(minutes=hold))
    story = Story(holding, policy={"retention": "30d"})

    def live(duration: timedelta) -> None:
        """Let time pass as in the operator, which looks whenever something is due."""
        until = story.now + duration
        while (due := story.ledger.next_deadline()) is not None and due <= until:
            story.later(seconds=(due - story.now).total_seconds())
        story.later(seconds=(until - story.now).total_seconds())

    for number, (off, on) in enumerate(truths, 1):
        live(off)
        story.says(finding(holding, A))
        live(on)
        told = story.one()
        assert (told.state is State.OPEN, told.flaps, told.is_flapping) == _judged(truths[:number], holding.clear_after)
        story.silent(holding, A)


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
    assert {severity for _, severity, _, _ in story.ledger.findings()["x"]} == {expected.text}


def test_five_hundred_pods_of_one_deployment_are_one_diagnosis_with_a_true_count_and_five_samples() -> None:
    story = Story(OWNED)
    pods = [pod(f"web-{number:03}") for number in range(500)]
    story.says(*(finding(OWNED, one, group=DEPLOYMENT, since=START) for one in pods))

    told = story.one()
    assert (told.subject, told.members) == (DEPLOYMENT, 500)
    assert told.message.startswith("500 Pods of Deployment/x/web (web-000, web-001, web-002, web-003, web-004 and 495")
    assert sum(story.ledger.findings()["x"].values()) == 500


def test_findings_of_several_objects_about_one_subject_are_about_one_subject() -> None:
    story = Story(OWNED)
    quota = Ref("ResourceQuota", "x", "pods")
    found = finding(OWNED, quota, since=START)
    for name in ("b", "a"):
        pair = (OWNED, (Pod, f"x/{name}"))
        story._feed({pair: Verdict((msgspec.structs.replace(found, member=Ref("ReplicaSet", "x", name)),))})  # type: ignore[dict-item]

    assert (story.one().members, story.one().message) == (2, "pods is broken")


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


def test_what_passes_before_it_settled_is_not_written_while_it_lingers_but_is_if_it_returns() -> None:
    story = Story(OWNED)
    story.says(finding(OWNED, A, group=DEPLOYMENT))
    story.later(seconds=1)
    story.silent(OWNED, A)
    story.later(seconds=10)
    assert (story.one().state, story.one().settled) == (State.OPEN, False)
    story.says(finding(OWNED, A, group=DEPLOYMENT))

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


NODE_DOWN = toy("node_down", layer=1, clear_after=timedelta(minutes=1), explains={"PodLost": join.same_node})
POD_LOST = toy("pod_lost", layer=5, group=by.owner, explains={"ServiceEmpty": join.same_owner})
SERVICE_EMPTY = toy("service_empty", layer=7, raise_after=timedelta(seconds=30))
HELD = (NODE_DOWN, POD_LOST, SERVICE_EMPTY)
Step = Callable[[Story], object]


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    """Something that happens to one of a few objects, or time that passes."""
    check = draw(st.sampled_from(HELD))
    number = draw(st.integers(0, 3))
    about = Ref("Node", "", f"n{number}") if check is NODE_DOWN else pod(f"p{number}")
    owner = Ref("Deployment", "x", f"d{number % 2}") if check is POD_LOST else None
    keys = (f"k{number % 2}",) if draw(st.booleans()) else ("k0", "k1")
    severity = draw(st.sampled_from(Severity))
    age = draw(st.sampled_from((None, timedelta(0), timedelta(minutes=20))))
    seconds = draw(st.sampled_from((1, 30, 61, 500)))

    def says(story: Story) -> None:
        since = None if age is None else story.now - age
        story.says(finding(check, about, group=owner, since=since, severity=severity, keys=keys))

    def silences(story: Story) -> None:
        for one in story.diagnoses()[:1]:
            story.ledger.suppress(one.identity, Suppression("known", story.now + timedelta(seconds=seconds)))

    happens: list[Step] = [
        says, says, says, silences,
        lambda story: story.silent(check, about), lambda story: story.later(seconds=seconds),
        lambda story: story.cannot_tell(check, about), lambda story: story.goes(check, Outcome(missing=("Pod",))),
        lambda story: story.goes(check, Outcome()),
    ]  # fmt: skip
    return draw(st.sampled_from(happens))


@given(st.lists(_steps(), max_size=25))
def test_what_is_told_does_not_depend_on_how_often_it_is_asked(steps: list[Step]) -> None:
    story, seldom = Story(*HELD), Story(*HELD)
    for step in steps:
        step(story)
        story.diagnoses()
        step(seldom)

    assert story.diagnoses() == seldom.diagnoses()


@given(st.lists(_steps(), max_size=25))
def test_counts_that_are_kept_by_difference_are_those_of_what_is_open(steps: list[Step]) -> None:
    story = Story(*HELD)
    for step in steps:
        shown = {name: (table, dict(table)) for name, table in story.ledger.findings().items()}
        step(story)
        assert all(table == before for table, before in shown.values()), "what was handed out never changes"

        counts = Counter(
            (one.finding.subject.namespace, entry.check.id, "symptom" if entry.group.is_folded else "cause")
            for entry in story.ledger._entries.values() if entry.in_play for one in entry.group.members
        )  # fmt: skip
        told: Counter[tuple[str, ...]] = Counter()
        for namespace, table in story.ledger.findings().items():
            for (check, _, _, role), count in table.items():
                told[namespace, check, role] += count
        assert told == counts


def _lost(story: Story, *symptoms: str, severity: Severity = Severity.CRITICAL) -> None:
    """A node is down, which is a warning here, and these pods with it."""
    story.says(finding(NODE_DOWN, Ref("Node", "", "n1"), since=START, keys="k"))
    story.says(*(finding(POD_LOST, pod(name), since=START, severity=severity, keys="k") for name in symptoms))


def test_a_cause_is_as_severe_as_the_worst_that_it_explains() -> None:
    story = Story(*HELD)
    _lost(story, "a", "b")
    told = story.one()
    assert (told.check.id, told.severity) == ("NodeDown", Severity.CRITICAL)
    assert [(one.check, one.severity) for one in told.explains] == [("PodLost", Severity.CRITICAL)]
    story.silent(POD_LOST, pod("a"))
    assert story.diagnoses()[0].severity is Severity.CRITICAL
    story.silent(POD_LOST, pod("b"))

    assert (story.diagnoses()[0].check.id, story.diagnoses()[0].severity) == ("NodeDown", Severity.WARNING)


def test_a_cause_is_never_less_severe_than_it_is_itself() -> None:
    story = Story(*HELD)
    _lost(story, "a", severity=Severity.INFO)

    assert story.one().severity is Severity.WARNING


def test_a_symptom_that_gets_worse_makes_its_cause_worse() -> None:
    story = Story(*HELD)
    _lost(story, "a", severity=Severity.WARNING)
    assert story.one().severity is Severity.WARNING
    _lost(story, "a")

    assert story.one().severity is Severity.CRITICAL


def test_a_cap_holds_for_what_its_own_check_found() -> None:
    story = Story(*HELD, policy={"checks": {"NodeDown": {"severity": "info"}}})
    _lost(story, "a")
    assert story.one().severity is Severity.CRITICAL
    story.configured({"checks": {"NodeDown": {"severity": "info"}, "PodLost": {"severity": "warning"}}})
    assert story.one().severity is Severity.WARNING
    story.configured({"checks": {"NodeDown": {"severity": "info"}, "PodLost": {"severity": "info"}}})
    assert story.one().severity is Severity.INFO
    story.configured({})

    assert story.one().severity is Severity.CRITICAL


def test_a_symptom_that_somebody_silenced_makes_no_cause_louder() -> None:
    story = Story(*HELD)
    _lost(story, "a", "b")
    ends = START + timedelta(hours=1)
    story.ledger.suppress(("PodLost", pod("a")), Suppression("known", ends))
    story.later(seconds=1)
    assert story.one().severity is Severity.CRITICAL
    story.ledger.suppress(("PodLost", pod("b")), Suppression("known"))
    story.later(seconds=1)
    assert (story.one().severity, story.one().explains_count) == (Severity.WARNING, 2)

    story.later(seconds=(ends - story.now).total_seconds())
    assert story.one().severity is Severity.CRITICAL


def test_a_symptom_that_a_pattern_silences_makes_no_cause_louder_until_the_pattern_goes() -> None:
    silence = {"check": "PodLost", "reason": "known", "until": "2026-01-01T01:00:00Z"}
    story = Story(*HELD, policy={"suppressions": [silence]})
    _lost(story, "a")
    assert story.one().severity is Severity.WARNING
    story.configured({})
    assert story.one().severity is Severity.CRITICAL
    story.configured({"suppressions": [silence]})
    assert story.one().severity is Severity.WARNING

    story.later(hours=1)
    assert story.one().severity is Severity.CRITICAL


def test_the_severity_of_a_cause_is_not_that_of_its_findings() -> None:
    story = Story(*HELD)
    _lost(story, "a")

    severities = {(check, role): severity for check, severity, _, role in story.ledger.findings()[""]}
    assert severities == {("NodeDown", "cause"): "warning"}


def _lasting(one: Diagnosis) -> tuple[object, ...]:
    return (one.identity, one.members, one.message, one.severity, one.confidence, one.explains, one.path)


@given(st.lists(_steps(), max_size=25))
def test_in_the_end_only_what_is_so_counts_and_not_how_it_came_to_be(steps: list[Step]) -> None:
    story = Story(*HELD)
    for step in steps:
        step(story)
    for check in HELD:
        story.goes(check, Outcome())
    for check, argument in list(
        story.ledger._unjudged
    ):  # What cannot be judged stays as it was, as long as that lasts.
        story._feed({(check, argument): Verdict()})
    story.later(minutes=40)  # Longer than what flaps is kept open.
    afresh = Story(*HELD, now=story.now)
    afresh.says(*(one.finding for members in story.ledger._members.values() for one in members))
    afresh.later(minutes=20)
    story.later(minutes=20)

    assert {_lasting(one) for one in story.diagnoses() if one.state is State.OPEN} == {
        _lasting(one) for one in afresh.diagnoses() if one.state is State.OPEN
    }
