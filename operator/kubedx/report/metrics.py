"""The metrics: one collector that reads what is so at the moment of the scrape.

Nothing is ever set and forgotten, so no series outlives what it tells of. Labels come from closed sets; namespaces are
capped, and the subjects that have a series of their own are at most as many as there are objects.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from kubedx import __version__
from kubedx.core.check import Check
from kubedx.core.finding import Severity
from kubedx.diagnosis.diagnosis import Diagnosis, State
from kubedx.kube.text import clean

MOST_NAMESPACES = 1000
"""Namespaces that have series of their own; the others are counted as `OTHER`."""

OTHER = "_other"
MOST_SUBJECTS = 500


@dataclass(frozen=True)
class WatchFacts:
    """How one kind is watched.

    Attributes:
        kind: The kind.
        synced: Whether what is known of it is so.
        objects: How many objects are known.
        last_heard: When the server last sent anything, in seconds since the epoch.
        restarts: How often the stream was opened again, by reason.
        dropped: How many objects could not be read.
    """

    kind: str
    synced: bool
    objects: int
    last_heard: float
    restarts: Mapping[str, int]
    dropped: int


@dataclass(frozen=True)
class Facts:
    """Everything that the metrics tell, at one moment.

    Attributes:
        diagnoses: The roots.
        findings: Counts by check, namespace, kind, severity and role.
        checks: Whether each check is enabled.
        evaluations: How often each check was asked, by outcome.
        durations: How many seconds each check took in all.
        watches: How each kind is watched.
        writes: How many writes there were, by result.
        left_out: How many diagnoses were left without an object because of the limit.
        is_leader: Whether this replica writes.
    """

    diagnoses: Sequence[Diagnosis] = ()
    findings: Mapping[tuple[Check, str, str, Severity, str], int] = field(default_factory=dict)
    checks: Mapping[str, bool] = field(default_factory=dict)
    evaluations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    watches: Sequence[WatchFacts] = ()
    writes: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    is_leader: bool = True


class FactsCollector(Collector):
    """Renders the facts of the moment.

    Args:
        facts: Gives the facts.
    """

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        """Give all metric families."""
        facts = self._facts()
        yield from _findings(facts)
        yield from _checks(facts)
        yield from _watches(facts)
        yield from _ourselves(facts)

    def describe(self) -> Iterator[Metric]:
        """Give nothing: the families are known only at a scrape."""
        return iter(())


def _findings(facts: Facts) -> Iterator[Metric]:
    kept = _kept_namespaces(facts)
    open_ones = [one for one in facts.diagnoses if one.state is State.OPEN]
    roots = GaugeMetricFamily(
        "kubedx_diagnoses", "Open root problems that nobody silenced.", labels=("check", "severity", "namespace")
    )
    info = GaugeMetricFamily(
        "kubedx_diagnosis_info",
        "1 for each open root problem that nobody silenced, with its subject.",
        labels=("name", "check", "severity", "namespace", "kind", "subject"),
    )
    found = GaugeMetricFamily(
        "kubedx_findings",
        "Findings of open problems, causes and symptoms alike.",
        labels=("check", "severity", "namespace", "kind", "role"),
    )
    silenced = GaugeMetricFamily("kubedx_suppressed_diagnoses", "Open root problems that somebody silenced.")
    if facts.is_leader:
        loud = [one for one in open_ones if not one.silenced]
        counts = Counter((one.check.id, one.severity.text, kept(one.subject.namespace)) for one in loud)
        for labels, count in sorted(counts.items()):
            roots.add_metric(labels, count)
        for one in loud[:MOST_SUBJECTS]:
            subject = one.subject
            # Names that were parsed out of messages, or that an aggregated API made up, may hold anything.
            names = map(clean, (subject.namespace, subject.kind, subject.name))
            info.add_metric((one.name, one.check.id, one.severity.text, *names), 1)
        sums: dict[tuple[str, ...], int] = defaultdict(int)
        for (check, namespace, kind, severity, role), count in facts.findings.items():
            sums[check.id, severity.text, kept(namespace), clean(kind), role] += count
        for place, count in sorted(sums.items()):
            found.add_metric(place, count)
        silenced.add_metric((), len(open_ones) - len(loud))
    yield from (roots, info, found, silenced)


def _kept_namespaces(facts: Facts) -> Callable[[str], str]:
    counts: Counter[str] = Counter()
    for (_, namespace, _, _, _), count in facts.findings.items():
        counts[namespace] += count
    counts.update(one.subject.namespace for one in facts.diagnoses if one.state is State.OPEN)
    ranked = sorted(counts, key=lambda namespace: (-counts[namespace], namespace))
    kept = {namespace: clean(namespace) for namespace in ranked[:MOST_NAMESPACES]}
    return lambda namespace: kept.get(namespace, OTHER)


def _checks(facts: Facts) -> Iterator[Metric]:
    enabled = GaugeMetricFamily("kubedx_check_enabled", "Whether a check is switched on.", labels=("check",))
    for check, is_on in sorted(facts.checks.items()):
        enabled.add_metric((check,), int(is_on))
    runs = CounterMetricFamily(
        "kubedx_check_evaluations", "How often checks were asked, by outcome.", labels=("check", "outcome")
    )
    for labels, count in sorted(facts.evaluations.items()):
        runs.add_metric(labels, count)
    took = SummaryMetricFamily("kubedx_check_duration_seconds", "How long checks took to answer.", labels=("check",))
    for check, seconds in sorted(facts.durations.items()):
        asked = sum(count for (name, _), count in facts.evaluations.items() if name == check)
        took.add_metric((check,), count_value=asked, sum_value=seconds)
    yield from (enabled, runs, took)


def _watches(facts: Facts) -> Iterator[Metric]:
    synced = GaugeMetricFamily("kubedx_watch_synced", "Whether what is known of a kind is so.", labels=("kind",))
    objects = GaugeMetricFamily("kubedx_watch_objects", "Objects of a kind that are known.", labels=("kind",))
    heard = GaugeMetricFamily(
        "kubedx_watch_last_event_timestamp_seconds",
        "When the API server last sent anything about a kind, bookmarks included.",
        labels=("kind",),
    )
    restarts = CounterMetricFamily(
        "kubedx_watch_restarts", "How often the stream of a kind was opened again.", labels=("kind", "reason")
    )
    for watch in facts.watches:
        synced.add_metric((watch.kind,), int(watch.synced))
        objects.add_metric((watch.kind,), watch.objects)
        if watch.last_heard:
            heard.add_metric((watch.kind,), watch.last_heard)
        for reason, count in sorted(watch.restarts.items()):
            restarts.add_metric((watch.kind, reason), count)
    yield from (synced, objects, heard, restarts)


def _ourselves(facts: Facts) -> Iterator[Metric]:
    writes = CounterMetricFamily("kubedx_writes", "Writes to our own objects, by result.", labels=("result",))
    for result, count in sorted(facts.writes.items()):
        writes.add_metric((result,), count)
    dropped = CounterMetricFamily("kubedx_dropped", "What had to be left out.", labels=("what",))
    dropped.add_metric(("diagnoses",), facts.left_out)
    dropped.add_metric(("unreadable objects",), sum(watch.dropped for watch in facts.watches))
    leader = GaugeMetricFamily("kubedx_leader", "Whether this replica writes.", value=int(facts.is_leader))
    build = GaugeMetricFamily("kubedx_build_info", "1, with the version of kubedx.", labels=("version",))
    build.add_metric((__version__,), 1)
    yield from (writes, dropped, leader, build)
