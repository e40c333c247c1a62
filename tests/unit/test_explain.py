"""What `kubedx explain` and `kubedx checks` say."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kubedx.checks import registry
from kubedx.cli import main
from kubedx.core.check import Check
from kubedx.generate import docs, explain
from kubedx.settings import resolve, setting_names

ROOT = Path(__file__).parents[2]
REGISTRY = registry()

each_check = pytest.mark.parametrize("check", list(REGISTRY), ids=[check.id for check in REGISTRY])


def kubedx(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(check: str) -> dict[str, Any]:
    return json.loads(kubedx("explain", check, "-o", "json").stdout)


@each_check
def test_explain_says_what_the_page_of_the_check_says(check: Check) -> None:
    page = (ROOT / f"docs/checks/{check.id}.md").read_text(encoding="utf-8")

    said = explain.markdown(explain.page(check, REGISTRY))

    assert page.removeprefix(docs.COMMENT).partition("\n## Example\n")[0] == said


def test_explain_prints_the_page_as_markdown_on_demand() -> None:
    page = explain.page(REGISTRY.by_id["PVCPending"], REGISTRY)

    assert kubedx("explain", "PVCPending", "-o", "markdown").stdout == explain.markdown(page)


@each_check
def test_the_policy_that_a_page_shows_can_be_followed(check: Check) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", explain.markdown(explain.page(check, REGISTRY)), re.DOTALL)

    assert len(blocks) == 2
    for block in blocks:
        assert resolve(None, yaml.safe_load(block), REGISTRY).problems == ()


@each_check
def test_the_settings_that_a_page_shows_change_nothing(check: Check) -> None:
    block = re.findall(r"```yaml\n(.*?)```", explain.markdown(explain.page(check, REGISTRY)), re.DOTALL)[0]

    assert resolve(None, yaml.safe_load(block), REGISTRY).checks == resolve(None, None, REGISTRY).checks


@each_check
def test_every_setting_has_a_default_bounds_and_a_sentence(check: Check) -> None:
    settings = explain.page(check, REGISTRY).settings

    assert [one.name for one in settings] == list(setting_names(check))
    for one in settings:
        assert one.default
        assert one.bounds
        assert one.description.endswith("."), f"{check.id}.{one.name}"


@each_check
def test_a_terminal_gets_no_markup_and_whole_commands(check: Check) -> None:
    page = explain.page(check, REGISTRY)
    text = explain.told(page, "text")

    assert "```" not in text
    assert "](" not in text
    assert "**" not in text.replace("/**", "")
    for step in page.steps:
        assert not step.command or f"    {step.command}\n" in text


def test_a_command_with_json_can_be_copied() -> None:
    commands = [step["command"] for step in told("ResourceFinalizerStuck")["steps"]]

    assert (
        """kubectl -n {namespace} patch {kind} {name} --type=merge -p '{"metadata":{"finalizers":null}}'""" in commands
    )


def test_a_cause_and_its_symptom_name_each_other() -> None:
    cause, symptom = told("StorageClassMissing"), told("PVCPending")

    assert "PVCPending" in [one["check"] for one in cause["explains"]]
    assert "StorageClassMissing" in [one["check"] for one in symptom["explainedBy"]]
    assert all(one["description"].endswith(".") for one in cause["explains"])


def test_relations_to_checks_that_do_not_exist_are_not_shown() -> None:
    for check in REGISTRY:
        page = explain.page(check, REGISTRY)
        assert {one.check for one in (*page.explains, *page.explained_by)} <= set(REGISTRY.by_id)


def test_explain_names_the_kinds_that_a_check_cannot_do_without() -> None:
    inputs = {one["resource"]: one["required"] for one in told("MetricsServerMissing")["inputs"]}

    assert inputs == {"apiservices.apiregistration.k8s.io": True, "horizontalpodautoscalers.autoscaling": True}


def test_explain_says_that_a_single_look_has_no_history() -> None:
    assert "kubedx scan` looks only once" in kubedx("explain", "NodeReadyFlapping").stdout
    assert "looks only once" not in kubedx("explain", "NodeDiskPressure").stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("NodeDiskPresure", "NodeDiskPressure"),
        ("nodediskpressure", "NodeDiskPressure"),
        ("PvcPending", "PVCPending"),
        ("crashloop", "PodCrashLoopBackOff"),
    ],
)
def test_a_wrong_name_is_answered_with_the_one_that_was_meant(typed: str, meant: str) -> None:
    answer = kubedx("explain", typed)

    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert meant in answer.stderr


def test_a_name_that_resembles_nothing_is_answered_with_the_list() -> None:
    answer = kubedx("explain", "Xyzzy")

    assert answer.exit_code == 2
    assert "kubedx checks" in answer.stderr


def test_the_list_has_a_row_for_each_check() -> None:
    lines = kubedx("checks").stdout.splitlines()

    assert lines[0].split() == ["CHECK", "SEVERITY", "PROFILE", "PROBLEM", "READS"]
    assert [line.split()[0] for line in lines[1:]] == list(REGISTRY.by_id)


def test_the_list_reads_the_same_in_every_form() -> None:
    names = kubedx("checks", "-o", "name").stdout.split()
    rows = json.loads(kubedx("checks", "-o", "json").stdout)

    assert names == list(REGISTRY.by_id) == [row["id"] for row in rows]
    assert yaml.safe_load(kubedx("checks", "-o", "yaml").stdout) == rows
    assert rows[0].keys() == {"id", "severity", "profile", "detectability", "area", "title", "reads", "explains"}


def test_the_list_says_what_a_check_reads_and_explains() -> None:
    row = next(one for one in json.loads(kubedx("checks", "-o", "json").stdout) if one["id"] == "MetricsServerMissing")

    assert row["detectability"] == "watched objects"
    assert {"APIService", "HorizontalPodAutoscaler"} <= set(row["reads"])
    assert "HPAFailedGetResourceMetric" in row["explains"]


def test_the_list_starts_without_what_only_the_operator_needs() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from kubedx.cli import main; "
        "CliRunner().invoke(main, ['checks']); "
        "print({'kopf', 'kubernetes', 'aiohttp', 'pydantic', 'rich'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
