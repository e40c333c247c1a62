"""Killed between any two writes, the operator goes on from its objects as if nothing had been."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kubedx.api.diagnosis import read
from kubedx.core import join
from kubedx.core.finding import Ref
from kubedx.diagnosis.folding import IN_PLAY
from kubedx.diagnosis.ledger import AFTERMATH
from kubedx.engine.verdict import RawFinding
from kubedx.report.objects import identity, remembered, suppression
from kubedx.report.writer import Writer
from tests.unit.api_in_memory import Cluster
from tests.unit.toys import START, Story, finding, pod, toy

SICK = toy("pod_sick")
DOWN = toy("node_down", layer=1, explains={"PodSick": join.same_node})
NODE = Ref("Node", "", "n1")


class KilledError(BaseException):
    """The process is no more. Not an Exception: nothing that guards against those may survive it."""


class Mortal(Cluster):
    """An API server that kills its client at one request: before it is done, or before its answer arrives."""

    def __init__(self, fatal: int, *, done: bool) -> None:
        super().__init__()
        self.fatal = fatal
        self.done = done

    async def request(
        self, method: str, path: str, *, body: object = None, content_type: str = "application/json"
    ) -> SimpleNamespace:
        is_fatal = len(self.asked) + 1 == self.fatal
        if is_fatal and not self.done:
            self.asked.append((method, path))
            raise KilledError
        answer = await super().request(method, path, body=body, content_type=content_type)
        if is_fatal:
            raise KilledError
        return answer


@dataclass
class Life:
    """What is so, what is written, and the processes that look at the one and write the other."""

    cluster: Mortal
    now: datetime = START
    so: dict[Ref, RawFinding] = field(default_factory=dict)
    deaths: int = 0

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        """Another process, which has nothing but what is so and the objects."""
        self.story = Story(SICK, DOWN, now=self.now)
        self.writer = Writer(self.cluster, lambda: self.now)
        found = [read(body) for body in self.cluster.objects.values()]
        for body in self.cluster.objects.values():
            self.writer.observe("LISTED", body)
        for one in found:
            named = identity(one)
            if named is not None:
                self.story.ledger.suppress(named, suppression(one))
        told = [remembered(one, self.story.registry) for one in found]
        self.story.ledger.restore(one for one in told if one is not None)
        self.story.says(*self.so.values())

    def says(self, *found: RawFinding) -> None:
        self.so |= {one.subject: one for one in found}
        self.story.says(*found)

    def ends(self, *subjects: Ref) -> None:
        """All at once, as in the engine: what causes and what is caused may end together."""
        for subject in subjects:
            del self.so[subject]
            self.story.silent(DOWN if subject == NODE else SICK, subject)

    def silence(self, subject: str, until: str) -> None:
        """A person writes into the object."""
        name = next(name for name, one in self.cluster.objects.items() if one["status"]["subject"]["name"] == subject)
        body = self.cluster.touch(name)
        body["spec"] = {"suppress": {"reason": "known", "until": until}}
        found = self.writer.observe("MODIFIED", body)
        named = identity(found)
        assert named is not None
        self.story.ledger.suppress(named, suppression(found))

    async def passes(self, duration: timedelta) -> None:
        """Let time pass as the operator does, which looks whenever something is due, and write in the end."""
        until = self.now + duration
        while (due := self.story.ledger.next_deadline()) is not None and due <= until:
            self._later(due)
        self._later(until)
        await self._write()

    def _later(self, at: datetime) -> None:
        self.now = at
        self.story.later(seconds=(at - self.story.now).total_seconds())

    async def _write(self) -> None:
        """Write until nothing is left to do, over one death."""
        task = asyncio.create_task(self.writer.run())
        self.writer.want(self.story.diagnoses, 500, 100_000)
        quiet, before = 0, -1
        while quiet < 4 and not task.done():
            await asyncio.sleep(0.002)
            quiet = quiet + 1 if len(self.cluster.asked) == before else 0
            before = len(self.cluster.asked)
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, KilledError):
            self.deaths += 1
            left = {name: _kept(one) for name, one in self.cluster.objects.items() if "status" in one}
            self._begin()
            await self.passes(timedelta(seconds=2))  # What is new to this process has to settle once more.
            for name, kept in left.items():
                now_there = self.cluster.objects.get(name)
                if now_there is not None and now_there["status"]["state"] == kept["state"]:
                    assert _kept(now_there) == kept, "what was written is what was, whoever is asked"


def _kept(body: dict[str, Any]) -> dict[str, Any]:
    names = ("state", "firstSeen", "lastTransition", "resolution", "history", "flaps", "flapping")
    return {name: body["status"].get(name) for name in names}


def _facts(body: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on deaths. When something was noticed first may: a process that is new notices late."""
    status = body["status"]
    said = {name: status.get(name) for name in ("state", "firstSeen", "resolution", "flaps", "flapping", "suppressed")}
    explains = [(one["check"], one["count"]) for one in status.get("explains", ())]
    return {**said, "explains": explains, "turns": [turn["reason"] for turn in status["history"]]}


