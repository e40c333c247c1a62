"""The law of a restart: killed at any moment, the operator comes back to the same objects and writes none of them."""

from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings

from kubedx.api.diagnosis import DiagnosisStatus, read
from kubedx.checks import registry
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.diagnosis.folding import IN_PLAY
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.kube.slots import key_of
from kubedx.kube.views import BY_KIND, KINDS
from kubedx.report.objects import labels, remembered, status
from kubedx.report.writer import Known, Wished, plan
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from tests.unit.cluster_edits import START, Edit, Pass, apply, edits

REGISTRY = registry()
SETTINGS = resolve(None, None, REGISTRY)


class Operator:
    """What runs between the streams and the writer, over a store that outlives it."""

    def __init__(self, store: Store, now: datetime) -> None:
        self.store = store
        self.engine = Engine(REGISTRY, store, SETTINGS, now)
        self.ledger = Ledger(REGISTRY, SETTINGS, self._exists)
        self.objects: dict[str, Known] = {}

    def _exists(self, ref: Ref) -> bool | None:
        view = BY_KIND.get(ref.kind)
        if view is None or not self.store.readable(view):
            return None
        return key_of(ref.namespace, ref.name) in self.store.table(view).rows

    def settle(self, now: datetime) -> None:
        """Take in what changed."""
        assert self.engine.run(now)
        self.ledger.feed(dict(self.engine.drain()), self.engine.outcomes(), now)

    def write(self, now: datetime) -> None:
        """Do all that the writer would."""
        for write in self.writes(now):
            if write.wished is None:
                del self.objects[write.name]
            else:
                self.objects[write.name] = Known(read(body(write.wished.diagnosis)))

    def writes(self, now: datetime) -> list:  # type: ignore[type-arg]
        wished = [Wished(one) for one in self.ledger.diagnoses()]
        return plan(wished, self.objects, 500, now)[0]

    def killed(self, now: datetime) -> "Operator":
        """Another process that has nothing but the store and the objects."""
        after = Operator(self.store, now)
        after.objects = {name: Known(known.found) for name, known in self.objects.items()}
        found = [remembered(known.found, REGISTRY) for known in self.objects.values()]
        after.ledger.restore(one for one in found if one is not None)
        assert after.engine.run(now)
        after.ledger.feed(dict(after.engine.drain()), after.engine.outcomes(), now)
        return after


def body(diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "metadata": {"name": diagnosis.name, "labels": labels(diagnosis), "uid": "u", "resourceVersion": "7"},
        "status": {key: value for key, value in status(diagnosis).patch().items() if value is not None},
    }


def _lived(sequence: list[Edit]) -> tuple[Operator, datetime]:
    store = Store(KINDS, REGISTRY.event_reasons, since=START - timedelta(days=1))
    for table in store.tables.values():
        table.state = State.SYNCED
    now = START
    operator = Operator(store, now)
    for edit in sequence:
        if isinstance(edit, Pass):
            operator.write(now)
            now += timedelta(seconds=edit.seconds)
        for change in apply(store, edit):
            operator.engine.changed(change)
        operator.settle(now)
    # What is said only because it was so before, or explains though it was over before it had an object, one process
    # knows; docs/decisions/0011 has the list.
    for wait in (timedelta(seconds=2), IN_PLAY, timedelta(seconds=2), IN_PLAY, timedelta(seconds=2)):
        now += wait
        operator.settle(now)
        operator.write(now)
    return operator, now


def _facts(found: DiagnosisStatus | None) -> tuple[object, ...]:
    assert found is not None
    return (found.state, found.first_seen, found.last_transition, found.resolution, found.history, found.flaps)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(edits())
def test_a_restart_changes_no_object_and_writes_none(sequence: list[Edit]) -> None:
    operator, now = _lived(sequence)
    after = operator.killed(now)

    assert after.writes(now) == []
    told = {one.name: status(one) for one in after.ledger.diagnoses()}
    for name, known in operator.objects.items():
        assert _facts(told[name]) == _facts(known.found.status)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(edits())
def test_a_restart_without_a_right_resolves_nothing(sequence: list[Edit]) -> None:
    operator, now = _lived(sequence)
    for table in operator.store.tables.values():
        table.state = State.FORBIDDEN
        table.rows.clear()
    after = operator.killed(now)
    now += timedelta(minutes=1)
    after.settle(now)
    after.write(now)

    for name, known in operator.objects.items():
        assert _facts(after.objects[name].found.status) == _facts(known.found.status)
