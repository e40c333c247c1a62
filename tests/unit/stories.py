"""The cases of all checks as random stories: real objects that belong together, and what may become of them.

What a case is about comes true, is taken back, mixes with another one, is told twice, is read again, cannot be seen for
a while. A story is a list of small numbers, so that hypothesis can make it shorter where a law breaks.
"""

import json
import random
import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from kubedx.core.check import Check
from kubedx.engine.asks import Asks
from kubedx.engine.engine import Engine, Pair
from kubedx.engine.verdict import Verdict
from kubedx.kube.meta import View
from kubedx.kube.views import BY_KIND, KINDS
from kubedx.settings import Settings, resolve
from kubedx.store.forms import Shape
from kubedx.store.lookups import READABLE
from kubedx.store.store import Change, State, Store, Token
from tests.checks.cases import DECODERS, REGISTRY, Case, load, paths

T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)
WATCHED_SINCE = START - timedelta(hours=2)

VARIATIONS = 20
"""Ways in which a thing may happen. An object that is put is as its case has it in half of them."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_LEFT_OUT = 0.3
_TURNS = (State.FORBIDDEN, State.STALE, State.ABSENT, State.SYNCING)
_PAUSES = (1, 30, 59, 60, 61, 300, 301, 900, 3600, 90_000)
_ALL_PROFILES = {"profiles": ["Problem", "Risk", "Advice"]}


# --- what the cases tell ----------------------------------------------------------------------------------------------


@cache
def _files() -> tuple[Case, ...]:
    return tuple(case for case in map(load, paths()) if case.history or case.objects)


@cache
def cases() -> tuple[tuple[Mapping[str, Any], ...], ...]:
    """For each case its objects in order, as if it were START now."""
    return tuple(
        tuple(_moved(body, START - case.now) for body in (*(one["object"] for one in case.history), *case.objects))
        for case in _files()
    )


def cases_of(check: str) -> list[int]:
    """Which of `cases` are those of a check."""
    return [number for number, case in enumerate(_files()) if case.check == check]


def _moved(body: Any, by: timedelta) -> Any:
    """The same with all its times moved."""

    def later(match: re.Match[str]) -> str:
        at = datetime.fromisoformat(match[0]) + by
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")

    return msgspec.json.decode(_TIME.sub(later, msgspec.json.encode(body).decode()))


@cache
def policies() -> tuple[Settings, ...]:
    """All that is enabled, a profile less, settings of the cases, a check and a namespace left out."""
    own = {case.check: dict(case.settings) for case in _files() if case.settings}
    told = [
        _ALL_PROFILES,
        {"profiles": ["Problem"]},
        {**_ALL_PROFILES, "checks": {check: {"settings": values} for check, values in own.items()}},
        {**_ALL_PROFILES, "checks": {check.id: {"enabled": False} for check in list(REGISTRY)[::3]}},
        {**_ALL_PROFILES, "namespaces": {"exclude": ["shop", "team-*"]}},
        {"profiles": []},
    ]
    found = tuple(resolve(None, {"spec": spec}, REGISTRY) for spec in told)
    assert [settings.problems for settings in found] == [()] * len(found)
    return found


Path = tuple[str | int, ...]

_CALLED = {"name", "namespace", "uid"}


def _parts(body: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every part of an object but what it is called."""
    if len(at) > 1 or (at and at[0] not in {"kind", "apiVersion", "metadata"}):
        yield at, body
    steps = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for step, value in steps:
        if at != ("metadata",) or step not in _CALLED:
            yield from _parts(value, (*at, step))


def _place(kind: str, path: Path) -> str:
    return ".".join([kind, *("*" if isinstance(step, int) else step for step in path)])


