"""kopf in its thread, against an API server that misbehaves on demand."""

import asyncio
import getpass
import json
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from kubedx import handlers
from kubedx.handlers import KINDS, KopfThread, State
from kubedx.watch.client import Api, Login

DIAGNOSES = KINDS["ClusterDiagnosis"].path
POLICIES = KINDS["DiagnosisPolicy"].path
VERSION = DIAGNOSES.rpartition("/")[0]


def thing(kind: str, name: str, version: int = 1, **spec: object) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, "spec": spec}


def served(name: str, kind: str) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "patch"]
    return {"name": name, "singularName": kind.lower(), "kind": kind, "namespaced": False, "verbs": verbs}


def group(name: str, version: str) -> dict[str, Any]:
    return {"name": name, "versions": [{"version": version}], "preferredVersion": {"version": version}}


CRDS = "apiextensions.k8s.io"
DISCOVERY = {
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": [served("namespaces", "Namespace"), served("events", "Event")]},
    "/apis": {"groups": [group("kubedx.dev", "v1alpha1"), group(CRDS, "v1")]},
    f"/apis/{CRDS}/v1": {"resources": [served("customresourcedefinitions", "CustomResourceDefinition")]},
    VERSION: {"resources": [served(resource.plural, resource.kind) for resource in KINDS.values()]},
}


