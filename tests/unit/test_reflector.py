"""The reflector against a small API server on the loopback interface that misbehaves as real ones do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from kubedx.kube.meta import View
from kubedx.kube.views import Pod
from kubedx.store.store import Change, State, Store
from kubedx.watch import reflector as module
from kubedx.watch.client import Api, ApiError, Login, UnreachableError
from kubedx.watch.reflector import INITIAL_EVENTS_END, Reflector, Server

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def pod(name: str, version: int = 1, **status: object) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "x", "uid": f"u-{name}", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


def line(kind: str, body: object) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def bookmark(version: int, *, ends: bool = False) -> bytes:
    annotations = {"annotations": {INITIAL_EVENTS_END: "true"}} if ends else {}
    return line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version), **annotations}})


def error(code: int) -> bytes:
    return line("ERROR", {"kind": "Status", "code": code, "reason": "Expired", "message": "too old"})


def refusal(status: int, **headers: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": "no", "reason": "No", "code": status}
    return web.json_response(body, status=status, headers=headers)


class Cluster:
    """Serves the pods. Each watch takes the next of `streams`; the last one stays open."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.streams: list[list[bytes] | int | None] = []
        """For each watch what to send before it ends, None for one that stays open, or the status to refuse with."""
        self.pages: list[dict[str, Any] | int | bytes] = []
        """For each page of a list its body or the status to refuse with; the last one is given for ever."""
        self.cut = ""
        """How streams end that do not end as HTTP asks for: ``abort`` or ``close``."""
        self.port = 0
        self._open: list[asyncio.Queue[bytes]] = []

    def watches(self) -> list[dict[str, str]]:
        return [one for one in self.asked if "watch" in one]

    def lists(self) -> list[dict[str, str]]:
        return [one for one in self.asked if "watch" not in one]

    def send(self, *chunks: bytes) -> None:
        """Send into the watch that is open."""
        for chunk in chunks:
            self._open[-1].put_nowait(chunk)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        return await (self._watch(request) if "watch" in request.query else self._list())

    async def _list(self) -> web.StreamResponse:
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        match page:
            case int():
                return refusal(page)
            case bytes():
                return web.Response(body=page, content_type="application/json")
        return web.json_response(page)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        chunks = self.streams.pop(0) if self.streams else None
        if isinstance(chunks, int):
            return refusal(chunks)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for chunk in chunks or ():
            await response.write(chunk)
        if self.cut and chunks is not None:
            assert request.transport is not None
            getattr(request.transport, self.cut)()
        if chunks is not None:
            return response
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._open.append(queue)
        while chunk := await queue.get():
            await response.write(chunk)
        return response


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    found = Cluster()
    runner = web.ServerRunner(web.Server(found.handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


class Watching:
    """A reflector at work, and what came of it."""

    def __init__(self, api: Api, view: type[View] = Pod) -> None:
        self.store = Store([view])
        self.table = self.store.table(view)
        self.changes: list[Change] = []
        self.states: list[State] = []
        self.server = Server()
        self.reflector = Reflector(
            api, self.store, view, server=self.server, changed=self.changes.append,
            turned=lambda: self.states.append(self.table.state),
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        return sorted(name for _, name in self.table.rows)

    async def until(self, holds: Callable[[], object], seconds: float = 3.0) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.005)

    async def synced(self) -> None:
        await self.until(lambda: self.table.state is State.SYNCED)


@pytest.fixture
async def api(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Api]:
    path = tmp_path / "kubeconfig"
    where = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{cluster.port}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {}}]
    config = {"kind": "Config", "current-context": "c", "clusters": [where], "contexts": [context], "users": users}
    path.write_text(yaml.safe_dump(config))
    async with Api(Login(str(path))) as found:
        yield found


@pytest.fixture
async def watching(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watching]:
    monkeypatch.setattr(module, "_SHORTEST_BACKOFF", 0.01)
    monkeypatch.setattr(module, "_LONGEST_BACKOFF", 0.05)
    monkeypatch.setattr(module, "REFUSED_RETRY", 0.05)
    found = Watching(api)
    task = asyncio.create_task(found.reflector.run())
    try:
        yield found
        assert not task.done(), "nothing that a server does ends a reflector"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def listed(*pods: dict[str, Any], version: int = 5, more: str = "") -> dict[str, Any]:
    return {"kind": "PodList", "metadata": {"resourceVersion": str(version), "continue": more}, "items": list(pods)}


