"""Faults of real nodes and of the pods on them: each is found in the words of a real kubelet, and leaves when mended.

Four nodes live through their faults at the same time, each in its own order; what was found meanwhile is looked at
every half a second. So the slowest fault, of which the kubelet takes three minutes to speak, sets the time of all.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cluster.harness import CHECKOUT, Cluster, Manifest, wait_for
from tests.cluster.installation import Promise, at_work, diagnoses, impatient, promises
from tests.node import machine
from tests.node.machine import KUBELET, Machine

PODS = sorted((Path(__file__).parent / "faults").glob("*.yaml"))
TABLE = CHECKOUT / "docs" / "faults.md"
HOLD = timedelta(seconds=4)
"""The longest time that the policy of these tests holds anything back."""

TO_APPEAR, TO_CLEAR = 300.0, 90.0
"""Seconds. The kubelet says after three minutes that the runtime's events are missing, and takes 30 s to take it back."""

Deed = Callable[[Machine], None]


@dataclass(frozen=True)
class Fault:
    """Something that is done to a node.

    Attributes:
        name: What it is called in the table of docs/faults.md.
        do: How it is made.
        mend: How it is mended, once all that it promises was found.
        expect: What is found.
    """

    name: str
    do: Deed
    mend: Deed
    expect: tuple[Promise, ...]


def _evicting(**thresholds: str) -> Deed:
    """Makes the kubelet believe that it is short of something: the thresholds stand above what there is."""
    settings = {"evictionHard": {**KUBELET["evictionHard"], **{name.replace("_", "."): to for name, to in thresholds.items()}}}
    return lambda one: one.restart_kubelet(**settings)


def _no_network(one: Machine) -> None:
    one.remove_network()
    one.start_kubelet()


NODES: Mapping[str, tuple[Fault, ...]] = {
    "real-2": (
        Fault(
            "the disk is fuller than the kubelet allows",
            _evicting(nodefs_available="99%"),
            Machine.restart_kubelet,
            (Promise("NodeDiskPressure", "Node/real-2"),),
        ),
        Fault(
            "memory is shorter than the kubelet allows",
            _evicting(memory_available="99%"),
            Machine.restart_kubelet,
            (Promise("NodeMemoryPressure", "Node/real-2"),),
        ),
        Fault(
            "process ids are fewer than the kubelet allows",
            _evicting(pid_available="99999999"),
            Machine.restart_kubelet,
            (Promise("NodePIDPressure", "Node/real-2"),),
        ),
    ),
    "real-3": (
        Fault(
            "the container runtime answers nothing",
            Machine.freeze_runtime,
            Machine.thaw_runtime,
            (
                Promise("NodeContainerRuntimeDown", "Node/real-3", ("NodeNotReady", "NodePLEGUnhealthy")),
            ),
        ),
    ),
    "real-4": (
        Fault(
            "the kubelet is gone",
            Machine.stop_kubelet,
            lambda _: None,  # It comes back without a network.
            (Promise("NodeUnreachable", "Node/real-4", ("PodNotReady",)),),
        ),
        Fault(
            "the network plugin is not configured",
            _no_network,
            Machine.configure_network,
            (Promise("NodeCNINotReady", "Node/real-4", ("NodeNotReady",)),),
        ),
    ),
}

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: on-{node}, namespace: default}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: on-{node}}}}}
  template:
    metadata: {{labels: {{app: on-{node}}}}}
    spec:
      nodeSelector: {{kubernetes.io/hostname: {node}}}
      terminationGracePeriodSeconds: 1
      containers: [{{name: app, image: 'localhost/busybox:1'}}]
