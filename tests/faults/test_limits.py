"""L1 to L9: how much it takes. docs/reliability.md has the cases, bench/ the figures at the largest cluster."""

import asyncio
import gc
import itertools
import json
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from kubedx.app import TURN
from kubedx.checks import registry
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.kube.decode import Decoder
from kubedx.kube.views import KINDS, Event, Pod
from kubedx.settings import resolve
from kubedx.store.store import State, Store
from tests.checks.cases import decode
from tests.cluster.harness import free_ports
from tests.faults.looks import NOW
from tests.faults.operating import node
from tests.faults.server import Server, serving

NODES, PODS, EVENTS = 500, 15_000, 20_000
MEBIBYTE = 1 << 20
REGISTRY = registry()
SETTINGS = resolve({"profiles": ["Problem", "Risk", "Advice"]}, None, REGISTRY)


def healthy(number: int, namespace: str = "shop", **status: Any) -> dict[str, Any]:
    """A pod of one of fifty templates."""
    template = f"web-{number % 50}"
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": template,
        "uid": f"u-{template}",
        "controller": True,
    }
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T11:00:00Z"}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    running = {
        "name": "main", "image": f"registry.test/{template}:1", "ready": True, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T11:00:00Z"}},
    }  # fmt: skip
    metadata = {
        "name": f"{template}-{number:06}", "namespace": namespace, "uid": f"u-{namespace}-{number}",
        "labels": {"app": template}, "ownerReferences": [owner], "creationTimestamp": "2026-01-01T10:59:00Z",
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": {"nodeName": f"n{number % NODES}", "containers": [{"name": "main", "image": running["image"]}]},
        "status": {
            "phase": "Running", "startTime": "2026-01-01T10:59:00Z", "conditions": conditions,
            "containerStatuses": [running], **status,
        },
    }  # fmt: skip


CRASHING = [
    {
        "name": "main", "restartCount": 9, "ready": False, "image": "x",
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T11:59:00Z"}},
    }
]  # fmt: skip
"""The containers of a pod that crashes again and again."""


def warning(number: int, namespace: str = "shop") -> dict[str, Any]:
    """An Event that a check reads, about a pod."""
    pod = healthy(number % PODS, namespace)["metadata"]
    about = {"kind": "Pod", "namespace": namespace, "name": pod["name"], "uid": pod["uid"]}
    return {
        "kind": "Event", "metadata": {"name": f"e-{number}", "namespace": namespace}, "involvedObject": about,
        "reason": "Failed", "message": f'Failed to pull image "web:{number}": not found', "count": 1,
        "lastTimestamp": "2026-01-01T11:30:00Z", "type": "Warning",
    }  # fmt: skip


class Process:
    """`kubedx run` in a process of its own beside a server.

    Attributes:
        server: The server.
        ready_after: Seconds until it had read everything.
    """

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.ready_after = 0.0
        self.session = aiohttp.ClientSession()

    async def get(self, path: str) -> tuple[int, str]:
        try:
            async with self.session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError as error:
            return 0, str(error)

    async def metric(self, name: str, **labels: str) -> float:
        _, text = await self.get("/metrics")
        return sum(
            sample.value for family in text_string_to_metric_families(text) for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )  # fmt: skip

    async def memory(self) -> float:
        """Resident memory in MiB."""
        return await self.metric("process_resident_memory_bytes") / MEBIBYTE

    async def until(self, name: str, value: float, seconds: float, **labels: str) -> float:
        """Wait until a metric has a value; returns the seconds that it took."""
        begun = time.monotonic()
        while (found := await self.metric(name, **labels)) != value:
            assert time.monotonic() - begun < seconds, f"{name} is {found}, not {value}"
            await asyncio.sleep(0.05)
        return time.monotonic() - begun


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """An operator that has read a cluster of 500 nodes, 15,000 pods and 20,000 Events, page by page."""
    folder = tmp_path_factory.mktemp("large")
    async with serving() as server:
        server.streams_lists = False
        for obj in (*(node(f"n{i}") for i in range(NODES)), *map(healthy, range(PODS)), *map(warning, range(EVENTS))):
            server.cluster.put(obj)
        port = free_ports(1)[0]
        command = ("-m", "kubedx", "run", "--kubeconfig", server.kubeconfig(folder), "--listen", f"127.0.0.1:{port}")
        with (folder / "log").open("wb") as log:
            begun = time.monotonic()
            process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=log)
        found = Process(server, port)
        try:
            while (await found.get("/readyz"))[0] != 200:
                assert process.returncode is None, (folder / "log").read_text()
                assert time.monotonic() - begun < 180, "it is not ready"
                await asyncio.sleep(0.1)
            found.ready_after = time.monotonic() - begun
            yield found
        finally:
            await found.session.close()
            process.terminate()
            await process.wait()


