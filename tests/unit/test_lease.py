"""Which of several replicas writes."""

import asyncio
import copy
from types import SimpleNamespace
from typing import Any

import pytest

from kubedx.report import lease
from kubedx.report.lease import Elector


class RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Leases:
    """The Leases of one namespace, with the API server's optimistic locking."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.writes = 0
        self.down = False

    async def request(
        self, method: str, path: str, *, body: Any = None, content_type: str = "application/json"
    ) -> SimpleNamespace:
        await asyncio.sleep(0)
        if self.down:
            raise OSError("connection refused")
        if method == "GET":
            if self.lease is None:
                raise RefusedError(404)
        elif method == "POST":
            if self.lease is not None:
                raise RefusedError(409)
            self._keep(body)
        else:
            assert self.lease is not None
            if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise RefusedError(409)
            self._keep(body)
        return SimpleNamespace(status=200, body=copy.deepcopy(self.lease))

    def _keep(self, body: dict[str, Any]) -> None:
        self.writes += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.writes)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "DURATION", 0.6)
    monkeypatch.setattr(lease, "DEADLINE", 0.4)
    monkeypatch.setattr(lease, "RETRY", 0.1)


def _elector(leases: Leases, name: str) -> Elector:
    return Elector(leases, "kubedx-system", name, lambda: None)


async def _leads(elector: Elector, *, within: float) -> bool:
    async with asyncio.timeout(within):
        while not elector.leads:
            await asyncio.sleep(0.01)
    return True


async def test_a_single_replica_leads_at_once() -> None:
    leases = Leases()
    one = _elector(leases, "one")
    task = asyncio.create_task(one.run())

    assert await _leads(one, within=0.2)
    assert leases.lease is not None
    assert leases.lease["spec"]["holderIdentity"] == "one"

    task.cancel()


async def test_two_replicas_that_start_together_never_lead_both() -> None:
    leases = Leases()
    both = [_elector(leases, name) for name in ("one", "two")]
    tasks = [asyncio.create_task(elector.run()) for elector in both]

    for _ in range(60):
        await asyncio.sleep(0.01)
        assert sum(elector.leads for elector in both) <= 1
        assert sum(elector.tells for elector in both) <= 1
    assert sum(elector.leads for elector in both) == 1

    for task in tasks:
        task.cancel()


async def test_a_lease_that_nobody_renews_is_taken_after_its_duration_and_not_before() -> None:
    leases = Leases()
    one, two = _elector(leases, "one"), _elector(leases, "two")
    first = asyncio.create_task(one.run())
    await _leads(one, within=0.2)
    second = asyncio.create_task(two.run())
    await asyncio.sleep(0.05)
    first.cancel()
    begun = asyncio.get_running_loop().time()

    assert await _leads(two, within=2.0)
    assert asyncio.get_running_loop().time() - begun >= 0.45
    assert not one.leads
    assert leases.lease is not None
    assert leases.lease["spec"]["leaseTransitions"] == 1

    second.cancel()


async def test_a_lease_that_is_given_back_is_taken_at_the_next_try() -> None:
    leases = Leases()
    one, two = _elector(leases, "one"), _elector(leases, "two")
    first = asyncio.create_task(one.run())
    await _leads(one, within=0.2)
    second = asyncio.create_task(two.run())
    await asyncio.sleep(0.15)
    first.cancel()
    await one.release()

    assert await _leads(two, within=0.3)
    assert (one.tells, two.tells) == (False, True)

    second.cancel()


async def test_a_leader_that_cannot_renew_stops_before_anybody_else_may_begin() -> None:
    leases = Leases()
    one = _elector(leases, "one")
    task = asyncio.create_task(one.run())
    await _leads(one, within=0.2)
    leases.down = True

    await asyncio.sleep(0.55)

    assert not one.leads
    assert one.tells, "nobody else does"
    leases.down = False
    assert await _leads(one, within=0.5)

    task.cancel()


async def test_a_lease_that_an_administrator_deletes_is_made_again() -> None:
    leases = Leases()
    one = _elector(leases, "one")
    task = asyncio.create_task(one.run())
    await _leads(one, within=0.2)
    leases.lease = None

    await asyncio.sleep(0.3)

    assert leases.lease is not None
    assert leases.lease["spec"]["holderIdentity"] == "one"
    assert one.leads

    task.cancel()


async def test_a_lease_that_somebody_else_stole_is_left_to_them() -> None:
    leases = Leases()
    one = _elector(leases, "one")
    task = asyncio.create_task(one.run())
    await _leads(one, within=0.2)
    assert leases.lease is not None
    stolen = copy.deepcopy(leases.lease)
    stolen["spec"] |= {"holderIdentity": "thief", "renewTime": "2026-01-01T00:00:00.000000Z"}
    await leases.request("PUT", "", body=stolen)

    await asyncio.sleep(0.2)

    assert not one.leads
    assert not one.tells

    task.cancel()
