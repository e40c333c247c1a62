"""Real faults on a real control plane: each is found, with its cause and what it explains, and leaves when mended.

All faults of a folder are made together, waited for together, and mended together; each then has a test that reads what
was seen. So the whole takes minutes, and a failure names its fault.
"""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubedx.checks import registry
from tests.cluster.harness import CHECKOUT, Cluster, Manifest
from tests.cluster.installation import Operator, Promise, at_work, diagnoses, impatient, promises
from tests.cluster.pages import SHOWN, WAITING, WATCHING, Printed, going_on, typed

FAULTS = CHECKOUT / "examples" / "faults"
REAL = sorted(FAULTS.glob("*.yaml"))
SIMULATED = sorted((FAULTS / "simulated").glob("*.yaml"))
ALONE = sorted((FAULTS / "alone").glob("*.yaml"))

HOLD = timedelta(seconds=4)
"""The longest time that the policy of these tests holds anything back."""

RETENTION = timedelta(seconds=20)
TO_APPEAR = 75.0
"""Seconds that the slowest fault may take: the node monitor grace period, eviction, and the hold time of each step."""

TO_CLEAR = 10.0
"""Seconds beyond its hold time that a mended fault may take to be Resolved."""

Found = dict[str, Manifest]


@dataclass
class Seen:
    """What was seen of the faults, each by the name of its file.

    Attributes:
        lacks: What was missing at the end of the wait, nothing if the promise was kept.
        mended: When the last command of the mend had run.
        resolved: When a promised diagnosis turned Resolved, by its key, as the operator says.
        why: How it was resolved, by its key.
        left: The keys whose objects were still there after the retention.
        beyond: The keys of diagnoses that no fault promises.
        printed: What the commands of docs/operating.md printed.
    """

    lacks: dict[str, list[str]] = field(default_factory=dict)
    mended: dict[str, datetime] = field(default_factory=dict)
    resolved: dict[str, datetime] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    beyond: set[str] = field(default_factory=set)
    printed: Printed = field(default_factory=dict)


def each(files: list[Path]) -> pytest.MarkDecorator:
    """Runs a test for each of these faults."""
    return pytest.mark.parametrize("fault", files, ids=lambda path: path.stem)


def watch(cluster: Cluster, done: Callable[[Found], bool], seconds: float) -> Found:
    """Looks at the diagnoses until it is enough, or the time is over; returns them as they were last."""
    deadline = time.monotonic() + seconds
    while True:
        found = diagnoses(cluster)
        if done(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def inject_all(cluster: Cluster, files: list[Path]) -> dict[str, datetime]:
    """Makes faults, or mends them, several at a time; returns when the last command of each had run."""

    def inject(file: Path) -> tuple[str, datetime]:
        cluster.inject(file)
        return file.stem, datetime.now(UTC)

    # The lost node comes first: it takes the control plane longest to notice.
    with ThreadPoolExecutor(3) as pool:
        return dict(pool.map(inject, sorted(files, key=lambda file: "lost" not in file.stem)))


def lately(file: Path, folder: Path) -> Path:
    """Copies a simulated fault with its times moved to the last hour, as some checks look no further back."""
    shift = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=40) - datetime(2026, 1, 1, tzinfo=UTC)

    def move(time_text: re.Match[str]) -> str:
        return f"{datetime.fromisoformat(time_text[0]) + shift:%Y-%m-%dT%H:%M:%SZ}"

    text = re.sub(r"2026-01-01T\d\d:\d\d:\d\dZ", move, file.read_text(encoding="utf-8"))
    folder.mkdir(exist_ok=True)
    copy = folder / file.name
    copy.write_text(text.replace("examples/faults/simulated/", f"{folder}/"), encoding="utf-8")
    return copy


def lacks(files: list[Path], found: Found) -> dict[str, list[str]]:
    """What each of the faults promises and is not found."""
    return {file.stem: [lack for one in promises(file) if (lack := one.lacks(found))] for file in files}


def promised(files: list[Path]) -> list[Promise]:
    return [one for file in files for one in promises(file)]


@pytest.fixture(scope="module")
def installed(own_cluster: Cluster) -> Iterator[Operator]:
    policy = {"checks": impatient(HOLD), "retention": f"{RETENTION.total_seconds():.0f}s"}
    with at_work(own_cluster, policy) as running:
        yield running


@pytest.fixture(scope="module")
def busy(installed: Operator) -> Found:
    """What was found while a healthy cluster was at work: a rollout, scaling, an eviction, and a Job that ends."""
    cluster = installed.cluster
    cluster.apply(BUSY)
    rollout = ("--namespace=busy", "rollout", "status", "deployment/web", "--timeout=60s")
    cluster.kubectl(*rollout)
    found: Found = {}

    def look(*args: str) -> None:
        cluster.kubectl("--namespace=busy", *args)
        cluster.kubectl(*rollout)
        found.update(diagnoses(cluster))

    look("set", "env", "deployment/web", "VERSION=2")
    look("scale", "deployment/web", "--replicas=12")
    look("scale", "deployment/web", "--replicas=3")
    evict_one(cluster)
    look("wait", "--for=condition=Complete", "job/report", "--timeout=60s")
    # Everything that is wrong for the hold time, and settled, would be said by now.
    found.update(watch(cluster, bool, HOLD.total_seconds() + 4))
    # Not looked at: going takes longer than the policy of these tests has patience.
    cluster.kubectl("delete", "namespace", "busy", "--timeout=60s")
    return found


