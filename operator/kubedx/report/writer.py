"""Writes diagnoses to the cluster: few writes, the most severe first, and none that says nothing new."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Any, Protocol

from kubedx.api.diagnosis import RESOURCE, ClusterDiagnosis, DiagnosisStatus, read
from kubedx.api.model import API_VERSION
from kubedx.diagnosis.diagnosis import Diagnosis, State
from kubedx.report.objects import is_ours, labels, meaning, status

logger = logging.getLogger(__name__)

RIDE_ALONG = timedelta(minutes=10)
"""After how long numbers are brought up to date although they mean nothing new."""

_LONGEST_PAUSE = 60.0
_CONFLICT, _NOT_FOUND = 409, 404


class Client(Protocol):
    """The part of `kubedx.watch.client.Api` that writing needs."""

    async def request(  # noqa: D102 -- see Api.request
        self, method: str, path: str, *, body: object = None, content_type: str = "application/json"
    ) -> Any: ...  # noqa: ANN401 -- a Response


class Do(Enum):
    """What is to be done about an object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(slots=True)
class Known:
    """An object as it was seen or written last.

    Attributes:
        found: The object.
        written: When its status was written last by this process, None if it was not.
    """

    found: ClusterDiagnosis
    written: datetime | None = None


@dataclass(frozen=True)
class Wished:
    """A diagnosis, and the status that its object shall have: worked out at most once, as it costs 0.1 ms."""

    diagnosis: Diagnosis

    @cached_property
    def status(self) -> DiagnosisStatus:
        """The status of its object."""
        return status(self.diagnosis)


@dataclass(frozen=True, slots=True)
class Write:
    """One thing to do."""

    do: Do
    name: str
    wished: Wished | None = None


def plan(wanted: Sequence[Wished], known: Mapping[str, Known], limit: int, now: datetime) -> tuple[list[Write], int]:
    """Find what must be written. Objects that people created are not touched.

    Args:
        wanted: The diagnoses, the most severe first.
        known: The objects that exist, by name.
        limit: How many objects may exist.
        now: The time.

    Returns:
        The writes, the most important first, and how many diagnoses the limit left out.
    """
    ours = {name: one for name, one in known.items() if is_ours(one.found)}
    shown = [one for one in wanted if _is_shown(one.diagnosis, known, ours)]
    kept, left_out = shown[:limit], shown[limit:]
    writes = [write for one in kept if (write := _write(one, ours.get(one.diagnosis.name), now))]
    names = {one.diagnosis.name for one in kept}
    gone = [Write(Do.DELETE, name) for name, one in ours.items() if name not in names and not _is_silenced(one, now)]
    return gone + writes if len(ours) >= limit else writes + gone, len(left_out)


def _is_shown(diagnosis: Diagnosis, known: Mapping[str, Known], ours: Mapping[str, Known]) -> bool:
    """Whether a diagnosis has or gets an object; one that is over or may fold any moment gets none."""
    if diagnosis.name in known:
        return diagnosis.name in ours
    return diagnosis.settled and diagnosis.state is not State.RESOLVED


def _is_silenced(known: Known, now: datetime) -> bool:
    """Whether a person's silence still holds, which would be lost with the object."""
    suppress = known.found.suppress
    return suppress is not None and (suppress.until is None or now < suppress.until)


def _write(wished: Wished, known: Known | None, now: datetime) -> Write | None:
    name = wished.diagnosis.name
    if known is None:
        return Write(Do.CREATE, name, wished)
    found = known.found.status
    if found == wished.status:
        return None
    due = known.written is not None and now - known.written >= RIDE_ALONG
    if found is None or due or meaning(found) != meaning(wished.status):
        return Write(Do.UPDATE, name, wished)
    return None


def _wished(diagnosis: Diagnosis, before: Wished | None) -> Wished:
    return before if before is not None and before.diagnosis == diagnosis else Wished(diagnosis)


