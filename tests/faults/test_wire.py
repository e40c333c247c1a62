"""What servers and networks do to a watch, F1 to F34: what the user sees meanwhile, and that all is right afterwards.

The names are those of docs/reliability.md. A minute takes 0.6 seconds here, see `tests.faults.watching`.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from kubedx.kube.views import KINDS, Event, Node, Pod
from kubedx.store.store import State
from kubedx.watch import reflector
from kubedx.watch.client import Api
from kubedx.watch.pace import Pace
from tests.faults import actions
from tests.faults.server import Do, Server, line
from tests.faults.watching import HUNDREDFOLD, PACE, Watching, pod, until, watching

MINUTE = 60 / HUNDREDFOLD


@pytest.fixture
def pace() -> Pace:
    return PACE


@pytest.fixture
async def pods(server: Server, api: Api, pace: Pace) -> AsyncIterator[Watching]:
    """The Pods a and b, watched."""
    server.cluster.put(pod("a"))
    server.cluster.put(pod("b"))
    async with watching(api, Pod, pace) as found:
        await found.turns(State.SYNCED)
        await asyncio.sleep(pace.silent_close)  # From now on its stream is a good one.
        yield found


@pytest.fixture(params=["streamed", "paged"])
def either_way(server: Server, request: pytest.FixtureRequest) -> None:
    """Once with a server that streams lists, and once with one that has pages only."""
    server.streams_lists = request.param == "streamed"


@pytest.fixture(autouse=True)
def _all_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="kubedx")


def loud(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno > logging.DEBUG]


def lists(server: Server, kind: str = "pods") -> list[Any]:
    """Everything that read a whole kind: pages of lists, and streamed ones."""
    return [one for one in server.asked("list watch", kind) if one.verb == "list" or "sendInitialEvents" in one.query]


async def test_F1_a_watch_that_closes_at_once_is_given_up_after_three_tries_and_listed_anew(
    server: Server, api: Api
) -> None:
    pace = replace(PACE, silent_close=0.5)
    about = {"involvedObject": {"kind": "Pod", "name": "a", "uid": "u"}, "reason": "BackOff", "type": "Warning"}
    server.cluster.put({"kind": "Event", "metadata": {"name": "old"}, **about})
    async with watching(api, Event, pace) as events:
        await events.turns(State.SYNCED)
        server.cluster.put(pod("makes the version of the Events old"))
        server.fault(actions.before(server.cluster.version, actions.close()), on="watch", kind="events")
        server.cut("events")
        await until(lambda: events.restarts.get("silent-close"))
        server.cluster.delete("Event", "old")
        server.cluster.put({"kind": "Event", "metadata": {"name": "new"}, **about})
        await events.shows("new")
        await events.is_right()

        assert events.restarts == {"ended": 1, "silent-close": 2}, "the end of a good stream was the first of three"
        assert len(lists(server, "events")) == 2 + 1, "the first, the one that helped, and the test's own"
        assert events.states == [State.SYNCED]


@pytest.mark.parametrize("pace", [replace(PACE, shortest_backoff=0.1, longest_backoff=2.0, silent_close=0.5)])
async def test_F1_a_server_that_always_closes_at_once_is_asked_less_and_less(server: Server, pods: Watching) -> None:
    fault = server.fault(actions.close(), on="watch", kind="pods")
    server.cut("pods")
    await asyncio.sleep(2.0)

    assert 2 <= len(fault.hits) <= 8
    fault.lift()
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")


@pytest.mark.usefixtures("either_way")
async def test_F2_a_version_that_is_always_gone_leads_to_few_lists(server: Server, api: Api) -> None:
    server.cluster.put(pod("a"))
    fault = server.fault(actions.telling_then(410), on="watch")
    async with watching(api) as pods:
        await asyncio.sleep(2.5)
        server.cluster.put(pod("b"))
        fault.lift()
        await pods.shows("a", "b")
        await pods.is_right()

        begun = [one.at for one in lists(server) if not one.query.get("continue") and one.status == 200]
        gaps = [later - earlier for earlier, later in pairwise(begun)]
        assert len(begun) > 8
        assert min(gaps[reflector.MOST_LISTS : -1]) >= PACE.between_lists * 0.7, "but for what travelling takes"
        assert pods.restarts["gone"] >= 8
        assert pods.states == [State.SYNCED], "what was read is right, as often as it is read"


@pytest.mark.usefixtures("either_way")
async def test_F3_a_watch_that_is_refused_with_410_is_listed_anew_without_a_flicker(server: Server, api: Api) -> None:
    for name in "abc":
        server.cluster.put(pod(name))
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)
        server.fault(actions.resumed(actions.in_turn(actions.refuse(410))), on="watch")
        server.stop_telling("pods")
        server.cluster.delete("Pod", "a")
        server.cluster.put(pod("d"))
        server.cut("pods")
        await pods.shows("b", "c", "d")
        await pods.is_right()

        assert pods.restarts["410"] == 1
        assert [change.key for change in pods.changes[3:]] == ["default/d", "default/a"]
        assert pods.states == [State.SYNCED]


TROUBLE: dict[str, Do] = {
    "ERROR 500": actions.error(500, "etcdserver: leader changed"),
    "ERROR 504": actions.error(504),
    "ERROR 429": actions.error(429),
    "HTTP 500": actions.refuse(500),
    "HTTP 503": actions.refuse(503),
    "HTTP 429": actions.refuse(429),
    "HTTP 502 of a proxy": actions.answer("<html>Bad Gateway</html>", 502, "text/html"),
    "a broken connection": actions.hang_up(),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE.keys())
async def test_F4_any_other_trouble_is_outlived_from_the_last_version(
    server: Server, pods: Watching, trouble: Do
) -> None:
    server.fault(trouble, on="watch", times=2)
    server.cut("pods")
    await until(lambda: len(server.asked("watch")) == 3)
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")
    await pods.is_right()

    versions = {one.query["resourceVersion"] for one in server.asked("watch")[1:]}
    assert len(versions) == 1, "it went on where it was"
    assert pods.states == [State.SYNCED]


@pytest.mark.parametrize("code", [500, 504])
async def test_F4_a_version_that_the_server_fails_with_again_and_again_is_given_up(
    server: Server, pods: Watching, code: int
) -> None:
    server.cluster.put({"kind": "Node", "metadata": {"name": "makes the version old"}})
    server.fault(actions.before(server.cluster.version, actions.error(code)), on="watch")
    server.cut("pods")
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    assert pods.restarts[str(code)] == reflector.TRIES


@pytest.mark.parametrize("code", [401, 429, 503])
async def test_F4_an_overloaded_server_is_not_asked_for_everything_as_well(
    server: Server, pods: Watching, code: int
) -> None:
    fault = server.fault(actions.refuse(code), on="watch", kind="pods")
    server.cut("pods")
    await until(lambda: len(fault.hits) >= 6)
    fault.lift()
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    assert len(lists(server)) == 1


@pytest.mark.usefixtures("either_way")
async def test_F5_ten_minutes_of_503_make_one_kind_stale_and_leave_the_others_alone(server: Server, api: Api) -> None:
    server.cluster.put(pod("a"))
    async with watching(api) as pods, watching(api, Node) as nodes:
        await pods.turns(State.SYNCED)
        await nodes.turns(State.SYNCED)
        fault = server.fault(actions.refuse(503), on="list watch", kind="pods")
        server.cut("pods")
        begun = time.monotonic()
        await pods.turns(State.STALE)
        server.cluster.put(pod("b"))
        server.cluster.put({"kind": "Node", "metadata": {"name": "n"}})
        await nodes.shows("n")
        await asyncio.sleep(max(0.0, begun + 10 * MINUTE - time.monotonic()))
        assert (pods.names, pods.table.state) == (["a"], State.STALE), "what was known is kept, and called old"

        # Ten seconds of the real pace and one more for what an exchange takes here.
        asked = [one.at for one in fault.hits]
        assert len(asked) <= 6 + 10 * MINUTE / (10 / HUNDREDFOLD)
        fault.lift()
        recovered = time.monotonic()
        await pods.shows("a", "b")
        assert time.monotonic() - recovered <= MINUTE + 0.5
        await pods.turns(State.SYNCED)
        await pods.is_right()
        assert pods.states == [State.SYNCED, State.STALE, State.SYNCED]
        assert nodes.states == [State.SYNCED]


async def test_F5_a_server_that_accepts_and_then_fails_does_not_pass_for_one_that_is_back(
    server: Server, pods: Watching
) -> None:
    away = server.fault(actions.refuse(503), kind="pods")
    server.cut("pods")
    await pods.turns(State.STALE)
    half = server.fault(actions.error(503), on="watch", kind="pods")
    await until(lambda: len(half.hits) >= 3)
    assert pods.states == [State.SYNCED, State.STALE]
    away.lift()
    half.lift()
    await pods.turns(State.SYNCED)


async def test_F5_a_kind_that_fails_from_the_start_is_stale_not_empty(server: Server, api: Api) -> None:
    fault = server.fault(actions.refuse(503), kind="pods")
    server.cluster.put(pod("a"))
    async with watching(api) as pods:
        await pods.turns(State.STALE)
        assert not pods.table.state.readable
        fault.lift()
        await pods.turns(State.SYNCED)
        await pods.is_right()


async def test_F6_a_server_that_is_away_for_ten_minutes_is_found_again_within_one(
    server: Server, pods: Watching
) -> None:
    await server.stop()
    await pods.turns(State.STALE)
    assert pods.names == ["a", "b"]
    await asyncio.sleep(9 * MINUTE)
    server.cluster.delete("Pod", "a")
    await server.start()
    begun = time.monotonic()
    await pods.turns(State.SYNCED)
    await pods.shows("b")

    assert time.monotonic() - begun <= MINUTE + 0.5
    await pods.is_right()
    assert pods.restarts["unreachable"] >= 3
    assert pods.states == [State.SYNCED, State.STALE, State.SYNCED]


async def test_F6_a_server_that_restarts_in_seconds_is_not_listed_anew(server: Server, pods: Watching) -> None:
    await server.stop()
    server.cluster.put(pod("c"))
    await server.start()
    await pods.shows("a", "b", "c")

    assert len(lists(server)) == 1
    assert pods.states == [State.SYNCED]


async def test_F7_a_half_open_connection_is_given_up_within_90_seconds(server: Server, pods: Watching) -> None:
    server.mute()
    server.cluster.put(pod("c"))
    begun = time.monotonic()
    await pods.shows("a", "b", "c")

    assert time.monotonic() - begun <= 1.5 * MINUTE + 0.5
    assert pods.restarts == {"timeout": 1}
    assert len(lists(server)) == 1
    assert pods.states == [State.SYNCED]


@pytest.mark.parametrize("how", [actions.silence(), actions.hang()], ids=["after the headers", "before the headers"])
async def test_F7_streams_that_stay_silent_end_in_a_list(server: Server, pods: Watching, how: Do) -> None:
    server.cluster.put({"kind": "Node", "metadata": {"name": "makes the version old"}})
    server.fault(actions.before(server.cluster.version, how), on="watch", kind="pods", times=4)
    server.cut("pods")
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    await pods.turns(State.SYNCED)
    await pods.is_right()


async def test_F8_retry_after_is_obeyed_and_the_kinds_come_back_one_by_one(server: Server, api: Api) -> None:
    kinds = KINDS[:8]
    fault = server.fault(actions.refuse(429, retry_after=1), times=len(kinds))
    async with AsyncExitStack() as stack:
        for view in kinds:
            await stack.enter_async_context(watching(api, view))
        await until(lambda: len(server.log) == 2 * len(kinds))

        first = {one.resource: one.at for one in fault.hits}
        waits = sorted(one.at - first[one.resource] for one in server.log[len(kinds) :])
        assert waits[0] >= 1.0
        assert waits[-1] <= 1.2 + 0.5
        assert waits[-1] - waits[0] > 0.05, "not all at once"


async def test_F8_no_server_makes_us_blind_for_longer_than_two_minutes(server: Server, pods: Watching) -> None:
    server.fault(actions.refuse(429, retry_after=86_400), times=1)
    server.cut("pods")
    server.cluster.put(pod("c"))
    begun = time.monotonic()
    await pods.shows("a", "b", "c")

    assert 2 * MINUTE <= time.monotonic() - begun <= 2.4 * MINUTE + 0.5


async def test_F9_a_stream_of_nothing_but_bookmarks_is_a_good_one(
    server: Server, pods: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    server.bookmark_every = MINUTE / 2
    server.cut("pods")
    await until(lambda: len(server.asked("watch")) == 2)
    heard = pods.reflector.health.last_heard
    caplog.clear()
    await asyncio.sleep(5 * MINUTE)

    assert pods.reflector.health.last_heard > heard + 4 * MINUTE
    assert len(server.asked()) == 2
    assert (pods.restarts, pods.states, loud(caplog)) == ({"ended": 1}, [State.SYNCED], [])


@pytest.mark.usefixtures("either_way")
async def test_F10_a_kind_that_may_not_be_read_is_forbidden_alone_and_tried_again(server: Server, api: Api) -> None:
    server.cluster.put(pod("a"))
    fault = server.fault(actions.refuse(403, "pods is forbidden"), kind="pods")
    async with watching(api) as pods, watching(api, Node) as nodes:
        await pods.turns(State.FORBIDDEN)
        await nodes.turns(State.SYNCED)
        assert pods.table.detail == "pods is forbidden"
        await until(lambda: pods.restarts["403"] >= 3)
        fault.lift()
        await pods.turns(State.SYNCED)
        await pods.is_right()

        assert pods.states == [State.FORBIDDEN, State.SYNCED]
        assert nodes.states == [State.SYNCED]


async def test_F11_a_right_that_goes_and_comes_back_is_noticed_without_a_restart(
    server: Server, pods: Watching
) -> None:
    fault = server.fault(actions.refuse(403), kind="pods")
    server.cut("pods")
    await pods.turns(State.FORBIDDEN)
    assert (pods.names, pods.table.state.readable) == (["a", "b"], False), "kept, and not believed"
    server.cluster.delete("Pod", "a")
    fault.lift()
    await pods.shows("b")

    assert pods.states == [State.SYNCED, State.FORBIDDEN, State.SYNCED]


async def test_F11_a_server_that_refuses_for_a_moment_after_its_start_takes_no_right_away(
    server: Server, pods: Watching
) -> None:
    server.fault(actions.refuse(403), kind="pods", times=2)
    server.cut("pods")
    await until(lambda: pods.restarts.get("403") == 2)
    server.cluster.delete("Pod", "a")
    await pods.shows("b")

    assert pods.states == [State.SYNCED]


async def test_F12_a_kind_that_is_not_served_is_said_once_and_found_when_it_comes(
    server: Server, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    server.unserve("pods")
    async with watching(api) as pods:
        await pods.turns(State.ABSENT)
        await until(lambda: pods.restarts["404"] >= 6)
        assert len(loud(caplog)) == 1
        server.cluster.put(pod("a"))
        server.serve("pods")
        await pods.shows("a")
        await pods.turns(State.SYNCED)
        server.unserve("pods")
        await pods.turns(State.ABSENT)

        assert pods.names == [], "a kind that is not there has no objects"


@pytest.mark.parametrize("ending", [b"\n", b""], ids=["with a newline", "without"])
@pytest.mark.parametrize("then", ["end", "close", "abort"])
async def test_F15_a_truncated_line_costs_nothing_in_the_end(
    server: Server, pods: Watching, ending: bytes, then: str
) -> None:
    half = line("ADDED", pod("c"))[:70] + ending
    server.fault(actions.say(half, then=then), on="watch", times=1)
    server.cut("pods")
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    await pods.is_right()
    assert pods.dropped <= len(ending)
    assert pods.states == [State.SYNCED]


async def test_F16_what_is_no_utf_8_is_replaced(server: Server, pods: Watching) -> None:
    server.stop_telling("pods")
    odd = server.cluster.put(pod("c", phase="Running"))
    raw = line("MODIFIED", {**odd, "status": {"phase": "Running", "reason": "odd BYTES"}})
    await server.inject("pods", raw.replace(b"BYTES", b"\xff\xfe\xed\xa0\x80"))
    await until(lambda: "c" in pods.names and pods.one("c").status.reason)

    assert pods.one("c").status.reason.startswith("odd \ufffd")
    assert (pods.dropped, pods.restarts) == (0, {})


def nested(depth: int) -> bytes:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    return b'{"type":"ADDED","object":{"metadata":{"name":"deep","namespace":"default","labels":' + deep + b"}}}\n"


@pytest.mark.parametrize("depth", [1_000, 20_000, 100_000])
async def test_F17_an_object_nested_too_deeply_costs_that_object_and_is_named(
    server: Server, pods: Watching, depth: int, caplog: pytest.LogCaptureFixture
) -> None:
    await server.inject("pods", nested(depth), nested(depth))
    server.cluster.put(pod("c"))
    await until(lambda: "c" in pods.names)

    assert pods.names in (["a", "b", "c"], ["a", "b", "c", "deep"])
    if "deep" not in pods.names:
        assert pods.dropped == 2
        (said,) = [text for text in loud(caplog) if "deep" in text]
        assert "pods" in said
    assert (pods.restarts, pods.states) == ({}, [State.SYNCED])


WRECKS: dict[str, tuple[Any, int]] = {
    "no metadata": ({"kind": "Pod"}, 1),
    "metadata null": ({"kind": "Pod", "metadata": None}, 1),
    "no name": ({"kind": "Pod", "metadata": {"namespace": "default"}}, 1),
    "name null": ({"kind": "Pod", "metadata": {"name": None}}, 1),
    "object null": (None, 1),
    "a list": ([], 1),
    "a number": (7, 1),
    "no kind, no uid": ({"metadata": {"name": "wreck", "namespace": "default"}}, 0),
    "status null": ({**pod("wreck"), "status": None}, 0),
    "status of a wrong type": ({**pod("wreck"), "status": "Running"}, 0),
}


@pytest.mark.parametrize(("wreck", "dropped"), WRECKS.values(), ids=WRECKS.keys())
async def test_F18_half_an_object_costs_itself_at_most(
    server: Server, pods: Watching, wreck: Any, dropped: int
) -> None:
    await server.inject("pods", line("ADDED", wreck), line("DELETED", wreck))
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    assert pods.dropped == 2 * dropped
    assert (pods.restarts, pods.states) == ({}, [State.SYNCED])


NO_LINES = {
    "a proxy's page": b"<html>502 Bad Gateway</html>\n",
    "no object": b'{"type":"ADDED"}\n',
    "a list": b"[1, 2]\n",
    "zeros": b"\0" * 100 + b"\n",
    "an error that is none": line("ERROR", "oops"),
}


@pytest.mark.parametrize("raw", NO_LINES.values(), ids=NO_LINES.keys())
async def test_F18_a_line_that_is_none_costs_itself(server: Server, pods: Watching, raw: bytes) -> None:
    await server.inject("pods", raw)
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    assert (pods.dropped, pods.restarts, pods.states) == (1, {}, [State.SYNCED])


@pytest.mark.parametrize("items", ["null", "[]", '[null, {"metadata": null}]'])
async def test_F18_a_list_of_nothing_is_an_empty_one(server: Server, api: Api, items: str) -> None:
    server.streams_lists = False
    body = f'{{"kind": "PodList", "metadata": {{"resourceVersion": "7"}}, "items": {items}}}'
    server.fault(actions.answer(body), on="list", times=1)
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)

        assert pods.names == []
        assert pods.dropped == (2 if "metadata" in items else 0)


async def test_F19_a_line_of_30_megabytes_is_left_out_without_being_kept(server: Server, pods: Watching) -> None:
    await server.inject("pods", b'{"type":"ADDED","object":{"metadata":{"name":"', b"x" * 30_000_000, b'"}}}\n')
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    assert pods.dropped == 1
    assert (pods.restarts, pods.states) == ({}, [State.SYNCED])


async def test_F20_words_that_mean_nothing_to_us_are_passed_over(server: Server, pods: Watching) -> None:
    bookmark = {"kind": "Pod", "metadata": {"creationTimestamp": None}}
    odd = (line("SURPRISE", pod("x")), line("BOOKMARK", bookmark), line("BOOKMARK", {"metadata": None}), b"\n")
    await server.inject("pods", *odd)
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")
    server.cut("pods")
    await until(lambda: len(server.asked("watch")) == 2)

    assert server.asked("watch")[1].query["resourceVersion"] == str(server.cluster.version)
    assert (pods.dropped, pods.states) == (0, [State.SYNCED])


def told(server: Server) -> Iterator[bytes]:
    """The latest of the cluster told twice, too late and in a wrong order."""
    cluster = server.cluster
    old = json.loads(json.dumps(cluster.objects("Pod")[0]))
    new = cluster.put(pod("a", phase="Failed"))
    yield from (line("ADDED", new), line("ADDED", new), line("MODIFIED", old))
    last = cluster.delete("Pod", "b")
    gone = {**last, "metadata": {**last["metadata"], "resourceVersion": str(cluster.version)}}
    yield from (line("DELETED", gone), line("DELETED", gone), line("ADDED", last | {"metadata": old["metadata"]}))
    fresh = cluster.put(pod("c", phase="Pending"))
    first = json.loads(json.dumps(fresh))
    second = cluster.put(pod("c"))
    yield from (line("MODIFIED", second), line("ADDED", first), line("MODIFIED", second))


async def test_F21_what_is_told_twice_late_or_in_a_wrong_order_ends_in_what_is_so(
    server: Server, pods: Watching
) -> None:
    server.stop_telling("pods")
    await server.inject("pods", *told(server))
    await pods.shows("a", "c")
    await asyncio.sleep(0.05)

    await pods.is_right()
    assert pods.one("a").status.phase == "Failed"
    assert (pods.dropped, pods.restarts, pods.states) == (0, {}, [State.SYNCED])


async def test_F22_a_list_that_expires_on_its_second_page_is_begun_anew_and_half_of_it_says_nothing(
    server: Server, api: Api
) -> None:
    server.streams_lists = False
    for number in range(1100):
        server.cluster.put(pod(f"p{number:04}"))

    async def expire(exchange: Any) -> None:
        if exchange.query.get("continue"):
            server.cluster.delete("Pod", "p0000")
            server.cluster.expire_pages()
            fault.lift()

    fault = server.fault(expire, on="list")
    async with watching(api) as pods:
        await until(lambda: server.asked("list")[1:])
        assert pods.states == [], "half a list is no answer"
        await pods.turns(State.SYNCED)

        assert len(pods.names) == 1099
        await pods.is_right()
        pages = [bool(one.query.get("continue")) for one in server.asked("list")]
        assert pages[:5] == [False, True, False, True, True]
        assert pods.restarts == {"gone": 1}


@pytest.mark.parametrize("pace", [replace(PACE, stale_after=5.0)])
async def test_F26_a_server_that_lags_behind_is_not_followed_back(server: Server, pods: Watching) -> None:
    behind = server.cluster.copy()
    server.cluster.put(pod("a", phase="Failed"))
    server.cluster.delete("Pod", "b")
    await pods.shows("a")
    await until(lambda: pods.one("a").status.phase == "Failed")
    seen = len(pods.changes)
    fault = server.fault(actions.as_of(behind), on="watch", times=2)
    server.fault(actions.resumed(actions.refuse(410)), on="watch", times=1)
    server.cut("pods")
    await until(lambda: len(fault.hits) == 2 and server.watching("pods"))
    await pods.is_right()

    assert len(pods.changes) == seen, "it never stepped back"
    assert set(pods.states) == {State.SYNCED}


async def test_F26_a_paged_list_from_behind_is_read_again(server: Server, api: Api) -> None:
    server.streams_lists = False
    server.cluster.put(pod("a"))
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)
        behind = server.cluster.copy()
        server.cluster.delete("Pod", "a")
        await pods.shows()
        server.fault(actions.as_of(behind), on="list", times=1)
        server.fault(actions.refuse(410), on="watch", times=1)
        server.cut("pods")
        await until(lambda: pods.restarts.get("unreachable"))
        server.cluster.put(pod("b"))
        await pods.shows("b")

        await pods.is_right()


async def test_F26_a_cluster_that_was_restored_from_a_backup_is_followed(server: Server, pods: Watching) -> None:
    backup = server.cluster.copy()
    for _ in range(5):
        server.cluster.put(pod("lost"))
    await pods.shows("a", "b", "lost")
    server.cluster = backup
    server.cut("pods", "abort")
    await pods.shows("a", "b")

    await pods.is_right()
    assert pods.restarts["timeout"] == reflector.MOST_SILENCES, "as nothing came from the version of the future"
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")


@pytest.mark.parametrize("how", ["end", "close"])
async def test_F34_a_stream_that_ends_after_a_long_silence_was_good_until_then(
    server: Server, pods: Watching, how: str
) -> None:
    server.bookmark_every = 60.0
    server.cut("pods")
    await until(lambda: len(server.asked("watch")) == 2)
    await asyncio.sleep(PACE.stale_after * 1.05)
    server.cut("pods", how)
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")

    assert pods.states == [State.SYNCED]


async def test_F26_bookmarks_from_the_past_do_not_pass_for_a_good_stream(server: Server, pods: Watching) -> None:
    server.cluster.put(pod("c"))
    await pods.shows("a", "b", "c")
    server.stop_telling("pods")
    server.cluster.delete("Pod", "c")
    past = line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "7"}})

    async def speak() -> None:
        while True:
            await server.inject("pods", past)
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        speaker = group.create_task(speak())
        server.bookmark_every = 60.0
        await pods.shows("a", "b")
        speaker.cancel()


async def test_F34_a_proxy_that_ends_every_stream_after_a_minute_goes_unnoticed(
    server: Server, pods: Watching, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    for how in ("end", "close", "end", "close"):
        await asyncio.sleep(PACE.silent_close * 1.5)
        server.cluster.put(pod("c", phase=how))
        server.cut("pods", how)
        await until(lambda: server.watching("pods"))
    await until(lambda: pods.one("c").status.phase == "close")

    assert len(lists(server)) == 1
    assert (pods.states, loud(caplog)) == ([State.SYNCED], [])
    await pods.is_right()
