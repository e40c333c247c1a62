"""Every command that the documentation tells people to type exists, and those that need no cluster work."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from kubedx.api import diagnosis, policy
from kubedx.checks import registry
from kubedx.cli import main
from kubedx.core.finding import Ref
from kubedx.diagnosis.diagnosis import object_name
from kubedx.generate.crd import KINDS

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/operating.md",
    "docs/install.md",
    "docs/scan.md",
    "docs/writing-checks.md",
)
PROGRAMS = {"make", "kubedx", "kubectl", "helm", "kind"}
OURS = {name for kind in KINDS for name in (kind.resource.plural, kind.singular, kind.short)}
BUILT_IN = {"lease", "nodes", "pods", "events", "endpointslices", "service", "namespace"}


def commands(page: str) -> Iterator[str]:
    """The commands in a page's indented blocks, those that end in a backslash joined."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\\\n", " ")
    for line in text.splitlines():
        code = re.match(r"    +(?:\$ )?((?:make|kubedx|kubectl|helm|kind) .*|.*\| kubedx .*)", line)
        if code:
            yield re.sub(r"\s+", " ", re.sub(r"\s{2,}#.*| #.*", "", code[1])).strip()


TYPED = [(page, command) for page in PAGES for command in dict.fromkeys(commands(page))]
each_command = pytest.mark.parametrize(("page", "command"), TYPED, ids=[f"{page}: {typed}" for page, typed in TYPED])


@each_command
def test_a_command_in_the_documentation_exists(page: str, command: str) -> None:
    for part in command.split(" | "):
        program, *arguments = shlex.split(part)
        assert program in PROGRAMS, f"{page} uses {program}"
        {"make": _make, "kubedx": _kubedx, "kubectl": _kubectl, "helm": _helm, "kind": _kind}[program](arguments)


def _make(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in arguments:
        assert "=" in target or re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), f"make {target}"


def _kubedx(arguments: list[str]) -> None:
    name, *rest = arguments
    command = main.commands[name]
    concrete = ["NodeDiskPressure" if word == "CHECK" else word for word in rest]
    assert isinstance(command.make_context(name, [*concrete]), click.Context)
    if name == "explain":
        assert concrete[0] in registry().by_id


def _kubectl(arguments: list[str]) -> None:
    verb, *rest = [word for word in arguments if word not in {"-A", "--all-namespaces"}]
    match verb:
        case "get" | "describe" | "patch" | "edit" | "explain":
            names = rest[0].partition(".")[0].split(",")
            assert set(names) <= OURS | BUILT_IN, f"kubectl {verb} {rest[0]}"
        case "delete":
            assert rest == ["crd", *(f"{kind.resource.plural}.{kind.resource.group}" for kind in KINDS)]
        case "apply":
            assert (ROOT / rest[rest.index("-f") + 1]).is_file()
        case "wait":
            assert rest[1].partition("/")[0] in OURS
        case _:
            assert verb in {"cluster-info", "create"}


def _helm(arguments: list[str]) -> None:
    values = yaml.safe_load((ROOT / "charts/kubedx/values.yaml").read_text(encoding="utf-8"))
    assert arguments[0] in {"install", "upgrade", "uninstall"}
    assert arguments[0] == "uninstall" or (ROOT / arguments[2] / "Chart.yaml").is_file()
    for option, value in pairwise(arguments):
        if option == "--set":
            for setting in value.split(","):
                found = values
                for key in setting.partition("=")[0].split("."):
                    assert key in found, f"the chart has no value {setting}"
                    found = found[key]


def _kind(arguments: list[str]) -> None:
    assert arguments == ["load", "docker-image", "kubedx:dev"]


def test_the_documentation_has_commands_of_each_program() -> None:
    assert {command.split()[0] for page, command in TYPED if page == "README.md"} == PROGRAMS


def test_the_commands_of_the_readme_that_need_no_cluster_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    case = ROOT / "tests/checks/NodeDiskPressure/fires.kubelet-reports-it.yaml"
    objects = yaml.safe_load(case.read_text(encoding="utf-8"))["objects"]
    (dump / "nodes.yaml").write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    outputs = {}
    for _, command in [one for one in TYPED if one[0] == "README.md" and one[1].startswith("kubedx")]:
        answer = CliRunner().invoke(main, shlex.split(command)[1:])
        assert answer.exit_code in {0, 1}, answer.output
        outputs[command] = answer.output

    assert outputs.keys() == {"kubedx scan dump", "kubedx checks", "kubedx explain NodeDiskPressure"}
    assert all("NodeDiskPressure" in output for output in outputs.values())


def test_the_table_of_the_readme_has_the_columns_of_the_kind() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    header = next(line for line in text.splitlines() if line.startswith("    NAME"))

    shown = ["NAME", *(column.name.upper() for column in diagnosis.KIND.columns if not column.wide)]
    assert header.split() == shown


def test_the_table_of_the_policy_has_the_columns_of_the_kind() -> None:
    text = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    header = next(line for line in text.splitlines() if line.startswith("    NAME") and "READY" in line)

    shown = ["NAME", *(column.name.upper() for column in policy.KIND.columns if not column.wide)]
    assert header.split() == shown


def test_the_readme_shows_diagnoses_as_they_are_written() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^    (\S+-[0-9a-f]{8}) +(critical|warning|info) +(\w+) +(\w+)/(\S+)", text, re.MULTILINE)

    known = registry().by_id
    assert rows
    for name, severity, check, kind, subject in rows:
        assert known[check].severity.text == severity
        assert object_name(known[check], Ref(kind, "", subject)) == name
