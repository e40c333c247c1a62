"""What kubedx is compared with: each reads the same cluster in its own way, and tells what that cost.

    python -m bench.consumers NAME URL OBJECTS

Imports are not counted. The answer is one line of JSON: seconds of CPU, objects and bytes.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from kubedx.kube.views import KINDS
from kubedx.watch.client import READ_BUFFER, STREAM_TIMEOUT

STREAMED_LIST = {
    "watch": "1",
    "allowWatchBookmarks": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
}
PAGE = 500
_NOT_FOUND = 404
LAST = b'"k8s.io/initial-events-end":"true"'
"""What the bookmark holds that ends a streamed list."""


@dataclass
class Cost:
    """What a consumer has read so far, and the seconds of CPU that it counted itself, if it did."""

    objects: int = 0
    bytes: int = 0
    cpu: float | None = None
    kept: list[Any] = field(default_factory=list)


Take = Callable[[Cost, list[bytes]], None]
"""Takes complete lines."""


async def _read(session: aiohttp.ClientSession, url: str, cost: Cost) -> AsyncIterator[bytes]:
    """The bytes of one streamed list, up to its last bookmark."""
    async with session.get(url, params=STREAMED_LIST) as answer:
        if answer.status == _NOT_FOUND:
            return  # A kind that the scale server does not have: the operator finds it absent as well.
        tail = b""
        while chunk := await answer.content.readany():
            cost.bytes += len(chunk)
            yield chunk
            # The bookmark comes last and is short, so looking at the end is enough, and costs next to nothing.
            tail = (tail + chunk)[-400:]
            if LAST in tail:
                return
        raise EOFError(f"{url} ended early")


async def _read_all(url: str, cost: Cost, take: Take | None) -> None:
    async def one(path: str) -> None:
        rest = b""
        async for chunk in _read(session, url + path, cost):
            if take is not None:
                *lines, rest = (rest + chunk).split(b"\n")
                take(cost, lines)

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=READ_BUFFER, timeout=STREAM_TIMEOUT) as session:
        await asyncio.gather(*(one(view.resource.path) for view in KINDS))


async def null(url: str, _: int, cost: Cost) -> None:
    """Read all bytes with kubedx's own HTTP settings, and throw them away."""
    await _read_all(url, cost, None)


class _Nothing(msgspec.Struct):
    """An object of which no field is wanted."""


async def skip(url: str, _: int, cost: Cost) -> None:
    """Skip-scan all objects: parse each without keeping anything. Only that is counted, not the reading."""
    decode = msgspec.json.Decoder(_Nothing).decode
    cost.cpu = 0.0

    def take(cost: Cost, lines: list[bytes]) -> None:
        begun = time.process_time()
        for line in lines:
            decode(line)
        cost.cpu = (cost.cpu or 0.0) + time.process_time() - begun
        cost.objects += len(lines)

    await _read_all(url, cost, take)


async def orjson(url: str, _: int, cost: Cost) -> None:
    """Decode all objects with orjson, and keep of each a small tuple."""
    import orjson as library  # noqa: PLC0415 -- a peer, not a dependency

    loads = library.loads

    def take(cost: Cost, lines: list[bytes]) -> None:
        for line in lines:
            found = loads(line)["object"]
            meta, status = found["metadata"], found.get("status") or {}
            cost.kept.append((meta.get("namespace"), meta.get("name"), meta["resourceVersion"], status.get("phase")))
        cost.objects += len(lines)

    await _read_all(url, cost, take)


async def official(url: str, _: int, cost: Cost) -> None:
    """Read the pods page by page with the official client, whose models are left out: raw JSON and `json.loads`."""
    from kubernetes import client  # noqa: PLC0415 -- a peer, whose import takes a second

    # Its annotations do not know what `_preload_content` does to the answer.
    api: Any = client.CoreV1Api(client.ApiClient(client.Configuration(host=url)))
    begun = time.process_time()
    token = ""
    while True:
        more = {"_continue": token} if token else {}
        answer = api.list_pod_for_all_namespaces(limit=PAGE, _preload_content=False, **more)
        page = json.loads(answer.data)
        cost.bytes += len(answer.data)
        for pod in page["items"]:
            meta = pod["metadata"]
            cost.kept.append((meta["namespace"], meta["name"], meta["resourceVersion"], pod["status"].get("phase")))
        cost.objects += len(page["items"])
        token = page["metadata"].get("continue") or ""
        if not token:
            break
    cost.cpu = time.process_time() - begun


async def kopf(url: str, objects: int, cost: Cost) -> None:
    """Watch the pods with kopf and one empty `on.event` handler, until it was called for each of them."""
    import logging  # noqa: PLC0415 -- a peer, whose import takes a second

    import kopf as library  # noqa: PLC0415 -- the same

    logging.getLogger("kopf").setLevel(logging.CRITICAL)
    registry = library.OperatorRegistry()
    over = asyncio.Event()

    @library.on.login(registry=registry)
    async def login(**_: object) -> library.ConnectionInfo:
        return library.ConnectionInfo(server=url)

    @library.on.event("", "v1", "pods", registry=registry)
    async def seen(**_: object) -> None:
        cost.objects += 1
        if cost.objects == objects:
            over.set()

    settings = library.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.initial_streaming = True
    begun = time.process_time()
    running = asyncio.create_task(
        library.operator(registry=registry, settings=settings, clusterwide=True, standalone=True)
    )
    await asyncio.wait([running, asyncio.create_task(over.wait())], return_when=asyncio.FIRST_COMPLETED)
    cost.cpu = time.process_time() - begun
    if not over.is_set():
        running.result()


CONSUMERS: dict[str, Callable[[str, int, Cost], Awaitable[None]]] = {
    "null": null,
    "skip": skip,
    "orjson": orjson,
    "official": official,
    "kopf": kopf,
}


def _run(name: str, url: str, objects: int) -> None:
    cost = Cost()
    begun = time.process_time()
    asyncio.run(_told(name, url, objects, cost, begun))


async def _told(name: str, url: str, objects: int, cost: Cost, begun: float) -> None:
    await CONSUMERS[name](url, objects, cost)
    cpu = cost.cpu if cost.cpu is not None else time.process_time() - begun
    print(json.dumps({"cpu": cpu, "objects": cost.objects, "bytes": cost.bytes}), flush=True)
    # What a library leaves running is none of this measure's business.
    os._exit(0)


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
