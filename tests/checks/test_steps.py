"""What the steps of every check tell people to type, on the findings of its cases."""

import re
import shlex
import subprocess
from collections.abc import Iterable
from functools import cache

import pytest

from kubedx.core.check import Check
from kubedx.core.finding import Param
from kubedx.core.message import command, placeholders
from kubedx.engine.verdict import RawFinding
from tests.checks.cases import REGISTRY, load, paths, run

HOSTILE = "x'; touch /tmp/owned; $(id) `id` \"\n-o | > * \\"
"""What a tenant may call things whose names nobody checks."""

DESTROYS = re.compile(r"\b(delete|drain|reboot|rollout undo|finalizers?|--force|prune --all|rm)\b|out-of-service")
"""Commands that destroy or interrupt something, or let go of what is kept for a reason."""

each_check = pytest.mark.parametrize("check", list(REGISTRY), ids=[check.id for check in REGISTRY])


@cache
def _found(check: Check) -> tuple[RawFinding, ...]:
    cases = [load(path) for path in paths() if path.parent.name == check.id and path.name.startswith("fires")]
    return tuple(one for case in cases for one in run(case).findings)


def _commands(check: Check) -> Iterable[tuple[str, RawFinding]]:
    for step in check.steps:
        if step.command:
            for one in _found(check):
                yield step.command, one


def _words(line: str) -> list[str]:
    """A command as a shell splits it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


@each_check
def test_commands_are_filled_in_and_a_shell_understands_them(check: Check) -> None:
    lines = {command(template, one.params) for template, one in _commands(check)}

    assert all(placeholders(template) <= one.params.keys() for template, one in _commands(check))
    assert not [line for line in lines if "''" in line], "a name is empty"
    subprocess.run(["/bin/sh", "-n"], input="\n".join(sorted(lines)), text=True, check=True)


@each_check
def test_no_name_gets_out_of_its_quotes(check: Check) -> None:
    for template, one in _commands(check):
        harmless: dict[str, Param] = {name: f"value-of-{name}" for name in one.params}
        hostile: dict[str, Param] = dict.fromkeys(harmless, HOSTILE)

        expected = [
            re.sub(r"value-of-[a-z_]+", lambda _: HOSTILE, word) for word in _words(command(template, harmless))
        ]
        assert _words(command(template, hostile)) == expected


@each_check
def test_commands_about_something_in_a_namespace_say_in_which(check: Check) -> None:
    for template, one in _commands(check):
        if "kubectl" in template and "{name}" in template and one.subject.namespace:
            assert f"-n {one.subject.namespace}" in command(template, one.params)


@each_check
def test_what_destroys_is_marked_and_what_is_marked_never_comes_first(check: Check) -> None:
    for step in check.steps:
        assert step.danger or not DESTROYS.search(step.command), step.command

    assert not check.steps[0].danger
    assert any(step.command for step in check.steps if not step.danger), "there is nothing to look at"