class FakeApi:
    """Serves our two kinds: lists from `objects`, watches from what `send` is given."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {DIAGNOSES: [], POLICIES: []}
        self.refusals: dict[str, int] = {}
        self.watch_status = 200
        self.watches_end_at_once = False
        self.seen: list[tuple[str, str, bool]] = []
        self._streams: dict[str, list[asyncio.Queue[bytes | None]]] = {DIAGNOSES: [], POLICIES: []}

    def watching(self, path: str) -> bool:
        return bool(self._streams[path])

    def count(self, path: str, *, watch: bool) -> int:
        return self.seen.count(("GET", path, watch))

    def send(self, path: str, kind: str, body: dict[str, Any]) -> None:
        for queue in self._streams[path]:
            queue.put_nowait(json.dumps({"type": kind, "object": body}).encode() + b"\n")

    def send_raw(self, path: str, line: bytes) -> None:
        for queue in self._streams[path]:
            queue.put_nowait(line)

    def hang_up(self) -> None:
        for queues in self._streams.values():
            for queue in queues:
                queue.put_nowait(None)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, watch = request.path, request.query.get("watch") == "true"
        self.seen.append((request.method, path, watch))
        refusal = self.refusals.get(path) or self.refusals.get("*")
        if refusal:
            return web.json_response({"kind": "Status", "message": "no", "code": refusal}, status=refusal)
        if path in DISCOVERY:
            return web.json_response(DISCOVERY[path])
        if path not in self.objects:
            return web.json_response({"kind": "Status"}, status=404)
        if watch:
            return await self._watch(request, path)
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": self.objects[path]})

    async def _watch(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if self.watch_status != 200:
            return web.json_response({"kind": "Status", "code": self.watch_status}, status=self.watch_status)
        response = web.StreamResponse()
        await response.prepare(request)
        if self.watches_end_at_once:
            return response
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams[path].append(queue)
        try:
            while (line := await queue.get()) is not None:
                await response.write(line)
        finally:
            self._streams[path].remove(queue)
        return response


class Running:
    """A KopfThread with what it reported."""

    def __init__(self, api: FakeApi, client: Api) -> None:
        self.api = api
        self.changes: list[tuple[str, str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.threads: set[str] = set()
        self.kopf = KopfThread(client.server, client.make_session, asyncio.get_running_loop(), self._note)

    def _note(self, kind: str, event_type: str, body: dict[str, Any]) -> None:
        self.threads.add(threading.current_thread().name)
        self.bodies.append(body)
        self.changes.append((kind, event_type, body["metadata"]["name"]))

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.kopf.state, self.changes, self.api.seen[-20:])
            await asyncio.sleep(0.01)

    async def until_watching(self) -> None:
        await self.until(lambda: self.api.watching(DIAGNOSES) and self.api.watching(POLICIES))


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(handlers, "SHORTEST_PAUSE", 0.05)
    monkeypatch.setattr(handlers, "LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(handlers, "ABSENT_RETRY", 0.1)
    api = FakeApi()
    runner = web.ServerRunner(web.Server(api.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    async with Api(Login(str(tmp_path / "kubeconfig"))) as client:
        case = Running(api, client)
        try:
            yield case
        finally:
            assert await case.kopf.stop()
            await runner.cleanup()
            assert {method for method, _, _ in api.seen} <= {"GET"}, "kopf must write nothing"


async def test_hands_events_of_both_kinds_to_the_main_loop_as_plain_objects(running: Running) -> None:
    policy = thing("DiagnosisPolicy", "cluster", enabled=True)
    running.api.objects[POLICIES] = [policy]
    running.kopf.start()
    await running.until_watching()
    running.api.send(DIAGNOSES, "ADDED", thing("ClusterDiagnosis", "a", 2))
    running.api.send(DIAGNOSES, "MODIFIED", thing("ClusterDiagnosis", "a", 3))
    running.api.send(DIAGNOSES, "DELETED", thing("ClusterDiagnosis", "a", 4))
    await running.until(lambda: len(running.changes) == 4)
    assert running.changes[0] == ("DiagnosisPolicy", "LISTED", "cluster")
    assert running.changes[1:] == [("ClusterDiagnosis", kind, "a") for kind in ("ADDED", "MODIFIED", "DELETED")]
    assert running.bodies[0] == policy
    assert type(running.bodies[0]) is dict
    assert running.threads == {"MainThread"}
    assert running.kopf.state is State.SERVING
    assert running.kopf.alive


async def test_runs_as_a_user_without_a_name(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", unknown)
    running.kopf.start()
    await running.until_watching()
    assert running.kopf.restarts == 0


async def test_stops_at_once_while_it_watches(running: Running) -> None:
    running.kopf.start()
    await running.until_watching()
    started = time.monotonic()
    assert await running.kopf.stop()
    assert time.monotonic() - started < 1
    assert running.kopf.state is State.STOPPED
    assert not running.kopf.alive


async def test_stops_at_once_while_nothing_answers(running: Running) -> None:
    running.api.refusals["*"] = 503
    running.kopf.start()
    await asyncio.sleep(0.3)
    started = time.monotonic()
    assert await running.kopf.stop()
    assert time.monotonic() - started < 1


async def test_may_be_stopped_before_it_was_started_and_twice(running: Running) -> None:
    assert await running.kopf.stop()
    running.kopf.start()
    assert await running.kopf.stop()
    assert await running.kopf.stop()


async def test_takes_no_signals_and_leaves_the_root_logger_alone(running: Running) -> None:
    before = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), list(logging.root.handlers))
    running.kopf.start()
    await running.until_watching()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), list(logging.root.handlers)) == before


async def test_waits_for_kinds_that_are_not_served_yet(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.api.refusals = {DIAGNOSES: 404, POLICIES: 404}
    running.kopf.start()
    await running.until(lambda: running.kopf.state is State.WAITING)
    await asyncio.sleep(0.3)
    assert running.kopf.alive
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    running.api.refusals = {}
    running.api.objects[POLICIES] = [thing("DiagnosisPolicy", "cluster")]
    await running.until(lambda: running.changes == [("DiagnosisPolicy", "LISTED", "cluster")])


@pytest.mark.parametrize("status", [403, 404])
async def test_one_unreadable_kind_does_not_stop_the_other_and_is_taken_up_later(running: Running, status: int) -> None:
    running.api.refusals = {DIAGNOSES: status}
    running.api.objects[POLICIES] = [thing("DiagnosisPolicy", "cluster")]
    running.api.objects[DIAGNOSES] = [thing("ClusterDiagnosis", "a")]
    running.kopf.start()
    await running.until(lambda: ("DiagnosisPolicy", "LISTED", "cluster") in running.changes)
    assert ("ClusterDiagnosis", "LISTED", "a") not in running.changes
    running.api.refusals = {}
    await running.until(lambda: ("ClusterDiagnosis", "LISTED", "a") in running.changes)


@pytest.mark.parametrize(
    "poison",
    [
        b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcdserver: leader changed"}}\n',
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n',
        b'{"type":"ADDED","object":{"kind":"ClusterDi\n',
        b"\xff\xfe\n",
        b'{"type":"ADDED","object":' + b"[" * 5000 + b"\n",
        b'{"type":"ADDED","object":{"kind":"ClusterDiagnosis"}}\n',
    ],
)
async def test_survives_a_poisoned_stream_and_reports_what_vanished_meanwhile(running: Running, poison: bytes) -> None:
    running.api.objects[DIAGNOSES] = [thing("ClusterDiagnosis", name) for name in ("a", "b")]
    running.kopf.start()
    await running.until(lambda: len(running.changes) == 2 and running.api.watching(DIAGNOSES))
    running.changes.clear()
    running.api.objects[DIAGNOSES] = [thing("ClusterDiagnosis", "b"), thing("ClusterDiagnosis", "c")]
    running.api.send_raw(DIAGNOSES, poison)
    expected = {("DELETED", "a"), ("LISTED", "b"), ("LISTED", "c")}
    await running.until(lambda: {(kind, name) for _, kind, name in running.changes} == expected)
    assert running.kopf.restarts >= 1


async def test_a_kind_that_is_removed_takes_its_objects_with_it(running: Running) -> None:
    running.api.objects[DIAGNOSES] = [thing("ClusterDiagnosis", "a")]
    running.kopf.start()
    await running.until(lambda: len(running.changes) == 1 and running.api.watching(DIAGNOSES))
    running.api.refusals = {DIAGNOSES: 404}
    running.api.hang_up()
    await running.until(lambda: ("ClusterDiagnosis", "DELETED", "a") in running.changes)


async def test_a_forbidden_kind_does_not_count_as_empty(running: Running) -> None:
    running.api.objects[DIAGNOSES] = [thing("ClusterDiagnosis", "a")]
    running.kopf.start()
    await running.until(lambda: len(running.changes) == 1 and running.api.watching(DIAGNOSES))
    running.api.refusals = {DIAGNOSES: 403}
    running.api.hang_up()
    await asyncio.sleep(1)
    assert ("ClusterDiagnosis", "DELETED", "a") not in running.changes


async def test_a_watch_that_ends_at_once_does_not_make_it_spin(running: Running) -> None:
    running.api.watches_end_at_once = True
    running.kopf.start()
    await running.until(lambda: running.kopf.restarts >= 1)
    await asyncio.sleep(1)
    assert running.api.count(DIAGNOSES, watch=True) < 60
    running.api.watches_end_at_once = False
    await running.until_watching()


async def test_refused_credentials_do_not_make_it_spin(running: Running) -> None:
    running.kopf.start()
    await running.until_watching()
    running.api.refusals = {"*": 401}
    running.api.hang_up()
    before = len(running.api.seen)
    await asyncio.sleep(1)
    assert len(running.api.seen) - before < 60
    running.api.refusals = {}
    await running.until_watching()


async def test_a_quiet_reconnect_of_the_watch_reports_nothing_twice(running: Running) -> None:
    running.api.objects[DIAGNOSES] = [thing("ClusterDiagnosis", "a")]
    running.kopf.start()
    await running.until(lambda: len(running.changes) == 1)
    await running.until_watching()
    running.api.hang_up()
    await running.until(lambda: running.api.count(DIAGNOSES, watch=True) >= 2)
    await running.until_watching()
    running.api.send(DIAGNOSES, "MODIFIED", thing("ClusterDiagnosis", "a", 2))
    await running.until(lambda: len(running.changes) == 2)
    assert running.kopf.restarts == 0


def test_pauses_never_end_and_never_grow_beyond_their_limit() -> None:
    pauses = iter(handlers.Backoffs())
    first = [next(pauses) for _ in range(1000)]
    assert all(0 < pause <= handlers.LONGEST_PAUSE for pause in first)
    assert max(first[:1]) <= handlers.SHORTEST_PAUSE
    assert len(set(first)) > 900
