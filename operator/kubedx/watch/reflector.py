"""One reflector a kind: from the API server's streams into the store, whatever happens on the way.

It begins with a streamed list (WatchList, KEP-3157) where the server has it, else with a paged one, and goes on
watching from that version. A broken stream is resumed; where its version is gone, everything is read again and what is
no longer there is removed, so that nothing flickers. What one kind suffers, no other notices.
"""

import asyncio
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import aiohttp
import msgspec

from kubedx.kube.decode import Decoded, Decoder, UnreadableError
from kubedx.kube.meta import View
from kubedx.kube.text import clean
from kubedx.store.store import Change, Key, State, Store
from kubedx.watch.client import Api, ApiError, ConfigError, Status, UnreachableError
from kubedx.watch.lines import Splitter
from kubedx.watch.pace import Pace

logger = logging.getLogger(__name__)

PAGE = 500
"""Objects a page of a list, as client-go asks for."""

MUCH = 1 << 16
"""Bytes that come at once from which on there is likely to be more, so that the loop is given a turn in between."""

SLICE = 500
"""Objects that are removed in one turn of the loop."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark that ends a streamed list."""

TRIES = 3
"""Failures in a row after which a version is no longer relied on."""

MOST_LISTS = 5
"""Lists in a row, each followed by no watch that lasted, after which lists keep a distance."""

MOST_SILENCES = 2
"""Streams in a row on which nothing came, after which the version is suspected of lying in the server's future."""

_SELDOM = 0.01
"""The part of the longest silence by which it may be cut short."""

_TRIES_TO_READ_ONCE = 5
_MOST_COMPLAINTS = 100
_GONE = 410
_TOO_NEW = 504
"""How a server answers that has not reached the version asked for."""

_FORBIDDEN = 403
_ONCE_READ = {State.SYNCED, State.STALE}
_REFUSALS = {_FORBIDDEN: State.FORBIDDEN, 404: State.ABSENT}
_NOT_ABOUT_THE_VERSION = frozenset({401, 429, 503})
"""Refusals that another version would meet as well: reading everything again would only make it worse."""

_NAME = re.compile(rb'"name":\s{0,4}"(?P<name>[^"\\]{1,253})"')


class _Meta(msgspec.Struct, rename="camel"):
    resource_version: str | None = None
    continue_: str | None = msgspec.field(default=None, name="continue")
    annotations: dict[str, str] | None = None