async def test_a_streamed_list_ends_at_its_annotated_bookmark_and_goes_on_as_a_watch(
    cluster: Cluster, watching: Watching
) -> None:
    await watching.until(lambda: cluster._open)
    cluster.send(line("ADDED", pod("a")), line("ADDED", pod("b")))
    await watching.until(lambda: len(watching.names) == 2)
    assert watching.table.state is State.SYNCING
    cluster.send(bookmark(9, ends=True))
    await watching.synced()
    cluster.send(line("DELETED", pod("a", 10)), line("ADDED", pod("c", 11)))
    await watching.until(lambda: watching.names == ["b", "c"])

    (asked,) = cluster.asked
    assert (asked["sendInitialEvents"], asked["resourceVersionMatch"]) == ("true", "NotOlderThan")
    assert asked["allowWatchBookmarks"] == "true"
    assert 300 <= int(asked["timeoutSeconds"]) <= 600


@pytest.mark.parametrize("status", [400, 422])
async def test_a_server_that_streams_no_lists_is_asked_for_pages(
    cluster: Cluster, watching: Watching, status: int
) -> None:
    cluster.streams = [status]
    cluster.pages = [listed(pod("a"), more="next"), listed(pod("b"), version=7), listed()]
    await watching.synced()
    await watching.until(lambda: len(cluster.watches()) == 2)

    assert watching.names == ["a", "b"]
    assert [one.get("continue") for one in cluster.lists()] == [None, "next"]
    assert all(one["limit"] == "500" for one in cluster.lists())
    assert cluster.watches()[1]["resourceVersion"] == "7"
    assert watching.server.streams_lists is False


async def test_a_server_that_ignores_the_wish_for_a_streamed_list_is_asked_for_pages(
    cluster: Cluster, watching: Watching
) -> None:
    cluster.streams = [[line("ADDED", pod("a")), bookmark(3)]]
    cluster.pages = [listed(pod("a"), pod("b"))]
    await watching.synced()

    assert watching.names == ["a", "b"]


async def test_a_list_that_expires_while_it_is_read_is_begun_again(cluster: Cluster, watching: Watching) -> None:
    cluster.streams = [422]
    cluster.pages = [listed(pod("a"), more="old"), 410, listed(pod("b"), more="new"), listed(pod("c"))]
    await watching.synced()

    assert watching.names == ["b", "c"]
    assert [one.get("continue") for one in cluster.lists()] == [None, "old", None, "new"]


async def test_a_watch_that_ends_is_resumed_where_it_ended(cluster: Cluster, watching: Watching) -> None:
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True), line("ADDED", pod("b", 10)), bookmark(15)]]
    await watching.until(lambda: len(cluster.watches()) == 2)

    assert cluster.watches()[1]["resourceVersion"] == "15"
    assert "sendInitialEvents" not in cluster.watches()[1]
    assert watching.reflector.health.restarts["ended"] == 1


@pytest.mark.parametrize("expired", [[error(410)], 410])
async def test_when_the_version_is_gone_all_is_read_again_and_what_went_in_between_is_removed(
    cluster: Cluster, watching: Watching, expired: list[bytes] | int
) -> None:
    first = [line("ADDED", pod("a")), line("ADDED", pod("b")), bookmark(9, ends=True)]
    again = [line("ADDED", pod("b")), line("ADDED", pod("c")), bookmark(20, ends=True)]
    cluster.streams = [first, expired, again]
    await watching.until(lambda: watching.names == ["b", "c"])

    gone = [change for change in watching.changes if change.new is None]
    assert [change.key for change in gone] == [("x", "a")]
    assert watching.states == [State.SYNCED], "nothing flickers"
    assert len([change for change in watching.changes if change.key == ("x", "b")]) == 1


