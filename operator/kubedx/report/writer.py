"""Writes diagnoses to the cluster: few writes, the most severe first, and none that says nothing new."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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

BATCH = 5
"""How many writes are made of one plan. Between two plans is the time that so many take, as what is wished for changes
with every change of the cluster."""

_OTHERS = 2
"""Writes a second that are left to the policy's status and to the Lease, or half of all where that is less."""

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


class Difference(Enum):
    """What a status that is wished for says beside the one that was written."""

    NONE = "nothing new"
    NUMBERS = "other numbers"
    MEANING = "something else"


class Wished:
    """A diagnosis, and the status that its object shall have.

    Working out a status takes 0.1 ms, and so does holding it against another; so each is done at most once.

    Args:
        diagnosis: The diagnosis.
    """

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        self._held: tuple[Known, Difference] | None = None

    @cached_property
    def status(self) -> DiagnosisStatus:
        """The status of its object."""
        return status(self.diagnosis)

    def held_against(self, known: Known) -> Difference:
        """Say what is new beside an object as it is known. One that changed is another `Known`."""
        if self._held is None or self._held[0] is not known:
            found = known.found.status
            if found == self.status:
                difference = Difference.NONE
            elif found is not None and meaning(found) == meaning(self.status):
                difference = Difference.NUMBERS
            else:
                difference = Difference.MEANING
            self._held = (known, difference)
        return self._held[1]


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
    difference = wished.held_against(known)
    due = known.written is not None and now - known.written >= RIDE_ALONG
    if difference is Difference.MEANING or (difference is Difference.NUMBERS and due):
        return Write(Do.UPDATE, name, wished)
    return None


def _is_older(version: str, than: str) -> bool:
    """Whether one resourceVersion is older than another; they are whole numbers that grow (KEP-5504)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


class Writer:
    """Keeps the objects as the diagnoses are.

    Args:
        api: The client.
        clock: Gives the time.
        may_write: Tells whether this replica may write now; asked before each write.

    Attributes:
        results: How many writes there were, by result.
        left_out: How many diagnoses the limit has left without an object since the start.
        left_out_now: How many are without one now.
    """

    def __init__(self, api: Client, clock: "Clock", may_write: Callable[[], bool] = lambda: True) -> None:
        self.results: Counter[str] = Counter()
        self.left_out = 0
        self.left_out_now = 0
        self._api = api
        self._clock = clock
        self._may_write = may_write
        self._known: dict[str, Known] = {}
        self._diagnoses: Callable[[], Sequence[Diagnosis]] | None = None
        self._wished: dict[int, Wished] = {}
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

    def want(self, diagnoses: Callable[[], Sequence[Diagnosis]], limit: int, writes_per_second: int) -> None:
        """Say that the objects may have to be others.

        Args:
            diagnoses: Gives the diagnoses, the most severe first; called when there is time to write.
            limit: How many objects may exist.
            writes_per_second: How many writes a second at most, with those of the policy's status and of the Lease.
        """
        self._diagnoses = diagnoses
        self._limit, self._interval = limit, 1 / max(writes_per_second - _OTHERS, writes_per_second / 2)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled; no refusal ends it."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if self._diagnoses is None:  # Nothing is known yet, which is no reason to delete anything.
                await self._wake.wait()
                continue
            writes = self._plan(self._diagnoses())
            rested = loop.time() + BATCH * self._interval
            due = [write for write in writes if self._not_before.get(write.name, 0.0) <= loop.time()]
            if due and self._may_write():
                await self._do_some(due[:BATCH])
                continue
            later = [self._not_before.get(write.name, 0.0) - loop.time() for write in writes]
            least = 0.05 if self._may_write() else 1.0
            with suppress(TimeoutError):
                async with asyncio.timeout(max(least, min(later, default=30.0))):
                    await self._wake.wait()
            await asyncio.sleep(max(0.0, rested - loop.time()))

    def _plan(self, diagnoses: Sequence[Diagnosis]) -> list[Write]:
        before = self._wished
        self._wished = {id(one): before.get(id(one)) or Wished(one) for one in diagnoses}
        writes, left_out = plan(list(self._wished.values()), self._known, self._limit, self._clock())
        if self._pauses:  # What need not be written any more, as it is gone or as it should be, has failed for good.
            names = {write.name for write in writes}
            self._pauses = Counter({name: count for name, count in self._pauses.items() if name in names})
            self._not_before = {name: at for name, at in self._not_before.items() if name in names}
        self.left_out += max(0, left_out - self.left_out_now)
        self.left_out_now = left_out
        return writes

    async def _do_some(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if self._may_write():
                await self._do(write)
            await asyncio.sleep(self._interval)

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
        await asyncio.sleep(self._interval)  # Its status is a second write.
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
        known = self._known.get(name)
        if known is None:
            return
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
