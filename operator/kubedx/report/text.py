"""What the command prints about one look at a cluster: a table for people, JSON and YAML for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kubedx.core.check import Check
from kubedx.core.finding import Evidence, Ref, Severity
from kubedx.core.message import shown
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.engine.verdict import Outcome

VERSION = 1
"""The version of the shape that `-o json` has; it grows only by further fields."""

_PIPED_WIDTH = 4096
"""Columns where nobody looks at a screen: nothing is wrapped, so that a line stays a diagnosis."""

_COLORS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@dataclass(frozen=True)
class Report:
    """What one look at a cluster tells.

    Attributes:
        now: The time by which ages were judged.
        diagnoses: The open root problems, the most severe first.
        outcomes: How it went with each enabled check.
        problems: What could not be read or followed, a sentence each.
        passed_over: How many files held no Kubernetes objects.
        objects: How many objects of each kind were looked at.
        undecided: The subjects that a check cannot judge, with the reason.
    """

    now: datetime
    diagnoses: Sequence[Diagnosis]
    outcomes: Mapping[Check, Outcome]
    problems: Sequence[str] = ()
    passed_over: int = 0
    objects: Mapping[str, int] = field(default_factory=dict)
    undecided: Sequence[tuple[Check, Ref, str]] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing was left unseen; a history is nothing that a single look could have."""
        left = [outcome for outcome in self.outcomes.values() if set(outcome.missing) - {"history"} or outcome.errors]
        return not left and not self.problems and not self.undecided


def show(report: Report, form: str, *, show_suppressed: bool) -> None:
    """Print a report.

    Args:
        report: The report.
        form: ``table``, ``wide``, ``json`` or ``yaml``.
        show_suppressed: Whether to show what somebody silenced.
    """
    shown_ones = [one for one in report.diagnoses if show_suppressed or not one.silenced]
    match form:
        case "json":
            json.dump(document(report, shown_ones), sys.stdout, indent=2, ensure_ascii=False)
            sys.stdout.write("\n")
        case "yaml":
            yaml.dump(document(report, shown_ones), sys.stdout, _Dumper, sort_keys=False, allow_unicode=True, width=120)
        case _:
            _table(report, shown_ones, wide=form == "wide")


class _Dumper(yaml.SafeDumper):
    """Writes texts and numbers from the cluster, kinds of str and int, as what they are."""


_Dumper.add_multi_representer(str, yaml.SafeDumper.represent_str)
_Dumper.add_multi_representer(int, yaml.SafeDumper.represent_int)


def document(report: Report, diagnoses: Sequence[Diagnosis]) -> dict[str, Any]:
    """Give a report as data: what `-o json` and `-o yaml` print, described in docs/scan.md.

    Args:
        report: The report.
        diagnoses: The diagnoses to show.

    Returns:
        JSON-ready data.
    """
    skipped = [(check, one) for check, one in report.outcomes.items() if one.missing]
    failed = [(check, one) for check, one in report.outcomes.items() if one.errors and not one.missing]
    return {
        "version": VERSION,
        "now": shown(report.now),
        "diagnoses": [_diagnosis(one) for one in diagnoses],
        "checks": {
            "evaluated": len(report.outcomes) - len(skipped) - len(failed),
            "skipped": [{"check": check.id, "missing": list(one.missing)} for check, one in skipped],
            "failed": [{"check": check.id, "error": "; ".join(one.errors)} for check, one in failed],
            "undecided": [
                {"check": check.id, "subject": subject.text, "why": why} for check, subject, why in report.undecided
            ],
        },
        "suppressed": sum(one.silenced for one in report.diagnoses),
        "objects": dict(report.objects),
        "problems": list(report.problems),
        "passedOver": report.passed_over,
    }


def _diagnosis(one: Diagnosis) -> dict[str, Any]:
    subject = one.subject
    return {
        "name": one.name,
        "check": one.check.id,
        "severity": one.severity.text,
        "confidence": one.confidence.text,
        "subject": {
            "kind": subject.kind,
            "namespace": subject.namespace or None,
            "name": subject.name,
            "uid": one.uid or None,
        },
        "title": one.check.title,
        "message": one.message,
        "params": {name: shown(value) if isinstance(value, datetime) else value for name, value in one.params.items()},
        "count": one.members,
        "explains": [
            {
                "check": symptom.check,
                "severity": symptom.severity.text,
                "count": symptom.count,
                "samples": list(symptom.samples),
                "firstSeen": shown(symptom.first_seen) if symptom.first_seen else None,
            }
            for symptom in one.explains
        ],
        "path": one.path or None,
        "evidence": [_evidence(piece) for piece in one.evidence],
        "firstSeen": shown(one.first_seen),
        "suppressed": one.suppression.reason if one.suppression and one.silenced else None,
    }


def _evidence(piece: Evidence) -> dict[str, Any]:
    return {"source": piece.source, "value": piece.value, "at": shown(piece.at) if piece.at else None}


def _table(report: Report, diagnoses: Sequence[Diagnosis], *, wide: bool) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    if diagnoses:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in (
            "SEVERITY",
            "PROBLEM",
            "SUBJECT",
            "EXPLAINS",
            "AGE",
            *(("CONFIDENCE",) if wide else ()),
            "MESSAGE",
        ):
            table.add_column(title, overflow="fold", no_wrap=title in {"SEVERITY", "AGE", "EXPLAINS"})
        for one in diagnoses:
            table.add_row(*_cells(one, report.now, wide=wide))
        console.print(table)
        first = diagnoses[0].check.id
        errors.print(f"\nWhat a check means and what to do: kubedx explain {first}")
    else:
        errors.print(f"No problem found in {sum(report.objects.values())} objects.")
    _say_what_was_not_seen(report, errors)


def _cells(one: Diagnosis, now: datetime, *, wide: bool) -> list[str]:
    more = [one.confidence.text] if wide else []
    silenced = f" (suppressed: {one.suppression.reason})" if one.suppression and one.silenced else ""
    severity = f"[{_COLORS[one.severity]}]{one.severity.text}[/]"
    texts = [one.check.id, one.subject.text, str(one.explains_count), age(one.first_seen, now), *more]
    return [severity, *map(escape, texts), escape(one.message + silenced)]


def _say_what_was_not_seen(report: Report, errors: Console) -> None:
    skipped = {check.id: one.missing for check, one in report.outcomes.items() if set(one.missing) - {"history"}}
    if skipped:
        kinds = sorted({kind for missing in skipped.values() for kind in missing} - {"history"})
        errors.print(f"{len(skipped)} checks were skipped, as there is nothing to read of: {', '.join(kinds)}.")
    for check, one in report.outcomes.items():
        if one.errors:
            errors.print(escape(f"{check.id} broke, which is a defect of kubedx: {'; '.join(one.errors)}"))
    for check, subject, why in report.undecided:
        errors.print(escape(f"{check.id} cannot judge {subject.text}: {why}"))
    for problem in report.problems:
        errors.print(escape(f"Could not be used: {problem}"))
    hidden = sum(one.silenced for one in report.diagnoses)
    if hidden:
        errors.print(f"{hidden} suppressed diagnoses are not shown; --all shows them.")


def age(since: datetime, now: datetime) -> str:
    """Say how long ago something was, as kubectl does: ``45s``, ``3m``, ``5h``, ``12d``.

    Args:
        since: When it was.
        now: The time.

    Returns:
        One number and one unit.
    """
    passed = max(0, int((now - since).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if passed >= 2 * size:
            return f"{passed // size}{unit}"
    return f"{passed}s"
