"""The law of the engine: incremental equals full, after any edits in any order."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings

from kubedx.checks import registry
from kubedx.engine.engine import Engine
from kubedx.kube.views import BY_KIND, KINDS
from kubedx.settings import resolve
from kubedx.store.store import Change, State, Store
from tests.unit.cluster_edits import START, Edit, Pass, Put, Relist, Remove, decode, edits

REGISTRY = registry()
SETTINGS = resolve({"profiles": ["Problem", "Risk", "Advice"]}, None, REGISTRY)


def _store() -> Store:
    store = Store(KINDS, REGISTRY.event_reasons, since=START - timedelta(hours=2))
    for table in store.tables.values():
        table.state = State.SYNCED
    return store


def _apply(store: Store, edit: Edit) -> list[Change]:
    match edit:
        case Put(kind, body):
            change = store.put(decode(kind, body))
        case Remove(kind, namespace, name):
            change = store.remove(BY_KIND[kind], (namespace, name))
        case Relist(kind, kept):
            view = BY_KIND[kind]
            return store.sweep(view, {key for key in store.tables[view].rows if key[1] in kept})
        case _:
            change = None
    return [change] if change else []


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(edits())
def test_incremental_verdicts_equal_those_of_a_full_evaluation(sequence: list[Edit]) -> None:
    store = _store()
    now = START
    engine = Engine(REGISTRY, store, SETTINGS, now)
    for edit in sequence:
        if isinstance(edit, Pass):
            now += timedelta(seconds=edit.seconds)
        for change in _apply(store, edit):
            engine.changed(change)
        assert engine.run(now)
        if edit is not sequence[-1] and not isinstance(edit, Pass):
            continue

        full = Engine(REGISTRY, store, SETTINGS, now)
        full.run(now)

        assert engine.verdicts == full.verdicts
        assert engine.outcomes() == full.outcomes()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(edits(), edits())
def test_no_check_ever_breaks(first: list[Edit], second: list[Edit]) -> None:
    store = _store()
    for edit in (*first, *second):
        _apply(store, edit)
    engine = Engine(REGISTRY, store, SETTINGS, START)
    engine.run(START)

    assert {check.id: outcome.errors for check, outcome in engine.outcomes().items() if outcome.errors} == {}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(edits())
def test_a_kind_that_becomes_readable_again_leaves_no_trace_of_the_time_between(sequence: list[Edit]) -> None:
    store = _store()
    engine = Engine(REGISTRY, store, SETTINGS, START)
    engine.run(START)
    for edit in sequence:
        if isinstance(edit, Put | Remove):
            table = store.tables[BY_KIND[edit.kind]]
            table.state = State.FORBIDDEN
            engine.refresh()
            engine.run(START)
            for change in _apply(store, edit):
                engine.changed(change)
            engine.run(START)
            table.state = State.SYNCED
            engine.refresh()
            engine.run(START)
    full = Engine(REGISTRY, store, SETTINGS, START)
    full.run(START)

    assert engine.verdicts == full.verdicts
