"""Programs that are run, and what the kernel says about their processes."""

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """Something could not be measured; the message says what."""


@dataclass(frozen=True)
class Measured:
    """A process, as the kernel knows it."""

    pid: int

    @property
    def cpu(self) -> float:
        """Seconds of CPU, user and system, of all its threads, the ended ones included; in steps of 10 ms."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS

    @property
    def busy(self) -> float:
        """Seconds that its threads ran or waited for a CPU: on a busy machine, who does not run may still want to."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(part) for task in tasks for part in task.read_text(encoding="ascii").split()[:2]) / 1e9

    @property
    def memory(self) -> float:
        """Resident memory now, in MB (10^6 bytes)."""
        return self._status("VmRSS")

    @property
    def peak(self) -> float:
        """The most resident memory so far, in MB."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak begin anew at what is resident now (Linux, proc(5): clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def _status(self, field: str) -> float:
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(text.split(f"{field}:")[1].split()[0]) * 1024 / 1e6


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path | None, more: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a program while the context lasts.

    Args:
        command: The program and its arguments.
        log: Where its error output goes; None for our own.
        more: Environment variables beside our own.

    Yields:
        The process, whose output can be read.
    """
    with contextlib.ExitStack() as open_files:
        errors = open_files.enter_context(log.open("w")) if log else None
        environment = {**os.environ, **(more or {})}
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


@dataclass(frozen=True)
class Ended:
    """A process that did what it was to do.

    Attributes:
        cpu: Seconds of CPU, from its start to its end.
        wall: Seconds.
        peak: The most resident memory, in MB.
        output: What it printed.
        code: Its exit code.
    """

    cpu: float
    wall: float
    peak: float
    output: str
    code: int


def run(command: Sequence[str]) -> Ended:
    """Run a program to its end.

    Args:
        command: The program and its arguments.

    Returns:
        What it cost.
    """
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=output, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Ended(
            _cpu(used), time.monotonic() - begun, used.ru_maxrss * 1024 / 1e6, output.read(), process.returncode
        )


def _cpu(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime
