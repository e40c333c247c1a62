"""kopf in its thread against a real API server, of which kinds vanish and which itself goes away."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from kubedx.api.model import API_VERSION, GROUP
from kubedx.generate import crd
from kubedx.handlers import KINDS, KopfThread, State
from kubedx.watch.client import Api, Login
from tests.cluster import harness
from tests.cluster.harness import Cluster

DEFINITIONS = [crd.definition(kind) for kind in crd.KINDS]


def thing(kind: str, name: str, **spec: object) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


class Running:
    """A KopfThread with what it reported."""

    def __init__(self, cluster: Cluster, api: Api) -> None:
        self.cluster = cluster
        self.changes: list[tuple[str, str, str]] = []
        self.kopf = KopfThread(api.server, api.make_session, asyncio.get_running_loop(), self._note)

    def _note(self, kind: str, event_type: str, body: dict[str, Any]) -> None:
        self.changes.append((kind, event_type, body["metadata"]["name"]))

    async def apply(self, *objects: dict[str, Any]) -> None:
        await asyncio.to_thread(self.cluster.apply, list(objects))

    async def kubectl(self, *args: str) -> str:
        return await asyncio.to_thread(self.cluster.kubectl, *args)

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.kopf.state, self.changes)
            await asyncio.sleep(0.05)

    async def until_seen(self, kind: str, event_types: set[str], name: str, seconds: float = 20.0) -> None:
        await self.until(lambda: any((kind, seen, name) in self.changes for seen in event_types), seconds)


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    """A cluster of this module's own: taking kinds away and stopping the API server would disturb other tests."""
    running = harness.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
async def running(own_cluster: Cluster) -> AsyncIterator[Running]:
    async with Api(Login(str(own_cluster.kubeconfig))) as api:
        case = Running(own_cluster, api)
        try:
            yield case
        finally:
            assert await case.kopf.stop()
    own_cluster.kubectl("delete", "crd", "--all", "--wait=true")


async def test_reports_both_kinds_patches_nothing_and_stops_at_once(running: Running) -> None:
    await running.apply(*DEFINITIONS)
    await running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    await running.apply(thing("DiagnosisPolicy", "cluster"))
    running.kopf.start()
    await running.until_seen("DiagnosisPolicy", {"LISTED"}, "cluster")
    await running.apply(thing("ClusterDiagnosis", "a"))
    await running.until_seen("ClusterDiagnosis", {"LISTED", "ADDED"}, "a")
    await running.apply(thing("ClusterDiagnosis", "a", suppress={"reason": "known"}))
    await running.until_seen("ClusterDiagnosis", {"MODIFIED"}, "a")
    written = running.cluster.get("clusterdiagnosis", "a")["metadata"]
    await asyncio.sleep(2)  # A frame that writes would have written by now.
    after = running.cluster.get("clusterdiagnosis", "a")["metadata"]
    assert after == written
    assert "finalizers" not in after
    assert set(after.get("annotations", {})) <= {"kubectl.kubernetes.io/last-applied-configuration"}
    await running.kubectl("delete", "clusterdiagnosis", "a")
    await running.until_seen("ClusterDiagnosis", {"DELETED"}, "a")
    started = time.monotonic()
    assert await running.kopf.stop()
    assert time.monotonic() - started < 2
    assert running.kopf.state is State.STOPPED
    assert not [
        entry for entry in running.cluster.audit() if ours(entry) and entry["verb"] not in {"list", "watch", "get"}
    ]


def ours(entry: dict[str, Any]) -> bool:
    return str(entry.get("userAgent", "")).startswith("kubedx/")


async def test_definitions_may_come_later_go_and_come_back(running: Running) -> None:
    running.kopf.start()
    await running.until(lambda: running.kopf.state is State.WAITING)
    await running.apply(*DEFINITIONS)
    await running.until(lambda: running.kopf.state is State.SERVING)
    await running.apply(thing("DiagnosisPolicy", "cluster"), thing("ClusterDiagnosis", "a"))
    await running.until_seen("DiagnosisPolicy", {"LISTED", "ADDED"}, "cluster")
    await running.until_seen("ClusterDiagnosis", {"LISTED", "ADDED"}, "a")
    await running.kubectl("delete", "crd", f"{KINDS['DiagnosisPolicy'].plural}.{GROUP}", "--wait=true")
    await running.until_seen("DiagnosisPolicy", {"DELETED"}, "cluster")
    await running.apply(thing("ClusterDiagnosis", "b"))  # The other kind goes on meanwhile.
    await running.until_seen("ClusterDiagnosis", {"LISTED", "ADDED"}, "b")
    running.changes.clear()
    await running.apply(*DEFINITIONS)
    await running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    await running.apply(thing("DiagnosisPolicy", "cluster"))
    await running.until_seen("DiagnosisPolicy", {"LISTED", "ADDED"}, "cluster")
    assert running.kopf.alive


async def test_survives_a_restart_of_the_api_server(running: Running) -> None:
    await running.apply(*DEFINITIONS)
    await running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    await running.apply(thing("DiagnosisPolicy", "cluster"), thing("ClusterDiagnosis", "a"))
    running.kopf.start()
    await running.until_seen("ClusterDiagnosis", {"LISTED", "ADDED"}, "a")
    for command in ("stop", "start"):
        await asyncio.to_thread(
            harness._kwokctl, running.cluster.folder, command, "cluster", f"--name={running.cluster.name}", timeout=120
        )
    await running.kubectl("delete", "clusterdiagnosis", "a")
    await running.apply(thing("ClusterDiagnosis", "b"))
    await running.until_seen("ClusterDiagnosis", {"DELETED"}, "a", 60)
    await running.until_seen("ClusterDiagnosis", {"LISTED", "ADDED"}, "b", 60)
