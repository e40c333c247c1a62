"""A reflector at work, and what a user sees of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from kubedx.kube.meta import View
from kubedx.kube.slots import key_of
from kubedx.kube.views import Pod
from kubedx.store.store import Change, State, Store
from kubedx.watch.client import Api
from kubedx.watch.pace import Pace
from kubedx.watch.reflector import Reflector, Server

HUNDREDFOLD = 100
"""How much faster everything goes here than in earnest: a minute takes 0.6 seconds."""

# What counts as closed at once is not made faster as well: this machine may be busy.
PACE = replace(Pace().faster(HUNDREDFOLD), silent_close=0.05)


async def until(holds: Callable[[], object], what: str = "", seconds: float = 15.0) -> None:
    """Wait until something holds."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} seconds: {what or 'what was waited for'}") from None


class Watching:
    """A reflector of one kind with a store of its own.

    Attributes:
        store: The store.
        changes: All changes, oldest first.
        states: What the policy's status showed of the kind, one after the other.
        reflector: The reflector.
    """

    def __init__(self, api: Api, view: type[View] = Pod, pace: Pace = PACE, server: Server | None = None) -> None:
        self.api = api
        self.view = view
        self.store = Store([view])
        self.table = self.store.table(view)
        self.changes: list[Change] = []
        self.states: list[State] = []
        self.server = server or Server()
        self.reflector = Reflector(
            api, self.store, view, server=self.server, changed=self.changes.append,
            turned=lambda: self.states.append(self.table.state), pace=pace,
        )  # fmt: skip

    @property
    def names(self) -> list[str]:
        """The names of the objects that it knows."""
        return sorted(key.rpartition("/")[2] for key in self.table.rows)

    @property
    def restarts(self) -> dict[str, int]:
        """The metric kubedx_watch_restarts_total by reason."""
        return dict(self.reflector.health.restarts)

    @property
    def dropped(self) -> int:
        """What it adds to the metric kubedx_dropped_total."""
        return self.reflector.health.dropped

    def one(self, name: str, namespace: str = "default") -> Any:
        """An object as it knows it."""
        return self.table.get(key_of(namespace, name))

    async def shows(self, *names: str) -> None:
        """Wait until it knows these objects and no others."""
        await until(lambda: self.names == sorted(names), f"{names} where it knows {self.names}")

    async def turns(self, state: State) -> None:
        """Wait until the policy's status shows this of the kind."""
        await until(lambda: self.table.state is state, f"{state} of {self.states}")

    async def is_right(self) -> None:
        """Wait until it knows exactly what a fresh list shows."""
        fresh = Watching(self.api, self.view)
        await fresh.reflector.read_once()
        right = _content(fresh)
        await until(lambda: _content(self) == right, f"{fresh.names}, and it knows {self.names}")


def _content(watching: Watching) -> dict[str, View]:
    return {key: row.view for key, row in watching.table.rows.items()}


@asynccontextmanager
async def watching(
    api: Api, view: type[View] = Pod, pace: Pace = PACE, server: Server | None = None
) -> AsyncIterator[Watching]:
    """A reflector that runs, and that nothing has ended until the context does."""
    found = Watching(api, view, pace, server)
    task = asyncio.create_task(found.reflector.run())
    try:
        yield found
        assert not task.done(), "nothing that a server does ends a reflector"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pod(name: str, namespace: str = "default", *, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    """A Pod, for a cluster."""
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"containers": [{"name": "main", "image": "registry.test/main:1"}]},
        "status": {"phase": phase},
    }