in_one_loop = pytest.mark.asyncio(loop_scope="module")


@in_one_loop
async def test_L1_a_cluster_of_15000_pods_is_read_within_a_minute_each_kind_once_and_in_pages(large: Process) -> None:
    lists = [one for one in large.server.asked("list") if one.resource and one.resource.plural in {"pods", "events"}]
    begun = [one.kind.plural for one in lists if "continue" not in one.query]

    assert large.ready_after < 60
    assert sorted(begun) == ["events", "pods"]
    assert {one.query.get("limit") for one in lists} == {"500"}
    assert await large.metric("kubedx_watch_objects", kind="Pod") == PODS
    assert await large.memory() < 512


@in_one_loop
async def test_L2_fifty_events_a_second_take_less_than_half_a_core_and_are_seen_within_ten_seconds(
    large: Process,
) -> None:
    cpu, begun = await large.metric("process_cpu_seconds_total"), time.monotonic()
    lags = []
    for second in range(10):
        for number in range(50):
            large.server.cluster.put(warning(second * 50 + number))
        name = f"full-{second}"
        large.server.cluster.put(node(name, full=True))
        lags.append(await large.until("kubedx_watch_objects", NODES + second + 1, 10, kind="Node"))
        await asyncio.sleep(max(0.0, begun + second + 1 - time.monotonic()))
    used = await large.metric("process_cpu_seconds_total") - cpu

    assert max(lags) < 10
    assert used / (time.monotonic() - begun) < 0.5


@in_one_loop
async def test_L3_a_burst_of_20000_events_is_taken_whole_and_leaves_no_queue_behind(large: Process) -> None:
    memory, objects = await large.memory(), await large.metric("kubedx_watch_objects", kind="Event")
    lists = len(large.server.asked("list", "events"))
    large.server.cluster.keep = 2 * EVENTS
    for number in range(EVENTS):
        large.server.cluster.put(warning(EVENTS + number, "burst"))
    await large.until("kubedx_watch_objects", objects + EVENTS, 90, kind="Event")

    assert (await large.get("/healthz"))[0] == 200
    assert await large.metric("kubedx_dropped_total") == 0
    assert len(large.server.asked("list", "events")) == lists
    assert await large.memory() < memory + 64


@in_one_loop
async def test_L4_a_namespace_that_sends_all_the_events_holds_up_no_other(large: Process) -> None:
    objects = await large.metric("kubedx_watch_objects", kind="Event")
    for number in range(EVENTS):
        large.server.cluster.put(warning(2 * EVENTS + number, "noisy"))
    large.server.cluster.put(healthy(0, "quiet", containerStatuses=CRASHING))
    lag = await large.until("kubedx_watch_objects", PODS + 1, 30, kind="Pod")

    assert lag < 10
    await large.until("kubedx_watch_objects", objects + EVENTS, 90, kind="Event")


def filled(*objects: dict[str, Any]) -> tuple[Store, Engine]:
    """A cluster of some objects, all of it readable, and an engine that has not looked at it yet."""
    store = Store(KINDS, REGISTRY.event_reasons, since=NOW - timedelta(hours=2))
    for one in objects:
        store.put(decode(one))
    for table in store.tables.values():
        table.state = State.SYNCED
    return store, Engine(REGISTRY, store, SETTINGS, NOW)


def test_L7_of_a_hundred_thousand_pods_that_came_and_went_nothing_is_kept() -> None:
    store, engine = filled()
    ledger = Ledger(REGISTRY, SETTINGS, lambda _: False)
    numbers = itertools.count()

    def churn(batches: int) -> int:
        for _ in range(batches):
            pods = [decode(_sick(number)) for number in itertools.islice(numbers, 1000)]
            for change in filter(None, map(store.put, pods)):
                engine.changed(change)
            engine.run(NOW)
            ledger.feed(dict(engine.drain()), engine.outcomes(), NOW)
            for key in [*store.tables[Pod].rows]:
                if change := store.remove(Pod, key):
                    engine.changed(change)
            engine.run(NOW)
            ledger.feed(dict(engine.drain()), engine.outcomes(), NOW)
        gc.collect()
        return sys.getallocatedblocks()

    before = churn(10)
    after = churn(100)

    assert after - before < 0.1 * 100_000, "blocks of memory: a pod alone takes ten"


