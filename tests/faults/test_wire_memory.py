"""What the largest lines and lists cost in memory: of the real process, as the limit of its pod counts it."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.cluster.harness import free_ports
from tests.cluster.installation import KUBEDX
from tests.faults.server import Exchange, Server
from tests.faults.watching import pod, until

MB = 1_000_000

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures as Linux does, in /proc")


def _status(pid: int, field: str) -> int:
    """A field of the process's status that is counted in kB, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(one.split()[1]) * 1024 for one in lines if one.startswith(f"{field}:"))


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


async def _objects(port: int, kind: str) -> int:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            text = await answer.text()
    except aiohttp.ClientError:
        return -1
    wanted = f'kubedx_watch_objects{{kind="{kind}"}} '
    return next((int(float(one.removeprefix(wanted))) for one in text.splitlines() if one.startswith(wanted)), -1)


async def _shows(port: int, pods: int) -> None:
    async with asyncio.timeout(30):
        while await _objects(port, "Pod") != pods:
            await asyncio.sleep(0.1)


async def test_F19_a_line_of_30_megabytes_costs_less_than_64(server: Server, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    server.cluster.put(pod("a"))
    command = [str(KUBEDX), "run", f"--kubeconfig={server.kubeconfig(tmp_path)}", f"--listen=127.0.0.1:{port}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await _shows(port, 1)
        await until(lambda: server.watching("pods"))
        before = _status(process.pid, "VmRSS")
        _forget_peak(process.pid)
        await server.inject("pods", b'{"type":"ADDED","object":{"metadata":{"name":"', b"x" * 30 * MB, b'"}}}\n')
        server.cluster.put(pod("b"))
        await _shows(port, 2)
        assert _status(process.pid, "VmHWM") - before < 64 * MB
    finally:
        process.terminate()
        await process.wait()


PODS, PAGE, EACH = 50_000, 500, 8_000


async def _huge(exchange: Exchange) -> web.StreamResponse:
    """A page of a list of Pods that nobody ever keeps as a whole."""
    first = int(exchange.query.get("continue") or 0)
    assert exchange.query["limit"] == str(PAGE)
    filler = "x" * EACH
    items = ",".join(
        f'{{"metadata":{{"name":"p{number}","namespace":"n{number % 100}","uid":"u{number}","resourceVersion":"7",'
        f'"annotations":{{"filler":"{filler}"}}}},"status":{{"phase":"Running"}}}}'
        for number in range(first, first + PAGE)
    )
    more = f',"continue":"{first + PAGE}"' if first + PAGE < PODS else ""
    body = f'{{"kind":"PodList","metadata":{{"resourceVersion":"7"{more}}},"items":[{items}]}}'
    return web.Response(text=body, content_type="application/json")


def _peak(*command: str) -> tuple[int, int]:
    """Run a command; returns its exit code, and the most bytes of memory that it held."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024


async def test_F23_a_list_of_400_megabytes_is_read_page_by_page(server: Server, tmp_path: Path) -> None:
    scan = (str(KUBEDX), "scan", "--live", f"--kubeconfig={server.kubeconfig(tmp_path)}", "--fail-on=never")
    _, empty = await asyncio.to_thread(_peak, *scan)
    server.fault(_huge, on="list", kind="pods")
    code, full = await asyncio.to_thread(_peak, *scan)

    pages: list[Any] = [one for one in server.asked("list", "pods") if one.query.get("continue")]
    assert len(pages) == PODS // PAGE - 1
    assert code in {0, 4}
    assert full - empty < 150 * MB, "the list is 400 MB"
