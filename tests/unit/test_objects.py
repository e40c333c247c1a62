"""Diagnoses as objects and back: what a restart reads is what was so, and means the same."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedx.api.diagnosis import read
from kubedx.api.model import API_VERSION
from kubedx.core import by, join
from kubedx.core.finding import Ref, Severity
from kubedx.diagnosis.diagnosis import MOST_KEYS, Diagnosis, Explained, Suppression
from kubedx.diagnosis.ledger import UNKNOWN_AFTER
from kubedx.engine.verdict import Outcome
from kubedx.report.objects import is_ours, labels, meaning, remembered, status, suppression
from tests.unit.toys import START, Story, finding, pod, toy

SICK = toy("pod_sick", clear_after=timedelta(minutes=1))
DOWN = toy("node_down", layer=1, explains={"PodSick": join.same_node})
A, NODE = pod("a"), Ref("Node", "", "n1")
BEGAN = START - timedelta(hours=7, microseconds=123)


def body(diagnosis: Diagnosis) -> dict[str, object]:
    """The object of a diagnosis, as the API server would send it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterDiagnosis",
        "metadata": {"name": diagnosis.name, "labels": labels(diagnosis), "uid": "u", "resourceVersion": "7"},
        "status": {key: value for key, value in status(diagnosis).patch().items() if value is not None},
    }


def restarted(story: Story, *gone: Ref) -> Story:
    """Another process that knows nothing but the objects."""
    after = Story(*story.registry, now=story.now + timedelta(seconds=20))
    after.gone = {*gone}
    found = [read(body(one)) for one in story.diagnoses()]
    told = [remembered(one, story.registry) for one in found]
    after.ledger.restore(one for one in told if one is not None)
    return after


def open_one(story: Story) -> None:
    story.says(finding(SICK, A, since=BEGAN))


def flapping_one(story: Story) -> None:
    open_one(story)
    story.silent(SICK, A)
    story.later(minutes=1)
    story.says(finding(SICK, A, since=story.now))


def root_of_many(story: Story) -> None:
    story.says(
        finding(DOWN, NODE, since=BEGAN, keys="n1"),
        *(finding(SICK, pod(f"p{number}"), since=BEGAN, keys="n1") for number in range(9)),
    )


@pytest.mark.parametrize("happens", [open_one, flapping_one, root_of_many])
def test_a_restart_changes_nothing_about_what_is_still_so(happens: Callable[[Story], None]) -> None:
    story = Story(SICK, DOWN)
    happens(story)
    story.later(minutes=3)
    before = story.one()

    after = restarted(story)
    happening = {pair: verdict for pair, verdict in _verdicts(story).items() if verdict.findings}
    after.ledger.feed(happening, after.outcomes, after.now)

    told = after.one()
    assert meaning(status(told)) == meaning(status(before))
    assert status(told).first_seen == status(before).first_seen
    assert status(told).history == status(before).history
    assert told.name == before.name


def _verdicts(story: Story) -> dict:  # type: ignore[type-arg]
    from kubedx.engine.verdict import Verdict  # noqa: PLC0415

    return {
        pair: Verdict(tuple(member.finding for member in members))
        for pair, members in story.ledger._members.items()
    }  # fmt: skip


def test_a_restart_while_a_diagnosis_lingers_resolves_it_later_with_its_first_seen() -> None:
    story = Story(SICK)
    open_one(story)
    story.silent(SICK, A)
    story.later(seconds=30)

    after = restarted(story)
    after.later(seconds=0)
    assert after.states() == {"PodSick a": "Open"}
    after.later(minutes=1)

    assert after.states() == {"PodSick a": "Resolved"}
    assert after.one().first_seen == status(story.one()).first_seen


def test_a_restart_keeps_what_is_resolved_and_forgets_it_in_its_time() -> None:
    story = Story(SICK)
    open_one(story)
    story.silent(SICK, A)
    story.later(minutes=1)
    before = story.one()

    after = restarted(story)
    after.later(seconds=0)
    assert meaning(status(after.one())) == meaning(status(before))
    assert status(after.one()).last_transition == status(before).last_transition
    after.later(minutes=59, seconds=40)

    assert after.diagnoses() == []


def test_a_subject_that_went_while_nobody_looked_is_told_as_deleted() -> None:
    story = Story(SICK)
    open_one(story)

    after = restarted(story, A)
    after.later(seconds=0)

    assert after.one().history[-1].reason == "SubjectDeleted"


def _flapping(story: Story) -> None:
    for _ in range(3):
        open_one(story)
        story.later(minutes=1)
        story.silent(SICK, A)
        story.later(minutes=1)
    open_one(story)


