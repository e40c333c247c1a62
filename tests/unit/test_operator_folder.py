"""`operator/` is a source root; as a package it would shadow Python's own module of that name."""

import operator
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_operator_folder_is_no_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists(), "see docs/decisions/0001-operator-folder.md"


def test_import_operator_gives_the_one_of_the_standard_library() -> None:
    assert Path(operator.__file__).parent == Path(sysconfig.get_path("stdlib"))


def test_nothing_imports_the_package_by_its_folder() -> None:
    for file in [*ROOT.glob("operator/**/*.py"), *ROOT.glob("examples/*.py")]:
        assert "operator.kubedx" not in file.read_text(encoding="utf-8"), file


def test_the_wheel_holds_the_package_and_not_the_folder() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["operator/kubedx"]
