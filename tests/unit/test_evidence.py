"""The page that says how each check was tried."""

from pathlib import Path

import pytest

from kubedx.generate import evidence
from tests.checks.cases import REGISTRY

ROOT = Path(__file__).parents[2]


def row(check: str) -> str:
    found = [line for line in evidence.page(REGISTRY, ROOT).splitlines() if line.startswith(f"| [{check}](")]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("check", [check.id for check in REGISTRY])
def test_every_check_says_how_it_was_tried_and_where(check: str) -> None:
    how, where = row(check).split(" | ")[1:]

    assert how in {evidence.LIVE, evidence.SIMULATED, evidence.RECORDED, evidence.TEXT}
    assert (ROOT / where.strip("` |")).exists()


def test_what_a_real_kubelet_showed_was_seen_live() -> None:
    assert "| seen live | `tests/node/faults/crash-loop.yaml` |" in row("PodCrashLoopBackOff")
    assert "| seen live | `tests/node/" in row("NodePLEGUnhealthy")


def test_what_a_cause_explained_was_seen_with_it() -> None:
    assert "| seen live |" in row("HPAFailedGetResourceMetric")


def test_what_only_the_source_tells_is_not_said_to_have_been_seen() -> None:
    assert "| from the source |" in row("NodeKernelTooOld")