def test_what_flaps_does_so_after_a_restart_and_is_quiet_half_an_hour_after_it() -> None:
    story = Story(SICK)
    _flapping(story)
    before = story.one()
    assert (before.is_flapping, before.flaps) == (True, 3)

    after = restarted(story)
    after.silent(SICK, A)
    assert meaning(status(after.one())) == meaning(status(before))
    after.later(minutes=29)
    assert after.states() == {"PodSick a": "Open"}
    after.later(minutes=1)

    assert (after.states(), after.one().is_flapping) == ({"PodSick a": "Resolved"}, False)


def test_what_began_to_flap_before_a_restart_is_found_out_after_it() -> None:
    story = Story(SICK)
    _flapping(story)
    story = Story(SICK)
    for _ in range(3):
        open_one(story)
        story.later(minutes=1)
        story.silent(SICK, A)
        story.later(minutes=1)

    after = restarted(story)
    open_one(after)

    assert (after.one().is_flapping, after.one().flaps) == (True, 3)


def _cause_over(story: Story) -> None:
    """A cause has cleared; what it caused has not yet."""
    root_of_many(story)
    story.later(minutes=3)
    story.silent(DOWN, NODE)


def _after(story: Story) -> Story:
    """A restart in which what is still so is found again at once."""
    after = restarted(story)
    after.ledger.feed({pair: one for pair, one in _verdicts(story).items() if one.findings}, after.outcomes, after.now)
    return after


def test_a_cause_that_cleared_before_a_restart_explains_what_is_left_of_its_symptoms() -> None:
    story = Story(SICK, DOWN)
    _cause_over(story)
    assert story.states() == {"NodeDown n1": "Resolved"}
    before = story.one()

    after = _after(story)
    assert after.states() == {"NodeDown n1": "Resolved"}
    assert meaning(status(after.one())) == meaning(status(before))
    after.silent(SICK, *(pod(f"p{number}") for number in range(8)))
    after.later(minutes=1)
    (cause,) = [one for one in after.diagnoses() if one.check is DOWN]
    assert [one.count for one in cause.explains] == [1]
    after.later(minutes=14)

    assert after.states().items() >= {"NodeDown n1": "Resolved", "PodSick p8": "Open"}.items()


def test_a_cause_that_went_while_nobody_looked_explains_its_symptoms_while_it_lingers_and_after() -> None:
    lasting = toy("node_down", layer=1, explains={"PodSick": join.same_node}, clear_after=timedelta(minutes=1))
    story = Story(SICK, lasting)
    story.says(
        finding(lasting, NODE, since=BEGAN, keys="n1"),
        *(finding(SICK, pod(f"p{number}"), since=BEGAN, keys="n1") for number in range(3)),
    )
    story.later(minutes=3)

    after = restarted(story)
    symptoms = {pair: verdict for pair, verdict in _verdicts(story).items() if pair[0] is SICK}
    after.ledger.feed(symptoms, after.outcomes, after.now)
    assert after.states() == {"NodeDown n1": "Open"}
    assert after.one().message == story.one().message
    after.later(minutes=1)
    assert after.states() == {"NodeDown n1": "Resolved"}
    after.says(finding(lasting, NODE, since=BEGAN, keys="n1"))

    assert after.states() == {"NodeDown n1": "Open"}
    assert after.one().flaps == 1


def test_a_cause_that_cannot_be_seen_after_a_restart_explains_its_symptoms_all_the_same() -> None:
    story = Story(SICK, DOWN)
    root_of_many(story)
    story.later(minutes=3)

    after = restarted(story)
    after.outcomes = {**after.outcomes, DOWN: Outcome(missing=("Node",))}
    symptoms = {pair: verdict for pair, verdict in _verdicts(story).items() if pair[0] is SICK}
    after.ledger.feed(symptoms, after.outcomes, after.now)

    assert after.states() == {"NodeDown n1": "Open"}
    assert [one.count for one in after.one().explains] == [9]


Step = Callable[[Story], object]


@st.composite
def _steps(draw: st.DrawFn) -> Step:
    """Something that begins or ends, or time that passes."""
    number = draw(st.integers(0, 2))
    check, about = draw(st.sampled_from(((SICK, pod(f"p{number}")), (DOWN, NODE))))
    seconds = draw(st.sampled_from((1, 59, 61, 110)))  # Less than the retention in all.
    happens: list[Step] = [
        lambda story: story.says(finding(check, about, since=story.now, keys="n1")),
        lambda story: story.silent(check, about),
        lambda story: story.later(seconds=seconds),
    ]
    return draw(st.sampled_from(happens))


def _life(one: Diagnosis) -> tuple[object, ...]:
    found = status(one)
    return (found.state, found.first_seen, found.last_transition, found.resolution, found.history, found.flaps)


