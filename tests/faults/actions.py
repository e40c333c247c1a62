"""What can go wrong in an answer: each function makes something that `Server.fault` does."""

import asyncio
from typing import Any

from aiohttp import web

from tests.faults.server import Do, Exchange, line, refusal
from tests.faults.state import Cluster, RefusedError

REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
    413: "RequestEntityTooLarge", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError",
    503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


def _refused(code: int, message: str = "so the test wants it") -> RefusedError:
    return RefusedError(code, REASONS[code], message)


def refuse(code: int, message: str = "so the test wants it", *, retry_after: float | None = None) -> Do:
    """Refuse the request with an HTTP status, and say when to come back."""

    async def do(_: Exchange) -> web.StreamResponse:
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        return refusal(_refused(code, message), **headers)

    return do


def answer(body: bytes | str, status: int = 200, content_type: str = "application/json") -> Do:
    """Answer with a whole body of any kind."""

    async def do(_: Exchange) -> web.StreamResponse:
        raw = body.encode() if isinstance(body, str) else body
        return web.Response(body=raw, status=status, content_type=content_type)

    return do


def close() -> Do:
    """Accept, and end the stream at once, as some servers do with old versions (kubernetes#104171)."""
    return say()


def error(code: int, message: str = "so the test wants it") -> Do:
    """Accept, and tell of an error within the stream."""

    async def do(exchange: Exchange) -> web.StreamResponse:
        stream = await exchange.open()
        await stream.send(stream.error(_refused(code, message)))
        return stream.response

    return do


def say(*chunks: bytes, then: str = "end") -> Do:
    """Accept, send these bytes, and end the stream.

    Args:
        chunks: What to send.
        then: How it ends: ``end`` as HTTP asks for, ``close`` in the middle, ``abort`` with a RST, ``silence`` never.
    """

    async def do(exchange: Exchange) -> web.StreamResponse:
        stream = await exchange.open()
        for chunk in chunks:
            await stream.send(chunk)
            await asyncio.sleep(0)
        if then == "silence":
            await asyncio.Event().wait()
        elif then == "close":
            stream.transport.close()
        elif then == "abort":
            stream.transport.abort()
        return stream.response

    return do


def silence() -> Do:
    """Accept, and send nothing at all: a connection of which one side is gone."""
    return say(then="silence")


def hang() -> Do:
    """Read the request, and never answer, not even the headers."""

    async def do(_: Exchange) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return do


def hang_up() -> Do:
    """Break the connection in place of an answer."""

    async def do(exchange: Exchange) -> web.StreamResponse:
        assert exchange.request.transport is not None
        exchange.request.transport.abort()
        return web.Response()

    return do


def late(seconds: float) -> Do:
    """Answer rightly, but late."""

    async def do(_: Exchange) -> None:
        await asyncio.sleep(seconds)

    return do


def as_of(other: Cluster) -> Do:
    """Answer from another state, such as that of a server that lags behind."""

    async def do(exchange: Exchange) -> None:
        exchange.cluster = other

    return do


def resumed(do: Do) -> Do:
    """Do it to watches from a version only, and answer rightly to streamed lists."""

    async def limited(exchange: Exchange) -> web.StreamResponse | None:
        return None if "sendInitialEvents" in exchange.query else await do(exchange)

    return limited


def before(version: int, do: Do) -> Do:
    """Do it to watches that go on from an older version only."""

    async def limited(exchange: Exchange) -> web.StreamResponse | None:
        return await do(exchange) if 0 < int(exchange.query.get("resourceVersion") or 0) < version else None

    return resumed(limited)


def telling_then(code: int) -> Do:
    """Stream the list where that is asked for, tell of one change, and then of an error."""

    async def do(exchange: Exchange) -> web.StreamResponse:
        stream = await exchange.open()
        stream.version = exchange.cluster.version
        objects = exchange.cluster.objects(exchange.kind.kind)
        if "sendInitialEvents" in exchange.query:
            await stream.send(*(line("ADDED", obj) for obj in objects), stream.bookmark(ends=True))
        changed = {**objects[0], "metadata": {**objects[0]["metadata"], "resourceVersion": str(stream.version)}}
        await stream.send(line("MODIFIED", changed), stream.error(_refused(code)))
        return stream.response

    return do


def in_turn(*steps: Do | None) -> Do:
    """One after the other, and then rightly; None for rightly in between."""
    left = list(steps)

    async def do(exchange: Exchange) -> web.StreamResponse | None:
        step = left.pop(0) if left else None
        return await step(exchange) if step else None

    return do


def status_of(code: int, **more: Any) -> dict[str, Any]:
    """A Status object, for lines that are sent by hand."""
    return {**_refused(code).status, **more}
