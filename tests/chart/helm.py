"""The chart, rendered by the real helm."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "kubedx"

Object = dict[str, Any]
Values = dict[str, Any]

IMAGE: Values = {"image": {"repository": "example.com/kubedx"}}
"""The one value without which nothing is rendered."""


class Helm:
    """The helm program, away from the settings of whoever runs the tests.

    Args:
        program: The executable.
        home: A folder for its cache and configuration.
    """

    def __init__(self, program: Path, home: Path) -> None:
        self._program = program
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
        self._rendered = cache(self._render)

    def run(self, *arguments: str, values: Values | None = None) -> subprocess.CompletedProcess[str]:
        """Runs helm at the repository's root, with values by way of its standard input."""
        given = [] if values is None else ["--values", "-"]
        return subprocess.run(
            [str(self._program), *arguments, *given],
            input=json.dumps(values),
            env=self._environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def render(self, values: Values, *more: str) -> list[Object]:
        """The objects that the release `kubedx` in the namespace `observing` has, the image being named."""
        return self._rendered(json.dumps({**IMAGE, **values}), *more)

    def _render(self, values: str, *more: str) -> list[Object]:
        run = self.run("template", "kubedx", str(CHART), "--namespace=observing", *more, values=json.loads(values))
        assert run.returncode == 0, run.stderr
        return objects(run.stdout)

    def refusal(self, values: Values) -> str:
        """What helm says when it does not render these values, the image being named."""
        run = self.run("template", "kubedx", str(CHART), values={**IMAGE, **values})
        assert run.returncode != 0, f"helm accepts {values}"
        return run.stderr


def objects(text: str) -> list[Object]:
    """The objects of a YAML text, in order."""
    return [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]


def of_kind(found: list[Object], kind: str) -> list[Object]:
    """The objects of a kind."""
    return [one for one in found if one["kind"] == kind]


def only(found: list[Object], kind: str) -> Object:
    """The one object of a kind."""
    (one,) = of_kind(found, kind)
    return one
