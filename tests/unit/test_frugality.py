"""What an object costs: the parts of the benchmarks that are the same on every machine."""

import gc
import json
import random
import re
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from kubedx.checks import registry
from kubedx.engine.engine import Engine
from kubedx.kube.decode import Decoder
from kubedx.kube.views import Pod
from kubedx.settings import resolve
from kubedx.store.store import State, Store

TEMPLATES = Path(__file__).parents[2] / "bench/server/templates"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PODS, OWNERS = 1000, 20
NUMBER = re.compile(r'"@#\w+@"')
HOLE = re.compile(r"@(\w+)@")
REGISTRY = registry()
KINDS = sorted({view for check in REGISTRY for view in REGISTRY.kinds(check)}, key=lambda view: view.resource.kind)


class Empty(msgspec.Struct):
    """Nothing of an object: what is left is finding its end."""


def lines(template: str, *, alike: bool = True) -> Iterator[bytes]:
    """Pods of a template, with holes filled as a cluster would: by pod, by owner, and one value everywhere."""
    text = json.dumps(json.loads((TEMPLATES / template).read_text(encoding="utf-8")), separators=(",", ":"))
    steps = {name for name in HOLE.findall(text) if name[1:].isdigit()}
    dice = random.Random(1)  # noqa: S311 -- the same pods each time
    for number in range(PODS):
        owner = number * OWNERS // PODS if alike else number
        born = NOW - timedelta(seconds=dice.randrange(10**6))
        times = {name: (born + timedelta(seconds=int(name[1:]))).strftime("%Y-%m-%dT%H:%M:%SZ") for name in steps}
        values = {
            **times, "name": f"app-{owner:04}-7c5ddbdf54-{number:05}", "uid": str(uuid.UUID(int=dice.getrandbits(128))),
            "namespace": f"team-{owner % 10}", "app": f"app-{owner:04}", "replicaset": f"app-{owner:04}-7c5ddbdf54",
            "replicasetuid": str(uuid.UUID(int=owner)), "node": f"node-{dice.randrange(200)}", "rv": str(number),
            "token": f"kube-api-access-{number:05}", "image": f"registry.example/app-{owner}:1", "zone": "zone-a",
            "hash": "7c5ddbdf54",
        }  # fmt: skip
        body = NUMBER.sub(str(number % 40), text)
        body = HOLE.sub(lambda hole, values=values, number=number: values.get(hole[1], f"{hole[1]}-{number}"), body)
        yield b'{"type":"ADDED","object":' + body.encode() + b"}"


DECODER = Decoder(Pod)


def taken(store: Store, found: list[bytes], decoder: Decoder[Pod] = DECODER) -> None:
    for line in found:
        frame = decoder.frame(line)
        assert frame is not None
        store.put(frame[1])


def bytes_a_pod(found: list[bytes]) -> float:
    store = Store([Pod])
    taken(store, found[:1])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        taken(store, found)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(store.table(Pod).rows) == PODS
    return (after - before) / PODS


@pytest.mark.parametrize(("template", "most"), [("pod-1-running.json", 600), ("pod-1-crash.json", 1200)])
def test_a_pod_of_a_template_takes_little_beside_its_name_and_its_messages(template: str, most: int) -> None:
    assert bytes_a_pod(list(lines(template))) < most


def test_a_pod_like_no_other_takes_less_than_four_kilobytes() -> None:
    assert bytes_a_pod(list(lines("pod-1-running.json", alike=False))) < 4000


def test_pods_that_come_and_go_leave_nothing_behind() -> None:
    store, found = Store([Pod]), list(lines("pod-1-running.json", alike=False))
    decoder = Decoder(Pod)  # Another one might be about to forget what it remembers for a while.

    def churn() -> int:
        taken(store, found, decoder)
        for key in list(store.tables[Pod].rows):
            store.remove(Pod, key)
        for _ in store.tidy():
            pass
        gc.collect()  # Python itself keeps some thousand tuples for the next who needs one, until then.
        return tracemalloc.get_traced_memory()[0]

    churn()
    tracemalloc.start()
    try:
        first, last = churn(), 0
        for _ in range(3):
            last = churn()
    finally:
        tracemalloc.stop()
    assert len(store._forms) < 50
    assert last - first < 64 << 10


def test_healthy_pods_are_asked_nothing_and_remember_no_reading() -> None:
    store = Store(KINDS, REGISTRY.event_reasons)
    for table in store.tables.values():
        table.state = State.SYNCED
    taken(store, list(lines("pod-1-running.json")))
    engine = Engine(REGISTRY, store, resolve(None, None, REGISTRY), NOW)
    engine.run(NOW)

    assert engine._reads.keys() <= {None}
    assert sum(engine.evaluations[check.id] for check in REGISTRY if Pod in check.subjects) == 0


def test_reading_a_pod_costs_a_small_multiple_of_finding_its_end() -> None:
    found = list(lines("pod-1-running.json"))
    skip, store = msgspec.json.Decoder(Empty).decode, Store([Pod])
    taken(store, found)

    def read(line: bytes) -> None:
        taken(store, [line])

    # Measured: 5 to 6. What is alarming is an order of magnitude.
    assert cpu(read, found) < 20 * cpu(skip, found)


def cpu(take: Callable[[bytes], object], found: list[bytes]) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for line in found:
            take(line)
        best = min(best, time.process_time() - begun)
    return best
