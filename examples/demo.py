"""The demo: a real control plane, real faults, and kubedx finding them.

`make demo` runs it, `make demo-down` ends it. Everything is as in an installation, except that no kubelet runs pods:
the chart's Deployment has no replicas, and the operator runs beside the cluster with the chart's own ServiceAccount.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.cluster import harness
from tests.cluster.harness import CHECKOUT, Cluster, ClusterError
from tests.cluster.installation import Operator, Promise, diagnoses, impatient, install, operator, promises
from tests.cluster.tools.build import ToolsUnavailable, cache_root, ensure

FAULTS = CHECKOUT / "examples" / "faults"
SLOWEST = FAULTS / "node-lost.yaml"
"""The controller-manager takes the node monitor grace period to find out, so this one is made first."""

GRACE_SECONDS = 16
PATIENCE = timedelta(seconds=5)

SETTLED_AFTER = 3.0
"""Seconds without a change of the complete table after which it counts as settled."""

LONGEST = 90.0
"""Seconds that the table is shown at most."""


def say(text: str) -> None:
    """Tells what happens next."""
    print(f"\n==> {text}", flush=True)


def up() -> None:
    """Starts everything and shows what is found."""
    down(quiet=True)
    begun = time.monotonic()
    say("Starting a control plane (etcd, API server, controller-manager, scheduler) with nodes that KWOK plays")
    cluster = harness.start(name=harness.checkout_name(), keep=True, node_grace_seconds=GRACE_SECONDS)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda zone: cluster.add_nodes(2, zone=zone), ("zone-a", "zone-b")))
        slowest = pool.submit(cluster.inject, SLOWEST)

        say("Installing the chart with helm, with 0 replicas, as no kubelet runs pods here; what the policy holds back")
        print(f"    for minutes in real life is held back for {PATIENCE.total_seconds():.0f} seconds", flush=True)
        install(cluster, policy={"checks": impatient(PATIENCE), "retention": "2m"})

        say("Starting the operator beside it, with a token of the chart's ServiceAccount")
        running = operator(cluster)
        start_detached(running)

        say("Making the faults of examples/faults")
        inject_all(cluster, pool, slowest)
    running.wait_until_ready()

    say("kubectl get clusterdiagnosis")
    missing = watch(cluster, [promise for fault in FAULTS.glob("*.yaml") for promise in promises(fault)])
    if missing:
        raise ClusterError(f"Within {LONGEST:.0f} s there was {'; '.join(missing)}. The operator's log: {running.log}")
    hint(cluster, running, time.monotonic() - begun)


def start_detached(running: Operator) -> None:
    """Starts the operator, and writes down which process it is, so that a later command can end it."""
    running.start(ready=False, detached=True)
    pid_file(running.cluster).write_text(f"{running.pid}\n", encoding="utf-8")


def pid_file(cluster: Cluster) -> Path:
    """Where the operator's process number is written down."""
    return cluster.folder / "operator.pid"


def inject_all(cluster: Cluster, pool: ThreadPoolExecutor, slowest: Future[None]) -> None:
    """Makes all faults, some at a time; the slowest was begun before."""
    under_way = {slowest: SLOWEST}
    under_way |= {
        pool.submit(cluster.inject, fault): fault for fault in sorted(FAULTS.glob("*.yaml")) if fault != SLOWEST
    }
    for done in as_completed(under_way):
        done.result()
        print(f"    {under_way[done].stem}", flush=True)


def watch(cluster: Cluster, promised: list[Promise]) -> list[str]:
    """Shows the table until it settles.

    Args:
        cluster: The cluster.
        promised: What has to be found.

    Returns:
        What was not found, nothing if all was.
    """
    shown = ""
    begun = changed = time.monotonic()
    while True:
        table = cluster.kubectl("get", "clusterdiagnosis")
        plain = without_age(table)
        if plain != without_age(shown):
            redraw(table, shown)
            shown, changed = table, time.monotonic()
        found = diagnoses(cluster)
        missing = [lack for promise in promised if (lack := promise.lacks(found))]
        over = time.monotonic() - begun > LONGEST
        if over or (not missing and time.monotonic() - changed > SETTLED_AFTER):
            if not sys.stdout.isatty():
                print(f"\n{table.rstrip()}", flush=True)
            return missing
        time.sleep(0.5)


def without_age(table: str) -> list[str]:
    """The lines of a table without the last column, which always changes, and without the padding."""
    return [" ".join(line.split()[:-1]) for line in table.splitlines()]


def redraw(table: str, before: str) -> None:
    """Draws the table over the one before on a terminal; elsewhere prints the lines that are new."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        if before:
            print(f"\x1b[{len(before.splitlines())}F\x1b[J", end="")
        print("\n".join(line[:width] for line in table.splitlines()), flush=True)
        return
    known = without_age(before)
    for line, plain in zip(table.splitlines(), without_age(table), strict=True):
        if plain not in known:
            print(line, flush=True)


def hint(cluster: Cluster, running: Operator, seconds: float) -> None:
    """Says what to type next."""
    kubectl = ensure("kubernetes") / "kubectl"
    example = next(one for one in cluster.get("clusterdiagnoses") if one["status"]["check"] == "StorageClassMissing")
    say(f"That took {seconds:.0f} seconds. What to try next:")
    print(f"""
    export KUBECONFIG={cluster.kubeconfig}
    alias kubectl={kubectl}
    kubectl get clusterdiagnosis                      # also: kubectl get cdx -o wide
    kubectl describe cdx {example["metadata"]["name"]}    # what, why, and what to do
    kubectl get diagnosispolicy                       # healthy, or is nobody looking?
    kubectl apply -f examples/faults/mends/storage-class-missing.yaml    # mend it, and watch it resolve
    curl -s http://127.0.0.1:{running.port}/metrics | grep ^kubedx_diagnos
    .venv/bin/kubedx scan --live --kubeconfig $KUBECONFIG --policy {running.defaults}
    make demo-down
""")


def down(*, quiet: bool = False) -> None:
    """Ends the operator and the cluster of an earlier demo."""
    cluster = harness.find(harness.checkout_name())
    if cluster is None:
        if not quiet:
            print("There is no demo.")
        return
    if quiet:
        say("Ending the demo of before")
    with contextlib.suppress(FileNotFoundError, ValueError):
        end(int(pid_file(cluster).read_text(encoding="utf-8")))
    cluster.stop()
    if not quiet:
        print("The demo has ended; its cluster is gone.")


def end(pid: int) -> None:
    """Ends a process if it is still the operator of a demo: numbers are used again."""
    shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    if "kubedx run" in shown.stdout:
        os.kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Ends what another process is doing about the demo of this checkout, and keeps others waiting meanwhile."""
    with (cache_root() / f"{harness.checkout_name()}.demo").open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            other = int(lock.read())
            say(f"Ending the demo that is just starting, process {other}")
            os.kill(other, signal.SIGTERM)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def main() -> int:
    """Runs the demo, or ends it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--down", action="store_true", help="end the demo and remove its cluster")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left half-started
    try:
        with alone():
            down() if asked.down else up()
    except (ClusterError, ToolsUnavailable, TimeoutError, subprocess.SubprocessError) as problem:
        print(f"\nThe demo failed: {problem}\n`make demo` starts anew, `make demo-down` clears up.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. `make demo` starts anew, `make demo-down` clears up.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
