"""The measures of the table, one function each."""

import functools
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import folding
from bench.machine import BenchError, run
from bench.operating import Operator, Probe, Start, crashes, operating, series, total
from bench.rows import Row
from bench.scale import Server, Size, get, server_program, serving
from kubedx.cli import Exit

FULL = 150_000
ALL_CHECKS = 250
PEER_PODS = 10_000
"""Pods that the slowest peers read; their cost is extrapolated linearly."""

_MERGE = "application/merge-patch+json"
_POLICY = "/apis/kubedx.dev/v1alpha1/diagnosispolicies/cluster"


@dataclass(frozen=True)
class Bench:
    """How to measure.

    Attributes:
        pods: How many pods the cluster has.
        runs: How often a start is measured; the median counts.
        seconds: How long changes are made at a rate.
    """

    pods: int = FULL
    runs: int = 3
    seconds: int = 60

    @property
    def size(self) -> Size:
        """The cluster."""
        return Size(self.pods)

    @functools.cached_property
    def startup(self) -> float:
        """Seconds of CPU for interpreter, imports and all else that does not depend on the cluster's size."""
        return statistics.median(_started(Size(1)).cpu for _ in range(self.runs))

    @functools.cached_property
    def floor(self) -> "Floor":
        """What reading and scanning everything costs at least."""
        with serving(self.size) as server:
            costs = [_cost(server, "null") for _ in range(self.runs)]
            speed = sum(cost.bytes for cost in costs) / 1e6 / server.process.cpu
            scans = [_cost(server, "skip").cpu for _ in range(self.runs)]
            read = statistics.median(cost.cpu for cost in costs)
            return Floor(read, statistics.median(scans), costs[0].bytes / 1e6, speed)

    @functools.cached_property
    def cold(self) -> Start:
        """The start with all checks: the run with the median CPU."""
        starts = sorted((_started(self.size) for _ in range(self.runs)), key=lambda start: start.cpu)
        return starts[len(starts) // 2]


@dataclass(frozen=True)
class Floor:
    """What reading and scanning everything costs at least.

    Attributes:
        read: Seconds of CPU of the null reader.
        scanned: Seconds of CPU of the skip-scan.
        size: The bytes, in MB.
        speed: MB that the scale server renders and sends in a second of its CPU.
    """

    read: float
    scanned: float
    size: float
    speed: float


@dataclass(frozen=True)
class Cost:
    """What a consumer cost: seconds of CPU, and the bytes that it read."""

    cpu: float
    bytes: int


Measure = Callable[[Bench], Iterator[Row]]


def _started(size: Size, checks: int | None = ALL_CHECKS) -> Start:
    with serving(size) as server, operating(server, checks) as operator:
        return operator.start


def _cost(server: Server, name: str, objects: int = 0) -> Cost:
    ended = run([sys.executable, "-m", "bench.consumers", name, server.url, str(objects)])
    if ended.code:
        raise BenchError(f"The consumer {name} failed with code {ended.code}.")
    told = json.loads(ended.output)
    return Cost(told["cpu"], told["bytes"])


# --- reading everything ---


def cold(bench: Bench) -> Iterator[Row]:
    """The cold start against what reading and scanning the same bytes costs at least."""
    floor = bench.floor
    yield Row("all objects as they are streamed", floor.size, "MB")
    yield Row("scale server, a second of its CPU", floor.speed, "MB")
    yield Row("null reader", floor.read, "CPU-s")
    yield Row("skip-scan", floor.scanned, "CPU-s")
    yield Row("interpreter and imports", bench.startup, "CPU-s")
    own = bench.cold.cpu - bench.startup
    yield Row("cold start, less interpreter and imports", own, "CPU-s", most=3)
    yield Row("cold start against null reader + skip-scan", own / (floor.read + floor.scanned), "×", most=2)
    yield Row("cold start, wall clock from exec", bench.cold.wall, "s")
    yield Row("peak memory of the cold start, the client library included", bench.cold.peak, "MB")
    plain = _started(bench.size, None)
    yield Row("the same by `kubedx run` with its own checks alone", plain.cpu - bench.startup, "CPU-s")


def adversarial(bench: Bench) -> Iterator[Row]:
    """The cold start where no two statuses are equal."""
    start = _started(Size(bench.pods, adversarial=True))
    yield Row("adversarial cold start, less interpreter and imports", start.cpu - bench.startup, "CPU-s")
    yield Row("adversarial peak memory", start.peak, "MB", most=320)


def inside(bench: Bench) -> Iterator[Row]:
    """The cold start as in a pod, over TLS: streamed, and from a server that serves lists page by page alone."""
    with tempfile.TemporaryDirectory() as folder:
        ca = Path(folder) / "ca.crt"
        with serving(bench.size, ca=ca) as server, operating(server) as operator:
            streamed = operator.start
        with serving(bench.size, "-no-watch-list", ca=ca) as server, operating(server) as operator:
            paged = operator.start
    yield Row("peak memory of the cold start in a pod", streamed.peak, "MB", most=160)
    yield Row("cold start over TLS", streamed.cpu - bench.startup, "CPU-s")
    yield Row("cold start over TLS, in pages of 500", paged.cpu - bench.startup, "CPU-s")
    yield Row("peak memory, in pages of 500", paged.peak, "MB")


def growth(bench: Bench) -> Iterator[Row]:
    """CPU and memory of the cold start by size: the last step may not cost more a pod than the one before."""
    sizes = (bench.pods // 10, bench.pods // 3, bench.pods)
    starts = [*(_started(Size(pods)) for pods in sizes[:-1]), bench.cold]
    for pods, start in zip(sizes, starts, strict=True):
        yield Row(f"cold start of {pods:,} pods", start.cpu - bench.startup, "CPU-s")
        yield Row(f"peak memory of {pods:,} pods", start.peak, "MB")
    steps = [pods - before for before, pods in itertools.pairwise(sizes)]
    for name, unit, values in (
        ("CPU", "µs", [start.cpu * 1e6 for start in starts]),
        ("memory", "kB", [start.peak * 1e3 for start in starts]),
    ):
        first, last = ((after - before) / step for before, after, step in zip(values, values[1:], steps, strict=False))
        yield Row(f"growth of {name} a pod, up to a third", first, unit)
        yield Row(f"growth of {name} a pod, from there on", last, unit)
        yield Row(f"growth of {name}: the later step against the earlier", last / first, "×", most=1.25)


def peers(bench: Bench) -> Iterator[Row]:
    """The cold start against other ways to read the same."""
    own = bench.cold.cpu - bench.startup
    with serving(bench.size) as server:
        orjson = _cost(server, "orjson").cpu
    small = min(PEER_PODS, bench.pods)
    with serving(Size(small)) as server:
        times = bench.pods / small
        official, kopf = _cost(server, "official").cpu * times, _cost(server, "kopf", small).cpu * times
    yield Row("kopf, one empty on.event handler, pods alone (extrapolated)", kopf, "CPU-s")
    yield Row("official client, raw JSON, pods alone (extrapolated)", official, "CPU-s")
    yield Row("aiohttp + orjson", orjson, "CPU-s")
    yield Row("less CPU than kopf", kopf / own, "×", least=50)
    yield Row("less CPU than the official client", official / own, "×", least=15)
    yield Row("less CPU than aiohttp + orjson", orjson / own, "×", least=2)


# --- changes ---


def churn(bench: Bench) -> Iterator[Row]:
    """Memory after many pods came and went."""
    count = bench.pods * 2 // 3
    with serving(bench.size) as server, operating(server) as operator:
        operator.wait_until_settled()
        before = operator.process.memory
        server.emit("create", count, rate=count / 20)
        time.sleep(20)
        operator.wait_until_settled()
        most = operator.process.memory
        server.emit("delete", count, rate=count / 20)
        time.sleep(20)
        operator.wait_until_settled(quiet=3)
        after = operator.process.memory
        known = total(series(operator.metrics(), b"kubedx_watch_objects{", b'kind="Pod"'))
    yield Row("memory before", before, "MB")
    yield Row(f"memory with {count:,} more pods", most, "MB")
    yield Row(f"memory after {count:,} pods came and went", after / before, "×", most=1.05)
    yield Row("pods known afterwards that are gone", known - bench.pods, "", most=0)


def sustained(bench: Bench) -> Iterator[Row]:
    """How many changes a second one core can take in, all at once in the realistic mix."""
    count = bench.pods * 4 // 3
    with serving(bench.size) as server, operating(server) as operator:
        operator.wait_until_settled()
        server.emit("realistic", count // 10)  # Warm up: the first changes find no memos.
        operator.wait_until_settled()
        before = operator.process.cpu
        server.emit("realistic", count)
        operator.wait_until_settled()
        used = operator.process.cpu - before
    yield Row("CPU a change, many at once", used / count * 1e6, "µs")
    yield Row("changes a second on one core", count / used, "/s", least=40_000)


def latency(bench: Bench) -> Iterator[Row]:
    """How old what a scrape shows is, at 1,000 changes a second with a scrape each second."""
    with serving(bench.size) as server, operating(server) as operator:
        operator.wait_until_settled()
        already = crashes(operator.metrics())
        before = operator.process.cpu
        emission = server.emit("marked", 1000 * bench.seconds, rate=1000)
        scrapes = list(_scrapes(operator, emission["began"], bench.seconds))
        share = (operator.process.cpu - before) / bench.seconds
        marks = server.ask(f"/ctl/emission?id={emission['id']}")["marks"]
    ages = sorted(_age([emission["began"], *marks], answered, seen - already) for answered, seen in scrapes)
    yield Row("change → metric at 1,000/s, median", ages[len(ages) // 2] * 1e3, "ms")
    yield Row("change → metric at 1,000/s, p99", ages[min(len(ages) - 1, len(ages) * 99 // 100)] * 1e3, "ms", most=10)
    yield Row("CPU at 1,000 changes/s with a scrape each second", share * 100, "%", most=10)


def _scrapes(operator: Operator, began: int, seconds: int) -> Iterator[tuple[int, int]]:
    """A scrape each second, within the forty marks at its end; gives when each was answered, and what it counted."""
    for second in range(seconds):
        at = began / 1e9 + second + random.uniform(0.965, 0.998)  # noqa: S311 -- no secret
        time.sleep(max(0.0, at - time.time()))
        text = operator.metrics()
        yield time.time_ns(), crashes(text)


def _age(marks: list[int], answered: int, seen: int) -> float:
    """The age of the newest mark that an answer shows, in seconds, its way to us included; the begin counts as one."""
    return (answered - marks[min(max(seen, 0), len(marks) - 1)]) / 1e9


def storm(bench: Bench) -> Iterator[Row]:
    """Every pod changes at once, four of five into a broken state."""
    with serving(bench.size) as server, operating(server) as operator:
        operator.wait_until_settled()
        stats, before = server.stats(), operator.process.cpu
        operator.process.forget_peak()
        begun = time.monotonic()
        with Probe(operator.url) as probe:
            server.emit("storm", bench.pods)
            census = server.stats()["world"]["pods"]
            crashing = census["crash"] + census["oom"]
            settled = operator.wait_for_findings(crashing * 99 // 100) - begun
        operator.wait_until_settled()
        used = operator.process.cpu - before
        rates = [_writes_a_second(server, 5) for _ in range(2)]
        after = server.stats()
        scraped = operator.metrics()
        peak, found = operator.process.peak, crashes(scraped)
        longest = float(series(scraped, b"kubedx_loop_longest_turn_seconds ")[0].split()[1])
    yield Row(f"storm of {bench.pods:,} changes, until settled", settled, "s", most=4)
    yield Row("storm: CPU", used, "CPU-s")
    yield Row("storm: longest turn of the loop", longest * 1e3, "ms", most=50)
    yield Row("storm: longest answer of /healthz, asked each 5 ms", probe.longest * 1e3, "ms")
    yield Row("storm: API writes", max(rates), "/s", most=10)
    yield Row("storm: lists read again", _lists(after) - _lists(stats), "", most=0)
    yield Row("storm: peak memory", peak, "MB")
    yield Row("storm: crashing pods found, of those that crash", found / crashing, "×")


def _writes_a_second(server: Server, seconds: float) -> float:
    before = sum(server.stats()["writes"].values())
    time.sleep(seconds)
    return float((sum(server.stats()["writes"].values()) - before) / seconds)


def _lists(stats: dict[str, dict[str, int]]) -> int:
    whole = ("list ", "page ", "watchlist ")
    return sum(
        count
        for what, count in stats["requests"].items()
        if what.startswith(whole) and not what.endswith(("clusterdiagnoses", "diagnosispolicies"))
    )


def scrape(bench: Bench) -> Iterator[Row]:
    """A scrape while a third of the pods does not work."""
    with serving(Size(bench.pods, broken=0.34)) as server, operating(server) as operator:
        operator.wait_until_settled(quiet=3, patience=300)
        _quiet_writes(server)
        idle = _cpu_over(operator, lambda: time.sleep(5))
        count = 20
        begun = time.monotonic()
        used = _cpu_over(operator, lambda: [operator.metrics() for _ in range(count)])
        took = time.monotonic() - begun
        found = total(series(operator.metrics(), b"kubedx_findings{"))
    yield Row("findings behind a scrape", found, "")
    yield Row("CPU of a scrape", max(0.0, used - idle * took / 5) / count * 1e3, "ms", most=10)


def _cpu_over(operator: Operator, act: Callable[[], object]) -> float:
    before = operator.process.cpu
    act()
    return operator.process.cpu - before


def _quiet_writes(server: Server, patience: float = 180) -> None:
    """Wait until the operator has written its objects, which it does slowly on purpose."""
    deadline = time.monotonic() + patience
    while _writes_a_second(server, 3) > 1 and time.monotonic() < deadline:
        pass


def policy(bench: Bench) -> Iterator[Row]:
    """Changes of the policy: one after which every verdict has to be looked at, and one that asks every check again."""
    with serving(bench.size) as server, operating(server) as operator:
        operator.wait_until_settled(quiet=3)
        _quiet_writes(server)
        idle = _cpu_over(operator, lambda: time.sleep(5)) / 5
        costs = []
        for exclude in ("no-such-*", "nor-such-*", "nowhere-*"):
            begun, before = time.monotonic(), operator.process.cpu
            get(server.url, _POLICY, "PATCH", {"spec": {"namespaces": {"exclude": [exclude]}}}, _MERGE)
            operator.wait_until_settled(quiet=2)
            costs.append(operator.process.cpu - before - idle * (time.monotonic() - begun))
        get(server.url, _POLICY, "PATCH", {"spec": {"profiles": []}}, _MERGE)
        operator.wait_until_settled(quiet=2)
        before = operator.process.cpu
        get(server.url, _POLICY, "PATCH", {"spec": {"profiles": None}}, _MERGE)
        operator.wait_until_settled(quiet=2)
        again = operator.process.cpu - before
    yield Row("a policy change that re-evaluates everything", statistics.median(costs) * 1e3, "ms CPU", most=100)
    yield Row("all checks switched on again, findings and objects included", again * 1e3, "ms CPU")


def folded(_: Bench) -> Iterator[Row]:
    """What folding and a scrape cost with findings that are made up, without anything else."""
    goals = (500.0, 5.0, None, 10.0)
    for (name, value, unit), most in zip(folding.measure(), goals, strict=True):
        yield Row(name, value, unit, most=most)


# --- dumps ---


def scan(bench: Bench) -> Iterator[Row]:
    """`kubedx scan` of a dump, as kubectl writes it, and of the same with one object a line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dump.json"
        for what, flags in (("a dump", []), ("one object a line", ["-lines"])):
            wrote = run([str(server_program()), *bench.size.flags, "-dump", str(path), *flags])
            if wrote.code:
                raise BenchError("The scale server could not write the dump.")
            size = path.stat().st_size / 1e6
            ended = run([sys.executable, "-m", "kubedx", "scan", "--fail-on=never", "-o", "json", str(path)])
            if ended.code not in {Exit.CLEAN, Exit.PARTIAL}:  # A dump has no history, so some checks have no answer.
                raise BenchError(f"kubedx scan ended with code {ended.code}.")
            yield Row(f"scan of {what}: size", size, "MB")
            yield Row(f"scan of {what}: wall clock", ended.wall, "s", most=8)
            yield Row(f"scan of {what}: CPU", ended.cpu, "CPU-s")
            yield Row(f"scan of {what}: peak memory against its size", ended.peak / size, "×", most=1.2)


MEASURES: dict[str, Measure] = {
    one.__name__: one
    for one in (
        cold,
        inside,
        adversarial,
        growth,
        peers,
        churn,
        sustained,
        latency,
        storm,
        scrape,
        folded,
        policy,
        scan,
    )
}
"""All measures by name, in the order in which they are made."""
