"""The metrics: what is so at the moment of the scrape, in the text format of Prometheus.

Nothing is ever set and forgotten, so no series outlives what it tells of. Labels come from closed sets; namespaces are
capped, and the subjects that have a series of their own are at most as many as there are objects. Text is made of what
changed since the last scrape and kept of the rest, so a scrape costs little however much is open.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Literal

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from kubedx import __version__
from kubedx.diagnosis.counts import Counts, Labels, Tables
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
        diagnoses: The roots. One that did not change since the last scrape is best the same object.
        findings: Counts by namespace and `Labels`; a table that is the same object as before is taken as unchanged.
        checks: Whether each check is enabled.
        evaluations: How often each check was asked, by outcome.
        durations: How many seconds each check took in all.
        watches: How each kind is watched.
        writes: How many writes there were, by result.
        left_out: How many diagnoses were left without an object because of the limit.
        is_leader: Whether this replica writes.
        tells: Whether what this replica says about the cluster counts, see `kubedx.report.lease`.
        longest_turn: How many seconds the longest turn of the main loop took lately.
    """

    diagnoses: Sequence[Diagnosis] = ()
    findings: Tables = field(default_factory=dict)
    checks: Mapping[str, bool] = field(default_factory=dict)
    evaluations: Mapping[tuple[str, str], int] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    watches: Sequence[WatchFacts] = ()
    writes: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    is_leader: bool = True
    tells: bool = True
    longest_turn: float = 0.0


Row = tuple[str, tuple[str, ...], float]
"""What follows the family's name, the values of its labels, and the value."""


@dataclass(frozen=True)
class Family:
    """The series of one name.

    Attributes:
        name: The name.
        kind: Its type.
        help: What it tells, in a sentence.
        labels: The names of its labels.
    """

    name: str
    kind: Literal["gauge", "counter", "summary"]
    help: str
    labels: tuple[str, ...] = ()

    def head(self) -> str:
        """Give the comment lines that come before the series."""
        name = f"{self.name}_total" if self.kind == "counter" else self.name
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.kind}\n"

    def text(self, rows: Iterable[Row]) -> str:
        """Give the lines of series."""
        return "".join([f"{self._series(suffix, values)} {number}\n" for suffix, values, number in rows])

    def metric(self, rows: Iterable[Row]) -> Metric:
        """Give the family as the library's own type, for whoever reads names and values rather than text."""
        found = FamilyMetric(self)
        for suffix, values, number in rows:
            found.add_sample(self.name + suffix, dict(zip(self.labels, map(clean, values), strict=True)), number)
        return found

    def _series(self, suffix: str, values: tuple[str, ...]) -> str:
        return _series(self.name + suffix, self.labels, values)


class FamilyMetric(Metric):
    """A metric that knows the names of its labels even where it has no series."""

    def __init__(self, family: Family) -> None:
        super().__init__(family.name, family.help, family.kind)
        self._labelnames = family.labels