class _Frame(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Mark(msgspec.Struct):
    metadata: _Meta | None = None


class _Page(msgspec.Struct):
    metadata: _Meta | None = None
    items: list[msgspec.Raw] | None = None


_frame = msgspec.json.Decoder(_Frame).decode
_mark = msgspec.json.Decoder(_Mark).decode
_failure = msgspec.json.Decoder(Status).decode
_page = msgspec.json.Decoder(_Page).decode


class _GoneError(Exception):
    """The version to go on from is no longer there: everything is to be read again."""


class _NoWatchListError(Exception):
    """The server does not stream lists."""


class _BadListError(OSError):
    """A list that cannot be gone on from."""


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
        pace: How patient it is.
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
        pace: Pace = Pace(),  # noqa: B008 -- it is frozen
    ) -> None:
        self.health = Health()
        self._api = api
        self._store = store
        self._view = view
        self._table = store.table(view)
        self._server = server
        self._changed = changed
        self._turned = turned
        self._pace = pace
        self._decoder = Decoder(view)
        self._version = ""
        """The version to go on from; empty if everything is to be read."""
        self._refusals = 0
        """How often in a row the server said that the kind is forbidden."""
        self._newest = 0
        """The highest version that was heard of, which nothing may fall behind; 0 while none is known."""
        self._contradicted_at: float | None = None
        """Since when the server seems not to have reached that version; None while it does not."""
        self._listing = False
        self._unseen: set[Key] = set()
        """While everything is read again: what was there before and has not come up yet."""
        self._complained: set[str] = set()
        self._failures = self._silences = self._lists = 0
        self._last_answer = time.monotonic()
        self._listed_at = float("-inf")
        self._opened_at = float("inf")
        """When the stream that is open was opened; never, while none is."""
        self._told = False
        """Whether this stream told of anything."""

    async def run(self) -> None:
        """Read and watch until cancelled; no error of the server or the network ends it."""
        while True:
            pause = 0.0
            self._opened_at = float("inf")
            self._told = False
            try:
                await self._keep_distance()
                if not self._version and not self._server.streams_lists:
                    await self._paged_list()
                await self._watch()
                reason = self._ended()
            except _NoWatchListError:
                self._server.streams_lists = False
                continue
            except _GoneError:
                reason = "gone"
                self._version = ""
                self._failures += 1
            except ApiError as error:
                reason = str(error.status)
                pause = await self._refused(error)
            except (ConfigError, TimeoutError, OSError, aiohttp.ClientError) as error:
                reason = self._broke(error)
            self.health.restarts[reason] += 1
            if reason != "timeout":  # A quiet stream says nothing about the server; opening the next one will.
                self._judge_staleness()
            await asyncio.sleep(pause or self._backoff())

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

    async def _keep_distance(self) -> None:
        """Before a list: wait, where the ones before did not help."""
        if self._version:
            return
        since = time.monotonic() - self._listed_at
        if since > self._pace.longest_backoff:
            self._lists = 0
        elif self._lists >= MOST_LISTS:
            await asyncio.sleep(self._pace.between_lists - since)
        self._lists += 1
        self._listed_at = time.monotonic()

    def _begin_list(self) -> None:
        self._listing = True
        self._unseen = set(self._table.rows)

    def _adopt(self, version: str) -> None:
        """Go on from the version of a list."""
        if not version:
            raise _BadListError("the list has no resourceVersion to go on from")
        number = int(version) if version.isdecimal() else 0
        if 0 < number < self._newest:
            self._contradict()
            if not self._contradicted_for_long:
                raise _BadListError(f"the list is of version {version}, and {self._newest} was seen before")
        self._contradicted_at = None
        self._listing = False
        self._told = True
        self._version, self._newest = version, number

    def _contradict(self) -> None:
        """The server knows only of an earlier time: it lags behind, and to follow it would undo what is known.

        Where that lasts, the cluster was put back to an earlier state.
        """
        if self._contradicted_at is None:
            self._contradicted_at = time.monotonic()

    @property
    def _contradicted_for_long(self) -> bool:
        since = self._contradicted_at
        return since is not None and time.monotonic() - since >= self._pace.stale_after

    async def _end_list(self) -> None:
        await self._remove_all(self._unseen)
        self._unseen = set()
        self._enter(State.SYNCED)

    async def _paged_list(self) -> None:
        self._begin_list()
        token = ""
        while True:
            params = {"limit": str(PAGE), **({"continue": token} if token else {})}
            page = await self._page(params)
            self._heard()
            for raw in page.items or ():
                try:
                    self._put(self._decoder.decode(raw))
                except UnreadableError as error:
                    self._drop(raw, error)
            await asyncio.sleep(0)
            meta = page.metadata or _Meta()
            token = meta.continue_ or ""
            if not token:
                self._adopt(meta.resource_version or "")
                await self._end_list()
                return

    async def _page(self, params: Mapping[str, str]) -> _Page:
        try:
            async with self._open(params, "PartialObjectMetadataList") as response:
                async with asyncio.timeout(self._pace.idle):
                    return _page(await response.read())
        except TimeoutError as error:
            raise OSError("a page of the list did not end") from error
        except ApiError as error:
            if error.status == _GONE:
                raise _GoneError from error
            raise
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise OSError(f"a page of the list is no readable JSON: {error}") from error

    # --- watching ---

    async def _watch(self) -> None:
        """Watch from the version we have; without one, have the server stream everything first."""
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(300, 600)),  # noqa: S311 -- spread, not secret
        }
        if self._version:
            self._listing = False
            params["resourceVersion"] = self._version
        else:
            params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
            if self._newest and self._failures < TRIES and not self._contradicted_for_long:
                params["resourceVersion"] = str(self._newest)
            self._begin_list()
        try:
            async with self._open(params, "PartialObjectMetadata") as response:
                self._heard()
                self._opened_at = time.monotonic()
                await self._read(response)
        except ApiError as error:
            if self._listing and error.status in {400, 422}:
                raise _NoWatchListError from error
            raise
        if self._listing:
            raise OSError("the streamed list ended early")

    def _open(self, params: Mapping[str, str], form: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        accept = "application/json"
        if self._view.resource.metadata_only:
            accept += f";as={form};g=meta.k8s.io;v=v1"
        return self._api.stream(self._view.resource.path, params, {"Accept": accept}, patience=self._pace.idle)

    async def _read(self, response: aiohttp.ClientResponse) -> None:
        """Take what a stream brings until it ends or falls silent, chunk by chunk."""
        splitter = Splitter()
        loop = asyncio.get_running_loop()
        # A stream that merely opened proves nothing: some are closed at once.
        resumed = loop.call_later(self._pace.silent_close, self._resume)
        idle = self._pace.idle
        extended = loop.time()
        try:
            async with asyncio.timeout(idle) as limit:
                while chunk := await response.content.readany():
                    ended = self._take_all(splitter.feed(chunk))
                    self.health.dropped += splitter.dropped
                    splitter.dropped = 0
                    if ended:
                        self._opened_at = time.monotonic()
                        await self._end_list()
                    self._heard()
                    self._resume()
                    self._silences = 0
                    now = loop.time()
                    if now - extended > idle * _SELDOM:  # A timer for each of a thousand chunks a second costs much.
                        extended = now
                        limit.reschedule(now + idle)
                    if len(chunk) >= MUCH:
                        await asyncio.sleep(0)
        finally:
            resumed.cancel()

    def _take_all(self, lines: Iterable[bytes]) -> bool:
        """Take lines of a watch; returns whether a streamed list ended among them."""
        ended = False
        for line in lines:
            try:
                ended |= self._take(line)
            except (_GoneError, _NoWatchListError, _BadListError, ApiError):
                raise
            except Exception as error:  # noqa: BLE001 -- whatever is wrong with one object, the others are still good
                self._drop(line, error)
        return ended

    def _take(self, line: bytes) -> bool:
        """Take one line of a watch; returns whether it ends a streamed list."""
        found = self._decoder.frame(line)
        if found is not None:
            kind, decoded = found
            if kind == "DELETED":
                self._remove(decoded)
            else:
                self._put(decoded)
            return False
        frame = _frame(line)
        match frame.type:
            case "ADDED" | "MODIFIED":
                self._put(self._decoder.decode(frame.object))
            case "DELETED":
                self._remove(self._decoder.decode(frame.object))
            case "BOOKMARK":
                return self._bookmark(_mark(frame.object))
            case "ERROR":
                self._error(_failure(frame.object))
        return False

    def _put(self, decoded: Decoded[View]) -> None:
        if self._unseen:
            self._unseen.discard(decoded.own.key)
        if not self._listing and not self._goes_on(decoded.version):
            return
        change = self._store.put(decoded)
        if change:
            self._changed(change)

    def _remove(self, decoded: Decoded[View]) -> None:
        if self._listing or self._goes_on(decoded.version):
            self._remove_key(decoded.own.key)

    def _remove_key(self, key: Key) -> None:
        self._unseen.discard(key)
        change = self._store.remove(self._view, key)
        if change:
            self._changed(change)

    async def _remove_all(self, keys: set[Key]) -> None:
        for count, key in enumerate(list(keys), 1):
            self._remove_key(key)
            if count % SLICE == 0:
                await asyncio.sleep(0)

    def _goes_on(self, version: str) -> bool:
        """Take note of the version of a change; returns whether the change is news.

        Within a watch versions only grow, and of what is told twice or late the latest is so (KEP-5504).
        """
        self._failures = 0
        self._told = True
        if version.isdecimal():
            number = int(version)
            if number < self._newest:
                return False
            self._newest = number
            self._contradicted_at = None
        if version:
            self._version = version
        return True

    def _bookmark(self, mark: _Mark) -> bool:
        meta = mark.metadata or _Meta()
        version = meta.resource_version or ""
        if self._listing:
            if (meta.annotations or {}).get(INITIAL_EVENTS_END) != "true":
                raise _NoWatchListError
            self._adopt(version)
            return True
        if not self._goes_on(version):
            self._contradict()
            if self._contradicted_for_long:
                raise _GoneError
        return False

    def _error(self, failure: Status) -> None:
        if failure.code == _GONE:
            raise _GoneError
        raise ApiError(
            "watch", failure.code or 500, failure.reason or "Unknown", failure.message or "", failure.retry_after
        )

    def _drop(self, raw: bytes | msgspec.Raw, error: Exception) -> None:
        """Count what cannot be read, and name each such object once."""
        self.health.dropped += 1
        found = _NAME.search(bytes(raw))
        name = clean(found["name"].decode("utf-8", "replace")) if found else "of unknown name"
        if name not in self._complained and len(self._complained) < _MOST_COMPLAINTS:
            self._complained.add(name)
            logger.warning("The object %s of %s could not be read: %s", name, self._view.resource.plural, error)

    # --- how it stands ---

    def _heard(self) -> None:
        self._refusals = 0
        self._last_answer = time.monotonic()
        self.health.last_heard = time.time()

    def _resume(self) -> None:
        if self._version and self._table.state is State.STALE:
            self._enter(State.SYNCED)

    def _enter(self, state: State, detail: str = "") -> None:
        if self._table.state is not state:
            logger.info("%s: %s %s", self._view.resource.plural, state.value, detail)
            self._table.state = state
            self._table.detail = detail
            self._turned()

    async def _refused(self, error: ApiError) -> float:
        """React to a refusal; returns for how long to pause, 0 for the usual pause."""
        logger.debug("The watch of %s was refused: %s", self._view.resource.plural, error)
        if error.status == _FORBIDDEN and self._table.state in _ONCE_READ and self._refusals < TRIES:
            # A server that has just started refuses everything until it has read who may do what.
            self._refusals += 1
            self._failures += 1
            return 0.0
        if error.status in _REFUSALS:
            state = _REFUSALS[error.status]
            self._version = ""
            if state is State.ABSENT:
                await self._remove_all(set(self._table.rows))
            self._enter(state, error.message)
            return self._pace.refused_retry * random.uniform(0.8, 1.2)  # noqa: S311
        self._failures += 1
        if error.status == _TOO_NEW and not self._version:
            self._contradict()
        if error.status == _GONE or (self._failures >= TRIES and error.status not in _NOT_ABOUT_THE_VERSION):
            self._version = ""
        wait = min(error.retry_after or 0.0, self._pace.longest_wait)
        return wait * random.uniform(1.0, 1.2)  # noqa: S311

    def _broke(self, error: Exception) -> str:
        """React to a stream that broke; returns the reason in a word."""
        logger.debug("The watch of %s broke: %s", self._view.resource.plural, error)
        self._failures = 1 if self._lasted else self._failures + 1
        if not isinstance(error, TimeoutError):
            self._was_good_until_now()
            return "unreachable"
        self._silences += 1
        if self._silences >= MOST_SILENCES:
            if not self._version:
                self._server.streams_lists = False
            self._version = ""
        return "timeout"

    @property
    def _lasted(self) -> bool:
        """Whether the stream was open for long enough to have been a good one."""
        return time.monotonic() - self._opened_at >= self._pace.silent_close

    def _ended(self) -> str:
        """React to a stream that the server ended; returns the reason in a word."""
        self._was_good_until_now()
        if self._lasted:
            self._failures = 0
            return "ended"
        self._failures += 1
        if self._told:
            return "ended"
        # Some servers answer a watch from an old version of Events by closing at once (kubernetes#104171): going on
        # from there would spin, and see nothing for ever.
        if self._failures >= TRIES:
            self._version = ""
        return "silent-close"

    def _was_good_until_now(self) -> None:
        """An open stream on which nothing came had nothing to tell; only from its end on nothing is known."""
        if self._opened_at < float("inf"):
            self._last_answer = time.monotonic()

    def _judge_staleness(self) -> None:
        if time.monotonic() - self._last_answer < self._pace.stale_after:
            return
        if self._table.state in {State.SYNCED, State.SYNCING}:
            self._enter(State.STALE, "the API server has not answered for a minute")

    def _backoff(self) -> float:
        """The pause before the next try, which spreads the tries of all kinds and all replicas."""
        if not self._failures:
            return 0.0
        pause = min(self._pace.longest_backoff, self._pace.shortest_backoff * 2.0 ** min(self._failures, 10))
        return pause * random.uniform(0.5, 1.0)  # noqa: S311
