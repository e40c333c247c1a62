"""/metrics, /healthz and /readyz over HTTP."""

import socket

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubedx.report.http import ListenError, serve
from kubedx.report.metrics import Facts, FactsCollector


async def get(port: int, path: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text(), answer.headers["Content-Type"]


async def test_a_scrape_gives_our_metrics_and_those_of_the_process() -> None:
    async with serve("127.0.0.1", 0, FactsCollector(Facts), str, str) as port:
        status, text, kind = await get(port, "/metrics")

    names = {family.name for family in text_string_to_metric_families(text)}
    assert status == 200
    assert kind.startswith("text/plain")
    assert {"kubedx_leader", "kubedx_build_info", "process_resident_memory_bytes"} <= names


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_say_what_is_wrong_and_recover(path: str) -> None:
    trouble = ["the main loop has not turned for 61 seconds", ""]
    async with serve("127.0.0.1", 0, FactsCollector(Facts), lambda: trouble[0], lambda: trouble[0]) as port:
        assert (await get(port, path))[:2] == (503, "the main loop has not turned for 61 seconds\n")
        trouble.pop(0)
        assert (await get(port, path))[:2] == (200, "ok\n")


async def test_an_address_in_use_is_named_with_what_to_change() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"Cannot listen on 127.0.0.1:{port}: .*--listen"):
            async with serve("127.0.0.1", port, FactsCollector(Facts), str, str):
                pass