def evict_one(cluster: Cluster) -> None:
    """Evicts a pod through the API, as a drain does, and waits for its replacement."""
    running = [one["metadata"] for one in cluster.get("pods", "--namespace=busy", "--selector=app=web")]
    pod = next(one["name"] for one in running if "deletionTimestamp" not in one)
    eviction = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{pod}","namespace":"busy"}}}}'
    cluster.kubectl("create", "--raw", f"/api/v1/namespaces/busy/pods/{pod}/eviction", "-f", "-", stdin=eviction)


BUSY = """
apiVersion: v1
kind: Namespace
metadata: {name: busy}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: busy}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: registry.example/web:1, ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: busy}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: report, namespace: busy}
spec:
  completions: 3
  template:
    spec:
      restartPolicy: Never
      containers: [{name: report, image: registry.example/report:1}]
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: busy-1}
spec:
  storageClassName: ""
  claimRef: {namespace: busy, name: data}
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: /var/lib/busy-1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: busy}
spec:
  storageClassName: ""
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""


@pytest.fixture(scope="module")
def real(installed: Operator, busy: Found) -> Seen:
    """All real faults made, found, shown, mended, and gone."""
    cluster, seen = installed.cluster, Seen()
    with going_on(cluster, WATCHING, seen.printed):
        live(cluster, seen)
    return seen


def live(cluster: Cluster, seen: Seen) -> None:
    """Makes all real faults, and mends them."""
    inject_all(cluster, REAL)
    found = watch(cluster, lambda now: not any(lacks(REAL, now).values()), TO_APPEAR)
    seen.lacks = lacks(REAL, found)
    keys = {one.key for one in promised(REAL)}
    seen.beyond = {key for key, status in found.items() if status["state"] == "Open"} - keys
    for command in SHOWN.keys() - {*WATCHING, *WAITING}:
        typed(cluster, command, seen.printed)

    def note(now: Found) -> bool:
        for key, status in now.items():
            if status["state"] == "Resolved":
                seen.resolved.setdefault(key, datetime.fromisoformat(status["lastTransition"]))
                seen.why.setdefault(key, status["resolution"])
        return keys <= seen.resolved.keys()

    # Looked at all the while: what is resolved first may be gone again before the last is mended.
    with ThreadPoolExecutor(1) as pool, going_on(cluster, WAITING, seen.printed, patience=10):
        mending = pool.submit(inject_all, cluster, [FAULTS / "mends" / file.name for file in REAL])
        watch(cluster, lambda now: note(now) and mending.done(), 60)
    seen.mended = mending.result()
    found = watch(cluster, lambda now: not keys & now.keys(), RETENTION.total_seconds() + TO_CLEAR)
    seen.left = keys & found.keys()


@pytest.fixture(scope="module")
def simulated(installed: Operator, real: Seen, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is missing of each simulated fault, made after the real ones are gone."""
    folder = tmp_path_factory.mktemp("simulated")
    for file in (FAULTS / "simulated" / "statuses").glob("*.yaml"):
        lately(file, folder / "statuses")
    inject_all(installed.cluster, [lately(file, folder) for file in SIMULATED])
    return lacks(SIMULATED, watch(installed.cluster, lambda now: not any(lacks(SIMULATED, now).values()), 40))


@pytest.fixture
def mended(installed: Operator, fault: Path) -> Iterator[Found]:
    """What is found of a fault that has to be alone; it is mended afterwards."""
    installed.cluster.inject(fault)
    yield watch(installed.cluster, lambda now: not any(lacks([fault], now).values()), 60)
    installed.cluster.inject(FAULTS / "mends" / fault.name)


def test_a_healthy_cluster_at_work_shows_nothing(busy: Found) -> None:
    assert busy == {}


@each(REAL)
def test_a_fault_is_found_with_what_it_explains(fault: Path, real: Seen) -> None:
    assert real.lacks[fault.stem] == []


def test_nothing_is_found_that_nobody_broke(real: Seen) -> None:
    assert real.beyond == set()


@each(REAL)
def test_a_mended_fault_is_resolved_soon_after_its_hold_time(fault: Path, real: Seen) -> None:
    for promise in promises(fault):
        assert promise.key in real.resolved
        hold = min(HOLD, registry().by_id[promise.check].clear_after)
        took = real.resolved[promise.key] - real.mended[fault.stem]
        assert took <= hold + timedelta(seconds=TO_CLEAR), promise
        assert real.why[promise.key] in {"Cleared", "SubjectDeleted"}, promise


@each(REAL)
def test_a_resolved_fault_goes_after_its_retention(fault: Path, real: Seen) -> None:
    assert not real.left & {promise.key for promise in promises(fault)}


@each(SIMULATED)
def test_a_state_that_a_kubelet_would_report_is_found(fault: Path, simulated: dict[str, list[str]]) -> None:
    assert simulated[fault.stem] == []


@pytest.mark.usefixtures("simulated")
@each(ALONE)
def test_a_fault_that_touches_others_is_found(fault: Path, mended: Found) -> None:
    assert lacks([fault], mended)[fault.stem] == []


@pytest.mark.parametrize("command", SHOWN)
def test_a_command_in_the_documentation_prints_what_is_shown_there(command: str, real: Seen) -> None:
    rest = iter(real.printed[command])
    missing = [line for line in SHOWN[command] if line != "..." and line not in rest]
    assert not missing, "\n".join(real.printed[command])


def test_the_documentation_shows_every_way_to_look_at_diagnoses() -> None:
    used = " ".join(SHOWN)
    ways = ("-o wide", "-w", "--field-selector status.severity=critical", "describe", "wait --for=jsonpath", "explain")
    assert [way for way in ways if way not in used] == []
