"""The dump of the demo, which `make scan-demo` diagnoses, shows what the examples of faults promise."""

from pathlib import Path

import pytest

from kubedx.report.text import Report
from kubedx.scan import scan_dump
from tests.cluster.installation import Promise, promises

EXAMPLES = Path(__file__).parents[2] / "examples"
PROMISES = [promise for fault in sorted((EXAMPLES / "faults").glob("*.yaml")) for promise in promises(fault)]


@pytest.fixture(scope="module")
def report() -> Report:
    return scan_dump(str(EXAMPLES / "dump"), None, None)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.key)
def test_the_dump_shows_what_an_example_promises(promise: Promise, report: Report) -> None:
    (found,) = [one for one in report.diagnoses if f"{one.check.id} {one.subject.text}" == promise.key]
    assert {one.check for one in found.explains} >= set(promise.explains)


def test_the_dump_leaves_nothing_unseen(report: Report) -> None:
    assert report.complete
    assert len(report.diagnoses) == len(PROMISES)


def test_the_dump_is_small_and_names_no_machine(report: Report) -> None:
    files = list((EXAMPLES / "dump").iterdir())
    assert sum(file.stat().st_size for file in files) < 300_000
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert "managedFields" not in text
    assert "/root/" not in text
    assert report.objects["Node"] == 6