def _is_older(version: str, than: str) -> bool:
    """Whether one resourceVersion is older than another; they are whole numbers that grow (KEP-5504)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


class Writer:
    """Keeps the objects as the diagnoses are.

    Args:
        api: The client.
        clock: Gives the time.
        may_write: Tells whether this replica may write now; asked before each write.
    """

    def __init__(self, api: Client, clock: "Clock", may_write: Callable[[], bool] = lambda: True) -> None:
        self.results: Counter[str] = Counter()
        self.left_out = 0
        self._left_out_now = 0
        self._api = api
        self._clock = clock
        self._may_write = may_write
        self._known: dict[str, Known] = {}
        self._wanted: Sequence[Wished] | None = None
        self._limit = 500
        self._interval = 0.1
        self._wake = asyncio.Event()
        self._pauses: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}

    def observe(self, event: str, body: Mapping[str, Any]) -> ClusterDiagnosis:
        """Take note of an object that the API server told of.

        Args:
            event: ADDED, MODIFIED, DELETED or LISTED.
            body: The object.

        Returns:
            What of the object makes sense.
        """
        found = read(body)
        before = self._known.get(found.name)
        if found.problem and (before is None or before.found.problem != found.problem):
            logger.warning("The spec of ClusterDiagnosis %s is not followed: %s", found.name, found.problem)
        is_same = before is not None and before.found.uid == found.uid
        if event == "DELETED":
            if is_same:
                del self._known[found.name]
        # What a watch tells late must not undo what the answer to a write told.
        elif not (is_same and before and _is_older(found.resource_version, before.found.resource_version)):
            self._known[found.name] = Known(found, before.written if before else None)
        self._wake.set()
        return found

    def want(self, diagnoses: Sequence[Diagnosis], limit: int, writes_per_second: int) -> None:
        """Say what the objects shall be.

        Args:
            diagnoses: The diagnoses, the most severe first.
            limit: How many objects may exist.
            writes_per_second: How many writes a second at most.
        """
        before = {one.diagnosis.name: one for one in self._wanted or ()}
        self._wanted = [_wished(one, before.get(one.name)) for one in diagnoses]
        self._limit, self._interval = limit, 1 / writes_per_second
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; no refusal ends it."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if self._wanted is None:  # Nothing is known yet, which is no reason to delete anything.
                await self._wake.wait()
                continue
            writes, left_out = plan(self._wanted, self._known, self._limit, self._clock())
            self.left_out += max(0, left_out - self._left_out_now)
            self._left_out_now = left_out
            due = [write for write in writes if self._not_before.get(write.name, 0.0) <= loop.time()]
            if due and self._may_write():
                await self._do(due[0])
                await asyncio.sleep(self._interval)
                continue
            later = [self._not_before.get(write.name, 0.0) - loop.time() for write in writes]
            least = 0.05 if self._may_write() else 1.0
            try:
                async with asyncio.timeout(max(least, min(later, default=30.0))):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _do(self, write: Write) -> None:
        try:
            match write.do:
                case Do.CREATE:
                    await self._create(write)
                case Do.UPDATE:
                    await self._update(write)
                case Do.DELETE:
                    await self._delete(write.name)
            self._pauses.pop(write.name, None)
            self._not_before.pop(write.name, None)
            self.results["ok"] += 1
        except Exception as error:  # noqa: BLE001 -- one object that cannot be written must not stop the others
            await self._failed(write, error)

    async def _create(self, write: Write) -> None:
        if write.wished is None:
            return
        body = {
            "apiVersion": API_VERSION,
            "kind": RESOURCE.kind,
            "metadata": {"name": write.name, "labels": labels(write.wished.diagnosis)},
        }
        answer = await self._api.request("POST", RESOURCE.path, body=body)
        self._known[write.name] = Known(read(answer.body))
        await self._update(write)

    async def _update(self, write: Write) -> None:
        known = self._known.get(write.name)
        if known is None or write.wished is None:
            return
        patch = write.wished.status.patch()
        body = {"metadata": {"resourceVersion": known.found.resource_version}, "status": patch}
        path = f"{RESOURCE.path}/{write.name}/status"
        answer = await self._api.request("PATCH", path, body=body, content_type="application/merge-patch+json")
        self._known[write.name] = Known(read(answer.body), self._clock())

    async def _delete(self, name: str) -> None:
        known = self._known[name]
        options = {"preconditions": {"uid": known.found.uid}} if known.found.uid else {}
        await self._api.request("DELETE", f"{RESOURCE.path}/{name}", body=options)
        self._known.pop(name, None)

    async def _failed(self, write: Write, error: Exception) -> None:
        code = getattr(error, "status", 0)
        self.results[str(code) if code else "unreachable"] += 1
        if code in {_CONFLICT, _NOT_FOUND}:
            await self._read_again(write.name)
        self._pauses[write.name] += 1
        pause = min(_LONGEST_PAUSE, 0.2 * 2 ** self._pauses[write.name]) * random.uniform(0.5, 1.0)  # noqa: S311
        pause = max(pause, getattr(error, "retry_after", None) or 0.0)
        self._not_before[write.name] = asyncio.get_running_loop().time() + pause
        level = logging.DEBUG if code == _CONFLICT else logging.WARNING
        logger.log(level, "Could not %s ClusterDiagnosis %s: %s", write.do.value, write.name, error)

    async def _read_again(self, name: str) -> None:
        try:
            answer = await self._api.request("GET", f"{RESOURCE.path}/{name}")
        except Exception as error:  # noqa: BLE001 -- as in `_do`
            if getattr(error, "status", 0) == _NOT_FOUND:
                self._known.pop(name, None)
            return
        before = self._known.get(name)
        self._known[name] = Known(read(answer.body), before.written if before else None)


class Clock(Protocol):
    """Gives the time."""

    def __call__(self) -> datetime:
        """The time, with its zone."""
