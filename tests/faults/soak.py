"""`make soak`: the operator for half an hour against a server on which something is always broken.

It runs as its users run it, as a process with its real patience, while 200 objects a second change and random faults
come and go. Measured is what must not grow; at the end it must know what a fresh list shows and say what a fresh look
says. The last lines are for docs/reliability.md.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.harness import free_ports
from tests.cluster.installation import KUBEDX, NAMESPACE, impatient
from tests.faults import actions
from tests.faults.operating import node
from tests.faults.server import Server, line, serving
from tests.faults.state import Object, RefusedError
from tests.faults.watching import pod

WORKLOADS = 200
NODES = 50
HOLD = timedelta(seconds=10)
"""How long a problem must have lasted, and have been gone, to be said and withdrawn."""

RETENTION = "2m"
"""How long what is over is kept, an hour by default: until then more and more is kept, which is no leak."""

SETTLE = 1200.0
"""Seconds in which what is said must equal what a fresh look says; a symptom outlives its cause by a quarter of an hour
before it is said by itself."""

READS_PER_SECOND = 5.0
WRITES_PER_SECOND = 10
"""The budget: requests that open a list, a page or a watch, on average; writes in any second."""

MOST_GROWTH = 1.05

CATCH_UP = 20
"""Changes at a stretch."""

LATE = 1.0
"""Seconds by which this process itself may be late; what it measures then says nothing about the operator."""


# --- what changes -----------------------------------------------------------------------------------------------------


class Life:
    """Changes a cluster at a rate, mostly in ways that mean nothing."""

    def __init__(self, server: Server, rate: float, chance: random.Random) -> None:
        self.changes = 0
        self._server = server
        self._rate = rate
        self._chance = chance
        self._events = 0
        self._crashing: set[int] = set()
        self._full: set[int] = set()
        self._generations = dict.fromkeys(range(WORKLOADS), 0)
        for number in range(NODES):
            server.cluster.put(node(f"node-{number}"))
        for number in range(WORKLOADS):
            server.cluster.put(_replica_set(number))
            server.cluster.put(_pod(number, 0))

    async def live(self) -> None:
        """Go on until cancelled."""
        begun = time.monotonic()
        while True:
            due = int((time.monotonic() - begun) * self._rate) - self.changes
            for _ in range(min(due, CATCH_UP)):  # Else a busy machine would do nothing but change.
                self._change()
                self.changes += 1
            await asyncio.sleep(0.02)

    def _change(self) -> None:
        number = self._chance.randrange(WORKLOADS)
        kind = self._chance.choices(("pod", "event", "replace", "node", "claim"), (70, 18, 8, 3, 1))[0]
        cluster = self._server.cluster
        match kind:
            case "pod":
                self._turn(self._crashing, number, 0.005)
                cluster.put(_pod(number, self._generations[number], crashing=number in self._crashing))
            case "event":
                self._event(number)
            case "replace":
                cluster.delete("Pod", _pod(number, self._generations[number])["metadata"]["name"])
                self._generations[number] += 1
                cluster.put(_pod(number, self._generations[number], crashing=number in self._crashing))
            case "node":
                machine = number % NODES
                self._turn(self._full, machine, 0.02)
                cluster.put(node(f"node-{machine}", full=machine in self._full))
            case "claim":
                self._claim(number)

    def _turn(self, broken: set[int], number: int, chance: float) -> None:
        """Now and then break what is whole, or mend what is broken."""
        if self._chance.random() < chance:
            broken ^= {number}

    def _event(self, number: int) -> None:
        about = _pod(number, self._generations[number])["metadata"]
        reason = self._chance.choice(("BackOff", "Unhealthy", "Scheduled", "Pulled"))
        involved = {"kind": "Pod", "name": about["name"], "namespace": "default", "uid": about["uid"]}
        name = f"event-{self._events % 2000}"
        with contextlib.suppress(RefusedError):
            self._server.cluster.delete("Event", name)
        at = self._server.cluster.time()
        event = {"involvedObject": involved, "reason": reason, "type": "Warning", "message": f"{reason} {self._events}"}
        self._server.cluster.put(
            {"kind": "Event", "metadata": {"name": name}, **event, "lastTimestamp": at, "count": 1}
        )
        self._events += 1

    def _claim(self, number: int) -> None:
        name = f"claim-{number}"
        try:
            self._server.cluster.delete("PersistentVolumeClaim", name)
        except RefusedError:
            spec = {"storageClassName": "none-such", "accessModes": ["ReadWriteOnce"]}
            claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
            self._server.cluster.put({**claim, "status": {"phase": "Pending"}})


def _replica_set(number: int) -> Object:
    return {"kind": "ReplicaSet", "metadata": {"name": f"web-{number}", "uid": f"rs-{number}"}, "spec": {"replicas": 1}}


def _pod(number: int, generation: int, *, crashing: bool = False) -> Object:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"web-{number}", "uid": f"rs-{number}"}
    found = pod(
        f"web-{number}-{generation}", uid=f"pod-{number}-{generation}", labels={"app": f"web-{number}"},
        ownerReferences=[owner | {"controller": True}], annotations={"beat": str(time.monotonic_ns())},
    )  # fmt: skip
    found["spec"]["nodeName"] = f"node-{number % NODES}"
    at = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {"exitCode": 1, "reason": "Error", "startedAt": at, "finishedAt": at}
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}} if crashing else {"running": {}}
    container = {"name": "main", "ready": not crashing, "restartCount": 7, "state": state}
    found["status"]["containerStatuses"] = [{**container, "lastState": {"terminated": ended}}]
    return found


# --- what goes wrong --------------------------------------------------------------------------------------------------

Trouble = Callable[[Server, random.Random], Awaitable[None]]

KINDS = ("pods", "nodes", "events", "replicasets", "persistentvolumeclaims", "clusterdiagnoses", "")


def _for_a_while(do: actions.Do, on: str = "list watch") -> Trouble:
    async def trouble(server: Server, chance: random.Random) -> None:
        fault = server.fault(do, on=on, kind=chance.choice(KINDS))
        server.cut(chance.choice(KINDS))
        await asyncio.sleep(chance.uniform(2, 30))
        fault.lift()

    return trouble


def _cut(how: str) -> Trouble:
    async def trouble(server: Server, chance: random.Random) -> None:
        server.cut(chance.choice(KINDS), how)

    return trouble


async def _mute(server: Server, chance: random.Random) -> None:
    server.mute(chance.choice(KINDS[:-1]))


async def _compact(server: Server, chance: random.Random) -> None:
    kind = chance.choice(KINDS)
    server.mute(kind)
    await asyncio.sleep(chance.uniform(0.1, 3))
    server.cluster.compact(kind)
    server.cut(kind, "abort")


async def _restart(server: Server, chance: random.Random) -> None:
    await server.stop()
    await asyncio.sleep(chance.uniform(0.5, 20))
    await server.start()


async def _forbid(server: Server, chance: random.Random) -> None:
    kind = chance.choice(KINDS[:-2])
    fault = server.fault(actions.refuse(403), kind=kind)
    server.cut(kind)
    await asyncio.sleep(chance.uniform(5, 60))
    fault.lift()


async def _unserve(server: Server, chance: random.Random) -> None:
    server.unserve("horizontalpodautoscalers")
    await asyncio.sleep(chance.uniform(5, 60))
    server.serve("horizontalpodautoscalers")


async def _rubbish(server: Server, chance: random.Random) -> None:
    deep = b'{"type":"ADDED","object":{"metadata":{"name":"deep","labels":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_003
    rubbish = (
        b"\x00\xff\xfe\n", b'{"type":"ADDED","object":{"meta\n', deep + b"\n", line("SURPRISE", {}),
        line("ADDED", {"kind": "Pod", "metadata": None}), line("DELETED", None), b"<html>Bad Gateway</html>\n",
    )  # fmt: skip
    kind = chance.choice(KINDS[:-2])
    with contextlib.suppress(ConnectionError):
        await server.inject(kind, *chance.sample(rubbish, 3))


async def _long_line(server: Server, chance: random.Random) -> None:
    with contextlib.suppress(ConnectionError):
        kind = chance.choice(KINDS[:-2])
        await server.inject(kind, b'{"type":"ADDED","object":{"metadata":{"name":"', b"x" * 30_000_000, b'"}}}\n')


async def _lists_only(server: Server, chance: random.Random) -> None:
    server.streams_lists = False
    server.cluster.compact()
    server.cut(how="abort")
    await asyncio.sleep(chance.uniform(1, 10))
    server.streams_lists = True


TROUBLES: dict[str, Trouble] = {
    "end of streams": _cut("end"),
    "reset connections": _cut("abort"),
    "closed in the middle": _cut("close"),
    "half-open connections": _mute,
    "compaction": _compact,
    "restart of the server": _restart,
    "a kind forbidden": _forbid,
    "a kind not served": _unserve,
    "rubbish in streams": _rubbish,
    "a line of 30 MB": _long_line,
    "no streamed lists": _lists_only,
    "503": _for_a_while(actions.refuse(503)),
    "429 with Retry-After": _for_a_while(actions.refuse(429, retry_after=3)),
    "silent closes": _for_a_while(actions.close(), "watch"),
    "ERROR 410": _for_a_while(actions.resumed(actions.error(410)), "watch"),
    "ERROR 500": _for_a_while(actions.error(500), "watch"),
    "no answer": _for_a_while(actions.hang()),
    "conflicts": _for_a_while(actions.refuse(409), "patch"),
    "refused writes": _for_a_while(actions.refuse(500), "write"),
}


async def _break(server: Server, chance: random.Random, done: Counter[str]) -> None:
    """Let something go wrong every few seconds until cancelled; some of it lasts, so that several things meet."""
    async with asyncio.TaskGroup() as group:
        while True:
            name = chance.choice(sorted(TROUBLES))
            done[name] += 1
            group.create_task(TROUBLES[name](server, chance))
            await asyncio.sleep(chance.uniform(2, 12))


# --- what is measured -------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What was measured of the process.

    Attributes:
        memory: Its resident memory in MB, with the seconds since the start.
        descriptors: Its open file descriptors.
        threads: Its threads.
        unhealthy: How often /healthz did not answer 200.
        slowest: Seconds that the slowest answer of /healthz and of /metrics took.
        reads: Lists, pages and watches that were asked for.
        writes: Writes in each second.
        strange: Writes to what is not the operator's own.
        longest_turn: Seconds that the operator's loop was busy at a stretch, at most, as it says itself.
        latest_pause: Seconds that this process itself was late since the last look.
    """

    memory: list[tuple[float, float]] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    unhealthy: int = 0
    slowest: dict[str, float] = field(default_factory=lambda: {"/healthz": 0.0, "/metrics": 0.0})
    reads: int = 0
    writes: Counter[int] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)
    longest_turn: float = 0.0
    latest_pause: float = 0.0

    def take(self, pid: int, at: float) -> None:
        """Look at the process."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        found = dict(one.split(":", 1) for one in status.splitlines())
        self.memory.append((at, int(found["VmRSS"].split()[0]) / 1000))
        self.threads.append(int(found["Threads"]))
        self.descriptors.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))

    def drain(self, server: Server) -> None:
        """Count what was asked, and forget it."""
        self.strange += server.strange_writes
        for one in server.log:
            self.reads += one.verb in {"list", "watch"}
        for one in server.writes:
            self.writes[int(one.at)] += 1
        # What is still being answered is needed no more either: its handler holds it.
        server.log.clear()

    def between(self, begin: float, end: float) -> float:
        """The median memory in MB of a part of the time, from 0 to 1."""
        last = self.memory[-1][0]
        return statistics.median([mb for at, mb in self.memory if begin * last <= at <= end * last])


async def _get(port: int, path: str) -> tuple[int, str]:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get(f"http://127.0.0.1:{port}{path}") as answer,
        ):
            return answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return 0, ""


async def _measure(figures: Figures, server: Server, pid: int, port: int) -> None:
    begun = time.monotonic()
    while True:
        for path in ("/healthz", "/metrics"):
            asked = time.monotonic()
            status, text = await _get(port, path)
            took = time.monotonic() - asked
            if figures.latest_pause < LATE:
                figures.unhealthy += status != 200
                figures.slowest[path] = max(figures.slowest[path], took)
            if turn := re.search(r"^kubedx_loop_longest_turn_seconds (\S+)$", text, re.MULTILINE):
                figures.longest_turn = max(figures.longest_turn, float(turn[1]))
            figures.latest_pause = 0.0
        figures.take(pid, time.monotonic() - begun)
        figures.drain(server)
        await asyncio.sleep(1)


async def _pulse(figures: Figures) -> None:
    """Notice how late this process itself is."""
    while True:
        asleep = time.monotonic()
        await asyncio.sleep(0.05)
        figures.latest_pause = max(figures.latest_pause, time.monotonic() - asleep - 0.05)


async def _metrics(port: int) -> dict[tuple[str, ...], float]:
    _, text = await _get(port, "/metrics")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# --- what must be so at the end ---------------------------------------------------------------------------------------


async def _scan(config: str, policy: Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        str(KUBEDX), "scan", "--live", f"--kubeconfig={config}", f"--policy={policy}", "-o", "json", "--fail-on=never",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode in {0, 4}, output
    return json.loads(output)


async def _difference(server: Server, config: str, policy: Path, port: int) -> str:
    """In what the operator differs from a fresh look; nothing if it does not."""
    fresh = await _scan(config, policy)
    known = await _metrics(port)
    objects = {kind: int(known.get(("kubedx_watch_objects", kind), 0)) for kind in fresh["objects"]}
    if objects != fresh["objects"]:
        return f"it knows {objects} objects, and a fresh list shows {fresh['objects']}"
    unseen = [name[1] for name, value in known.items() if name[0] == "kubedx_watch_synced" and not value]
    if unseen:
        return f"it does not see {', '.join(unseen)}"
    found = server.cluster.objects("ClusterDiagnosis")
    open_ones = [one for one in found if one.get("status", {}).get("state") == "Open"]
    wanted = {one["name"] for one in fresh["diagnoses"]}
    # What came and went again and again is kept open for half an hour on purpose, and a fresh look has no memory.
    said = {one["metadata"]["name"] for one in open_ones if not one["status"].get("flapping")}
    said |= wanted & {one["metadata"]["name"] for one in open_ones}
    if said != wanted:
        return f"it says {len(said - wanted)} too many and {len(wanted - said)} not: {sorted(said ^ wanted)}"
    return ""


async def _converge(server: Server, config: str, policy: Path, port: int) -> tuple[str, float]:
    begun = time.monotonic()
    while True:
        difference = await _difference(server, config, policy, port)
        took = time.monotonic() - begun
        if not difference or took > SETTLE:
            return difference, took
        print(f"{took:.0f} s after the last change: {difference[:200]}", flush=True)
        await asyncio.sleep(15)


# --- all of it --------------------------------------------------------------------------------------------------------


def _summary(args: argparse.Namespace, life: Life, figures: Figures, troubles: Counter[str]) -> str:
    early, late = figures.between(0.3, 0.5), figures.between(0.8, 1.0)
    half = len(figures.descriptors) // 2
    seconds = args.minutes * 60
    return f"""
