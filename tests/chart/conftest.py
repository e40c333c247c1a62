"""The programs that the chart's tests run."""

import os
from pathlib import Path

import pytest

from tests.chart.helm import Helm
from tests.cluster.tools.build import ToolsUnavailable, ensure


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks everything in this folder: all of it needs helm or promtool."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.chart)


def _program(tools: str) -> Path:
    try:
        return ensure(tools) / tools
    except ToolsUnavailable as problem:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the chart tests: {problem}")
        pytest.skip(str(problem))


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The path of promtool."""
    return _program("promtool")


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm with a home of its own."""
    return Helm(_program("helm"), tmp_path_factory.mktemp("helm-home"))
