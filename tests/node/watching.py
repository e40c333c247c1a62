"""Looks at what is said while faults come and go, for several stories at once."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.cluster.harness import Cluster, Manifest
from tests.cluster.installation import Promise, diagnoses

TO_APPEAR, TO_FOLD, TO_CLEAR = 300.0, 20.0, 90.0
"""Seconds. The kubelet says after three minutes that the runtime's events are missing, and takes it back after 30 s."""


@dataclass(frozen=True)
class Fault:
    """Something that is broken for a while.

    Attributes:
        name: What it is called in the table of docs/faults.md.
        do: How it is made.
        mend: How it is mended, once all that it promises was found.
        expect: What is found.
        places: Parts of the keys of what is about this fault.
    """

    name: str
    do: Callable[[], object]
    mend: Callable[[], object]
    expect: tuple[Promise, ...]
    places: tuple[str, ...]


@dataclass
class Seen:
    """What was seen.

    Attributes:
        lacks: What was missing of each fault when the wait for it was over, and what was open instead.
        beside: What else was open about each fault when its symptoms had had time to fold.
        stays: The promised keys of each fault that were still open when the wait for its end was over.
        took: Seconds from each fault to its first object, by the key.
        said: Each key that was ever open, and what was said of it first.
    """

    lacks: dict[str, list[str]] = field(default_factory=dict)
    beside: dict[str, list[str]] = field(default_factory=dict)
    stays: dict[str, list[str]] = field(default_factory=dict)
    took: dict[str, dict[str, float]] = field(default_factory=dict)
    said: dict[str, Manifest] = field(default_factory=dict)


@dataclass
class Watcher:
    """Looks at the diagnoses all the time, so that several stories can wait for theirs at once."""

    cluster: Cluster
    seen: Seen
    now: dict[str, Manifest] = field(default_factory=dict)
    opened: dict[str, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(0.5):
            self.now = diagnoses(self.cluster)
            still = {key: status for key, status in self.now.items() if status["state"] == "Open"}
            for key in self.opened.keys() - still.keys():  # Resolved, or folded, which takes the object away.
                del self.opened[key]
            for key, status in still.items():
                self.opened.setdefault(key, time.monotonic())
                self.seen.said.setdefault(key, status)

    def stop(self) -> None:
        self._over.set()

    def open(self, promise: Promise) -> bool:
        return promise.key in self.opened

    def live(self, fault: Fault) -> None:
        """Makes a fault, waits for what it promises, mends it, and waits for the end of that."""
        name, expect = fault.name, fault.expect
        begun = time.monotonic()
        fault.do()
        self._until(lambda: not self._lacks(expect), TO_APPEAR)
        missing, opened = self._lacks(expect), dict(self.opened)
        self.seen.lacks[name] = [*missing, *sorted(opened)] if missing else []
        self.seen.took[name] = {one.key: opened[one.key] - begun for one in expect if one.key in opened}
        self._until(lambda: not self._beside(fault), TO_FOLD)
        self.seen.beside[name] = self._beside(fault)
        fault.mend()
        self._until(lambda: not any(map(self.open, expect)), TO_CLEAR)
        self.seen.stays[name] = [one.key for one in expect if self.open(one)]

    def _beside(self, fault: Fault) -> list[str]:
        """What is open where the fault is, and was not promised."""
        promised = {one.key for one in fault.expect}
        return sorted(
            key for key in tuple(self.opened) if any(place in key for place in fault.places) and key not in promised
        )

    def _lacks(self, expect: tuple[Promise, ...]) -> list[str]:
        now = self.now
        return [lack for one in expect if (lack := one.lacks(now))]

    @staticmethod
    def _until(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.25)


@contextlib.contextmanager
def watched(cluster: Cluster) -> Iterator[Watcher]:
    """Watches from now until the end of the block."""
    watcher = Watcher(cluster, Seen())
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(watcher.run)
        try:
            yield watcher
        finally:
            watcher.stop()
        looking.result()
