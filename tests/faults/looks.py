"""One look at some objects, as `kubedx scan` takes it, and everything that kubedx would say about them anywhere."""

import io
import json
import logging
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from kubedx.report import logs, text
from kubedx.report.metrics import Facts, FactsCollector
from kubedx.report.objects import labels, status
from kubedx.report.text import Report
from kubedx.scan import scan_dump
from tests.checks.cases import HERE, Case, load, paths
from tests.unit.test_scan import lists

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PROFILES = {"profiles": ["Problem", "Risk", "Advice"]}
FORMS = ("table", "wide", "json", "yaml")
UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What no output may hold: controls, bidirectional and invisible marks, surrogates."""


def look(*objects: Mapping[str, Any] | bytes, now: datetime = NOW, policy: Mapping[str, Any] | None = None) -> Report:
    """Look at some objects beside an empty list of each kind, by all checks.

    Args:
        objects: What they hold, or their very bytes.
        now: The time.
        policy: What the policy says beside asking for all profiles.

    Returns:
        What there is to say.
    """
    lines = [one if isinstance(one, bytes) else json.dumps(plain(one)).encode() for one in (*lists(), *objects)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.json"
        path.write_bytes(b"\n".join(lines))
        return scan_dump(str(path), {"spec": {**PROFILES, **(policy or {})}}, now)


def look_again(case: Case, objects: Iterable[Mapping[str, Any] | bytes]) -> Report:
    """Look at other objects as at those of a case: at its time, with its settings."""
    checks = {case.check: {"settings": plain(case.settings)}} if case.settings else {}
    return look(*objects, now=case.now, policy={"checks": checks})


def plain(value: Any) -> Any:
    """Give YAML as JSON, which knows no times."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def broken(report: Report) -> dict[str, Mapping[str, int]]:
    """The errors of checks, by check."""
    return {check.id: outcome.errors for check, outcome in report.outcomes.items() if outcome.errors}


def outputs(report: Report, forms: Iterable[str] = FORMS) -> Iterator[tuple[str, str]]:
    """All that kubedx says about what it saw: on the terminal, in its objects, in its metrics."""
    for form in forms:
        out, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(errors):
            text.show(report, form, show_suppressed=True)
        yield f"-o {form}", out.getvalue() + errors.getvalue()
    for one in report.diagnoses:
        yield f"ClusterDiagnosis {one.check.id}", "\n".join(_texts([one.name, labels(one), status(one).patch()]))
    registry = CollectorRegistry()
    registry.register(FactsCollector(lambda: Facts(diagnoses=report.diagnoses)))
    yield "/metrics", generate_latest(registry).decode()


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield from (*_texts(key), *_texts(inner))
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)


def stories(polarity: str = "fires") -> dict[str, Case]:
    """The cases of all checks, by name."""
    found = (load(path) for path in paths() if path.name.startswith(polarity))
    return {str(case.path.relative_to(HERE)): case for case in found}


def changed(value: Any, fields: Iterable[str], change: Any) -> Any:
    """Give a copy in which each text of these fields went through a function."""
    if isinstance(value, list):
        return [changed(item, fields, change) for item in value]
    if isinstance(value, dict):
        return {
            key: change(item) if key in fields and isinstance(item, str) else changed(item, fields, change)
            for key, item in value.items()
        }
    return value


@contextmanager
def logging_to(stream: TextIO, form: str) -> Iterator[None]:
    """Log all there is to log, as --verbose has it."""
    root = logging.getLogger()
    handler, level = logs.handler(form, stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for chatty in logs.CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


STORIES = stories()
SOME = tuple({case.check: case for case in STORIES.values()}.values())
"""A story of each check."""

each_story = pytest.mark.parametrize("case", SOME, ids=[case.check for case in SOME])
