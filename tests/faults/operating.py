"""The whole operator beside the API server of these tests, in this process, and what a user sees of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from kubedx.app import App, Options
from kubedx.watch.client import Login
from kubedx.watch.pace import Pace
from tests.cluster.harness import free_ports
from tests.faults.server import Server
from tests.faults.watching import PACE, until

NAMESPACE = "kubedx-system"
PROMPT = {"checks": {"NodeDiskPressure": {"settings": {"clearAfter": "0s"}}}}
"""A policy under which a node with disk pressure is a diagnosis as long as it has it."""


class Operating:
    """An operator at work.

    Attributes:
        server: The API server.
        app: The operator.
        port: Where it serves HTTP.
    """

    def __init__(self, server: Server, app: App, port: int) -> None:
        self.server = server
        self.app = app
        self.port = port

    async def get(self, path: str) -> tuple[int, str]:
        """Ask it for a page."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def metric(self, name: str, /, **labels: str) -> float:
        """The sum of a metric's series that carry these labels."""
        _, text = await self.get("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def ready(self) -> None:
        """Wait until it has read everything once."""

        async def is_ready() -> bool:
            try:
                return (await self.get("/readyz"))[0] == 200
            except aiohttp.ClientError:
                return False

        async with asyncio.timeout(20):
            while not await is_ready():
                await asyncio.sleep(0.02)

    @property
    def diagnoses(self) -> dict[str, str]:
        """The state of every ClusterDiagnosis, by check and subject."""
        found = [one.get("status") or {} for one in self.server.cluster.objects("ClusterDiagnosis")]
        return {f"{one['check']} {one['subjectText']}": one["state"] for one in found if one}

    @property
    def policy(self) -> Mapping[str, Any]:
        """The status of the policy."""
        found = self.server.cluster.objects("DiagnosisPolicy")
        return (found[0].get("status") if found else None) or {}

    def watch(self, kind: str) -> str:
        """What the policy's status says of a kind."""
        return next((one["state"] for one in self.policy.get("watches", ()) if one["kind"] == kind), "")

    def condition(self, kind: str) -> str:
        """The status of a condition of the policy."""
        return next((one["status"] for one in self.policy.get("conditions", ()) if one["type"] == kind), "")

    async def finds(self, **diagnoses: str) -> None:
        """Wait until there are objects for exactly these diagnoses about nodes: the node's name, and the state."""
        expected = {f"NodeDiskPressure Node/{name}": state for name, state in diagnoses.items()}
        await until(lambda: self.diagnoses == expected, f"{expected} where there are {self.diagnoses}", 30)


@asynccontextmanager
async def operating(
    server: Server, folder: Path, policy: Mapping[str, Any] | None = None, pace: Pace = PACE, **options: Any
) -> AsyncIterator[Operating]:
    """An operator that runs until the context ends, and that nothing ends before.

    Args:
        server: The API server.
        folder: Where its kubeconfig may be put, if there is none yet.
        policy: The chart's defaults of its policy.
        pace: How patient its watching is.
        options: Further options of `kubedx run`.

    Yields:
        The operator, not ready yet.
    """
    config = folder / "kubeconfig"
    login = Login(str(config) if config.exists() else server.kubeconfig(folder))
    port = free_ports(1)[0]
    app = App(login, Options(port=port, defaults=policy or PROMPT, **options), pace=pace)
    task = asyncio.create_task(app.run())
    try:
        yield Operating(server, app, port)
        assert not task.done(), "nothing that a server does ends the operator"
    finally:
        app._stop.set()
        await asyncio.gather(task, return_exceptions=True)


def node(name: str, *, full: bool = False, at: datetime | None = None) -> dict[str, Any]:
    """A Node, for a cluster.

    Args:
        name: Its name.
        full: Whether its disk is full.
        at: Since when; for five minutes if not given.
    """
    since = (at or datetime.now(UTC)) - timedelta(minutes=5)
    common = {"lastTransitionTime": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "message": "so the test wants it"}
    pressure = {"type": "DiskPressure", "status": str(full), "reason": "KubeletHasDiskPressure", **common}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", **common}
    return {"kind": "Node", "metadata": {"name": name}, "status": {"conditions": [pressure, ready]}}
