"""What diagnosing costs beside the checks: folding, remembering, and telling, on findings that are made up.

Five thousand nodes of which one in fifty is unreachable, and pods of two hundred owners in a hundred namespaces that
run on all of them: those on a lost node have a cause, the others have none.
"""

import gc
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from kubedx.checks import registry
from kubedx.core.check import Check
from kubedx.core.finding import Confidence, Evidence, Ref
from kubedx.diagnosis.ledger import Ledger
from kubedx.engine.engine import Pair
from kubedx.engine.verdict import SILENT, Outcome, RawFinding, Verdict
from kubedx.kube.views import Node, Pod
from kubedx.report.metrics import Facts, FactsCollector
from kubedx.settings import resolve

START = datetime(2026, 1, 1, tzinfo=UTC)
NODES = 5_000
OWNERS_PER_NAMESPACE = 2
NAMESPACES = 100
REGISTRY = registry()
SETTINGS = resolve(None, None, REGISTRY)
OUTCOMES = {check: Outcome() for check in REGISTRY}

Said = dict[Pair, Verdict]


def said(check: Check, about: Ref, group: Ref, node: str, since: datetime) -> Said:
    """One finding as the engine tells it, with the keys of all joins of its check."""
    keys = {"itself": about.text, "same_node": node, "same_owner": group.text, "selected_pods": about.text}
    finding = RawFinding(
        check=check, member=about, subject=about, uid=about.name, labels={}, group=group, since=since,
        severity=check.severity, confidence=Confidence.CONFIRMED,
        evidence=(Evidence(f"{about.text} status", "False", since),),
        own_params={},
        keys={join.name: (keys.get(join.name, about.text),) for join in REGISTRY.joins(check)},
    )  # fmt: skip
    view = Node if about.kind == "Node" else Pod
    return {(check, (view, f"{about.namespace}/{about.name}")): Verdict((finding,))}


def nodes() -> Iterator[Said]:
    """The nodes that are unreachable."""
    for number in range(0, NODES, 50):
        name = f"node-{number}"
        yield said(REGISTRY.by_id["NodeUnreachable"], Ref("Node", "", name), Ref("Node", "", name), name, START)


def pods(count: int) -> Iterator[Said]:
    """Pods that crash again and again, or are not ready where their node is unreachable."""
    for number in range(count):
        node = number % NODES
        check = REGISTRY.by_id["PodNotReady" if node % 50 == 0 else "PodCrashLoopBackOff"]
        namespace = f"team-{number % NAMESPACES}"
        owner = Ref("Deployment", namespace, f"web-{number // NAMESPACES % OWNERS_PER_NAMESPACE}")
        yield said(check, Ref("Pod", namespace, f"{owner.name}-{number}"), owner, f"node-{node}", START)


class Cluster:
    """A ledger that is told of so many findings, and its time."""

    def __init__(self, findings: int) -> None:
        self.now = START + timedelta(hours=1)
        self.ledger = Ledger(REGISTRY, SETTINGS, lambda _: True)
        self.pods = list(pods(findings))
        self.all: Said = {pair: verdict for one in (*nodes(), *self.pods) for pair, verdict in one.items()}

    def feed(self, verdicts: Said) -> None:
        """Tell what is new."""
        self.now += timedelta(seconds=1)
        self.ledger.feed(verdicts, OUTCOMES, self.now)
        self.ledger.diagnoses()

    def flap(self, number: int) -> None:
        """One pod gets well, or ill again."""
        (pair,) = one = self.pods[number // 2 * 7919 % len(self.pods)]
        self.feed(one if number % 2 else {pair: SILENT})


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds that something takes, without those of a garbage collection that falls due in it."""
    gc.collect()
    gc.disable()
    try:
        begun = time.process_time()
        work()
        return time.process_time() - begun
    finally:
        gc.enable()


def measure() -> list[tuple[str, float, str]]:
    """Measure folding with 20,000 findings and a scrape with 50,000.

    Returns:
        The name of each measure, its value and unit.
    """
    small = Cluster(20_000)
    scratch = seconds(lambda: small.feed(small.all))
    changes = [seconds(partial(small.flap, number)) for number in range(40)]
    large = Cluster(50_000)
    large.feed(large.all)
    metrics = FactsCollector(lambda: Facts(diagnoses=large.ledger.diagnoses(), findings=large.ledger.findings()))
    metrics.render()
    scrapes = []
    for number in range(20):
        large.flap(number)
        scrapes.append(seconds(metrics.render))
    return [
        ("20,000 findings diagnosed from scratch", 1000 * scratch, "ms"),
        ("20,000 findings, diagnosed again after one change: median", 1000 * sorted(changes)[20], "ms"),
        ("20,000 findings, diagnosed again after one change: worst", 1000 * max(changes), "ms"),
        ("/metrics with 50,000 findings, after one change: median", 1000 * sorted(scrapes)[10], "ms"),
    ]


if __name__ == "__main__":
    for name, value, unit in measure():
        print(f"{value:10.2f} {unit}  {name}")
