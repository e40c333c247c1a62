"""/metrics, /healthz and /readyz."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from kubedx.report.metrics import FactsCollector


class ListenError(Exception):
    """The address cannot be listened on; the message names it and the reason."""


@asynccontextmanager
async def serve(
    host: str, port: int, collector: FactsCollector, healthy: Callable[[], str], ready: Callable[[], str]
) -> AsyncIterator[int]:
    """Serve the endpoints while the context lasts.

    Args:
        host: The address to listen on.
        port: The port; 0 for any free one.
        collector: The metrics.
        healthy: Gives what is wrong with this process, empty if nothing is.
        ready: Gives what is still being waited for, empty if nothing is.

    Yields:
        The port that is listened on.

    Raises:
        ListenError: The address cannot be listened on.
    """
    registry = CollectorRegistry()
    for own in (ProcessCollector, PlatformCollector, GCCollector):
        own(registry=registry)

    async def metrics(_: web.Request) -> web.Response:
        body = collector.render() + generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def answer(trouble: str) -> web.Response:
        return web.Response(text=f"{trouble or 'ok'}\n", status=503 if trouble else 200)

    async def healthz(_: web.Request) -> web.Response:
        return answer(healthy())

    async def readyz(_: web.Request) -> web.Response:
        return answer(ready())

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            # asyncio puts the address into the reason once more; a name that is not known has a negative number.
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
            raise ListenError(f"Cannot listen on {host}:{port}: {reason}. Choose another with --listen.") from error
        addresses = runner.addresses
        yield addresses[0][1] if addresses else port
    finally:
        await runner.cleanup()
