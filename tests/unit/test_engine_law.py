"""The law of the engine: incremental equals full and equals a scan, after any changes in any order.

Every check must be heard in it: a law about silent checks would say little.
"""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings

from kubedx.engine.engine import Engine
from kubedx.kube.views import KINDS
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from tests.checks.cases import REGISTRY
from tests.unit.cluster_edits import START, Edit, Pass, apply, edits
from tests.unit.stories import OPENINGS, Move, World, cases_of, casts, firing, moves, policies

SETTINGS = resolve({"profiles": ["Problem", "Risk", "Advice"]}, None, REGISTRY)
UNHURRIED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

STORIES = 18
"""How many stories are tried for each check: some thousands in all, and ten times as many in the profile `long`."""

LARGE = {"ClusterScaleLimit", "JobHistoryUnbounded"}
"""Checks that speak only of clusters larger than any story; they are heard with the settings of their cases."""


each_check = pytest.mark.parametrize("check", [check.id for check in REGISTRY])


@each_check
def test_incremental_verdicts_equal_those_of_a_full_evaluation_and_of_a_scan(check: str) -> None:
    fired = set()
    longer = settings.default.max_examples // settings.get_profile("default").max_examples

    @settings(max_examples=STORIES * longer, **UNHURRIED)
    @given(casts(check), moves())
    @example(firing(check)[:1], OPENINGS[-1])
    def holds(cast: list[int], happens: list[Move]) -> None:
        world = World(cast)
        world.play(happens)
        fired.update(world.fired)

    holds()
    assert check in fired | LARGE


@each_check
def test_the_law_holds_while_the_objects_of_a_check_come_and_go_one_by_one(check: str) -> None:
    fired = set()
    for case in cases_of(check):
        world = World([case], policies()[2] if check in LARGE else policies()[0])
        for index in range(len(world.cast)):
            world.put(index, 0)
            world.compare()
        for _ in range(len(world.live)):
            world.remove(0, 0)
            world.compare()
        assert world.engine.verdicts.keys() <= {pair for pair in world.engine.verdicts if pair[1] is None}
        fired.update(world.fired)

    assert check in fired


def _store() -> Store:
    store = Store(KINDS, REGISTRY.event_reasons, since=START - timedelta(hours=2))
    for table in store.tables.values():
        table.state = State.SYNCED
    return store


@settings(**UNHURRIED)
@given(edits())
def test_the_law_holds_for_objects_that_no_case_has(sequence: list[Edit]) -> None:
    store = _store()
    now = START
    engine = Engine(REGISTRY, store, SETTINGS, now)
    for edit in sequence:
        if isinstance(edit, Pass):
            now += timedelta(seconds=edit.seconds)
        for change in apply(store, edit):
            engine.changed(change)
        assert engine.run(now)
        if edit is not sequence[-1] and not isinstance(edit, Pass):
            continue

        full = Engine(REGISTRY, store, SETTINGS, now)
        full.run(now)

        assert engine.verdicts == full.verdicts
        assert engine.outcomes() == full.outcomes()


@settings(**UNHURRIED)
@given(edits(), edits())
def test_no_check_ever_breaks(first: list[Edit], second: list[Edit]) -> None:
    store = _store()
    for edit in (*first, *second):
        apply(store, edit)
    engine = Engine(REGISTRY, store, SETTINGS, START)
    engine.run(START)

    assert {check.id: outcome.errors for check, outcome in engine.outcomes().items() if outcome.errors} == {}
