"""One reflector a kind: from the API server's streams into the store, whatever happens on the way.

It begins with a streamed list (WatchList, KEP-3157) where the server has it, else with a paged one, and goes on
watching from that version. A broken stream is resumed; where its version is gone, everything is read again and what is
no longer there is removed, so that nothing flickers. What one kind suffers, no other notices.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

import aiohttp
import msgspec

from kubedx.kube.decode import Decoder, UnreadableError
from kubedx.kube.meta import View
from kubedx.store.store import Change, Key, State, Store
from kubedx.watch.client import Api, ApiError, ConfigError, UnreachableError
from kubedx.watch.lines import Splitter

logger = logging.getLogger(__name__)

PAGE = 500
"""Objects a page of a list, as client-go asks for."""

IDLE = 70.0
"""Seconds of silence after which a watch counts as dead; the server sends bookmarks about each minute."""

STALE_AFTER = 60.0
"""Seconds without an answer after which what the store says about a kind is no longer trusted."""

REFUSED_RETRY = 30.0
"""Seconds after which a kind that is forbidden or not served is tried again."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark that ends a streamed list."""

_SHORTEST_BACKOFF, _LONGEST_BACKOFF = 0.8, 30.0
_SILENT_CLOSE = 2.0
_TRIES_BEFORE_RELIST = 3
_TRIES_TO_READ_ONCE = 5
_GONE = 410
_REFUSALS = {403: State.FORBIDDEN, 404: State.ABSENT}


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str | None = None
    continue_: str | None = msgspec.field(default=None, name="continue")
    annotations: dict[str, str] | None = None