@cache
def _seen() -> dict[str, list[Any]]:
    """For each place in an object of a kind, what the cases have there."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for body in chain(*cases()):
        for path, value in _parts(body):
            found[_place(body["kind"], path)][json.dumps(value, sort_keys=True)] = value
    found["Event.reason"]["none"] = "NobodyReadsThis"
    return {place: [values[text] for text in sorted(values)] for place, values in found.items()}


@cache
def told(case: int, index: int, variation: int) -> bytes:
    """One object of a case, as JSON.

    Args:
        case: Which of `cases`.
        index: Which of its objects.
        variation: 0 for as it is, 1 for a namesake with another uid; else up to three parts of it are left out, or are
            as another object has them.
    """
    body = json.loads(json.dumps(cases()[case][index]))
    if variation == 1:
        uid = body["metadata"].get("uid", "")
        body["metadata"]["uid"] = uid[:-1] + ("1" if uid.endswith("0") else "0")
    elif variation:
        chance = random.Random(f"{case} {index} {variation}")  # noqa: S311 -- the same ones each time
        for _ in range(chance.randint(1, 3)):
            parts = list(_parts(body))
            if parts:
                _change(body, chance.choice(parts)[0], chance)
    return json.dumps(body).encode()


def _change(body: Any, path: Path, chance: random.Random) -> None:
    others = _seen()[_place(body["kind"], path)]
    for step in path[:-1]:
        body = body[step]
    if chance.random() < _LEFT_OUT:
        del body[path[-1]]
    else:
        body[path[-1]] = json.loads(json.dumps(chance.choice(others)))


# --- what may happen --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """One thing that happens.

    Attributes:
        what: The name of a method of `World`.
        which: Which object of the story, or which kind, it is about.
        how: In which way.
    """

    what: str
    which: int
    how: int


MOVES = ("put",) * 10 + ("remove",) * 3 + ("tell_all", "tell_again", "relist", "turn", "turn_back", "configure",
                                           "go_on", "wait", "wait", "compare")  # fmt: skip


OPENINGS: tuple[list[Move], ...] = ([], [Move("tell_all", 0, 0), Move("compare", 0, 0)])
"""How a story begins: with nothing, or with all that its cases have, so that every check is heard in some story."""


def moves() -> st.SearchStrategy[list[Move]]:
    then = st.lists(
        st.builds(Move, st.sampled_from(MOVES), st.integers(0, 40), st.integers(0, VARIATIONS - 1)),
        min_size=10, max_size=60,
    )  # fmt: skip
    return st.builds(list.__add__, st.sampled_from(OPENINGS), then)


def casts(check: str) -> st.SearchStrategy[list[int]]:
    """The cases whose objects a story is about: one in which the check fires, and up to three others.

    Each other check is as likely as any, however many cases it has.
    """
    by_check = [cases_of(one.id) for one in REGISTRY]
    other = st.builds(
        lambda one, case: by_check[one][case % len(by_check[one])],
        st.integers(0, len(by_check) - 1), st.integers(0, 40),
    )  # fmt: skip
    return st.builds(lambda own, others: [own, *others], st.sampled_from(firing(check)), st.lists(other, max_size=3))


def firing(check: str) -> list[int]:
    """Which of `cases` are those in which a check fires."""
    return [number for number in cases_of(check) if _files()[number].path.name.startswith("fires")]


class All(Asks):
    """No memory of shapes: every check has to look that is not kept from an object by its bits."""

    def of(self, shape: Shape) -> tuple[Check, ...]:
        return self._candidates_for(shape)


class Oracle(Engine):
    """An engine that asks every check about everything."""

    def refresh(self, settings: Settings | None = None) -> None:
        if not isinstance(self._asks, All):
            self._asks = All(self.registry, self.store)
        super().refresh(settings)


class World:
    """A store, an engine that follows it, and what the store was told.

    Args:
        cast: The cases whose objects the story is about. In half of all worlds, by the first of them, checks about the
            cluster are asked at most once a second.
        settings: The settings to begin with; None for the defaults with all profiles.
    """

    def __init__(self, cast: list[int], settings: Settings | None = None) -> None:
        self.cast = [(case, index) for case in cast for index in range(len(cases()[case]))]
        self.kinds = sorted({cases()[case][index]["kind"] for case, index in self.cast} | {"Node", "Pod", "Event"})
        self.now = START
        self.store = Store(KINDS, REGISTRY.event_reasons, since=WATCHED_SINCE)
        for table in self.store.tables.values():
            table.state = State.SYNCED
        self.settings = settings or policies()[0]
        self.interval = timedelta(seconds=cast[0] % 2)
        self.engine = Engine(REGISTRY, self.store, self.settings, self.now, self.interval)
        self.live: dict[tuple[type[View], str], bytes] = {}
        self.drained: dict[Pair, Verdict] = {}
        self.fired: set[str] = set()

    def play(self, moves: list[Move]) -> None:
        for move in moves:
            getattr(self, move.what)(move.which, move.how)
        self.compare()

    # --- moves ---

    def put(self, which: int, how: int) -> None:
        case, index = self.cast[which % len(self.cast)]
        # Half of the time as the case has it, so that something is true for a while.
        self._tell(BY_KIND[cases()[case][index]["kind"]], told(case, index, max(0, how - VARIATIONS // 2)))

    def tell_all(self, which: int, how: int) -> None:
        for index in range(len(self.cast)):
            self.put(index, 0)

    def tell_again(self, which: int, how: int) -> None:
        for (view, _), raw in list(self.live.items()):
            self._tell(view, raw)

    def remove(self, which: int, how: int) -> None:
        if self.live:
            view, key = list(self.live)[which % len(self.live)]
            self._follow(self.store.remove(view, key))
            del self.live[view, key]

    def relist(self, which: int, how: int) -> None:
        """A list of a kind shows some of its objects, and no others."""
        view = self._kind(which)
        chance = random.Random(how)  # noqa: S311 -- the same ones each time
        here = [(key, raw) for (one, key), raw in self.live.items() if one is view]
        shown = [(key, raw) for key, raw in here if chance.random() < how / VARIATIONS]
        for _, raw in shown:
            self._tell(view, raw)
        for key in sorted({key for key, _ in here} - {key for key, _ in shown}):
            self._follow(self.store.remove(view, key))
            del self.live[view, key]

    def turn(self, which: int, how: int) -> None:
        """A kind cannot be read any more, or is not served."""
        view, state = self._kind(which), _TURNS[how % len(_TURNS)]
        if state is State.ABSENT:
            self.relist(which, 0)
        self.store.table(view).state = state
        self.engine.refresh()

    def turn_back(self, which: int, how: int) -> None:
        """All is well again, kind after kind."""
        for table in self.store.tables.values():
            if table.state is not State.SYNCED:
                table.state = State.SYNCED
                self.engine.refresh()

    def configure(self, which: int, how: int) -> None:
        self.settings = policies()[how % len(policies())]
        self.engine.refresh(self.settings)

    def go_on(self, which: int, how: int) -> None:
        """The engine gets a few turns, each of which ends after one check."""
        for _ in range(how):
            self.engine.run(self.now, patience=0)

    def wait(self, which: int, how: int) -> None:
        self.now += timedelta(seconds=_PAUSES[how % len(_PAUSES)])

    def _kind(self, which: int) -> type[View]:
        return BY_KIND[self.kinds[which % len(self.kinds)]]

    def _tell(self, view: type[View], raw: bytes) -> None:
        decoded = DECODERS[view].decode(raw)
        self.live[view, decoded.own.key] = raw
        self._follow(self.store.put(decoded))

    def _follow(self, change: Change | None) -> None:
        if change is not None:
            self.engine.changed(change)

    # --- the law ---

    def compare(self, which: int = 0, how: int = 0) -> None:
        """Settle, and see whether others who begin now say the same."""
        assert self.engine.run(self.now)
        self.now += self.interval  # When what was held back for that long, as it is about the cluster, is asked.
        assert self.engine.run(self.now)
        assert_tidy(self.engine)
        self._see_what_was_drained()
        # A check that is skipped says nothing new: what it said about an object stands, and goes with the object.
        asked = self._asked(self.engine)
        for check, argument in self.engine.verdicts:
            assert check in asked or argument is None or self.store.table(argument[0]).get(argument[1])
        said = _of(self.engine.verdicts, asked)
        self.fired.update(check.id for (check, _), verdict in said.items() if verdict.findings)

        oracle = Oracle(REGISTRY, self.store, self.settings, self.now)
        oracle.run(self.now)
        assert said == _of(oracle.verdicts, asked)
        assert self.engine.outcomes() == oracle.outcomes()

        scan = self._scan()
        asked &= self._asked(scan)
        assert_alike(self.engine, scan, asked)

    def _see_what_was_drained(self) -> None:
        self.drained.update(self.engine.drain())
        assert {pair: verdict for pair, verdict in self.drained.items() if verdict} == self.engine.verdicts

    def _scan(self) -> Engine:
        """An engine over a store that was told everything once, in another order, and saw nothing else."""
        store = Store(KINDS, REGISTRY.event_reasons)
        for view, table in store.tables.items():
            table.state = self.store.table(view).state
        for (view, _), raw in sorted(self.live.items(), key=lambda one: one[1][::-1]):
            store.put(DECODERS[view].decode(raw))
        engine = Engine(REGISTRY, store, self.settings, self.now)
        engine.run(self.now)
        return engine

    def _asked(self, engine: Engine) -> set[Check]:
        outcomes = engine.outcomes()
        return {
            check
            for check in REGISTRY
            if check not in outcomes or not outcomes[check].missing or outcomes[check].is_partial
        }


def assert_tidy(engine: Engine) -> None:
    """What the engine keeps to find readers, and what there is about an argument, is what it keeps elsewhere."""
    readers: dict[Any, dict[str, dict[Hashable, set[Any]]]] = {}
    found = [((checks, argument), read) for argument, some in engine._reads.items() for read, checks in some]
    for reader, tokens in chain(found, engine._value_reads.items()):
        for view, index, key in tokens:
            if index != READABLE:
                readers.setdefault(view, {}).setdefault(index, {}).setdefault(key, set()).add(reader)
    assert {view: found for view, found in engine._readers.items() if found} == readers
    kept = {(check, argument) for argument, checks in engine._kept.items() for check in checks}
    needed = {*engine.verdicts, *reads(engine), *engine._wakes, *engine._errors}
    # What woke a check while it was skipped is kept until the check is asked again.
    assert needed <= kept <= needed | {pair for pair in kept if engine._asks.missing[pair[0]]}


def assert_alike(one: Engine, other: Engine, checks: Collection[Check]) -> None:
    """Two engines say the same with some checks, for as long, and for the same reasons."""
    assert _of(one.verdicts, checks) == _of(other.verdicts, checks)
    assert _of(reads(one), checks) == _of(reads(other), checks)
    assert _of(one._wakes, checks) == _of(other._wakes, checks)
    assert _of(one._errors, checks) == _of(other._errors, checks)


def reads(engine: Engine) -> dict[Pair, frozenset[Token]]:
    """What each check read when it was asked about something."""
    return {
        (check, argument): tokens
        for argument, found in engine._reads.items()
        for tokens, checks in found
        for check in checks
    }


def _of(found: Mapping[Pair, T], checks: Collection[Check]) -> dict[Pair, T]:
    return {pair: what for pair, what in found.items() if pair[0] in checks}