"""


@dataclass
class Seen:
    """What was seen.

    Attributes:
        lacks: What was missing of each fault when the wait for it was over.
        stays: The promised keys of each fault that were still open when the wait for its end was over.
        took: Seconds from each fault to its first object, by the key.
        said: Each key that was ever open, and what was said of it first.
    """

    lacks: dict[str, list[str]] = field(default_factory=dict)
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
            for key, status in self.now.items():
                if status["state"] != "Open":
                    self.opened.pop(key, None)
                elif key not in self.opened:
                    self.opened[key] = time.monotonic()
                    self.seen.said.setdefault(key, status)

    def stop(self) -> None:
        self._over.set()

    def open(self, promise: Promise) -> bool:
        return promise.key in self.opened

    def live(self, name: str, do: Callable[[], object], mend: Callable[[], object], expect: tuple[Promise, ...]) -> None:
        """Makes a fault, waits for what it promises, mends it, and waits for the end of that."""
        begun = time.monotonic()
        do()
        self._until(lambda: not self._lacks(expect), TO_APPEAR)
        self.seen.lacks[name] = self._lacks(expect)
        self.seen.took[name] = {one.key: self.opened[one.key] - begun for one in expect if self.open(one)}
        mend()
        self._until(lambda: not any(map(self.open, expect)), TO_CLEAR)
        self.seen.stays[name] = [one.key for one in expect if self.open(one)]

    def _lacks(self, expect: tuple[Promise, ...]) -> list[str]:
        now = self.now
        return [lack for one in expect if (lack := one.lacks(now))]

    @staticmethod
    def _until(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.25)


@pytest.fixture(scope="module")
def seen(control_plane: Cluster) -> Iterator[Seen]:
    """All faults made, found, mended, and gone."""
    names = ("real-1", *NODES)
    policy = {"checks": impatient(HOLD), "retention": "20s"}
    with machine.several(control_plane, *names) as machines, at_work(control_plane, policy):
        for name in NODES:
            control_plane.apply(DEPLOYMENT.format(node=name))
            control_plane.kubectl("rollout", "status", f"deployment/on-{name}", "--timeout=60s")
        found = Seen()
        watcher = Watcher(control_plane, found)
        with ThreadPoolExecutor() as pool:
            looking = pool.submit(watcher.run)
            try:
                lives = [pool.submit(_life, watcher, machines[name], NODES[name]) for name in NODES]
                lives += [pool.submit(_pods, watcher, file) for file in PODS]
                for life in lives:
                    life.result()
            finally:
                watcher.stop()
            looking.result()
        yield found
    assert machine.traces() == []


def _life(watcher: Watcher, one: Machine, faults: tuple[Fault, ...]) -> None:
    for fault in faults:
        watcher.live(fault.name, lambda fault=fault: fault.do(one), lambda fault=fault: fault.mend(one), fault.expect)


def _pods(watcher: Watcher, file: Path) -> None:
    cluster, namespace = watcher.cluster, file.stem
    cluster.kubectl("create", "namespace", namespace)
    account = ("get", "serviceaccount", "default", f"--namespace={namespace}")
    wait_for(lambda: cluster.kubectl(*account), timeout=30, what=f"account in {namespace}")
    watcher.live(
        namespace,
        lambda: cluster.apply(file, namespace=namespace),
        lambda: cluster.kubectl("delete", "--wait=false", f"--namespace={namespace}", "-f", str(file)),
        tuple(promises(file)),
    )


ALL = [fault.name for faults in NODES.values() for fault in faults] + [file.stem for file in PODS]
PROMISED = {one.key for faults in NODES.values() for fault in faults for one in fault.expect} | {
    one.key for file in PODS for one in promises(file)
}
each_fault = pytest.mark.parametrize("fault", ALL)


@each_fault
def test_a_fault_is_found_with_what_it_explains(fault: str, seen: Seen) -> None:
    assert seen.lacks[fault] == []


@each_fault
def test_a_mended_fault_is_resolved(fault: str, seen: Seen) -> None:
    assert seen.stays[fault] == []


def test_nothing_is_said_that_is_not_true(seen: Seen) -> None:
    beyond = {key: one["message"] for key, one in seen.said.items() if key not in PROMISED}
    assert beyond == {}


def test_the_table_of_the_documentation_has_every_fault(seen: Seen) -> None:
    if os.environ.get("KUBEDX_WRITE_TABLE"):
        TABLE.write_text(_table(seen), encoding="utf-8")
    text = TABLE.read_text(encoding="utf-8")
    assert [fault for fault in ALL if f"| {fault} |" not in text] == []


def _table(seen: Seen) -> str:
    rows = [
        f"| {fault} | `{key}` | {took:.0f} s | {seen.said[key]['message']} |".replace("\n", " ")
        for fault in ALL
        for key, took in sorted(seen.took[fault].items())
    ]
    return INTRODUCTION + "\n".join(rows) + "\n"


INTRODUCTION = """# Faults of real nodes

Each of these was made on a kubelet and a container runtime of their own, by `make test-node ARGS=--write`; this table is
what was seen. The time is that from the deed to the `ClusterDiagnosis`, with a policy that holds nothing back for more
than four seconds. Most of it is the kubelet's own: it counts restarts and failed probes, and speaks of a runtime that does
not answer after two minutes.

| fault | found | after | message |
|---|---|---|---|
"""
