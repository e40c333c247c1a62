"""What the tests of faults share: the server, and an operator beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubedx.watch.client import Api, Login
from tests.faults.server import Server, serving
from tests.faults.watching import HUNDREDFOLD


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as found:
        found.bookmark_every = 30 / HUNDREDFOLD
        yield found


@pytest.fixture
async def api(server: Server, tmp_path: Path) -> AsyncIterator[Api]:
    async with Api(Login(server.kubeconfig(tmp_path))) as found:
        yield found
