"""What docs/operating.md shows of a terminal, and a terminal to compare it with."""

import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from subprocess import PIPE

from tests.cluster.harness import CHECKOUT, Cluster, ClusterError

PAGE = (CHECKOUT / "docs" / "operating.md").read_text(encoding="utf-8")

CHANGING = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"  # times
    r"|(?<=-)[a-z0-9]{8,10}-[a-z0-9]{5}(?=\s|$)"  # the names of pods
    r"|(?<=\s)(\d+[dhms])+(?=\s|$)"  # ages
    r"|(?<=\s)\d+(?=\s)"  # counts
)


def shown() -> Iterator[tuple[str, list[str]]]:
    """The commands of the page that are shown with what they print, each with the lines of that."""
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE):
        command, _, output = block.strip("\n").removeprefix("    ").partition("\n")
        if command.startswith("$ kubectl "):
            yield command.removeprefix("$ kubectl "), [plain(line) for line in output.splitlines() if line.strip()]


def plain(line: str) -> str:
    """A line without what is another each time, and without its padding."""
    return " ".join(CHANGING.sub("#", f" {line} ").split())


SHOWN = dict(shown())
"""The commands that the page is about, with the lines of what they print that it shows."""

WATCHING = [command for command in SHOWN if " -w" in command]
WAITING = [command for command in SHOWN if command.startswith("wait ")]

Printed = dict[str, list[str]]
"""What commands printed, by command, as `plain` gives it."""


def typed(cluster: Cluster, command: str, printed: Printed) -> None:
    """Types a command, and notes what it prints."""
    try:
        said = cluster.kubectl(*shlex.split(command))
    except ClusterError as problem:
        said = str(problem)
    printed[command] = [plain(line) for line in said.splitlines()]


@contextmanager
def going_on(cluster: Cluster, commands: Iterable[str], printed: Printed, *, patience: float = 0) -> Iterator[None]:
    """Types commands that go on, and notes at the end of the context what they print.

    Args:
        cluster: The cluster.
        commands: The commands.
        printed: Where it is noted.
        patience: Seconds for which they may go on after the context.

    Yields:
        Nothing.
    """
    lines = {command: cluster.kubectl_command(*shlex.split(command)) for command in commands}
    running = {command: subprocess.Popen(line, stdout=PIPE, text=True) for command, line in lines.items()}
    try:
        yield
    finally:
        for command, process in running.items():
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
            process.terminate()
            printed[command] = [plain(line) for line in process.communicate()[0].splitlines()]
