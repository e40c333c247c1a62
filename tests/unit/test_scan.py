"""`kubedx scan`: what it prints, and the code it ends with."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kubedx.cli import main
from kubedx.kube.views import KINDS
from kubedx.report.text import VERSION

ROOT = Path(__file__).parents[2]
NOW = "2026-01-01T12:00:00Z"


def lists() -> list[dict[str, Any]]:
    """An empty list of each kind that some check reads: a dump that leaves nothing out."""
    return [
        {"apiVersion": view.resource.api_version, "kind": f"{view.resource.kind}List", "items": []} for view in KINDS
    ]


def node(name: str = "n1", *, version: str = "1", **conditions: str) -> dict[str, Any]:
    ready = {"Ready": "True", **conditions}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "uid": f"u-{name}", "resourceVersion": version, "creationTimestamp": "2025-12-01T00:00:00Z",
        },
        "status": {"conditions": [
            {"type": kind, "status": status, "reason": f"Kubelet{kind}", "message": f"{kind} is {status}",
             "lastTransitionTime": "2026-01-01T11:00:00Z"} for kind, status in ready.items()
        ]},
    }  # fmt: skip


CORDONED = node("n2") | {"spec": {"unschedulable": True}}
PRESSED = {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}
SICK = node(DiskPressure="True") | {"spec": {"taints": [PRESSED]}}

Scan = Callable[..., Result]


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """Scan these objects, beside an empty list of each kind."""

    def run(*objects: dict[str, Any], options: tuple[str, ...] = ("--now", NOW), only: bool = False) -> Result:
        folder = tmp_path / "dump"
        folder.mkdir(exist_ok=True)
        found = [*objects] if only else [*lists(), *objects]
        (folder / "all.json").write_text("\n".join(map(json.dumps, found)))
        return CliRunner().invoke(main, ["scan", str(folder), *options])

    return run


def test_a_healthy_cluster_is_clean(scan: Scan) -> None:
    result = scan(node())

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No problem found in 1 objects.\n"


def test_a_problem_ends_with_one_and_names_the_next_command(scan: Scan) -> None:
    result = scan(SICK)

    assert result.exit_code == 1
    assert re.search(r"critical +NodeDiskPressure +Node/n1 +0 +60m +", result.stdout)
    assert "kubedx explain NodeDiskPressure" in result.stderr


@pytest.mark.parametrize(("fail_on", "code"), [("critical", 1), ("warning", 1), ("info", 1), ("never", 0)])
def test_fail_on_decides_from_which_severity_on_a_finding_counts(scan: Scan, fail_on: str, code: int) -> None:
    assert scan(SICK, options=("--now", NOW, "--fail-on", fail_on)).exit_code == code


def test_a_finding_below_fail_on_is_shown_and_ends_with_zero(scan: Scan, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("checks: {NodeDiskPressure: {severity: info}}")
    result = scan(SICK, options=("--now", NOW, "--policy", str(policy)))

    assert result.exit_code == 0
    assert "NodeDiskPressure" in result.stdout


def test_what_the_dump_leaves_out_is_said_and_ends_with_four(scan: Scan) -> None:
    result = scan(node(), only=True)

    assert result.exit_code == 4
    assert re.search(r"\d+ checks were skipped, as there is nothing to read of: .*Pod", result.stderr)


def test_a_finding_outweighs_what_was_left_out(scan: Scan) -> None:
    assert scan(SICK, only=True).exit_code == 1


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "Give either a PATH to read or --live."),
    (("x", "--live"), "Give either a PATH to read or --live."),
    (("/no/such/dump",), "/no/such/dump"),
    (("x", "--now", "yesterday"), "'yesterday' is no time such as 2026-01-31T18:00:00Z"),
    (("x", "--policy", "/no/such/policy"), "/no/such/policy cannot be read as YAML"),
    (("x", "-o", "xml"), "'xml' is not one of"),
])  # fmt: skip
def test_wrong_usage_ends_with_two_and_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(main, ["scan", *arguments])

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_an_empty_folder_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["scan", str(tmp_path)])

    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr


def test_a_server_that_cannot_be_reached_ends_with_three(tmp_path: Path) -> None:
    config = {
        "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    result = CliRunner().invoke(main, ["scan", "--live", "--kubeconfig", str(path)])

    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.stderr


def test_of_one_object_twice_the_newest_counts(scan: Scan) -> None:
    assert scan(node(version="9", DiskPressure="True"), node(version="10")).exit_code == 0
    assert scan(node(version="10", DiskPressure="True"), node(version="9")).exit_code == 1


def test_objects_in_lists_count_as_objects(scan: Scan) -> None:
    result = scan({"apiVersion": "v1", "kind": "List", "items": [SICK, CORDONED]})

    assert "NodeDiskPressure" in result.stdout


def test_a_truncated_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text("\n".join(map(json.dumps, [*lists(), SICK])))
    (tmp_path / "cut.json").write_text(json.dumps(node("n3"))[:-30])
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(json.dumps(node("n4")).encode())[:-20])
    result = CliRunner().invoke(main, ["scan", str(tmp_path), "--now", NOW])

    assert "NodeDiskPressure" in result.stdout
    for name in ("cut.json", "cut.json.gz"):
        assert f"{name}" in result.stderr
    assert result.exit_code == 1


def test_a_truncated_file_alone_makes_a_clean_dump_partial(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text("\n".join(map(json.dumps, [*lists(), node()])))
    (tmp_path / "cut.json").write_text(json.dumps(node("n3"))[:-30])

    assert CliRunner().invoke(main, ["scan", str(tmp_path), "--now", NOW]).exit_code == 4


def test_ages_are_judged_by_the_newest_time_in_the_dump_or_by_now(scan: Scan) -> None:
    by_dump = scan(SICK, options=("-o", "json"))
    by_now = scan(SICK, options=("-o", "json", "--now", "2026-02-01T00:00:00Z"))

    assert json.loads(by_dump.stdout)["now"] == "2026-01-01T11:00:00Z"
    assert json.loads(by_now.stdout)["now"] == "2026-02-01T00:00:00Z"


def test_a_policy_is_followed_and_its_wrong_entries_are_named(scan: Scan, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    spec = {"checks": {"NodeDiskPressure": {"enabled": False}, "NodeDiskPresure": {"enabled": True}}}
    policy.write_text(yaml.safe_dump({"kind": "DiagnosisPolicy", "spec": spec}))
    result = scan(SICK, options=("--now", NOW, "--policy", str(policy)))

    assert result.stdout == ""
    assert "spec.checks.NodeDiskPresure: there is no such check; did you mean NodeDiskPressure?" in result.stderr
    assert result.exit_code == 4


def test_what_is_suppressed_is_counted_and_shown_only_when_asked_for(scan: Scan, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"suppressions": [{"check": "Node*", "reason": "known disk"}]}))
    options = ("--now", NOW, "--policy", str(policy))
    quiet, shown = scan(SICK, options=options), scan(SICK, options=(*options, "--all"))

    assert (quiet.exit_code, quiet.stdout) == (0, "")
    assert "1 suppressed diagnoses are not shown; --all shows them." in quiet.stderr
    assert "(suppressed: known disk)" in shown.stdout


def test_what_objects_say_cannot_forge_the_table(scan: Scan) -> None:
    forged = node(DiskPressure="True")
    forged["status"]["conditions"][1]["message"] = "[bold]x[/bold]\x1b[2J\ncritical  NodeNotReady  Node/forged"
    result = scan(forged)

    assert "\x1b" not in result.stdout
    assert "[bold]x[/bold]" in result.stdout
    assert len([line for line in result.stdout.splitlines() if line.startswith("critical")]) == 1


def claim(name: str, created: str) -> dict[str, Any]:
    metadata = {
        "name": name, "namespace": "shop", "uid": f"6f6c2c8e-000{1 + (name == 'logs')}", "creationTimestamp": created,
    }  # fmt: skip
    spec, status = {"storageClassName": "fast"}, {"phase": "Pending"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


CLAIMS = (claim("data", "2026-01-01T10:00:00Z"), claim("logs", "2026-01-01T10:05:00Z"))


def test_the_json_is_the_one_that_the_documentation_shows(scan: Scan) -> None:
    result = scan(*CLAIMS, options=("--now", NOW, "-o", "json"))
    shown = re.search(r"```json\n(.*?)```", _page(), re.DOTALL)

    assert shown is not None
    assert json.loads(result.stdout) == json.loads(shown[1])
    assert json.loads(shown[1])["version"] == VERSION


def test_the_documentation_has_a_sentence_for_each_field_of_the_json(scan: Scan) -> None:
    result = scan(*CLAIMS, options=("--now", NOW, "-o", "json"))
    told = [*_paths(json.loads(result.stdout)), "checks.failed[].check", "checks.failed[].error"]
    missing = [path for path in told if not re.search(rf"^\| `{re.escape(path)}` \| \S.+\. \|$", _page(), re.MULTILINE)]

    assert missing == []


def test_the_most_severe_come_first(scan: Scan) -> None:
    result = scan(*CLAIMS, SICK, options=("--now", NOW, "-o", "json"))

    assert [one["severity"] for one in json.loads(result.stdout)["diagnoses"]] == ["critical", "warning"]


def test_yaml_tells_the_same_as_json(scan: Scan) -> None:
    options = ("--now", NOW, "-o")
    as_json, as_yaml = scan(SICK, options=(*options, "json")), scan(SICK, options=(*options, "yaml"))

    assert yaml.safe_load(as_yaml.stdout) == json.loads(as_json.stdout)


def _page() -> str:
    return (ROOT / "docs/scan.md").read_text()


def _paths(value: object, before: str = "") -> list[str]:
    match value:
        case dict():
            found = []
            for key, inner in value.items():
                found.append(f"{before}{key}")
                if key not in {"params", "objects"}:
                    found += _paths(inner, f"{before}{key}.")
            return found
        case [dict(), *_]:
            return _paths({key: inner for one in value for key, inner in one.items()}, f"{before.rstrip('.')}[].")
    return []