class _Frame(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Mark(msgspec.Struct):
    metadata: _Meta | None = None


class _Failure(msgspec.Struct):
    code: int | None = None
    reason: str | None = None
    message: str | None = None


class _Page(msgspec.Struct):
    metadata: _Meta | None = None
    items: list[msgspec.Raw] | None = None


_frame = msgspec.json.Decoder(_Frame).decode
_mark = msgspec.json.Decoder(_Mark).decode
_failure = msgspec.json.Decoder(_Failure).decode
_page = msgspec.json.Decoder(_Page).decode


class _GoneError(Exception):
    """The version to go on from is no longer there: everything is to be read again."""


class _NoWatchListError(Exception):
    """The server does not stream lists."""


@dataclass
class Server:
    """What all reflectors of one API server learn together.

    Attributes:
        streams_lists: Whether it has WatchList: on in 1.32, off by default in 1.33, on again from 1.34.
    """

    streams_lists: bool = True


@dataclass
class Health:
    """How a reflector is doing, for metrics and the policy's status.

    Attributes:
        last_heard: When the server last sent anything, in seconds since the epoch; 0 for never.
        restarts: How often the stream was opened again, by reason.
        dropped: How many objects could not be read.
    """

    last_heard: float = 0.0
    restarts: Counter[str] = field(default_factory=Counter)
    dropped: int = 0


class Reflector:
    """Keeps one table of the store as the cluster is.

    Args:
        api: The client.
        store: The store, which has a table for the kind.
        view: The kind.
        server: What is known of the server, shared by all reflectors.
        changed: Called with each change of the store.
        turned: Called when the state of the kind turned.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        view: type[View],
        *,
        server: Server,
        changed: Callable[[Change], None],
        turned: Callable[[], None],
    ) -> None:
        self.health = Health()
        self._api = api
        self._store = store
        self._view = view
        self._table = store.table(view)
        self._server = server
        self._changed = changed
        self._turned = turned
        self._decoder = Decoder(view)
        self._version = ""
        self._seen: set[Key] = set()
        self._failures = 0
        self._watched_from = self._last_answer = time.monotonic()

    async def run(self) -> None:
        """Read and watch until cancelled; no error of the server or the network ends it."""
        while True:
            try:
                if not self._version and not self._server.streams_lists:
                    await self._paged_list()
                await self._watch()
                reason = "ended"
                self._count_silent_close()
            except _NoWatchListError:
                self._server.streams_lists = False
                continue
            except _GoneError:
                reason = "gone"
                self._version = ""
                self._failures += 1
            except ApiError as error:
                reason = str(error.status)
                if await self._refused(error):
                    continue
            except (ConfigError, TimeoutError, OSError, aiohttp.ClientError) as error:
                reason = "timeout" if isinstance(error, TimeoutError) else "unreachable"
                logger.debug("The watch of %s broke: %s", self._view.resource.plural, error)
                self._failures += 1
            self.health.restarts[reason] += 1
            if reason != "timeout":  # A quiet stream says nothing about the server; opening the next one will.
                self._judge_staleness()
            if self._failures:
                await asyncio.sleep(self._backoff())

    async def read_once(self) -> None:
        """Read everything once; a kind that may not be read or is not served is marked so.

        Raises:
            ApiError: The server refused for another reason.
            UnreachableError: No answer came, or none that can be read.
        """
        for _ in range(_TRIES_TO_READ_ONCE):
            try:
                await self._paged_list()
            except _GoneError:
                continue
            except ApiError as error:
                if error.status not in _REFUSALS:
                    raise
                self._enter(_REFUSALS[error.status], error.message)
            except (TimeoutError, OSError, aiohttp.ClientError) as error:
                what = str(error) or "the answer did not end"
                raise UnreachableError(f"{self._view.resource.plural} cannot be read: {what}") from error
            return
        raise UnreachableError(f"{self._view.resource.plural} cannot be read: the list expires while it is read.")

    # --- reading everything ---

    def _begin_list(self) -> None:
        self._seen.clear()

    def _end_list(self) -> None:
        for change in self._store.sweep(self._view, self._seen):
            self._changed(change)
        self._seen.clear()
        self._watched_from = time.monotonic()
        self._enter(State.SYNCED)

    async def _paged_list(self) -> None:
        self._begin_list()
        token = ""
        while True:
            params = {"limit": str(PAGE), **({"continue": token} if token else {})}
            headers = {"Accept": self._accept("PartialObjectMetadataList")}
            try:
                async with self._api.stream(self._view.resource.path, params, headers) as response:
                    async with asyncio.timeout(IDLE):
                        page = _page(await response.read())
            except ApiError as error:
                if error.status == _GONE:
                    raise _GoneError from error
                raise
            except msgspec.DecodeError as error:
                raise OSError(f"a page of the list is no readable JSON: {error}") from error
            self._heard()
            for raw in page.items or ():
                self._put(raw, listing=True)
            await asyncio.sleep(0)
            meta = page.metadata or _Meta()
            token = meta.continue_ or ""
            if not token:
                self._version = meta.resource_version or ""
                if not self._version:
                    raise OSError("the list has no resourceVersion to go on from")
                self._end_list()
                return

    # --- watching ---

    async def _watch(self) -> None:
        """Watch from the version we have; without one, have the server stream everything first."""
        listing = not self._version
        self._watched_from = time.monotonic()
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(300, 600)),  # noqa: S311 -- spread, not secret
        }
        if listing:
            params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            self._begin_list()
        else:
            params["resourceVersion"] = self._version
        try:
            async with aclosing(self._lines(params)) as lines:
                async for line in lines:
                    if self._take(line, listing=listing):
                        listing = False
                        self._end_list()
        except ApiError as error:
            if listing and error.status in {400, 422}:
                raise _NoWatchListError from error
            raise
        if listing:
            raise OSError("the streamed list ended early")

    async def _lines(self, params: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
        splitter = Splitter()
        headers = {"Accept": self._accept("PartialObjectMetadata")}
        async with self._api.stream(self._view.resource.path, params, headers) as response:
            self._heard()
            while True:
                async with asyncio.timeout(IDLE):
                    chunk = await response.content.readany()
                if not chunk:
                    return
                self._heard()
                for line in splitter.feed(chunk):
                    yield line
                self.health.dropped += splitter.dropped
                splitter.dropped = 0
                await asyncio.sleep(0)  # A full buffer must not keep the loop from its other work.

    def _accept(self, form: str) -> str:
        if self._view.resource.metadata_only:
            return f"application/json;as={form};g=meta.k8s.io;v=v1"
        return "application/json"

    def _take(self, line: bytes, *, listing: bool) -> bool:
        """Take one line of a watch; returns whether it ends a streamed list."""
        try:
            frame = _frame(line)
            match frame.type:
                case "ADDED" | "MODIFIED":
                    self._put(frame.object, listing=listing)
                case "DELETED":
                    self._remove(frame.object)
                case "BOOKMARK":
                    return self._bookmark(_mark(frame.object), listing=listing)
                case "ERROR":
                    self._error(_failure(frame.object))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._drop(error)
        return False

    def _put(self, raw: msgspec.Raw, *, listing: bool) -> None:
        try:
            view = self._decoder.decode(raw)
        except UnreadableError as error:
            self._drop(error)
            return
        if listing:
            self._seen.add((view.namespace, view.name))
        else:
            self._failures = 0
            self._version = view.metadata.resource_version or self._version
        change = self._store.put(view)
        if change:
            self._changed(change)

    def _remove(self, raw: msgspec.Raw) -> None:
        try:
            view = self._decoder.decode(raw)
        except UnreadableError as error:
            self._drop(error)
            return
        self._version = view.metadata.resource_version or self._version
        self._seen.discard((view.namespace, view.name))
        change = self._store.remove(self._view, (view.namespace, view.name))
        if change:
            self._changed(change)

    def _bookmark(self, mark: _Mark, *, listing: bool) -> bool:
        meta = mark.metadata or _Meta()
        ends = (meta.annotations or {}).get(INITIAL_EVENTS_END) == "true"
        if listing and not ends:
            raise _NoWatchListError
        self._version = meta.resource_version or self._version
        if not listing:
            self._failures = 0
        return listing and ends

    def _error(self, failure: _Failure) -> None:
        if failure.code == _GONE:
            raise _GoneError
        raise ApiError("watch", failure.code or 500, failure.reason or "Unknown", failure.message or "")

    def _drop(self, error: Exception) -> None:
        self.health.dropped += 1
        if self.health.dropped == 1:
            logger.warning("An object of %s could not be read: %s", self._view.resource.plural, error)

    # --- how it stands ---

    def _heard(self) -> None:
        self._last_answer = time.monotonic()
        self.health.last_heard = time.time()
        if self._version and self._table.state is State.STALE:
            self._enter(State.SYNCED)

    def _enter(self, state: State, detail: str = "") -> None:
        if self._table.state is not state:
            logger.info("%s: %s %s", self._view.resource.plural, state.value, detail)
            self._table.state = state
            self._table.detail = detail
            self._turned()

    async def _refused(self, error: ApiError) -> bool:
        """React to a refusal; returns whether it has waited already."""
        if error.status in _REFUSALS:
            state = _REFUSALS[error.status]
            self._version = ""
            if state is State.ABSENT:
                for change in self._store.sweep(self._view, set()):
                    self._changed(change)
            self._enter(state, error.message)
            self.health.restarts[str(error.status)] += 1
            await asyncio.sleep(REFUSED_RETRY * random.uniform(0.8, 1.2))  # noqa: S311
            return True
        if error.status == _GONE:
            self._version = ""
        self._failures += 1
        if self._failures >= _TRIES_BEFORE_RELIST:
            self._version = ""
        logger.debug("The watch of %s was refused: %s", self._view.resource.plural, error)
        if error.retry_after:
            await asyncio.sleep(error.retry_after * random.uniform(1.0, 1.2))  # noqa: S311
        return False

    def _count_silent_close(self) -> None:
        # Some servers answer a watch from an old version of Events by closing at once (kubernetes#104171): going on
        # from there would spin, and see nothing for ever.
        if time.monotonic() - self._watched_from >= _SILENT_CLOSE:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= _TRIES_BEFORE_RELIST:
            self._version = ""

    def _judge_staleness(self) -> None:
        if time.monotonic() - self._last_answer < STALE_AFTER:
            return
        if self._table.state in {State.SYNCED, State.SYNCING}:
            self._enter(State.STALE, "the API server has not answered for a minute")

    def _backoff(self) -> float:
        longest = min(_LONGEST_BACKOFF, _SHORTEST_BACKOFF * 2 ** min(self._failures, 10))
        return random.uniform(_SHORTEST_BACKOFF, max(_SHORTEST_BACKOFF, longest))  # noqa: S311
