"""Ten thousand broken pods that nobody owns: through engine, ledger and objects, within every bound."""

import random
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import msgspec
import pytest

from kubedx.api.diagnosis import STATUS_BYTES
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.kube.views import KINDS
from kubedx.report.objects import status
from kubedx.report.writer import Wished, plan
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from tests.checks.cases import REGISTRY
from tests.unit.cluster_edits import START, decode

PODS, NODES, NAMESPACES, OBJECTS = 10_000, 100, 40, 500
LOST = "node-7"
SETTINGS = resolve(None, None, REGISTRY)
LONG, SHORT = "x" * 2000, "registry.example/web"  # A tenant decides how long a name is.


def _pods() -> Iterator[dict[str, Any]]:
    """Pods that wait for their images, a hundred on each node, and those of one node that is lost are not ready."""
    at = (START - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for number in range(PODS):
        lost, image = number % NODES == 7, LONG if number < 2 * OBJECTS else SHORT
        unready = {"type": "Ready", "status": "False", "lastTransitionTime": at}
        waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}": ErrImagePull: {image}'}
        state = {"running": {"startedAt": at}} if lost else {"waiting": waiting}
        yield {
            "metadata": {"name": f"pod-{number:05}", "namespace": f"team-{number % NAMESPACES}", "uid": f"u-{number}"},
            "spec": {"nodeName": f"node-{number % NODES}", "containers": [{"name": "main", "image": image}]},
            "status": {
                "phase": "Running" if lost else "Pending", "startTime": at,
                "conditions": [unready, {**unready, "type": "ContainersReady"}],
                "containerStatuses": [{"name": "main", "image": image, "ready": False, "state": state}],
            },
        }  # fmt: skip


@cache
def told(seed: int) -> tuple[Diagnosis, ...]:
    """What a ledger says of these pods, in whatever order they came."""
    store = Store(KINDS, REGISTRY.event_reasons, since=START - timedelta(days=1))
    for table in store.tables.values():
        table.state = State.SYNCED
    engine = Engine(REGISTRY, store, SETTINGS, START)
    ledger = Ledger(REGISTRY, SETTINGS, lambda _: True)
    at = (START - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    silent = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": at}
    node = {"metadata": {"name": LOST, "uid": "n"}, "status": {"conditions": [silent]}}
    news = [("Node", node), *(("Pod", body) for body in _pods())]
    random.Random(seed).shuffle(news)  # noqa: S311 -- the same orders each time
    for start in range(0, len(news), 1000):
        for kind, body in news[start : start + 1000]:
            change = store.put(decode(kind, body))
            assert change is not None
            engine.changed(change)
        assert engine.run(START)
        ledger.feed(dict(engine.drain()), engine.outcomes(), START)
    ledger.feed({}, engine.outcomes(), START + timedelta(seconds=2))
    return tuple(ledger.diagnoses())


@pytest.fixture(scope="module")
def diagnoses() -> tuple[Diagnosis, ...]:
    return told(1)


def test_objects_are_at_most_as_many_as_allowed_and_the_rest_is_counted(diagnoses: tuple[Diagnosis, ...]) -> None:
    writes, left_out = plan([Wished(one) for one in diagnoses], {}, OBJECTS, START)

    assert len(writes) == OBJECTS
    assert left_out == len(diagnoses) - OBJECTS
    assert len(diagnoses) == PODS - PODS // NODES + 1, "each pod stands for itself, those of the lost node for it"


def test_the_most_severe_are_kept_and_a_cause_of_many_is_among_them(diagnoses: tuple[Diagnosis, ...]) -> None:
    kept, others = diagnoses[:OBJECTS], diagnoses[OBJECTS:]

    assert min(one.severity for one in kept) >= max(one.severity for one in others)
    assert [one.subject.name for one in kept if one.check.id == "NodeUnreachable"] == [LOST]


def test_a_cause_counts_all_and_shows_the_first_five(diagnoses: tuple[Diagnosis, ...]) -> None:
    (lost,) = (one for one in diagnoses if one.check.id == "NodeUnreachable")

    assert [explained.check for explained in lost.explains] == ["PodNodeLost", "PodNotReady"]
    names = sorted((f"team-{number % NAMESPACES}", f"pod-{number:05}") for number in range(7, PODS, NODES))
    for explained in lost.explains:
        assert explained.count == PODS // NODES
        assert list(explained.samples) == [f"Pod/{namespace}/{name}" for namespace, name in names[:5]]


def test_each_object_is_small_enough(diagnoses: tuple[Diagnosis, ...]) -> None:
    sizes = [len(msgspec.json.encode(status(one).patch())) for one in diagnoses[:OBJECTS]]

    assert max(sizes) <= STATUS_BYTES <= 16 * 1024


def test_the_order_in_which_pods_come_changes_nothing(diagnoses: tuple[Diagnosis, ...]) -> None:
    assert told(2) == diagnoses
