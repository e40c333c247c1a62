"""The operator as a process: how it is started, and how it is seen that it has nothing left to do."""

import contextlib
import http.client
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.machine import BenchError, Measured, running
from bench.scale import Server, get

SETTLED = "Everything has been read once"
"""What the operator logs when every check has its first answer."""

PATIENCE = 900.0
"""Seconds after which something that does not happen counts as broken."""


@dataclass(frozen=True)
class Start:
    """How an operator started.

    Attributes:
        cpu: Seconds of CPU from its exec until every check had its first answer.
        wall: Seconds of time for the same.
        peak: The most resident memory by then, in MB.
    """

    cpu: float
    wall: float
    peak: float


@dataclass(frozen=True)
class Operator:
    """A running operator, settled once."""

    url: str
    process: Measured
    start: Start
    log: Path

    def metrics(self) -> bytes:
        """Scrape it."""
        return get(self.url, "/metrics")

    def wait_until_settled(self, quiet: float = 0.6, patience: float = PATIENCE) -> float:
        """Wait until it has nothing left to work off, so that it hardly wants the CPU.

        Args:
            quiet: Seconds for which that must be so.
            patience: Seconds after which it is given up.

        Returns:
            When it began to be so, by the monotonic clock.

        Raises:
            BenchError: It never was.
        """
        deadline = time.monotonic() + patience
        since, before = time.monotonic(), self.process.busy
        last = since
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now, busy = time.monotonic(), self.process.busy
            if busy - before > _IDLE * (now - last):
                since = now
            elif now - since >= quiet:
                return since
            before, last = busy, now
        raise BenchError("The operator did not come to rest.")

    def wait_for_findings(self, least: int, quiet: float = 1.0, patience: float = PATIENCE) -> float:
        """Wait until the findings in its metrics change no more; asks four times a second.

        Args:
            least: How many findings about crashing pods there must be; with fewer it must have come to rest as well.
            quiet: Seconds for which they may not change.
            patience: Seconds after which it is given up.

        Returns:
            When they were seen to be as they stayed, by the monotonic clock.

        Raises:
            BenchError: They went on changing.
        """
        deadline = time.monotonic() + patience
        since, before, busy = time.monotonic(), b"", self.process.busy
        while time.monotonic() < deadline:
            scrape = self.metrics()
            now, found = time.monotonic(), b"".join(sorted(series(scrape, b"kubedx_findings{")))
            if found != before:
                since, before, busy = now, found, self.process.busy
            elif now - since >= quiet:
                rests = self.process.busy - busy < _IDLE * (now - since)
                if rests or crashes(scrape) >= least:
                    return since
            time.sleep(0.25)
        raise BenchError("The findings went on changing.")


def series(scrape: bytes, name: bytes, label: bytes = b"") -> list[bytes]:
    """The samples of a scrape that begin with a name and hold a label."""
    return [line for line in scrape.splitlines() if line.startswith(name) and label in line]


def total(samples: Iterable[bytes]) -> int:
    """The sum of samples."""
    return int(sum(float(line.rpartition(b" ")[2]) for line in samples))


def crashes(scrape: bytes) -> int:
    """How many findings about crashing pods a scrape tells of."""
    return total(series(scrape, b"kubedx_findings{", b'check="PodCrashLoopBackOff"'))


_IDLE = 0.35
"""Shares of a core below which an operator counts as idle: writing its objects, ten a second, is no work left over."""


@contextlib.contextmanager
def operating(
    server: Server, checks: int | None = 250, *, options: Sequence[str] = (), patience: float = PATIENCE
) -> Iterator[Operator]:
    """Run the operator, from its exec until every check has its first answer, and on.

    Where the server has TLS, it logs in as a pod does; else with a kubeconfig.

    Args:
        server: The server it watches.
        checks: How many checks it runs; None for `kubedx run` itself with those of this version.
        options: Further options of `bench.run`.
        patience: Seconds after which it is given up.

    Yields:
        The operator.

    Raises:
        BenchError: It did not get there.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        login, environment = _login(server, folder)
        program = ["bench.run", "--checks", str(checks)] if checks else ["kubedx", "run", "--log-format", "text"]
        command = [sys.executable, "-m", *program, *options, *login, "--listen", "127.0.0.1:0"]
        begun = time.monotonic()
        with running(command, log, environment) as process:
            measured = Measured(process.pid)
            text = _wait_for(SETTLED, log, process, begun + patience)
            start = Start(measured.cpu, time.monotonic() - begun, measured.peak)
            port = text.split("/readyz on port ")[1].split()[0]
            operator = Operator(f"http://127.0.0.1:{port}", measured, start, log)
            get(operator.url, "/readyz")  # It is refused while the operator is not ready.
            yield operator


def _login(server: Server, folder: Path) -> tuple[list[str], dict[str, str]]:
    """The options and the environment by which an operator finds the server."""
    if server.ca is None:
        config = folder / "kubeconfig"
        config.write_text(_KUBECONFIG.format(server=server.url), encoding="utf-8")
        return ["--kubeconfig", str(config)], {}
    (folder / "token").write_text("a token that nobody looks at", encoding="utf-8")
    (folder / "ca.crt").write_bytes(server.ca.read_bytes())
    host, _, port = urllib.parse.urlsplit(server.url).netloc.partition(":")
    environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    return ["--service-account", str(folder)], environment


def _wait_for(words: str, log: Path, process: subprocess.Popen[str], deadline: float) -> str:
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8")
        if words in text:
            return text
        if process.poll() is not None:
            raise BenchError(f"The operator ended:\n{text[-3000:]}")
        time.sleep(0.01)
    raise BenchError(f"The operator did not settle:\n{log.read_text(encoding='utf-8')[-3000:]}")


_KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: bench
clusters: [{{name: bench, cluster: {{server: "{server}"}}}}]
contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]
users: [{{name: bench, user: {{}}}}]
"""


class Probe:
    """Asks /healthz over one connection again and again.

    Its longest answer is the longest turn of the loop as it is seen from outside, with all that the machine adds.

    Attributes:
        longest: The longest answer so far, in seconds.
        count: How many there were.
    """

    def __init__(self, url: str, every: float = 0.005) -> None:
        self.longest = 0.0
        self.count = 0
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=120)
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        self._connection.close()

    def _ask(self) -> None:
        while not self._over.wait(self._every):
            begun = time.monotonic()
            self._connection.request("GET", "/healthz")
            self._connection.getresponse().read()
            self.longest = max(self.longest, time.monotonic() - begun)
            self.count += 1