def _sick(*names: str) -> tuple[RawFinding, ...]:
    return tuple(finding(SICK, pod(name), since=START, keys="n1" if name != "c" else "n2") for name in names)


CALMING = 13
"""The chapter in which what flapped is quiet at last: another process begins to count that anew."""


async def _lives(fatal: int, *, done: bool = False) -> tuple[list[dict[str, Any]], Life]:
    """A story in chapters; gives the objects after each of them."""
    life = Life(Mortal(fatal, done=done))
    chapters: list[tuple[Callable[[], None], timedelta]] = [
        (lambda: life.says(*_sick("a", "b")), timedelta(seconds=2)),
        (lambda: life.says(finding(DOWN, NODE, since=START, keys="n1"), *_sick("d")), timedelta(seconds=2)),
        (lambda: life.ends(pod("a"), NODE), timedelta(seconds=2)),
        (lambda: None, IN_PLAY + AFTERMATH + timedelta(seconds=2)),
        (lambda: life.ends(pod("b"), pod("d")), timedelta(seconds=2)),
    ]
    for _ in range(3):
        chapters.append((lambda: life.says(*_sick("c")), timedelta(minutes=1)))
        chapters.append((lambda: life.ends(pod("c")), timedelta(minutes=1)))
    chapters += [
        (lambda: life.says(*_sick("c")), timedelta(minutes=1)),
        (lambda: life.silence("c", "2026-01-01T12:00:00Z"), timedelta(seconds=1)),
        (lambda: life.ends(pod("c")), timedelta(minutes=33)),
        (lambda: None, timedelta(hours=2)),
        (lambda: life.says(*_sick("c")), timedelta(minutes=1)),
    ]
    seen = []
    for happens, duration in chapters:
        happens()
        await life.passes(duration)
        seen.append({name: _facts(one) for name, one in life.cluster.objects.items()})
    return seen, life


@pytest.fixture(scope="module")
def undisturbed() -> tuple[list[dict[str, Any]], int]:
    """The story without a death, and how many requests it takes."""
    seen, life = asyncio.run(_lives(-1))
    return seen, len(life.cluster.asked)


def test_the_story_has_everything_that_may_happen_to_an_object(undisturbed: tuple[list[dict[str, Any]], int]) -> None:
    seen, requests = undisturbed
    ever = [facts for objects in seen for facts in objects.values()]

    assert {facts["state"] for facts in ever} == {"Open", "Resolved"}
    assert any(facts["flapping"] for facts in ever)
    assert any(facts["explains"] for facts in ever)
    assert any((facts["suppressed"] or {}).get("reason") for facts in ever)
    assert max(facts["flaps"] for facts in ever) == 4
    assert [len(objects) for objects in seen[:5]] == [2, 1, 1, 3, 3]
    assert len(seen[-2]) == 1, "the silenced one is kept"
    assert requests >= 20


@pytest.mark.parametrize("done", [False, True], ids=["before it is done", "before the answer arrives"])
async def test_F28_a_death_at_any_write_changes_nothing(
    undisturbed: tuple[list[dict[str, Any]], int], *, done: bool
) -> None:
    expected, requests = undisturbed
    for fatal in range(1, requests + 1):
        seen, life = await _lives(fatal, done=done)
        assert life.deaths == 1
        for chapter, (wanted, found) in enumerate(zip(expected, seen, strict=True)):
            if chapter != CALMING:
                assert found == wanted, f"after a death at request {fatal}, chapter {chapter}"
