"""`kubedx new-check`: names that are refused, and a start that fails until it is filled in."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner, Result

from kubedx.checks import registry
from kubedx.cli import main
from kubedx.core.check import Check, check_id, function_name
from kubedx.generate import scaffold
from kubedx.kube.views import BY_KIND

ROOT = Path(__file__).parents[2]
REGISTRY = registry()


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with two areas."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for area in ("pods", "nodes", "_support"):
        folder = tmp_path / "operator/kubedx/checks" / area
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(f'"""Checks on {area}."""\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new_check(id_: str, area: str = "pods", *more: str) -> Result:
    return CliRunner().invoke(main, ["new-check", id_, "--area", area, *more])


def test_the_id_of_every_check_would_be_accepted() -> None:
    assert {check.id: scaffold.refusal(check.id) for check in REGISTRY} == dict.fromkeys(REGISTRY.by_id, "")


@pytest.mark.parametrize("id_", list(REGISTRY.by_id))
def test_an_id_comes_back_from_the_name_of_its_function(id_: str) -> None:
    assert check_id(function_name(id_)) == id_


@pytest.mark.parametrize(
    ("id_", "advice"),
    [
        ("podStuck", "CamelCase"),
        ("Pod_Stuck", "CamelCase"),
        ("NoStorageClass", "such as StorageClassMissing"),
        ("EnsureProbes", "not the remedy"),
        ("RestartPods", "not the remedy"),
        ("CheckPods", "not the act of looking"),
        ("InvalidIngress", "after its name"),
        ("PodStuckCheck", "leave out the last word"),
        ("PvcStuck", "write PVCStuck"),
        ("PodOomKilledOften", "write PodOOMKilledOften"),
    ],
)
def test_a_bad_name_is_refused_with_advice(clone: Path, id_: str, advice: str) -> None:
    answer = new_check(id_)

    assert answer.exit_code == 2
    assert advice in answer.stderr
    assert not (clone / "tests").exists()


@pytest.mark.parametrize("id_", ["NodeCordoned", "NodeReadyFlapping", "NotebookStuck", "SettingLost", "IsolatedPods"])
def test_a_good_name_that_begins_like_a_bad_one_is_accepted(id_: str) -> None:
    assert scaffold.refusal(id_) == ""


@pytest.mark.usefixtures("clone")
def test_a_name_that_is_taken_is_refused() -> None:
    assert "kubedx explain PVCPending" in new_check("PVCPending").stderr


@pytest.mark.usefixtures("clone")
def test_an_unknown_area_is_refused_with_those_there_are() -> None:
    assert "there are nodes, pods" in new_check("PodStuckSomehow", "poods").stderr


@pytest.mark.usefixtures("clone")
def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    assert "PersistentVolumeClaim" in new_check("PodStuckSomehow", "pods", "--kind=PVC").stderr


def test_work_is_never_overwritten(clone: Path) -> None:
    new_check("PodStuckSomehow")
    module = clone / "operator/kubedx/checks/pods/pod_stuck_somehow.py"
    module.write_text("mine", encoding="utf-8")

    answer = new_check("PodStuckSomehow")

    assert answer.exit_code == 2
    assert "pod_stuck_somehow.py is there already" in answer.stderr
    assert module.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("kind", sorted(BY_KIND))
def test_the_module_declares_a_check_about_the_kind(clone: Path, kind: str) -> None:
    assert new_check("PodStuckSomehow", "pods", f"--kind={kind}").exit_code == 0

    declared = _load(clone / "operator/kubedx/checks/pods/pod_stuck_somehow.py")

    assert (declared.id, declared.area, declared.subjects) == ("PodStuckSomehow", "pods", (BY_KIND[kind],))


def test_the_cases_are_one_of_each_polarity_and_valid(clone: Path) -> None:
    new_check("PodStuckSomehow")

    cases = sorted(clone.glob("tests/checks/PodStuckSomehow/*.yaml"))
    assert [case.name.split(".")[0] for case in cases] == ["fires", "silent"]
    for case in cases:
        for body in yaml.safe_load(case.read_text(encoding="utf-8"))["objects"]:
            kubernetes_validate.validate(body, "1.36", strict=True)


def _load(path: Path) -> Check:
    spec = importlib.util.spec_from_file_location("kubedx.checks.pods.pod_stuck_somehow", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        found: Check = module.pod_stuck_somehow
    finally:
        del sys.modules[spec.name]
    return found


def test_the_module_passes_the_linter(clone: Path) -> None:
    new_check("PodStuckSomehow")

    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "operator"], cwd=clone, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_the_start_says_only_that_it_must_be_filled_in(clone: Path) -> None:
    new_check("PodStuckSomehow")
    declared = _load(clone / "operator/kubedx/checks/pods/pod_stuck_somehow.py")

    (answer,) = declared.run(BY_KIND["Pod"]())

    assert scaffold.FILL_IN in answer.why
    fires = yaml.safe_load(next(clone.glob("tests/checks/*/fires.*")).read_text(encoding="utf-8"))
    assert fires["expect"], "the case expects a finding, so its test fails until there is one"


def test_no_check_is_left_half_written() -> None:
    files = [*ROOT.glob("operator/kubedx/checks/*/*.py"), *ROOT.glob("tests/checks/*/*.yaml")]
    left = [str(file.relative_to(ROOT)) for file in files if scaffold.FILL_IN in file.read_text(encoding="utf-8")]

    assert not left, f"write something where {scaffold.FILL_IN!r} stands, see docs/writing-checks.md"
