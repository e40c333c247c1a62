"""The composition root: everything is made and wired here, and nowhere else."""

import asyncio
import faulthandler
import gc
import logging
import secrets
import signal
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kubedx.api import diagnosis, policy
from kubedx.checks import registry as all_checks
from kubedx.core.check import Registry
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Engine
from kubedx.handlers import KopfThread
from kubedx.kube.meta import Resource, View
from kubedx.kube.slots import key_of
from kubedx.report import http
from kubedx.report.lease import Elector
from kubedx.report.metrics import Facts, FactsCollector, WatchFacts
from kubedx.report.objects import identity, remembered, suppression
from kubedx.report.policy import PolicyReporter, Sight, Watched
from kubedx.report.writer import Writer
from kubedx.settings import resolve
from kubedx.store.store import Change, State, Store
from kubedx.watch.client import Api, ApiError, ConfigError, Login
from kubedx.watch.discovery import metadata_kind
from kubedx.watch.pace import Pace
from kubedx.watch.reflector import Reflector, Server

logger = logging.getLogger(__name__)

TURN = 0.01
"""Seconds that one turn of the loop may spend on checks, so that probes and scrapes never wait."""

RETRY = 15.0
"""Seconds between two tries to find a kind that is not served yet, or to read our own objects at start."""

_NOT_FOUND = 404

STUCK_AFTER = 60.0
"""Seconds without a turn of the main loop after which the process counts as unhealthy."""

BEAT, MINUTE = 0.005, 60.0
"""Seconds between two beats of the pulse, and for which the longest pause of it is told."""

GATHER = 0.003
"""Seconds to wait for further changes before checks are asked: a round for many costs hardly more than for one."""

COLLECT = (5000, 4, 5000)
"""How many objects, and rounds, go by between two looks for garbage: old objects are many, and hardly ever garbage. The
middle one bounds a turn of the loop: 20,000 objects take some milliseconds."""

FREEZE_AFTER = 5000
"""Verdicts by which there are more, after which all that is there is left alone by the garbage collector."""

TIDY = 1.0
"""Seconds between two looks at whether the store has to be tidied."""

BLOCKED_AFTER = 20.0
"""Seconds without a turn of the loop after which what it is doing is written to the standard error."""


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        defaults: The policy's defaults, as the chart gives them.
        metadata_kinds: Further kinds to watch, metadata only, as ``plural.group``.
        lease_namespace: Where the Lease is by which one replica leads; empty for a replica that is alone.
        identity: What this replica is called in the Lease; empty for a name that nobody else has.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    defaults: Mapping[str, Any] | None = None
    metadata_kinds: Sequence[str] = ()
    lease_namespace: str = ""
    identity: str = ""


