"""Diagnoses as objects and back: what a restart reads is what was so, and means the same."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from kubedx.api.diagnosis import read
from kubedx.api.model import API_VERSION
from kubedx.core import join
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import Diagnosis, Explained, Suppression
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
    after.ledger.restore(one for one in map(remembered, found) if one is not None)
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
        pair: Verdict(findings)
        for by_pair in story.ledger._findings.values()
        for pair, findings in by_pair.items()
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
    assert remembered(theirs) is None


def test_an_object_of_a_check_that_is_no_more_is_not_taken_over() -> None:
    story = Story(SICK)
    open_one(story)
    after = Story(DOWN)
    after.ledger.restore([one for one in [remembered(read(body(story.one())))] if one])
    after.later(seconds=0)

    assert after.diagnoses() == []


def test_numbers_that_grow_mean_something_new_only_when_they_have_doubled() -> None:
    def of(count: int) -> tuple[object, ...]:
        from dataclasses import replace  # noqa: PLC0415

        explains = (Explained("PodSick", count, (), None),)
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