soak: {args.minutes:g} minutes, {life.changes:,} changes ({args.rate:g}/s), {troubles.total()} faults of \
{len(troubles)} sorts, seed {args.seed}
memory: {early:.1f} MB after warm-up, {late:.1f} MB at the end ({late / early - 1:+.1%}), \
at most {max(mb for _, mb in figures.memory):.1f} MB
file descriptors: at most {max(figures.descriptors[:half])}, then {max(figures.descriptors[half:])}; \
threads: at most {max(figures.threads[:half])}, then {max(figures.threads[half:])}
/healthz and /metrics: {figures.unhealthy} failures; slowest {figures.slowest["/healthz"] * 1000:.0f} ms and \
{figures.slowest["/metrics"] * 1000:.0f} ms; longest turn of the loop {figures.longest_turn * 1000:.0f} ms
requests: {figures.reads / seconds:.2f} reads/s on average (budget {READS_PER_SECOND:g}), \
{figures.writes.total() / seconds:.2f} writes/s on average, {max(figures.writes.values(), default=0)} at most in a \
second (budget {WRITES_PER_SECOND})"""


def _misses(figures: Figures) -> list[str]:
    found = []
    if figures.between(0.8, 1.0) > figures.between(0.3, 0.5) * MOST_GROWTH:
        found.append("its memory grows")
    half = len(figures.descriptors) // 2
    if max(figures.descriptors[half:]) > max(figures.descriptors[:half]) + 10:
        found.append("its file descriptors grow")
    if max(figures.threads[half:]) > max(figures.threads[:half]) + 2:
        found.append("its threads grow")
    if figures.reads > READS_PER_SECOND * figures.memory[-1][0]:
        found.append("it reads more than its budget")
    if max(figures.writes.values(), default=0) > WRITES_PER_SECOND + 2:  # The seconds of a clock cut into bursts.
        found.append("it writes more than its budget")
    if figures.unhealthy:
        found.append("it did not always answer")
    if figures.strange:
        found.append(f"it wrote to what is not its own: {sorted(set(figures.strange))}")
    return found


async def _soak(args: argparse.Namespace, folder: Path) -> int:
    chance = random.Random(args.seed)  # noqa: S311 -- to be repeatable
    policy = folder / "policy.yaml"
    policy.write_text(yaml.safe_dump({"checks": impatient(HOLD), "retention": RETENTION}), encoding="utf-8")
    port = free_ports(1)[0]
    figures, troubles = Figures(), Counter[str]()
    log = (folder / "operator.log").open("wb")
    async with serving() as server:
        server.cluster.keep = 5000
        life = Life(server, args.rate, chance)
        config = server.kubeconfig(folder)
        operator = await asyncio.create_subprocess_exec(
            str(KUBEDX), "run", f"--kubeconfig={config}", f"--listen=127.0.0.1:{port}", f"--defaults={policy}",
            f"--lease-namespace={NAMESPACE}", stdout=log, stderr=log,
        )  # fmt: skip
        try:
            while (await _get(port, "/readyz"))[0] != 200:
                await asyncio.sleep(0.2)
            work = [
                asyncio.create_task(life.live()),
                asyncio.create_task(_break(server, chance, troubles)),
                asyncio.create_task(_measure(figures, server, operator.pid, port)),
                asyncio.create_task(_pulse(figures)),
            ]
            ended = asyncio.create_task(operator.wait())
            everything = [*work, ended]
            done, _ = await asyncio.wait(everything, timeout=args.minutes * 60, return_when=asyncio.FIRST_COMPLETED)
            if ended in done:
                print(f"MISSED: the operator ended with code {operator.returncode}")
                return 1
            for task in done:
                task.result()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            print(_summary(args, life, figures, troubles), flush=True)
            server.heal()
            server.streams_lists = True
            await server.start()
            difference, took = await _converge(server, config, policy, port)
            figures.drain(server)
            known = await _metrics(port)
        finally:
            with contextlib.suppress(ProcessLookupError):
                operator.send_signal(signal.SIGTERM)
            await operator.wait()
            log.close()
        print(_end(server, known, difference, took), flush=True)
    misses = _misses(figures) + ([difference] if difference else [])
    for miss in misses:
        print(f"MISSED: {miss}")
    return 1 if misses else 0


def _end(server: Server, known: dict[tuple[str, ...], float], difference: str, took: float) -> str:
    restarts: Counter[str] = Counter()
    for name, value in known.items():
        if name[0] == "kubedx_watch_restarts_total":
            restarts[name[2]] += int(value)
    dropped = int(known.get(("kubedx_dropped_total", "unreadable objects"), 0))
    said = sum(one.get("status", {}).get("state") == "Open" for one in server.cluster.objects("ClusterDiagnosis"))
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(restarts.items()))
    verdict = "differs from a fresh list" if difference else "all objects and diagnoses as a fresh list and look show"
    return f"""streams opened again: {reasons}; lines that could not be read: {dropped}
at the end: {verdict}, {said} diagnoses open, {took:.0f} s after the last change"""


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument("--rate", type=float, default=200.0, help="changes a second (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="which random faults (default 1)")
    parser.add_argument("--log", default="soak.log", help="where the operator's log goes if anything is missed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kubedx-soak-") as name:
        folder = Path(name)
        code = asyncio.run(_soak(args, folder))
        if code:
            shutil.copy(folder / "operator.log", args.log)
            print(f"The operator's log is in {args.log}")
        return code


if __name__ == "__main__":
    sys.exit(main())