async def test_a_version_that_is_gone_each_time_is_asked_for_less_and_less_often(
    cluster: Cluster, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    monkeypatch.setattr(Reflector, "_backoff", lambda self: pauses.append(self._failures) or 0.001)
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True), error(410)] for _ in range(6)]
    await watching.until(lambda: len(pauses) >= 6)

    assert pauses[:6] == [1, 2, 3, 4, 5, 6]


async def test_watches_that_close_at_once_do_not_spin_and_end_in_a_new_list(
    cluster: Cluster, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHORTEST_BACKOFF", 0.1)
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True)], [], [], [], *[[] for _ in range(50)]]
    await asyncio.sleep(1.0)

    assert 3 <= len(cluster.asked) <= 11
    assert [one for one in cluster.watches()[1:] if "sendInitialEvents" in one], "it reads everything again"


@pytest.mark.parametrize(("status", "state"), [(403, State.FORBIDDEN), (404, State.ABSENT)])
async def test_a_refusal_is_a_state_of_the_kind_and_ends_when_it_is_allowed(
    cluster: Cluster, watching: Watching, status: int, state: State
) -> None:
    cluster.streams = [status, status, [line("ADDED", pod("a")), bookmark(9, ends=True)]]
    await watching.until(lambda: watching.table.state is state)
    await watching.synced()

    assert watching.names == ["a"]
    assert watching.states == [state, State.SYNCED]
    assert watching.reflector.health.restarts[str(status)] == 2


async def test_a_kind_that_is_no_longer_served_has_no_objects(cluster: Cluster, watching: Watching) -> None:
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True)], 404]
    await watching.until(lambda: watching.table.state is State.ABSENT)

    assert watching.names == []
    assert watching.changes[-1].new is None


async def test_a_kind_that_becomes_forbidden_keeps_what_was_known_unread(cluster: Cluster, watching: Watching) -> None:
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True)], *[403] * 20]
    await watching.until(lambda: watching.table.state is State.FORBIDDEN)

    assert watching.names == ["a"]
    assert not watching.table.state.readable


@pytest.mark.parametrize("trouble", [500, 429, 503, [error(500)], [error(504)]])
async def test_any_other_trouble_is_outlived(cluster: Cluster, watching: Watching, trouble: list[bytes] | int) -> None:
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True)], trouble, [line("ADDED", pod("b", 10))]]
    await watching.until(lambda: watching.names == ["a", "b"])

    assert cluster.watches()[2]["resourceVersion"] == "9"
    assert watching.states == [State.SYNCED]


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_a_stream_that_breaks_in_the_middle_is_resumed(cluster: Cluster, watching: Watching, how: str) -> None:
    cluster.cut = how
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True), line("ADDED", pod("b", 10))[:20]], None]
    await watching.until(lambda: len(cluster.watches()) == 2)

    assert cluster.watches()[1].get("resourceVersion") in {"9", None}
    await watching.until(lambda: cluster._open)


async def test_a_page_that_breaks_in_the_middle_is_read_again(cluster: Cluster, watching: Watching) -> None:
    cluster.streams = [422]
    cluster.pages = [b'{"metadata": {"resourceVersion": "5"}, "items": [', listed(pod("a"))]
    await watching.synced()

    assert watching.names == ["a"]


