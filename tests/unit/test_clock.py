"""The clock: the server's time, whatever this machine's wall clock does."""

import email.utils
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from kubedx.core.check import Answer, Registry
from kubedx.core.finding import Finding
from kubedx.core.inputs import Now
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.kube.views import Pod
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from kubedx.watch.clock import Clock
from tests.unit.cluster_edits import decode
from tests.unit.toys import declared


class Machine:
    """A machine whose clocks the test turns; the wall clock and that of the API server are two."""

    def __init__(self) -> None:
        self.ticks = 1000.0
        self.wall = datetime(2026, 1, 31, 12, tzinfo=UTC)
        self.server = self.wall

    def go(self, seconds: float) -> None:
        self.ticks += seconds
        self.wall += timedelta(seconds=seconds)
        self.server += timedelta(seconds=seconds)

    @property
    def date(self) -> str:
        return email.utils.format_datetime(self.server.replace(microsecond=0), usegmt=True)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(time, "monotonic", lambda: found.ticks)
    monkeypatch.setattr(time, "time", lambda: found.wall.timestamp())  # noqa: PLW0108 -- the wall clock is another object later
    return found


def answer(clock: Clock, machine: Machine, times: int = 1, took: float = 0.1) -> None:
    for _ in range(times):
        asked = machine.ticks
        machine.go(took / 2)
        date = machine.date
        machine.go(took / 2)
        clock.observe(date, asked, machine.ticks)


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_machine_whose_clock_is_wrong_tells_the_time_of_the_server(machine: Machine, minutes: int) -> None:
    machine.server += timedelta(minutes=minutes)
    clock = Clock()
    answer(clock, machine)

    assert abs(clock() - machine.server) < timedelta(seconds=1)


def test_what_whole_seconds_and_slow_answers_make_uncertain_changes_nothing(machine: Machine) -> None:
    clock = Clock()
    machine.server += timedelta(seconds=1)
    answer(clock, machine, times=20, took=1.9)
    assert clock() == machine.wall
    machine.server += timedelta(hours=1)
    answer(clock, machine, times=20, took=20)
    assert clock() == machine.wall


@pytest.mark.parametrize("hours", [1, -1])
def test_a_wall_clock_that_jumps_is_not_noticed(machine: Machine, hours: int) -> None:
    clock = Clock()
    answer(clock, machine)
    machine.wall += timedelta(hours=hours)
    machine.go(10)

    assert abs(clock() - machine.server) < timedelta(seconds=1)


def test_the_time_never_goes_back_and_is_right_in_the_end(machine: Machine) -> None:
    clock = Clock()
    machine.server -= timedelta(minutes=1)
    before = clock()
    answer(clock, machine)
    seen = []
    for _ in range(150):
        machine.go(1)
        seen.append(clock())

    assert [*seen] == sorted(seen)
    assert seen[0] > before
    assert abs(seen[-1] - machine.server) < timedelta(seconds=1)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 31 Feb 2026 99:00:00 GMT"])
def test_an_answer_without_a_date_says_nothing(machine: Machine, date: str | None) -> None:
    clock = Clock()
    clock.observe(date, machine.ticks, machine.ticks)

    assert clock() == machine.wall


def test_a_single_wrong_date_is_none(machine: Machine) -> None:
    clock = Clock()
    answer(clock, machine, times=3)
    clock.observe("Fri, 31 Dec 2099 23:59:59 GMT", machine.ticks, machine.ticks)
    answer(clock, machine)

    assert abs(clock() - machine.server) < timedelta(seconds=1)


def test_a_machine_that_slept_finds_the_time_again(machine: Machine) -> None:
    clock = Clock()
    answer(clock, machine, times=5)
    machine.server += timedelta(hours=8)
    answer(clock, machine, times=3)

    assert abs(clock() - machine.server) < timedelta(seconds=1)


def pod_old(pod: Pod, now: Now) -> Answer:
    if now.older(pod.created, timedelta(minutes=30)):
        yield Finding(pod, since=pod.created)


def pod_failed(pod: Pod) -> Answer:
    if pod.status.phase == "Failed":
        yield Finding(pod)


class Operator:
    """An engine and a ledger that tell the time by a clock, and a pod that is not old yet."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        later = {"raise_after": timedelta(minutes=20), "clear_after": timedelta(minutes=20)}
        registry = Registry([declared(pod_old), declared(pod_failed, **later)])
        self.settings = resolve(None, None, registry)
        self.store = Store([Pod])
        self.store.table(Pod).state = State.SYNCED
        self.engine = Engine(registry, self.store, self.settings, now())
        self.ledger = Ledger(registry, self.settings, lambda _: True)
        self.created = now().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.told: set[tuple[str, str, str]] = set()

    def put(self, name: str, phase: str) -> None:
        metadata = {"name": name, "namespace": "x", "uid": name, "creationTimestamp": self.created}
        change = self.store.put(decode("Pod", {"metadata": metadata, "status": {"phase": phase}}))
        if change:
            self.engine.changed(change)

    def turn(self) -> set[tuple[str, str, str]]:
        """One turn of the main loop; returns what is told after it."""
        now = self.now()
        self.engine.run(now)
        self.ledger.feed(dict(self.engine.drain()), self.engine.outcomes(), now)
        return {(one.check.id, one.subject.name, one.state.value) for one in self.ledger.diagnoses()}


def minutes_of(operator: Operator, machine: Machine, minutes: int, clock: Clock) -> set[tuple[str, str, str]]:
    said: set[tuple[str, str, str]] = operator.turn()
    for _ in range(minutes * 2):
        answer(clock, machine)
        machine.go(30 - 0.1)
        said = operator.turn()
    return said


def play(machine: Machine, operator: Operator, clock: Clock, hours: int) -> list[set[tuple[str, str, str]]]:
    """What is told before the wall clock jumps, after it, and 20 minutes later."""
    operator.put("mended", "Failed")
    minutes_of(operator, machine, 21, clock)
    operator.put("mended", "Running")
    operator.put("breaks", "Failed")
    before = minutes_of(operator, machine, 2, clock)
    machine.wall += timedelta(hours=hours)
    return [before, minutes_of(operator, machine, 5, clock), minutes_of(operator, machine, 20, clock)]


OPEN_YET = {("PodFailed", "mended", "Open")}
LATER = {("PodOld", "mended", "Open"), ("PodOld", "breaks", "Open"), ("PodFailed", "breaks", "Open"),
         ("PodFailed", "mended", "Resolved")}  # fmt: skip


@pytest.mark.parametrize("hours", [1, -1])
def test_a_wall_clock_that_jumps_raises_and_clears_nothing(machine: Machine, hours: int) -> None:
    clock = Clock()

    assert play(machine, Operator(clock), clock, hours) == [OPEN_YET, OPEN_YET, LATER]


@pytest.mark.parametrize(("hours", "after"), [(1, LATER), (-1, OPEN_YET)])
def test_by_the_wall_clock_it_would(machine: Machine, hours: int, after: set[tuple[str, str, str]]) -> None:
    operator = Operator(lambda: machine.wall)
    jumped, later = play(machine, operator, Clock(), hours)[1:]

    assert jumped == after
    assert (later == LATER) == (hours > 0), "what is due comes an hour late"
