"""kopf: the operator's frame, serving our own two kinds from a thread of its own.

Only `on.event`, startup, cleanup and login handlers are used: the others write annotations or need finalizers. kopf
patches nothing here. What its watching (1.45) is known to do wrong, the supervisor mends: kopf ends on one 403, 404,
410 or 500, never notices what vanished between two lists, and ignores a kind whose definition is created later.
"""

import asyncio
import contextlib
import enum
import itertools
import logging
import random
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from kubedx.api import diagnosis, policy
from kubedx.api.model import GROUP

# kopf imports the official client, where there is one, to know its models when it meets them. None comes this way, and
# the import would take 25 MB of the operator's memory. A module that is None in sys.modules counts as not there.
_client = sys.modules.get("kubernetes")
sys.modules["kubernetes"] = None  # type: ignore[assignment]  # as documented for the import system
try:
    import kopf
finally:
    if _client is None:
        del sys.modules["kubernetes"]
    else:
        sys.modules["kubernetes"] = _client

logger = logging.getLogger(__name__)

KINDS = {resource.kind: resource for resource in (diagnosis.RESOURCE, policy.RESOURCE)}

ABSENT_RETRY = 2.0
"""Seconds between two looks for a kind that is not served, or not readable, yet."""

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two tries of anything here, growing from the shortest to the longest."""

CONNECT_TIMEOUT = 10.0
REQUEST_TIMEOUT = 60.0
STREAM_LIFE = 290
"""Seconds for a connection, for one request, and for one watch, which the server then closes."""

EXIT_TIMEOUT = 1.0
"""Seconds that events already read may take when kopf stops."""

LAST_BREATH = 0.1
"""Seconds that the loop still turns after its sessions were closed: TLS connections end in callbacks."""

WORKERS = 1000
IDLE_TIMEOUT = 0.5
"""Objects that kopf handles at the same time, and seconds until an idle object makes place for another."""

IDENTITY: Any = GROUP
"""What kopf calls us among peers, of which it has none. Its own choice needs the name of the user, and a container that
runs as any number has none."""

_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

OnChange = Callable[[str, str, dict[str, Any]], None]
"""Takes the kind, the type (LISTED, ADDED, MODIFIED or DELETED), and the object."""


class MakeSession(Protocol):
    """Makes an HTTP session of the running loop, as `kubedx.watch.client.Api.make_session` does."""

    def __call__(self, *, watch_guard: bool) -> Any:  # noqa: ANN401 -- an aiohttp.ClientSession, which is I/O
        """Make one; `watch_guard` makes it fail where kopf would go blind."""


class State(enum.Enum):
    """What kopf is doing."""

    STARTING = "starting"
    WAITING = "waiting for our kinds to be served"
    SERVING = "serving"
    RESTARTING = "restarting"
    STOPPED = "stopped"


class Backoffs:
    """Endless pauses in seconds, doubling up to a limit, each shortened at random by up to a half.

    A list would end, and kopf with it.
    """

    def __iter__(self) -> Iterator[float]:
        """Begin with the shortest pause."""
        pause = SHORTEST_PAUSE
        while True:
            yield pause * random.uniform(0.5, 1.0)  # noqa: S311 -- to spread load, not to keep a secret
            pause = min(2 * pause, LONGEST_PAUSE)


class KopfThread:
    """kopf in its own thread and loop, begun again whenever it ends.

    Args:
        server: The base URL of the API server.
        make_session: Makes the HTTP sessions.
        loop: The main loop.
        on_change: Called in the main loop for each event of our kinds. After a gap in the watching it is also called
            with DELETED for what is gone since.
    """

    def __init__(
        self, server: str, make_session: MakeSession, loop: asyncio.AbstractEventLoop, on_change: OnChange
    ) -> None:
        self._server = server
        self._make_session = make_session
        self._main_loop = loop
        self._on_change = on_change
        self._thread = threading.Thread(target=self._main, name="kopf", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._begun = threading.Event()
        self._known: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self._unseen: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self.state = State.STARTING
        self.restarts = 0

    @property
    def alive(self) -> bool:
        """Whether the thread runs and its supervisor works, be it waiting for our kinds to be served."""
        return self._thread.is_alive() and self.state is not State.STOPPED

    def start(self) -> None:
        """Start the thread."""
        _quieten()
        self._thread.start()
        self._begun.wait()

    async def stop(self, timeout: float = 5.0) -> bool:  # noqa: ASYNC109 -- of a thread, which cannot be cancelled
        """End kopf and its thread.

        Args:
            timeout: Seconds to wait for it.

        Returns:
            Whether it ended in time. It is a daemon thread, so it does not keep the process alive either way.
        """
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, timeout)
        return not self._thread.is_alive()

    def _main(self) -> None:
        try:
            asyncio.run(self._supervise())
        finally:
            self.state = State.STOPPED
            self._begun.set()

    async def _supervise(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_ignore)
        self._stopping = stopping = asyncio.Event()
        self._begun.set()
        pauses = iter(Backoffs())
        while not stopping.is_set():
            began = self._loop.time()
            try:
                await self._serve(stopping)
            except Exception as error:  # noqa: BLE001 -- whatever kopf dies of, diagnosing goes on
                logger.warning("Our own kinds are not watched; trying again: %s: %s", type(error).__name__, error)
            if self._loop.time() - began > LONGEST_PAUSE:
                pauses = iter(Backoffs())
            if not stopping.is_set():
                self.state = State.RESTARTING
                self.restarts += 1
                await _pause(stopping, next(pauses))
        await asyncio.sleep(LAST_BREATH)

    async def _serve(self, stopping: asyncio.Event) -> None:
        """Wait for our kinds, then run kopf on those that can be read, until something ends it."""
        self._unseen = {kind: set(objects) for kind, objects in self._known.items()}
        async with self._make_session(watch_guard=False) as session:
            readable = await self._look(session)
            while not readable:
                self.state = State.WAITING
                await _pause(stopping, ABSENT_RETRY)
                if stopping.is_set():
                    return
                readable = await self._look(session)
            over = asyncio.Event()
            # At its end kopf cancels, after a wait, every task that is younger than itself. These are older.
            companions = [
                asyncio.create_task(_forward(stopping, over)),
                asyncio.create_task(self._keep_looking(session, readable, over)),
            ]
            try:
                await self._run(readable, over)
            finally:
                for task in companions:
                    task.cancel()
                await asyncio.gather(*companions, return_exceptions=True)

    async def _run(self, readable: set[str], over: asyncio.Event) -> None:
        async with self._make_session(watch_guard=True) as session:
            await kopf.operator(
                registry=self._registry(readable, session, over),
                settings=_settings(),
                identity=IDENTITY,
                clusterwide=True,
                standalone=True,
                stop_flag=over,
            )

    async def _look(self, session: Any, watched: Collection[str] = ()) -> set[str]:  # noqa: ANN401 -- see MakeSession
        """Find which of our kinds can be listed, and report what vanished while nobody watched."""
        readable = set(watched)
        for kind, resource in KINDS.items():
            if kind in watched and not self._unseen[kind]:
                continue
            async with session.get(self._server + resource.path, headers={"Accept": _METADATA_ONLY}) as answer:
                if answer.status == HTTPStatus.OK:
                    items = (await answer.json(content_type=None)).get("items") or []
                    readable.add(kind)
                elif answer.status == HTTPStatus.NOT_FOUND:
                    items = []
                else:  # Forbidden, or the server is still setting the kind up: nothing is known about its objects.
                    continue
            present = {item["metadata"]["uid"] for item in items}
            for uid in self._unseen[kind] - present:
                self._report(kind, "DELETED", self._known[kind][uid])
        return readable

    async def _keep_looking(self, session: Any, readable: set[str], over: asyncio.Event) -> None:  # noqa: ANN401
        """While a kind is missing, look for it; while an object from before is unseen, look whether it still exists."""
        while readable != set(KINDS) or any(self._unseen.values()):
            await asyncio.sleep(ABSENT_RETRY)
            try:
                found = await self._look(session, readable)
            except Exception as error:  # noqa: BLE001 -- the next look may succeed
                logger.debug("Could not look for our kinds: %s", error)
                continue
            if found - readable:
                logger.info("Now served as well: %s", ", ".join(sorted(found - readable)))
                over.set()
                return

    def _registry(self, readable: set[str], session: Any, over: asyncio.Event) -> kopf.OperatorRegistry:  # noqa: ANN401
        registry = kopf.OperatorRegistry()
        logins = itertools.count()
        older = asyncio.all_tasks()

        @kopf.on.startup(registry=registry)
        async def startup(**_: object) -> None:
            self.state = State.SERVING

        @kopf.on.cleanup(registry=registry)
        async def cleanup(**_: object) -> None:
            self.state = State.RESTARTING
            # Else kopf waits five seconds for what it left behind: the task that watches its flag, the watcher of one
            # kind when that of the other has failed.
            for task in asyncio.all_tasks() - older - {asyncio.current_task()}:
                task.cancel()

        @kopf.on.login(registry=registry)
        async def login(**_: object) -> kopf.AiohttpSession:
            if next(logins):
                # The session renews its own credentials; where even those are refused, a new run with its pauses asks
                # less often than kopf would.
                logger.warning("The API server refuses our credentials (401).")
                over.set()
                await asyncio.Event().wait()
            return kopf.AiohttpSession(server=self._server, aiohttp_session=session)

        async def event(event: kopf.RawEvent, **_: object) -> None:
            body = event["object"]
            self._report(body["kind"], event["type"] or "LISTED", body)

        for resource in (KINDS[kind] for kind in readable):
            kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)(event)
        return registry

    def _report(self, kind: str, event_type: str, body: Mapping[str, Any]) -> None:
        metadata = body["metadata"]
        uid = metadata["uid"]
        self._unseen[kind].discard(uid)
        if event_type == "DELETED":
            self._known[kind].pop(uid, None)
        else:
            identity = {key: metadata.get(key) for key in ("name", "uid", "resourceVersion")}
            self._known[kind][uid] = {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": identity}
        with contextlib.suppress(RuntimeError):  # The main loop has ended before us.
            self._main_loop.call_soon_threadsafe(self._on_change, kind, event_type, dict(body))


async def _forward(one: asyncio.Event, other: asyncio.Event) -> None:
    await one.wait()
    other.set()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    # None: a run that is cancelled must not kill the whole process ten minutes later.
    settings.process.ultimate_exiting_timeout = None
    settings.networking.error_backoffs = Backoffs()
    settings.networking.enforce_retry_after = True
    settings.networking.connect_timeout = CONNECT_TIMEOUT
    settings.networking.request_timeout = REQUEST_TIMEOUT
    settings.watching.server_timeout = STREAM_LIFE
    settings.watching.client_timeout = STREAM_LIFE + CONNECT_TIMEOUT
    settings.queueing.worker_limit = WORKERS
    settings.queueing.idle_timeout = IDLE_TIMEOUT
    settings.queueing.exit_timeout = EXIT_TIMEOUT
    # Nothing here writes them, and should anything ever, it writes in our own name.
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    return settings


def _quieten() -> None:
    """Leave of kopf's log what is worth reading. That it ended, and why, the supervisor says in one line."""
    logging.getLogger("kopf").setLevel(logging.WARNING)
    for module in ("running", "orchestration"):
        logging.getLogger(f"kopf._core.reactor.{module}").setLevel(logging.CRITICAL)


def _ignore(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Take note of the failures that kopf's tasks leave behind beside the one that ended it."""
    logger.debug("In kopf's loop: %s", context.get("exception") or context.get("message"))