async def test_a_list_without_a_version_does_not_spin(
    cluster: Cluster, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHORTEST_BACKOFF", 0.1)
    cluster.streams = [422, *[422] * 100]
    cluster.pages = [{"items": []}]
    await asyncio.sleep(0.6)

    assert len(cluster.asked) <= 8


NESTED = (
    b'{"type": "ADDED", "object": {"metadata": {"name": "deep", "labels": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_003
)
BAD = {
    "truncated": line("ADDED", pod("bad"))[:40] + b"\n",
    "not JSON": b"<html>502 Bad Gateway</html>\n",
    "not UTF-8": b'{"type": "ADDED", "object": {"metadata": {"name": "\xff"}}\n',
    "nested": NESTED + b"\n",
    "no object": b'{"type": "ADDED"}\n',
    "object null": b'{"type": "ADDED", "object": null}\n',
    "metadata null": line("ADDED", {"kind": "Pod", "metadata": None}),
    "no name": line("ADDED", {"kind": "Pod", "metadata": {}}),
    "a list": b"[1, 2]\n",
    "30 MB": b'{"type": "ADDED", "object": {"metadata": {"name": "' + b"x" * 30_000_000 + b'"}}}\n',
    "deleted null": line("DELETED", None),
    "error that is none": line("ERROR", "oops"),
    "bookmark null": line("BOOKMARK", {"metadata": None}),
    "type unknown": line("SURPRISE", pod("bad")),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_line_costs_that_line_and_nothing_else(cluster: Cluster, watching: Watching, bad: bytes) -> None:
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True), bad, b"\n", line("ADDED", pod("b", 10))], None]
    await watching.until(lambda: watching.names == ["a", "b"], seconds=10)

    harmless = bad in (BAD["bookmark null"], BAD["type unknown"])
    assert watching.reflector.health.dropped == (0 if harmless else 1)
    assert watching.states == [State.SYNCED]


async def test_what_is_told_twice_is_one_change(cluster: Cluster, watching: Watching) -> None:
    again = line("MODIFIED", pod("a", 12))
    cluster.streams = [[line("ADDED", pod("a")), bookmark(9, ends=True), again, again, line("DELETED", pod("z"))], None]
    await watching.until(lambda: len(cluster.watches()) == 2)

    assert len(watching.changes) == 1


async def test_a_bookmark_without_a_version_keeps_the_one_we_have(cluster: Cluster, watching: Watching) -> None:
    cluster.streams = [[bookmark(9, ends=True), line("BOOKMARK", {"metadata": {}})], None]
    await watching.until(lambda: len(cluster.watches()) == 2)

    assert cluster.watches()[1]["resourceVersion"] == "9"


async def test_a_field_of_a_wrong_type_costs_that_field(cluster: Cluster, watching: Watching) -> None:
    odd = pod("a", phase="Running", conditions="none")
    cluster.streams = [[line("ADDED", odd), bookmark(9, ends=True)], None]
    await watching.synced()

    assert watching.table.rows["x", "a"].status.phase == "Running"


async def test_a_silent_stream_is_given_up_and_opened_again_without_a_new_list(
    cluster: Cluster, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE", 0.1)
    await watching.until(lambda: cluster._open)
    cluster.send(bookmark(9, ends=True))
    await watching.until(lambda: len(cluster.watches()) == 2)

    assert cluster.watches()[1]["resourceVersion"] == "9"
    assert watching.states == [State.SYNCED]
    assert watching.reflector.health.restarts["timeout"] == 1


async def test_what_has_not_been_heard_of_for_a_minute_is_stale_and_recovers(
    cluster: Cluster, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALE_AFTER", 0.1)
    everything = [line("ADDED", pod("a")), bookmark(9, ends=True)]
    cluster.streams = [everything, *[503] * 12, everything, None]
    await watching.until(lambda: watching.table.state is State.STALE)
    assert watching.names == ["a"]
    await watching.synced()

    assert watching.states == [State.SYNCED, State.STALE, State.SYNCED]


async def test_one_look_reads_all_pages(cluster: Cluster, api: Api) -> None:
    cluster.pages = [listed(pod("a"), more="next"), listed(pod("b"))]
    once = Watching(api)
    await once.reflector.read_once()

    assert (once.names, once.table.state) == (["a", "b"], State.SYNCED)
    assert cluster.watches() == []


@pytest.mark.parametrize(("status", "state"), [(403, State.FORBIDDEN), (404, State.ABSENT)])
async def test_one_look_notes_what_may_not_be_read(cluster: Cluster, api: Api, status: int, state: State) -> None:
    cluster.pages = [status]
    once = Watching(api)
    await once.reflector.read_once()

    assert once.table.state is state


async def test_one_look_says_what_went_wrong(cluster: Cluster, api: Api) -> None:
    for page, expected in ((500, ApiError), (410, UnreachableError), (b"{", UnreachableError)):
        cluster.pages = [page]
        with pytest.raises(expected):
            await Watching(api).reflector.read_once()
