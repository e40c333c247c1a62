"""The scale server: how it is built, started and told what to do."""

import contextlib
import http.client
import json
import os
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import BenchError, Measured, running
from tests.cluster.tools import build

SOURCE = Path(__file__).resolve().parent / "server"


@dataclass(frozen=True)
class Size:
    """How large the cluster is; what is not said follows from the pods, in the proportions of the largest cluster."""

    pods: int
    broken: float = 0.02
    adversarial: bool = False

    @property
    def flags(self) -> list[str]:
        """The flags of the scale server."""
        owners = max(1, self.pods // 50)
        sizes = {
            "pods": self.pods,
            "nodes": max(1, self.pods // 30),
            "owners": owners,
            "namespaces": min(300, owners),
            "events": max(1, self.pods * 2 // 15),
            "broken": self.broken,
        }
        return [f"-{name}={value}" for name, value in sizes.items()] + ["-adversarial"] * self.adversarial


def server_program() -> Path:
    """Build the scale server, which takes seconds the first time and nothing later.

    Returns:
        The program.

    Raises:
        BenchError: Go is missing, or the build failed.
    """
    program = build.cache_root() / "bench" / "server"
    program.parent.mkdir(parents=True, exist_ok=True)
    try:
        built = subprocess.run(
            ["go", "build", "-o", str(program), "."],
            cwd=SOURCE,
            env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise BenchError(
            "Go is missing; the scale server is built with it. Install it from https://go.dev/dl/"
        ) from error
    if built.returncode:
        raise BenchError(f"The scale server does not build: {built.stderr}")
    return program


@dataclass(frozen=True)
class Server:
    """The scale server."""

    url: str
    process: Measured
    ca: Path | None = None
    """Its CA certificate, where it serves TLS."""

    def ask(self, path: str) -> Any:  # noqa: ANN401 -- JSON of any shape
        """Ask it for something, or to do something.

        Args:
            path: The path and the query.

        Returns:
            The decoded answer.
        """
        return json.loads(get(self.url, path))

    def emit(self, mix: str, count: int, rate: float = 0, age: int = 3600) -> dict[str, Any]:
        """Make it change objects.

        Args:
            mix: Which changes; see `mixes` in `server/emit.go`.
            count: How many.
            rate: How many a second; 0 for all at once.
            age: Since how many seconds what it breaks is broken, so that no check waits for it to last.

        Returns:
            The number and the begin of the emission.
        """
        begun: dict[str, Any] = self.ask(f"/ctl/emit?mix={mix}&n={count}&rate={rate}&age={age}")
        return begun

    def stats(self) -> dict[str, Any]:
        """What it was asked so far."""
        found: dict[str, Any] = self.ask("/ctl/stats")
        return found


@contextlib.contextmanager
def serving(size: Size, *flags: str, ca: Path | None = None) -> Iterator[Server]:
    """Run the scale server.

    Args:
        size: How large the cluster is.
        flags: Further flags.
        ca: Where to write its CA certificate; None for plain HTTP.

    Yields:
        The server, which answers.
    """
    secure = [f"-tls={ca}"] if ca else []
    with running([str(server_program()), *size.flags, *secure, *flags], None) as process:
        assert process.stdout is not None  # noqa: S101 -- a pipe was asked for
        url = process.stdout.readline().strip()
        if not url:
            raise BenchError("The scale server did not start.")
        yield Server(url, Measured(process.pid), ca)


def get(url: str, path: str, method: str = "GET", body: object = None, content_type: str = "application/json") -> bytes:
    """Send one request.

    Args:
        url: The base URL.
        path: The path and the query.
        method: The HTTP method.
        body: What to send as JSON.
        content_type: What kind of JSON.

    Returns:
        The answer's body.

    Raises:
        BenchError: The server refused.
    """
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": content_type} if data else {})
        answer = connection.getresponse()
        found = answer.read()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise BenchError(f"{method} {path} was refused: {answer.status} {found[:300]!r}")
        return found
    finally:
        connection.close()