class App:
    """The operator.

    Args:
        login: How to log in to the API server.
        options: What the command line says.
        registry: The checks; those of this version by default.
        pace: How patient the watching is.
    """

    def __init__(
        self, login: Login, options: Options, registry: Registry | None = None, pace: Pace | None = None
    ) -> None:
        self._options = options
        self._pace = pace or Pace()
        self._api = Api(login)
        self._clock = self._api.clock
        self._registry = registry or all_checks()
        self._settings = resolve(options.defaults, None, self._registry)
        views = {view for check in self._registry for view in self._registry.kinds(check)}
        kinds = sorted(views, key=lambda view: view.resource.kind)
        self._store = Store(kinds, self._registry.event_reasons)
        self._ledger = Ledger(self._registry, self._settings, self._exists)
        self._engine: Engine | None = None
        self._server = Server()
        self._reflectors: dict[type[View], Reflector] = {}
        self._writer = Writer(self._api, self._clock, self._may_write)
        self._reporter = PolicyReporter(self._api, self._clock, self._sight, self._may_write)
        self._kopf: KopfThread | None = None
        self._elector: Elector | None = None
        self._told = self._took_over = False
        self._pulse = Pulse()
        self._frozen = 0
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._last_turn = time.monotonic()

    async def run(self) -> None:
        """Run until the process is told to end.

        Raises:
            ConfigError: The API server cannot be used.
            ListenError: The address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        gc.set_threshold(*COLLECT)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with self._api:
            version = await self._api.check()
            self._store.since = self._clock()  # Not earlier: this answer told the time.
            logger.info("Connected to %s, Kubernetes %s", self._api.server, version)
            endpoints = http.serve(
                self._options.host, self._options.port, FactsCollector(self._facts), self._trouble, self._awaited
            )
            async with endpoints as port:
                logger.info("Serving /metrics, /healthz and /readyz on port %d", port)
                await self._serve(loop)

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._kopf = KopfThread(self._api.server, self._api.make_session, loop, self._our_kind_changed)
        work = [asyncio.create_task(self._watch_kind(view)) for view in self._store.tables]
        work += [asyncio.create_task(self._watch_metadata(name)) for name in self._options.metadata_kinds]
        work.append(asyncio.create_task(self._diagnose()))
        work += [asyncio.create_task(one) for one in (_show_what_blocks(), self._pulse.run(), self._tidy())]
        if self._options.lease_namespace:
            identity = self._options.identity or f"{socket.gethostname()}_{secrets.token_hex(4)}"
            self._elector = Elector(self._api, self._options.lease_namespace, identity, self._lead_turned)
            work.append(asyncio.create_task(self._elector.run()))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([*work, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()  # None of them ends unless it broke.
        finally:
            for task in [*work, stopped]:
                task.cancel()
            await asyncio.gather(*work, stopped, return_exceptions=True)
            if self._elector is not None:
                await self._elector.release()
            await self._kopf.stop()

    # --- in ---

    async def _watch_kind(self, view: type[View]) -> None:
        reflector = Reflector(
            self._api, self._store, view, server=self._server, changed=self._changed, turned=self._turned,
            pace=self._pace,
        )  # fmt: skip
        self._reflectors[view] = reflector
        await reflector.run()

    async def _watch_metadata(self, name: str) -> None:
        while True:
            with suppress(ApiError, ConfigError):
                view = await metadata_kind(self._api, name)
                if view is not None:
                    break
            await asyncio.sleep(RETRY)
        self._store.add(view)
        await self._watch_kind(view)

    def _changed(self, change: Change) -> None:
        if self._engine is not None:
            self._engine.changed(change)
            self._wake.set()

    def _turned(self) -> None:
        if self._engine is not None:
            self._engine.refresh()
        self._wake.set()
        self._reporter.wake()

    def _our_kind_changed(self, kind: str, event: str, body: Mapping[str, Any]) -> None:
        if kind == diagnosis.RESOURCE.kind:
            self._observe(event, body)
        elif kind == policy.RESOURCE.kind and body["metadata"]["name"] == policy.NAME:
            self._follow({} if event == "DELETED" else body)
        self._wake.set()

    def _observe(self, event: str, body: Mapping[str, Any]) -> None:
        found = self._writer.observe(event, body)
        named = identity(found)
        if named is not None:
            self._ledger.suppress(named, suppression(found) if event != "DELETED" else None)

    def _follow(self, body: Mapping[str, Any]) -> None:
        self._reporter.follow(body)
        settings = resolve(self._options.defaults, body, self._registry)
        if settings != self._settings:
            self._settings = settings
            self._ledger.configure(settings)
            if self._engine is not None:
                self._engine.refresh(settings)
            for problem in settings.problems:
                logger.warning("The policy has an entry that cannot be followed: %s", problem.text)
        self._reporter.wake()

    # --- through ---

    async def _diagnose(self) -> None:
        await self._remember()
        while not all(table.state.settled for table in self._store.tables.values()):
            self._wake.clear()
            await self._wake.wait()
        engine = Engine(self._registry, self._store, self._settings, self._clock(), timedelta(seconds=1))
        self._engine = engine
        if self._kopf is not None:
            self._kopf.start()
        writing: list[asyncio.Task[None]] = []
        try:
            while True:
                self._wake.clear()
                if self._took_over:
                    self._took_over = False
                    await self._remember()
                    self._ledger.feed(engine.verdicts, engine.outcomes(), self._clock())
                await self._settle(engine)
                if not writing:
                    logger.info("Everything has been read once: %d diagnoses", len(self._diagnoses()))
                    gc.freeze()
                    writing = [asyncio.create_task(self._writer.run()), asyncio.create_task(self._reporter.run())]
                await self._wait(engine)
                await asyncio.sleep(GATHER)
        finally:
            for task in writing:
                task.cancel()

    def _lead_turned(self) -> None:
        """Begin or cease to lead. After another leader we go on from what the objects tell, as after a restart."""
        told, self._told = self._told, self._tells()
        self._took_over = self._engine is not None and self._told and not told
        self._wake.set()
        self._reporter.wake()

    def _may_write(self) -> bool:
        return self._elector is None or self._elector.leads

    def _tells(self) -> bool:
        return self._elector is None or self._elector.tells

    async def _remember(self) -> None:
        """Read back our own objects, and the policy, before anything is said."""
        bodies: list[dict[str, Any]] = []
        pause = 0.5
        while True:
            try:
                for body in await self._list(policy.RESOURCE):
                    self._our_kind_changed(policy.RESOURCE.kind, "LISTED", body)
                bodies = await self._list(diagnosis.RESOURCE)
            except (ApiError, ConfigError) as error:
                hint = " Are the CRDs installed?" if getattr(error, "status", 0) == _NOT_FOUND else ""
                logger.warning("Our own kinds cannot be read yet: %s.%s", error, hint)
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY)
            else:
                break
        self._ledger = Ledger(self._registry, self._settings, self._exists)
        for body in bodies:
            self._observe("LISTED", body)
        found = [remembered(diagnosis.read(body), self._registry) for body in bodies]
        self._ledger.restore(one for one in found if one is not None)

    async def _list(self, resource: Resource) -> list[dict[str, Any]]:
        answer = await self._api.request("GET", resource.path)
        if not isinstance(answer.body, dict):  # A proxy's page, perhaps.
            raise ApiError(f"GET {resource.path}", answer.status, "BadAnswer", "the answer is no list of objects")
        return answer.body.get("items") or []

    async def _settle(self, engine: Engine) -> None:
        settled = False
        while not settled:
            settled = engine.run(self._clock(), TURN)
            if len(engine.verdicts) - self._frozen > FREEZE_AFTER:
                # Most of what is there stays: looking through it for garbage again and again would cost long turns.
                gc.freeze()
                self._frozen = len(engine.verdicts)
            self._last_turn = time.monotonic()
            await asyncio.sleep(0)
        now = self._clock()
        changed = False
        for is_other in self._ledger.steps(engine.drain(), engine.outcomes(), now):
            changed = changed or is_other
            self._last_turn = time.monotonic()
            await asyncio.sleep(0)
        if changed:
            limits = self._settings.limits
            self._writer.want(self._diagnoses, limits.objects, limits.writes_per_second)
            self._reporter.wake()

    async def _wait(self, engine: Engine) -> None:
        dues = [due for due in (engine.next_wake(), self._ledger.next_deadline()) if due]
        now = self._clock()
        pause = min(((due - now).total_seconds() for due in dues), default=STUCK_AFTER / 4)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(max(pause, 0.0), STUCK_AFTER / 4)):
                await self._wake.wait()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY)
            if self._store.is_untidy:
                for _ in self._store.tidy():
                    await asyncio.sleep(0)

    def _diagnoses(self) -> Sequence[Diagnosis]:
        return self._ledger.diagnoses()

    def _exists(self, ref: Ref) -> bool | None:
        """Whether an object exists, as far as is known; None where its kind is watched and cannot be seen now."""
        table = next((one for view, one in self._store.tables.items() if view.resource.kind == ref.kind), None)
        if table is None:
            # A zone is no object, a foreign owner is watched by nobody; a kind with a group may not be discovered yet.
            return None if "." in ref.kind and self._options.metadata_kinds else True
        return key_of(ref.namespace, ref.name) in table.rows if table.state.readable else None

    # --- out ---

    def _trouble(self) -> str:
        stuck = time.monotonic() - self._last_turn
        if self._engine is not None and stuck > STUCK_AFTER:
            return f"the main loop has not turned for {stuck:.0f} seconds"
        if self._engine is not None and self._kopf is not None and not self._kopf.alive:
            return "the thread that follows the policy has ended"
        return ""

    def _awaited(self) -> str:
        if self._engine is not None:
            return ""
        missing = [view.resource.plural for view, table in self._store.tables.items() if not table.state.settled]
        return f"still reading: {', '.join(missing) or 'our own objects'}"

    def _sight(self) -> Sight:
        now = self._clock()
        silenced = Counter(one.suppression.field for one in self._diagnoses() if one.silenced and one.suppression)
        return Sight(
            ready=self._engine is not None,
            outcomes=self._engine.outcomes() if self._engine else {},
            watches=[Watched(view.resource.kind, one.state, len(one.rows)) for view, one in self._store.tables.items()],
            diagnoses=self._diagnoses(),
            problems=(*self._settings.problems, *self._settings.expired(now)),
            suppressions=[(one, silenced[one.field]) for one in self._settings.in_force(now)],
            undecided=self._engine.undecided() if self._engine else [],
            left_out=self._writer.left_out_now,
        )

    def _facts(self) -> Facts:
        evaluations: Counter[tuple[str, str]] = Counter()
        if self._engine is not None:
            for check, count in self._engine.evaluations.items():
                failed = self._engine.failed_evaluations.get(check, 0)
                evaluations[check, "evaluated"] = count - failed
                evaluations[check, "failed"] = failed
        return Facts(
            diagnoses=self._diagnoses(),
            findings=self._ledger.findings(),
            checks={check.id: self._settings.enabled(check) for check in self._registry},
            evaluations=evaluations,
            durations=dict(self._engine.seconds) if self._engine else {},
            watches=[self._watch_facts(view) for view in self._store.tables],
            writes=self._writer.results,
            left_out=self._writer.left_out,
            is_leader=self._may_write(),
            tells=self._tells(),
            longest_turn=self._pulse.longest,
        )

    def _watch_facts(self, view: type[View]) -> WatchFacts:
        table, reflector = self._store.table(view), self._reflectors.get(view)
        health = reflector.health if reflector else None
        return WatchFacts(
            kind=view.resource.kind,
            synced=table.state.readable,
            objects=len(table.rows),
            last_heard=health.last_heard if health and table.state is not State.ABSENT else 0.0,
            restarts=health.restarts if health else {},
            dropped=health.dropped if health else 0,
        )


class Pulse:
    """Beats, and so notices how long the loop is busy at a stretch."""

    def __init__(self) -> None:
        self._latest = self._before = 0.0
        self._minute = 0.0

    @property
    def longest(self) -> float:
        """The longest stretch of this minute and the one before, in seconds."""
        return max(self._latest, self._before)

    async def run(self) -> None:
        """Beat until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            asleep = loop.time()
            await asyncio.sleep(BEAT)
            now = loop.time()
            if now - self._minute > MINUTE:
                self._before, self._latest, self._minute = self._latest, 0.0, now
            self._latest = max(self._latest, now - asleep - BEAT)


async def _show_what_blocks() -> None:
    """Have the stacks of all threads written down whenever the loop stands still; /healthz is silent then."""
    try:
        while True:
            faulthandler.dump_traceback_later(BLOCKED_AFTER)
            await asyncio.sleep(BLOCKED_AFTER / 4)
    finally:
        faulthandler.cancel_dump_traceback_later()