def test_L7_of_long_words_that_come_and_go_nothing_is_kept() -> None:
    """Whoever may create Events chooses their reasons, which nobody bounds but the size of a request."""
    decoder = Decoder(Event)

    def seen(numbers: range) -> None:
        for number in numbers:
            decoder.decode(json.dumps({**warning(number), "reason": f"{number}" * 20_000}).encode())

    seen(range(100_000, 100_010))
    tracemalloc.start()
    try:
        seen(range(100_010, 100_110))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < MEBIBYTE, "each of a hundred Events has 120 kB"


def _sick(number: int) -> dict[str, Any]:
    """Of ten pods, one is in trouble of its own."""
    return healthy(number) if number % 10 else healthy(number, phase="Pending", message=f"trouble {number % 500}")


def crowded(most: int = 500) -> Iterator[dict[str, Any]]:
    """The largest objects that the API server takes, or larger: with 500 of whatever they have more than one of."""
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}
    pod = healthy(1, phase="Pending")
    pod["spec"]["containers"] = [{"name": f"c{number}", "image": f"x:{number}"} for number in range(most)]
    pod["spec"]["volumes"] = [
        {"name": f"v{number}", "persistentVolumeClaim": {"claimName": f"claim-{number}"}} for number in range(most)
    ]
    pod["status"]["containerStatuses"] = [
        {"name": f"c{number}", "image": f"x:{number}", "restartCount": 9, "ready": False, "state": waiting,
         "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-01T11:50:00Z"}}}
        for number in range(most)
    ]  # fmt: skip
    pod["status"]["conditions"] = [
        {"type": f"example.com/{number}", "status": "False", "lastTransitionTime": "2026-01-01T11:00:00Z"}
        for number in range(most)
    ] + [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T11:00:00Z"}]
    yield pod
    images = [{"names": [f"registry.test/{number}:1"], "sizeBytes": number} for number in range(20 * most)]
    large = {"apiVersion": "v1", **node("n1", full=True)}
    large["status"] |= {"images": images}
    large["spec"] = {"taints": [{"key": f"example.com/{number}", "effect": "NoSchedule"} for number in range(most)]}
    yield large


def seconds_by_check(crowd: list[dict[str, Any]]) -> dict[str, float]:
    """How long each check takes for an object of a crowd."""
    _, engine = filled(*crowd)
    engine.run(NOW)
    assert not any(outcome.errors for outcome in engine.outcomes().values())
    assert engine.verdicts
    return {check: seconds / engine.evaluations[check] for check, seconds in engine.seconds.items()}


def test_L8_each_check_takes_for_four_times_larger_objects_four_times_as_long_and_less_than_reading_them() -> None:
    """Ratios of one run, each time the best of several: a busy machine is as slow in all of them."""
    large, small, reading = [], [], []
    crowd, quarter = ([json.loads(json.dumps(one)) for one in crowded(most)] for most in (500, 125))
    for _ in range(5):
        large.append(seconds_by_check(crowd))
        small.append(seconds_by_check(quarter))
        begun = time.perf_counter()
        json.loads(json.dumps(crowd))
        reading.append(time.perf_counter() - begun)
    longest = {check: min(one[check] for one in large) for check in large[0]}
    share = {check: min(one[check] for one in small) for check in small[0]}

    # A square would be sixteen times as long; what takes no time at all has no ratio.
    assert {check: one for check, one in longest.items() if one > 8 * share[check] + 0.0005} == {}
    assert max(longest.values()) < min(reading)


def test_L9_all_checks_on_ten_thousand_pods_take_seconds_and_never_hold_up_the_loop() -> None:
    nodes = ({"apiVersion": "v1", **node(f"n{number}", full=number % 10 == 0)} for number in range(500))
    pods = (healthy(number, **({} if number % 10 else {"containerStatuses": CRASHING})) for number in range(10_000))
    _, engine = filled(*nodes, *pods)
    longest, begun, settled = 0.0, time.process_time(), False
    while not settled:
        turn = time.process_time()
        settled = engine.run(NOW, TURN)
        longest = max(longest, time.process_time() - turn)

    assert time.process_time() - begun < 10
    assert longest < 0.2
    assert len(engine.verdicts) >= 1000 + 50, "the pods that crash and the nodes that are full"