@given(st.lists(_steps(), max_size=30))
def test_a_restart_at_any_moment_changes_the_life_of_no_diagnosis(steps: list[Step]) -> None:
    story = Story(SICK, DOWN)
    for step in steps:
        step(story)
    before = {one.name: one for one in story.diagnoses()}
    after = {one.name: one for one in _after(story).diagnoses()}

    assert {name: _life(one) for name, one in after.items() if name in before} == {
        name: _life(one) for name, one in before.items()
    }
    assert {name: one.is_flapping for name, one in after.items() if name in before} == {
        name: one.is_flapping for name, one in before.items()
    }


def test_a_cause_keeps_few_keys_however_many_members_it_has() -> None:
    owned = toy("pod_down", layer=1, group=by.owner, explains={"PodSick": join.same_node})
    story = Story(SICK, owned)
    deployment = Ref("Deployment", "x", "web")
    found = [
        finding(owned, pod(f"w{n}"), group=deployment, since=BEGAN, keys=(f"n{n}", f"m{n}", "x" * 999))
        for n in range(100)
    ]
    story.says(*found, finding(SICK, A, since=BEGAN, keys="n0"))
    assert story.one().keys == (("same_node", "m0"), ("same_node", "n0"))
    story.silent(owned, *(pod(f"w{n}") for n in range(40, 100)))
    assert len(story.one().keys) == 40 == MOST_KEYS

    assert len(status(story.one()).keys) == 40


def test_a_cause_of_nothing_keeps_no_keys() -> None:
    story = Story(DOWN)
    story.says(finding(DOWN, NODE, since=BEGAN, keys="n1"))

    assert status(story.one()).keys == ()


def _skipped(story: Story) -> None:
    story.goes(SICK, Outcome(missing=("Pod",)))


def _failed(story: Story) -> None:
    story.goes(SICK, Outcome(errors={"ValueError: oops": 1}))


def _not_judged(story: Story) -> None:
    story.cannot_tell(SICK, A)


def _not_seen(story: Story) -> None:
    story.unseen.add(A)
    story.later(seconds=0)


@pytest.mark.parametrize("blind", [_skipped, _failed, _not_judged, _not_seen])
def test_nothing_that_was_read_back_is_resolved_by_blindness(blind: Callable[[Story], None]) -> None:
    story = Story(SICK)
    open_one(story)
    before = status(story.one())

    after = restarted(story)
    blind(after)
    assert meaning(status(after.one())) == meaning(before)
    after.later(seconds=UNKNOWN_AFTER.total_seconds() + 60)
    assert after.states() == {"PodSick a": "Unknown"}
    after.later(days=7)

    assert after.states() == {"PodSick a": "Unknown"}
    assert status(after.one()).first_seen == before.first_seen
    assert after.one().message == before.message


def test_an_object_without_our_label_is_not_read_back() -> None:
    story = Story(SICK)
    open_one(story)
    theirs = read({**body(story.one()), "metadata": {"name": "mine", "labels": {}}})

    assert not is_ours(theirs)
    assert remembered(theirs, story.registry) is None


def test_an_object_of_a_check_that_is_no_more_is_not_taken_over() -> None:
    story = Story(SICK)
    open_one(story)
    after = Story(DOWN)
    after.ledger.restore([one for one in [remembered(read(body(story.one())), after.registry)] if one])
    after.later(seconds=0)

    assert after.diagnoses() == []


def test_numbers_that_grow_mean_something_new_only_when_they_have_doubled() -> None:
    def of(count: int) -> tuple[object, ...]:
        from dataclasses import replace  # noqa: PLC0415

        explains = (Explained("PodSick", Severity.WARNING, count, (), None),)
        return meaning(status(replace(told, explains=explains)))

    story = Story(SICK)
    open_one(story)
    told = story.one()

    assert of(8) == of(15) != of(16)


def test_what_a_person_wrote_is_read_from_the_spec() -> None:
    story = Story(SICK)
    open_one(story)
    spec = {"suppress": {"reason": "known", "until": "2026-01-31T18:00:00Z"}}
    found = suppression(read({**body(story.one()), "spec": spec}))

    assert found is not None
    assert (found.reason, found.until and found.until.isoformat()) == ("known", "2026-01-31T18:00:00+00:00")
    story.ledger.suppress(story.one().identity, found)
    assert status(story.one()).suppressed is not None


def test_a_silence_means_something_new() -> None:
    story = Story(SICK)
    open_one(story)
    loud = meaning(status(story.one()))
    story.ledger.suppress(story.one().identity, Suppression("known"))

    assert meaning(status(story.one())) != loud
