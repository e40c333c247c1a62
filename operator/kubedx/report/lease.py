"""Which replica writes: the one that holds a Lease. And which one tells: the one that last did.

The rules are those of client-go's leader election, with its timings for add-ons that may take a minute to take over: a
Lease that nobody renewed for 60 seconds may be taken, its holder stops writing 40 seconds after its last renewal and
tries every 15 seconds. Times of other machines are never compared with ours; only how long a Lease stood unchanged
counts.

Whoever cannot reach the API server cannot renew the Lease, which is no reason for its alerts to resolve: it writes
nothing, and goes on telling what it knows until it sees the Lease in the hands of another one.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kubedx.report.writer import Client

logger = logging.getLogger(__name__)

DURATION = 60.0
"""Seconds for which a Lease that nobody renews is left to its holder."""

DEADLINE = 40.0
"""Seconds after its last renewal in which the holder may write."""

RETRY = 15.0
"""Seconds between two tries to renew or to take the Lease."""

NAME = "kubedx"
_NOT_FOUND, _CONFLICT = 404, 409


class Elector:
    """Holds the Lease, or waits for it.

    Args:
        api: The client.
        namespace: The namespace of the Lease.
        identity: What this replica is called, unlike every other.
        turned: Called when this replica begins or ceases to lead or to tell.

    Attributes:
        tells: Whether this replica led last, as far as it knows, so that its metrics are those that count.
    """

    def __init__(self, api: Client, namespace: str, identity: str, turned: Callable[[], None]) -> None:
        self._api = api
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._identity = identity
        self._turned = turned
        self.tells = False
        self._said = (False, False)
        self._renewed = float("-inf")
        self._seen: object = None
        self._seen_at = 0.0

    @property
    def leads(self) -> bool:
        """Whether this replica may write now. Ask before each write: a process may have been stopped for a while."""
        return time.monotonic() - self._renewed < DEADLINE

    async def run(self) -> None:
        """Try until cancelled; no refusal ends it."""
        while True:
            begun = time.monotonic()
            try:
                async with asyncio.timeout(DEADLINE / 4):
                    self.tells = await self._try()
                    self._renewed = begun if self.tells else float("-inf")
            except Exception as error:  # noqa: BLE001 -- whatever it was, the next try may succeed
                level = logging.DEBUG if getattr(error, "status", 0) == _CONFLICT else logging.WARNING
                logger.log(level, "Could not hold the Lease %s/%s: %s", self._namespace, NAME, error)
            self._say()
            await asyncio.sleep(RETRY)

    def _say(self) -> None:
        before, self._said = self._said, (self.leads, self.tells)
        if before[0] != self.leads:
            logger.info("This replica leads" if self.leads else "This replica stands by")
        if before != self._said:
            self._turned()

    async def release(self) -> None:
        """Give the Lease back, so that another replica need not wait."""
        self.tells = False
        if not self.leads:
            return
        self._renewed = float("-inf")
        with contextlib.suppress(Exception):  # The process ends; the Lease runs out by itself.
            lease = (await self._api.request("GET", f"{self._path}/{NAME}")).body
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                await self._api.request("PUT", f"{self._path}/{NAME}", body=lease)

    async def _try(self) -> bool:
        """Renew or take the Lease; returns whether it is ours, or another one's.

        The resourceVersion sees to it that only one replica succeeds.
        """
        try:
            lease = (await self._api.request("GET", f"{self._path}/{NAME}")).body
        except Exception as error:
            if getattr(error, "status", 0) != _NOT_FOUND:
                raise
            metadata = {"name": NAME, "namespace": self._namespace}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
            await self._api.request("POST", self._path, body={**lease, "spec": self._held({})})
            return True
        spec = lease.get("spec") or {}
        if spec != self._seen:
            self._seen, self._seen_at = spec, time.monotonic()
        holder = spec.get("holderIdentity") or ""
        if holder not in {"", self._identity} and time.monotonic() - self._seen_at < DURATION:
            return False  # Whoever has it, has it: an administrator's edit counts at once.
        await self._api.request("PUT", f"{self._path}/{NAME}", body={**lease, "spec": self._held(spec)})
        return True

    def _held(self, before: dict[str, Any]) -> dict[str, Any]:
        now = _now()
        is_ours = before.get("holderIdentity") == self._identity
        changes = before.get("leaseTransitions") or 0
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": before.get("acquireTime") or now if is_ours else now,
            "renewTime": now,
            "leaseTransitions": changes if is_ours or not before else changes + 1,
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