def _series(name: str, labels: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Write a series as far as its value."""
    return f"{name}{{{_told(labels, values)}}}" if labels else name


@lru_cache(maxsize=4 * MOST_NAMESPACES)
def _told(labels: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Write labels. Names that were parsed out of messages may hold anything, so all are cleaned.

    The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
    """
    return ",".join([f'{label}="{_escaped(value)}"' for label, value in zip(labels, values, strict=True)])


def _escaped(value: str) -> str:
    return clean(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


ROOTS = Family(
    "kubedx_diagnoses", "gauge", "Open root problems that nobody silenced.", ("check", "severity", "namespace")
)
INFO = Family(
    "kubedx_diagnosis_info",
    "gauge",
    "1 for each open root problem that nobody silenced, with its subject.",
    ("name", "check", "severity", "namespace", "kind", "subject"),
)
FINDINGS = Family(
    "kubedx_findings",
    "gauge",
    "Findings of open problems, causes and symptoms alike.",
    ("check", "severity", "namespace", "kind", "role"),
)
SILENCED = Family("kubedx_suppressed_diagnoses", "gauge", "Open root problems that somebody silenced.")
ENABLED = Family("kubedx_check_enabled", "gauge", "Whether a check is switched on.", ("check",))
RUNS = Family("kubedx_check_evaluations", "counter", "How often checks were asked, by outcome.", ("check", "outcome"))
TOOK = Family("kubedx_check_duration_seconds", "summary", "How long checks took to answer.", ("check",))
SYNCED = Family("kubedx_watch_synced", "gauge", "Whether what is known of a kind is so.", ("kind",))
OBJECTS = Family("kubedx_watch_objects", "gauge", "Objects of a kind that are known.", ("kind",))
HEARD = Family(
    "kubedx_watch_last_event_timestamp_seconds",
    "gauge",
    "When the API server last sent anything about a kind, bookmarks included.",
    ("kind",),
)
RESTARTS = Family(
    "kubedx_watch_restarts", "counter", "How often the stream of a kind was opened again.", ("kind", "reason")
)
WRITES = Family("kubedx_writes", "counter", "Writes to our own objects, by result.", ("result",))
DROPPED = Family("kubedx_dropped", "counter", "What had to be left out.", ("what",))
LEADER = Family("kubedx_leader", "gauge", "Whether this replica writes.")
TURN = Family("kubedx_loop_longest_turn_seconds", "gauge", "How long the main loop was busy at a stretch, at most.")
BUILD = Family("kubedx_build_info", "gauge", "1, with the version of kubedx.", ("version",))


class FactsCollector(Collector):
    """Renders the facts of the moment.

    Args:
        facts: Gives the facts.
    """

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._facts = facts
        self._roots = _Roots()
        self._blocks = {family: _Blocks(family) for family in (ROOTS, FINDINGS)}

    def render(self) -> bytes:
        """Give all families in the text format."""
        parts: list[str] = []
        for family, found in self._families(self._facts()):
            rows = self._blocks[family].text(found) if isinstance(found, dict) else family.text(found)
            parts += (family.head(), rows)
        return "".join(parts).encode()

    def collect(self) -> Iterator[Metric]:
        """Give all metric families."""
        for family, found in self._families(self._facts()):
            yield family.metric(_all_rows(found) if isinstance(found, dict) else found)

    def describe(self) -> Iterator[Metric]:
        """Give nothing: the families are known only at a scrape."""
        return iter(())

    def _families(self, facts: Facts) -> Iterator[tuple[Family, Iterable[Row] | dict[str, Mapping[Labels, int]]]]:
        """Give each family with its rows; those that may be long with their counts by namespace."""
        self._roots.follow(facts.diagnoses if facts.tells else ())
        findings, roots = facts.findings if facts.tells else {}, self._roots.counts.show()
        kept = _kept_namespaces(findings, roots)
        yield ROOTS, _capped(roots, kept)
        yield INFO, _info(facts.diagnoses if facts.tells else ())
        yield FINDINGS, _capped(findings, kept)
        yield SILENCED, [("", (), self._roots.silenced)] if facts.tells else []
        yield from _checks(facts)
        yield from _watches(facts)
        yield from _ourselves(facts)


class _Roots:
    """The open diagnoses, counted by difference: those that are the same objects as before are counted already."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.silenced = 0
        self._known: dict[int, Diagnosis] = {}

    def follow(self, diagnoses: Iterable[Diagnosis]) -> None:
        """Count what there is now."""
        before, self._known = self._known, {id(one): one for one in diagnoses}
        for key, one in before.items():
            if key not in self._known:
                self._count(one, -1)
        for key, one in self._known.items():
            if key not in before:
                self._count(one, 1)

    def _count(self, one: Diagnosis, step: int) -> None:
        if one.state is not State.OPEN:
            return
        if one.silenced:
            self.silenced += step
        else:
            self.counts.add(one.subject.namespace, (one.check.id, one.severity.text), step)


class _Blocks:
    """The text of a family by namespace, made again only where a count is another."""

    def __init__(self, family: Family) -> None:
        self._name = family.name
        self._others = tuple(label for label in family.labels if label != "namespace")
        self._known: dict[str, tuple[Mapping[Labels, int], str]] = {}

    def text(self, tables: Tables) -> str:
        """Give the lines of all series."""
        before, self._known = self._known, {}
        for namespace, table in tables.items():
            known = before.get(namespace)
            if known is None or known[0] is not table:
                known = (table, self._block(namespace, table))
            self._known[namespace] = known
        return "".join([text for _, text in self._known.values()])

    def _block(self, namespace: str, table: Mapping[Labels, int]) -> str:
        sums: Counter[str] = Counter()
        for values, count in table.items():
            sums[_told(self._others, values)] += count  # What is told alike must not be two series.
        start = f'{self._name}{{namespace="{_escaped(namespace)}",'
        return "".join([f"{start}{told}}} {count}\n" for told, count in sums.items()])


def _kept_namespaces(*counts: Tables) -> set[str] | None:
    """Name the namespaces that have series of their own, those with most first; None for all."""
    names = {namespace for tables in counts for namespace in tables}
    if len(names) <= MOST_NAMESPACES:
        return None
    sizes = {name: sum(sum(tables[name].values()) for tables in counts if name in tables) for name in names}
    return set(sorted(names, key=lambda name: (-sizes[name], name))[:MOST_NAMESPACES])


def _capped(tables: Tables, kept: set[str] | None) -> dict[str, Mapping[Labels, int]]:
    """Add up the namespaces that are not kept, and those whose names are told alike."""
    found: dict[str, Mapping[Labels, int]] = {}
    sums: dict[str, Counter[Labels]] = {}
    for namespace, table in tables.items():
        name = clean(namespace) if kept is None or namespace in kept else OTHER
        if name not in found:
            found[name] = table
            continue
        if name not in sums:
            found[name] = sums[name] = Counter(found[name])
        sums[name].update(table)
    return found


def _all_rows(tables: Tables) -> Iterator[Row]:
    for namespace, table in tables.items():
        yield from _rows(namespace, table)


def _rows(namespace: str, table: Mapping[Labels, int]) -> Iterator[Row]:
    sums: Counter[tuple[str, ...]] = Counter()
    for (check, severity, *others), count in table.items():
        sums[check, severity, namespace, *map(clean, others)] += count
    for values, count in sums.items():
        yield "", values, count


def _info(diagnoses: Iterable[Diagnosis]) -> Iterator[Row]:
    loud = (one for one in diagnoses if one.state is State.OPEN and not one.silenced)
    for one in islice(loud, MOST_SUBJECTS):
        subject = one.subject
        values = (one.name, one.check.id, one.severity.text, subject.namespace, subject.kind, subject.name)
        yield "", values, 1


def _checks(facts: Facts) -> Iterator[tuple[Family, Iterable[Row]]]:
    asked: Counter[str] = Counter()
    for (check, _), count in facts.evaluations.items():
        asked[check] += count
    yield ENABLED, [("", (check,), int(is_on)) for check, is_on in sorted(facts.checks.items())]
    yield RUNS, [("_total", labels, count) for labels, count in sorted(facts.evaluations.items())]
    took = sorted(facts.durations.items())
    yield (
        TOOK,
        [row for check, seconds in took for row in (("_count", (check,), asked[check]), ("_sum", (check,), seconds))],
    )


def _watches(facts: Facts) -> Iterator[tuple[Family, Iterable[Row]]]:
    watches = facts.watches
    yield SYNCED, [("", (watch.kind,), int(watch.synced)) for watch in watches]
    yield OBJECTS, [("", (watch.kind,), watch.objects) for watch in watches]
    yield HEARD, [("", (watch.kind,), watch.last_heard) for watch in watches if watch.last_heard]
    yield (
        RESTARTS,
        [
            ("_total", (watch.kind, reason), count)
            for watch in watches
            for reason, count in sorted(watch.restarts.items())
        ],
    )


def _ourselves(facts: Facts) -> Iterator[tuple[Family, Iterable[Row]]]:
    yield WRITES, [("_total", (result,), count) for result, count in sorted(facts.writes.items())]
    unreadable = sum(watch.dropped for watch in facts.watches)
    yield DROPPED, [("_total", ("diagnoses",), facts.left_out), ("_total", ("unreadable objects",), unreadable)]
    yield LEADER, [("", (), int(facts.is_leader))]
    yield TURN, [("", (), facts.longest_turn)]
    yield BUILD, [("", (__version__,), 1)]
