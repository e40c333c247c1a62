"""A check about every kind, while some kind cannot be read: it answers for the others, and says for which not."""

from datetime import timedelta

import pytest

from kubedx.core.finding import Ref
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.engine.verdict import Outcome
from kubedx.kube.slots import key_of
from kubedx.kube.views import BY_KIND, KINDS, Service
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from tests.checks.cases import REGISTRY
from tests.unit.cluster_edits import START, decode

CHECK = REGISTRY.by_id["ResourceFinalizerStuck"]
DELETED = (START - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
HELD = {"namespace": "x", "deletionTimestamp": DELETED, "finalizers": ["example.com/hold"]}


class Half:
    """An engine and a ledger that may lose sight of Services."""

    def __init__(self) -> None:
        self.now = START
        self.store = Store(KINDS, REGISTRY.event_reasons)
        for table in self.store.tables.values():
            table.state = State.SYNCED
        settings = resolve(None, {"spec": {"profiles": [], "checks": {CHECK.id: {"enabled": True}}}}, REGISTRY)
        self.engine = Engine(REGISTRY, self.store, settings, self.now)
        self.ledger = Ledger(REGISTRY, settings, self._exists)

    def _exists(self, ref: Ref) -> bool:
        return key_of(ref.namespace, ref.name) in self.store.table(BY_KIND[ref.kind]).rows

    def put(self, kind: str, name: str) -> None:
        change = self.store.put(decode(kind, {"metadata": {**HELD, "name": name, "uid": f"uid-of-{name}"}}))
        assert change is not None
        self.engine.changed(change)
        self.settle()

    def services_are(self, state: State) -> None:
        self.store.table(Service).state = state
        self.engine.refresh()
        self.settle()

    def settle(self, **later: float) -> None:
        self.now += timedelta(**later)
        assert self.engine.run(self.now)
        self.ledger.feed(dict(self.engine.drain()), self.engine.outcomes(), self.now)

    @property
    def outcome(self) -> Outcome:
        return self.engine.outcomes()[CHECK]

    def states(self) -> dict[str, str]:
        return {one.subject.text: one.state.value for one in self.ledger.diagnoses()}


@pytest.mark.parametrize("state", [State.FORBIDDEN, State.STALE])
def test_what_cannot_be_read_is_named_and_the_rest_is_judged(state: State) -> None:
    half = Half()
    half.services_are(state)
    half.put("PersistentVolumeClaim", "data")

    assert (half.outcome.text, half.outcome.missing, half.outcome.is_partial) == ("Skipped", ("Service",), True)
    assert half.states() == {"PersistentVolumeClaim/x/data": "Open"}


@pytest.mark.parametrize("state", [State.SYNCED, State.ABSENT])
def test_a_kind_that_can_be_read_or_is_not_served_leaves_nothing_out(state: State) -> None:
    half = Half()
    half.services_are(state)

    assert half.outcome == Outcome()


def test_what_is_out_of_sight_becomes_unknown_and_what_is_not_stays_open() -> None:
    half = Half()
    half.put("PersistentVolumeClaim", "data")
    half.put("Service", "gateway")
    half.services_are(State.FORBIDDEN)
    half.settle(minutes=11)
    assert half.states() == {"PersistentVolumeClaim/x/data": "Open", "Service/x/gateway": "Unknown"}

    half.services_are(State.SYNCED)
    assert half.states() == {"PersistentVolumeClaim/x/data": "Open", "Service/x/gateway": "Open"}
