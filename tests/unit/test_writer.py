"""The writer, against an API server that is a dictionary: few writes, severe ones first, none to others' objects."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from kubedx.core.finding import Severity
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.report import writer as module
from kubedx.report.writer import Writer
from tests.unit.api_in_memory import Cluster, RefusedError
from tests.unit.toys import START, Story, finding, pod, toy

SICK = toy("pod_sick")
QUICK = 1000
"""Writes a second, so that a test does not wait."""


class Bench:
    """A writer at work."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.now = START
        self.writer = Writer(self.cluster, self.clock)
        self.story = Story(SICK)

    def clock(self) -> datetime:
        return self.now

    def finds(self, *names: str, severity: Severity = Severity.WARNING) -> None:
        self.story.says(*(finding(SICK, pod(name), severity=severity, since=START) for name in names))
        self.story.later(seconds=2)

    def cures(self, *names: str) -> None:
        self.story.silent(SICK, *map(pod, names))

    def told(self) -> list[Diagnosis]:
        return self.story.diagnoses()

    def name(self, subject: str) -> str:
        return next(one.name for one in self.told() if one.subject.name == subject)

    async def writes(self, *, limit: int = 500, rate: int = QUICK) -> None:
        """Wish what the story tells, and wait until nothing is left to do."""
        self.wants(limit=limit, rate=rate)
        await self.rest()

    def wants(self, *, limit: int = 500, rate: int = QUICK) -> None:
        told = self.told()
        self.writer.want(lambda: told, limit, rate)

    async def rest(self) -> None:
        quiet, before = 0, -1
        while quiet < 16:
            await asyncio.sleep(0.005)
            quiet = quiet + 1 if len(self.cluster.asked) == before else 0
            before = len(self.cluster.asked)


