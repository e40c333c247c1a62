"""docs/reliability.md: every case is there, with the tests that carry its name or the reason why there are none."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reliability.md"
COUNTS = {"F": 34, "L": 9, "O": 11, "I": 16, "S": 9}
CASES = [
    *(f"{family}{number}" for family, count in COUNTS.items() for number in range(1, count + 1)),
    "H1",
    "H2",
    "H3",
    "H5",
    "H7",
]
_ROW = re.compile(r"^\| (?P<case>[A-Z][0-9]+) \|(?P<cells>.*)\|$", re.MULTILINE)
_TEST = re.compile(r"^ *(?:async )?def test_(?P<cases>(?:[A-Z][0-9]+_)+)", re.MULTILINE)


def rows() -> dict[str, list[str]]:
    """The cells behind the name of each case."""
    return {row["case"]: [cell.strip() for cell in row["cells"].split(" |")] for row in _ROW.finditer(PAGE.read_text())}


def files_by_case() -> dict[str, set[str]]:
    """The files that have tests of each case."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "tests").rglob("test_*.py"):
        for test in _TEST.finditer(path.read_text()):
            for case in test["cases"].rstrip("_").split("_"):
                found[case].add(str(path.relative_to(ROOT)))
    return found


def test_the_page_has_each_case_once_and_no_other() -> None:
    found = [row["case"] for row in _ROW.finditer(PAGE.read_text())]

    assert sorted(found) == sorted(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_case_names_files_with_its_tests_or_says_why_there_are_none(case: str) -> None:
    *said, files = rows()[case]
    named = set(re.findall(r"`(tests/[^`]+)`", files))

    assert named <= files_by_case()[case]
    assert bool(named) == bool(files_by_case()[case])
    assert named or any(re.search(r"Not here: \S+", cell) for cell in said)


def test_every_cell_but_that_of_the_files_says_something() -> None:
    assert [case for case, cells in rows().items() if not all(cells[:-1])] == []
