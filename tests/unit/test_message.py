"""Messages and commands made from templates: complete, and safe to paste."""

import shlex
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from kubedx.core.message import command, placeholders, render, shown


def test_a_template_is_filled() -> None:
    assert render("Node {name} has {count} pods", {"name": "n1", "count": 3}) == "Node n1 has 3 pods"


def test_a_missing_value_leaves_a_gap_and_not_an_error() -> None:
    assert render("Node {name} is {state}", {"name": "n1"}) == "Node n1 is ?"


def test_braces_in_values_are_only_text() -> None:
    assert render("{a} {b}", {"a": "{b.__class__}", "b": "{0}"}) == "{b.__class__} {0}"


def test_times_are_shown_in_utc_with_whole_seconds() -> None:
    at = datetime(2026, 1, 1, 2, 0, 0, 999_999, timezone(timedelta(hours=2)))

    assert shown(at) == "2026-01-01T00:00:00Z"


def test_doubled_braces_are_braces_and_no_placeholder() -> None:
    template = "kubectl get node {name} -o jsonpath='{{.spec.taints}}'"

    assert placeholders(template) == {"name"}
    assert command(template, {"name": "n1"}) == "kubectl get node n1 -o jsonpath='{.spec.taints}'"


@given(st.text(min_size=1))
def test_a_value_is_one_word_for_the_shell_whatever_is_in_it(value: str) -> None:
    assert shlex.split(command("kubectl get pod {name} -n x", {"name": value})) == [
        "kubectl", "get", "pod", value, "-n", "x",
    ]  # fmt: skip
