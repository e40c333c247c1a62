"""How a reflector reads and watches where nothing goes wrong, and with servers that speak in other ways."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from kubedx.kube.views import Pod
from kubedx.store.store import State
from kubedx.watch.client import Api, ApiError, UnreachableError
from kubedx.watch.reflector import PAGE
from tests.faults import actions
from tests.faults.server import Server, line
from tests.faults.watching import PACE, Watching, pod, until, watching


async def test_a_streamed_list_ends_at_its_annotated_bookmark_and_goes_on_as_a_watch(server: Server, api: Api) -> None:
    for name in "ab":
        server.cluster.put(pod(name))
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)
        server.cluster.delete("Pod", "a")
        server.cluster.put(pod("c"))
        await pods.shows("b", "c")

        (asked,) = server.asked()
        wish = ("watch", "sendInitialEvents", "resourceVersionMatch", "allowWatchBookmarks")
        assert [asked.query[name] for name in wish] == ["1", "true", "NotOlderThan", "true"]
        assert 300 <= int(asked.query["timeoutSeconds"]) <= 600
        assert pods.states == [State.SYNCED]


@pytest.mark.parametrize("code", [400, 422])
async def test_a_server_that_streams_no_lists_is_asked_for_pages(server: Server, api: Api, code: int) -> None:
    server.fault(actions.refuse(code), on="watch", times=1)
    for number in range(PAGE + 1):
        server.cluster.put(pod(f"p{number}"))
    version = server.cluster.version
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)
        await until(lambda: len(server.asked("watch")) == 2)

        assert len(pods.names) == PAGE + 1
        pages = server.asked("list")
        assert [bool(one.query.get("continue")) for one in pages] == [False, True]
        assert {one.query["limit"] for one in pages} == {str(PAGE)}
        assert server.asked("watch")[1].query["resourceVersion"] == str(version)
        assert pods.server.streams_lists is False


async def test_a_server_that_does_not_know_the_wish_for_a_streamed_list_is_asked_for_pages(
    server: Server, api: Api
) -> None:
    first = server.cluster.put(pod("a"))
    server.cluster.put(pod("b"))
    bookmark = line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "3"}})
    server.fault(actions.say(line("ADDED", first), bookmark), on="watch", times=1)
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)

        assert pods.names == ["a", "b"]


async def test_a_watch_that_ends_is_resumed_where_it_ended(server: Server, api: Api) -> None:
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)
        server.cluster.put(pod("a"))
        await pods.shows("a")
        server.cut("pods")
        await until(lambda: len(server.asked("watch")) == 2)

        again = server.asked("watch")[1].query
        assert again["resourceVersion"] == str(server.cluster.version)
        assert "sendInitialEvents" not in again
        assert pods.restarts == {"ended": 1}


async def test_a_list_without_a_version_does_not_spin(server: Server, api: Api) -> None:
    server.streams_lists = False
    fault = server.fault(actions.answer('{"items": []}'), on="list")
    async with watching(api, Pod, replace(PACE, shortest_backoff=0.1, longest_backoff=0.2)) as pods:
        await asyncio.sleep(0.6)
        assert 2 <= len(fault.hits) <= 8
        fault.lift()
        await pods.turns(State.SYNCED)


async def test_a_page_that_breaks_in_the_middle_is_read_again(server: Server, api: Api) -> None:
    server.streams_lists = False
    server.cluster.put(pod("a"))
    broken = actions.answer('{"metadata": {"resourceVersion": "5"}, "items": [')
    server.fault(actions.in_turn(broken, actions.hang_up()), on="list", times=2)
    async with watching(api) as pods:
        await pods.shows("a")
        await pods.turns(State.SYNCED)


async def test_a_field_of_a_wrong_type_costs_that_field(server: Server, api: Api) -> None:
    odd = pod("a")
    odd["status"]["conditions"] = "none"
    server.cluster.put(odd)
    async with watching(api) as pods:
        await pods.turns(State.SYNCED)

        assert pods.one("a").status.phase == "Running"
        assert pods.dropped == 0


async def test_one_look_reads_all_pages_and_watches_nothing(server: Server, api: Api) -> None:
    for number in range(PAGE + 1):
        server.cluster.put(pod(f"p{number}"))
    once = Watching(api)
    await once.reflector.read_once()

    assert (len(once.names), once.table.state) == (PAGE + 1, State.SYNCED)
    assert server.asked("watch") == []


@pytest.mark.parametrize(("code", "state"), [(403, State.FORBIDDEN), (404, State.ABSENT)])
async def test_one_look_notes_what_may_not_be_read(server: Server, api: Api, code: int, state: State) -> None:
    server.fault(actions.refuse(code), on="list")
    once = Watching(api)
    await once.reflector.read_once()

    assert once.table.state is state


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (actions.refuse(500), ApiError),
        (actions.refuse(410), UnreachableError),
        (actions.answer("{"), UnreachableError),
        (actions.hang(), UnreachableError),
    ],
    ids=["500", "410", "half a page", "no answer"],
)
async def test_one_look_says_what_went_wrong(server: Server, api: Api, wrong: Any, expected: type[Exception]) -> None:
    server.fault(wrong, on="list")

    with pytest.raises(expected):
        await Watching(api).reflector.read_once()
