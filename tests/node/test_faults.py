"""Faults of real nodes and of the pods on them: each is found in the words of a real kubelet, and leaves when mended.

Four nodes live through their faults at the same time, each in its own order; what was found meanwhile is looked at
every half a second. So the slowest fault, of which the kubelet takes three minutes to speak, sets the time of all.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.harness import CHECKOUT, Cluster, wait_for
from tests.cluster.installation import Promise, at_work, impatient, promises
from tests.node import machine
from tests.node.machine import KUBELET, Machine
from tests.node.watching import Fault, Seen, Watcher, watched

PODS = sorted((Path(__file__).parent / "faults").glob("*.yaml"))
TABLE = CHECKOUT / "docs" / "faults.md"
HOLD = timedelta(seconds=4)
"""The longest time that the policy of these tests holds anything back."""

Deed = Callable[[Machine], None]


def _evicting(**thresholds: str) -> Deed:
    """Makes the kubelet believe that it is short of something: the thresholds stand above what there is."""
    own = {name.replace("_", "."): to for name, to in thresholds.items()}
    settings = {"evictionHard": {**KUBELET["evictionHard"], **own}}
    return lambda one: one.restart_kubelet(**settings)


def _no_network(one: Machine) -> None:
    one.remove_network()
    one.restart_kubelet()


NODES: Mapping[str, tuple[tuple[str, Deed, Deed, Promise], ...]] = {
    "real-2": (
        (
            "the disk is fuller than the kubelet allows",
            _evicting(nodefs_available="99%"),
            Machine.restart_kubelet,
            Promise("NodeDiskPressure", "Node/real-2"),
        ),
        (
            "memory is shorter than the kubelet allows",
            _evicting(memory_available="99%"),
            Machine.restart_kubelet,
            Promise("NodeMemoryPressure", "Node/real-2"),
        ),
        (
            "process ids are fewer than the kubelet allows",
            _evicting(pid_available="99999999"),
            Machine.restart_kubelet,
            Promise("NodePIDPressure", "Node/real-2"),
        ),
    ),
    "real-3": (
        (
            "the container runtime answers nothing",
            Machine.freeze_runtime,
            Machine.thaw_runtime,
            Promise("NodeContainerRuntimeDown", "Node/real-3", ("NodeNotReady", "NodePLEGUnhealthy")),
        ),
    ),
    "real-4": (
        (
            "the kubelet is gone",
            Machine.stop_kubelet,
            Machine.start_kubelet,
            Promise("NodeUnreachable", "Node/real-4", ("PodNotReady",)),
        ),
        (
            "the network plugin is not configured",
            _no_network,
            Machine.configure_network,
            Promise("NodeCNINotReady", "Node/real-4", ("NodeNotReady",)),
        ),
    ),
}
"""By node, what it lives through: what the fault is called, how it is made and mended, and what is found."""

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


@pytest.fixture(scope="module")
def seen(control_plane: Cluster) -> Iterator[Seen]:
    """All faults made, found, mended, and gone."""
    names = ("real-1", *NODES)
    policy = {"checks": impatient(HOLD), "retention": "20s"}
    with machine.several(control_plane, *names) as machines, at_work(control_plane, policy):
        for name in NODES:
            control_plane.apply(DEPLOYMENT.format(node=name))
            control_plane.kubectl("rollout", "status", f"deployment/on-{name}", "--timeout=60s")
        with watched(control_plane) as watcher, ThreadPoolExecutor(len(PODS) + len(NODES)) as pool:
            lives = [pool.submit(_life, watcher, machines[name]) for name in NODES]
            lives += [pool.submit(_pods, watcher, file) for file in PODS]
            for life in lives:
                life.result()
        for name in NODES:
            control_plane.kubectl("delete", "--wait=false", "deployment", f"on-{name}")
        yield watcher.seen
    assert machine.traces() == []


def _life(watcher: Watcher, one: Machine) -> None:
    for name, do, mend, promise in NODES[one.name]:
        watcher.live(Fault(name, partial(do, one), partial(mend, one), (promise,), (one.name,)))


def _pods(watcher: Watcher, file: Path) -> None:
    cluster, namespace = watcher.cluster, file.stem
    cluster.kubectl("create", "namespace", namespace)
    account = ("get", "serviceaccount", "default", f"--namespace={namespace}")
    wait_for(lambda: cluster.kubectl(*account), timeout=30, what=f"account in {namespace}")
    do = partial(cluster.apply, file, namespace=namespace)
    mend = partial(cluster.kubectl, "delete", "--wait=false", f"--namespace={namespace}", "-f", str(file))
    watcher.live(Fault(namespace, do, mend, tuple(promises(file)), (f"/{namespace}/",)))


ALL = [name for faults in NODES.values() for name, *_ in faults] + [file.stem for file in PODS]
each_fault = pytest.mark.parametrize("fault", ALL)


@each_fault
def test_a_fault_is_found_with_what_it_explains(fault: str, seen: Seen) -> None:
    assert seen.lacks[fault] == []


@each_fault
def test_a_mended_fault_is_resolved(fault: str, seen: Seen) -> None:
    assert seen.stays[fault] == []


@each_fault
def test_nothing_else_is_said_about_it_once_its_symptoms_have_folded(fault: str, seen: Seen) -> None:
    assert seen.beside[fault] == []


def test_nothing_is_said_about_what_nobody_broke(seen: Seen) -> None:
    elsewhere = [one.key for file in PODS for one in promises(file) if f"/{file.stem}/" not in one.key]
    broken = (*NODES, *(f"/{file.stem}/" for file in PODS), *elsewhere)
    beyond = {key: one["message"] for key, one in seen.said.items() if not any(place in key for place in broken)}
    # The machines of these tests may have control groups of version 1, which is as true as it is beside the point.
    assert beyond.keys() - {"NodeCgroupV1 Cluster"} == set(), beyond


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

Each of these was made on a kubelet and a container runtime of their own; this table is what was seen then. `make
test-node` makes them again, and with `KUBEDX_WRITE_TABLE=1` writes this page. The time is that from the deed to the
`ClusterDiagnosis`, with a policy that holds nothing back for more than four seconds. Most of it is the kubelet's own:
it counts restarts and failed probes, and speaks of a runtime that does not answer after two minutes.

| fault | found | after | message |
|---|---|---|---|
"""