@asynccontextmanager
async def working(bench: Bench) -> AsyncIterator[Bench]:
    task = asyncio.create_task(bench.writer.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(module.random, "uniform", lambda least, _: least / 50)
    async with working(Bench()) as found:
        yield found


async def test_a_new_diagnosis_is_posted_and_then_its_status_is_patched(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()

    assert [method for method, _ in bench.cluster.asked] == ["POST", "PATCH"]
    assert bench.cluster.states() == {"a": "Open"}
    assert bench.writer.results == {"ok": 1}


async def test_a_root_that_has_not_settled_is_not_written(bench: Bench) -> None:
    bench.story.says(finding(SICK, pod("a"), since=START))
    await bench.writes()

    assert bench.cluster.asked == []


async def test_what_means_nothing_new_is_not_written(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    for _ in range(5):
        bench.now += timedelta(minutes=1)
        bench.story.says(finding(SICK, pod("a"), since=START, labels={"new": "label"}))
        await bench.writes()

    assert len(bench.cluster.asked) == 2


async def test_numbers_ride_along_after_ten_minutes(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    bench.story.says(finding(SICK, pod("a"), since=START, source="status.phase (twice)"))
    await bench.writes()
    assert bench.cluster.writes("PATCH") == [bench.name("a")]
    bench.now += timedelta(minutes=10)
    await bench.writes()

    assert bench.cluster.writes("PATCH") == [bench.name("a")] * 2


async def test_a_restarted_writer_writes_nothing_that_is_there_already(bench: Bench) -> None:
    bench.finds("a", "b")
    await bench.writes()
    async with working(Bench()) as after:
        after.cluster, after.story = bench.cluster, bench.story
        after.writer._api = bench.cluster
        bench.cluster.asked.clear()
        for one in bench.cluster.objects.values():
            after.writer.observe("LISTED", one)
        await after.writes()

    assert bench.cluster.asked == []


async def test_after_a_conflict_it_reads_again_and_succeeds(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    bench.cluster.touch(bench.name("a"))
    bench.cures("a")
    await bench.writes()

    assert bench.cluster.states() == {"a": "Resolved"}
    assert [method for method, _ in bench.cluster.asked][2:] == ["PATCH", "GET", "PATCH"]
    assert bench.writer.results["409"] == 1


async def test_an_object_that_somebody_deleted_is_made_again_while_the_problem_lasts(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    del bench.cluster.objects[bench.name("a")]
    bench.story.says(finding(SICK, pod("a"), since=START, severity=Severity.CRITICAL))
    await bench.writes()

    assert bench.cluster.states() == {"a": "Open"}
    assert [method for method, _ in bench.cluster.asked][2:] == ["PATCH", "GET", "POST", "PATCH"]


async def test_an_object_that_somebody_deleted_is_not_made_again_once_the_problem_is_over(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    del bench.cluster.objects[bench.name("a")]
    bench.cures("a")
    await bench.writes()

    assert bench.cluster.objects == {}
    assert [method for method, _ in bench.cluster.asked][2:] == ["PATCH", "GET"]


async def test_what_is_over_and_past_its_retention_is_deleted_by_its_uid(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    bench.cures("a")
    bench.story.later(hours=1)
    await bench.writes()

    assert bench.cluster.objects == {}


async def test_an_object_that_was_replaced_in_the_meantime_is_not_deleted_by_its_name(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    name = bench.name("a")
    bench.cluster.put(name)  # Somebody deleted ours and created one of their own.
    bench.cures("a")
    bench.story.later(hours=1)
    await bench.writes()

    assert name in bench.cluster.objects


async def test_objects_of_people_are_neither_written_nor_deleted(bench: Bench) -> None:
    bench.finds("a")
    mine = bench.cluster.put(bench.name("a"), spec={"suppress": {"reason": "mine"}})
    other = bench.cluster.put("something-else")
    for one in (mine, other):
        bench.writer.observe("ADDED", one)
    await bench.writes()

    assert bench.cluster.asked == []


async def test_a_name_that_a_person_took_without_our_knowing_is_left_to_them(bench: Bench) -> None:
    bench.finds("a")
    bench.cluster.put(bench.name("a"))
    await bench.writes()

    assert [method for method, _ in bench.cluster.asked] == ["POST", "GET"]
    assert "status" not in bench.cluster.objects[bench.name("a")]


async def test_nothing_is_deleted_before_it_is_known_what_is_wanted(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    async with working(Bench()) as after:
        after.writer._api = bench.cluster
        bench.cluster.asked.clear()
        for one in bench.cluster.objects.values():
            after.writer.observe("LISTED", one)
        await asyncio.sleep(0.1)

    assert bench.cluster.asked == []


async def test_an_object_that_a_person_silenced_is_kept_until_the_silence_ends(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    found = bench.cluster.touch(bench.name("a"))
    found["spec"] = {"suppress": {"reason": "known", "until": "2026-01-01T05:00:00Z"}}
    bench.writer.observe("MODIFIED", found)
    bench.cures("a")
    bench.story.later(hours=2)
    await bench.writes()
    assert bench.cluster.objects != {}
    bench.now = START + timedelta(hours=5)
    await bench.writes()

    assert bench.cluster.objects == {}


async def test_the_most_severe_are_written_first(bench: Bench) -> None:
    bench.finds("mild", severity=Severity.INFO)
    bench.finds("bad", severity=Severity.CRITICAL)
    bench.finds("middling")
    await bench.writes()

    assert bench.cluster.writes("POST") == [bench.name(one) for one in ("bad", "middling", "mild")]


async def test_the_least_severe_are_left_out_and_counted_when_there_are_too_many(bench: Bench) -> None:
    bench.finds("mild", "meek", severity=Severity.INFO)
    bench.finds("bad", severity=Severity.CRITICAL)
    await bench.writes(limit=1)
    assert bench.cluster.states() == {"bad": "Open"}
    assert bench.writer.left_out == 2
    await bench.writes(limit=1)
    assert bench.writer.left_out == 2

    bench.finds("worse", severity=Severity.CRITICAL)
    bench.cures("bad")
    await bench.writes(limit=1)

    assert bench.cluster.states() == {"worse": "Open"}


async def test_writes_keep_to_the_rate(bench: Bench) -> None:
    bench.finds(*(f"p{number}" for number in range(8)))
    await bench.writes(rate=20)

    pauses = [later - earlier for earlier, later in itertools.pairwise(bench.cluster.at)]
    assert len(pauses) == 15, "eight objects and their statuses"
    assert min(pauses) > 0.0499
    assert min(pauses) < 0.1, "the rate is used as well, as soon as the machine lets it"


async def test_one_object_that_cannot_be_written_stops_no_other(bench: Bench) -> None:
    bench.finds("a", "b", "c")
    broken = bench.name("a")

    def refuse(_: str, name: str) -> None:
        if name == broken:
            raise RefusedError(500)

    bench.cluster.refuse = refuse
    await bench.writes()

    assert {one["metadata"]["name"] for one in bench.cluster.objects.values() if one.get("status")} == {
        bench.name("b"),
        bench.name("c"),
    }
    assert bench.writer.results["500"] >= 1


async def test_nothing_is_kept_about_failures_with_what_is_gone(bench: Bench) -> None:
    def refuse(*_: str) -> None:
        raise RefusedError(500)

    bench.cluster.refuse = refuse
    names = [f"p{number}" for number in range(20)]
    bench.finds(*names)
    await bench.writes()
    assert len(bench.writer._pauses) == len(bench.writer._not_before) == 20
    bench.cures(*names)
    await bench.writes()

    assert (len(bench.writer._pauses), bench.writer._not_before) == (0, {})


async def test_a_refusal_that_says_when_to_come_back_is_obeyed(bench: Bench) -> None:
    bench.finds("a")

    def refuse(*_: str) -> None:
        bench.cluster.refuse = lambda *_: None
        raise RefusedError(429, retry_after=0.2)

    bench.cluster.refuse = refuse
    bench.wants()
    await asyncio.sleep(0.5)

    first, second = bench.cluster.at[:2]
    assert second - first >= 0.2
    assert bench.cluster.states() == {"a": "Open"}


async def test_an_event_that_comes_late_does_not_undo_what_a_write_told(bench: Bench) -> None:
    bench.finds("a")
    await bench.writes()
    created = {"metadata": {**bench.cluster.objects[bench.name("a")]["metadata"], "resourceVersion": "1"}}
    bench.writer.observe("ADDED", created)
    await bench.rest()

    assert [method for method, _ in bench.cluster.asked] == ["POST", "PATCH"]


async def test_a_spec_that_is_not_followed_is_said_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    found = bench.cluster.put("mine", spec={"suppress": {"reason": " "}})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            bench.writer.observe("MODIFIED", found)

    (said,) = [record.getMessage() for record in caplog.records]
    assert "mine" in said
    assert "spec.suppress.reason" in said


async def test_a_status_is_worked_out_once_however_often_it_is_wished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Diagnosis] = []
    real = module.status
    monkeypatch.setattr(module, "status", lambda one: made.append(one) or real(one))
    bench.finds("a", "b")
    for _ in range(20):
        await bench.writes()

    assert len(made) == 2


async def test_what_is_wished_is_asked_no_more_often_than_five_writes_take(
    bench: Bench,
) -> None:
    asked: list[float] = []

    def told() -> list[Diagnosis]:
        asked.append(time.monotonic())
        return []

    begun = time.monotonic()
    for _ in range(100):
        bench.writer.want(told, 500, 50)
        await asyncio.sleep(0.005)
    seconds = time.monotonic() - begun

    assert 2 <= len(asked) <= 2 + seconds / 0.1


async def test_a_delete_of_what_somebody_else_deleted_meanwhile_is_no_failure(bench: Bench) -> None:
    await bench.writer._delete("gone")

    assert bench.cluster.asked == []
