"""What no check can see is said, and is not pretended to be seen."""

import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kubedx.checks import registry
from kubedx.cli import main
from kubedx.core.check import check_id, function_name
from kubedx.generate import coverage, docs, explain
from kubedx.generate.unseen import BY_ID, UNSEEN, Detectability, Unseen

ROOT = Path(__file__).parents[2]
REGISTRY = registry()

each_pattern = pytest.mark.parametrize("pattern", UNSEEN, ids=list(BY_ID))


def kubedx(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@each_pattern
def test_a_pattern_is_either_looked_for_or_unseen(pattern: Unseen) -> None:
    assert pattern.id not in REGISTRY.by_id
    assert pattern.detectability is not Detectability.WATCHED
    assert check_id(function_name(pattern.id)) == pattern.id


@each_pattern
def test_a_page_says_first_that_no_check_looks_for_it(pattern: Unseen) -> None:
    said = explain.markdown(explain.unseen_page(pattern, REGISTRY))

    assert "**No check looks for this: it " in said.splitlines()[2]
    for section in ("Meaning", "Why kubedx does not see it", "Nearest signal", "By hand", "References"):
        assert f"\n## {section}\n" in said


@each_pattern
def test_a_page_gives_a_command_first_and_no_danger_with_it(pattern: Unseen) -> None:
    assert pattern.steps[0].command
    assert not pattern.steps[0].danger
    for text in (pattern.meaning, pattern.why, pattern.signal, *(step.text for step in pattern.steps)):
        assert text.endswith("."), text
    for step in pattern.steps:
        shlex.split(step.command)


@each_pattern
def test_explain_says_what_the_page_says(pattern: Unseen) -> None:
    page = docs.unseen_markdown(pattern, REGISTRY)

    assert kubedx("explain", pattern.id, "-o", "markdown").stdout == page.removeprefix(docs.COMMENT)
    assert json.loads(kubedx("explain", pattern.id, "-o", "json").stdout)["id"] == pattern.id
    assert "**" not in kubedx("explain", pattern.id).stdout


def test_a_page_names_the_checks_that_may_be_behind_it() -> None:
    said = explain.unseen_page(BY_ID["APIServerUnavailable"], REGISTRY)

    assert "APIServerStaticPodUnhealthy" in said.explained_by
    assert "\n## May be explained by\n\n- [" in explain.markdown(said)


def test_the_list_of_the_unseen_has_a_row_for_each() -> None:
    lines = kubedx("checks", "--unseen").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["PATTERN", *BY_ID]
    assert kubedx("checks", "--unseen", "-o", "name").stdout.split() == list(BY_ID)
    rows = json.loads(kubedx("checks", "--unseen", "-o", "json").stdout)
    assert Counter(row["detectability"] for row in rows) == {"needs a probe": 20, "not visible from the API": 10}


def test_the_list_of_checks_has_none_of_the_unseen() -> None:
    assert not {*kubedx("checks", "-o", "name").stdout.split()} & BY_ID.keys()


def test_a_wrong_name_is_answered_with_the_unseen_pattern_that_was_meant() -> None:
    answer = kubedx("explain", "etcdunhealty")

    assert answer.exit_code == 2
    assert "EtcdUnhealthy" in answer.stderr


def test_no_topic_of_the_notes_is_left_out_in_silence() -> None:
    assert all(topic.patterns or topic.reason for topic in coverage.TOPICS)
    assert {note for topic in coverage.TOPICS for note in re.findall(r"\b00\d\b", topic.where)} == {
        "000", "001", "002", "003", "004",
    }  # fmt: skip


def test_the_page_of_coverage_has_every_pattern_of_the_notes() -> None:
    page = coverage.page(REGISTRY)
    patterns = [id_ for about in coverage.PATTERNS.values() for id_ in about]

    assert len(patterns) == len(set(patterns)) == 166
    assert BY_ID.keys() <= set(patterns)
    for id_ in patterns:
        assert re.search(rf"\b{id_}\b", page.partition("## Patterns in them")[2]), id_
    assert sorted(set(re.findall(r"(\w+) \(no check yet\)", page))) == list(coverage.waiting(REGISTRY))


def test_the_ids_of_the_notes_are_spelt_as_checks_are() -> None:
    for id_ in {*coverage.waiting(REGISTRY), *(near for pattern in UNSEEN for near in pattern.nearest)}:
        assert check_id(function_name(id_)) == id_


WAITING = (
    "APIServiceUnavailable", "CSRPendingOrDenied", "HPAMissing", "KubeletClientCertExpiring",
    "KubeletSecretWatchPressure", "LeaderElectionFlapping", "LoadBalancerControllerMissing", "NodeConntrackFull",
    "NodeDrainBlockedByPDB", "NodeGracefulDeleteMissing", "PodRejectedAdmissionError",
)  # fmt: skip
"""What the page of coverage names beside a topic and has no check yet. A new check takes itself off this list.

All but one are later additions to what the notes say. KubeletSecretWatchPressure is of the notes: since Kubernetes 1.14
it cannot hurt, and to count the ConfigMaps and Secrets of each node would cost every cluster memory.
"""


def test_the_patterns_that_wait_for_a_check_are_listed() -> None:
    assert coverage.waiting(REGISTRY) == WAITING


def test_the_nearest_signal_of_what_is_not_seen_is_a_check() -> None:
    assert {near for pattern in UNSEEN for near in pattern.nearest} <= REGISTRY.by_id.keys()


def test_the_page_of_profiles_says_of_each_check_why() -> None:
    page = docs.profiles(REGISTRY)

    for check in REGISTRY:
        _, row = page.split(f"| [{check.id}](checks/{check.id}.md) | {check.severity.text} | ")
        assert row.splitlines()[0].endswith(". |"), check.id


def test_the_readme_names_every_check_in_its_area() -> None:
    said = docs.summary(REGISTRY)

    for area in {check.area for check in REGISTRY}:
        _, line = f"{said}\n".split(f"* {area}: ")
        named = line.partition(".")[0].replace(",", " ").split()
        assert named == [check.id for check in REGISTRY if check.area == area]
