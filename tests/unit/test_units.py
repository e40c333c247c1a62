"""Amounts that hardly anybody means, and those that look alike."""

from typing import Any

import pytest

from kubedx.checks._support.units import is_tiny, most_cores, too_small
from kubedx.kube.views import Pod
from tests.unit.cluster_edits import decode


def pod(resources: dict[str, Any], **spec: Any) -> Pod:
    body = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "resources": resources}], **spec}}
    found: Pod = decode("Pod", body).whole
    return found


@pytest.mark.parametrize(("memory", "expected"), [
    ("100m", True), ("512", True), (512, True), ("1k", True), ("1023Ki", True), ("0.5Mi", True), ("1e3", True),
    ("1Mi", False), ("1M", True), ("1288490188800m", False), ("128974848000m", False), ("1Gi", False), ("1e9", False),
    ("0", False), (0, False), ("", False), ("much", False), ("-1", False),
])  # fmt: skip
def test_memory_below_a_mebibyte_is_tiny(memory: str | int, expected: bool) -> None:  # noqa: FBT001 -- a parameter
    assert is_tiny(memory) == expected


@pytest.mark.parametrize(("resources", "means", "guess"), [
    ({"limits": {"memory": "100m"}}, "0.1 bytes", "100Mi"),
    ({"limits": {"memory": "1"}}, "1 byte", "1Mi"),
    ({"requests": {"memory": "512k"}}, "512000 bytes", "512Mi"),
    ({"limits": {"ephemeral-storage": "1000m"}}, "1 byte", "1000Mi"),
    ({"limits": {"memory": ".5"}}, "0.5 bytes", "an amount in Mi"),
])  # fmt: skip
def test_a_suspicious_amount_is_said_in_words_with_what_was_meant(resources: Any, means: str, guess: str) -> None:
    (found,) = too_small(pod(resources))

    assert (found.means, found.guess) == (means, guess)


def test_limits_come_before_volumes_and_requests() -> None:
    resources = {"limits": {"memory": "1m"}, "requests": {"memory": "1m"}}
    found = too_small(pod(resources, volumes=[{"name": "v", "emptyDir": {"sizeLimit": "1m"}}]))

    assert [one.where for one in found] == [
        "memory limit of container c", "size limit of volume v", "memory request of container c",
    ]  # fmt: skip


@pytest.mark.parametrize(("cpu", "cores"), [("99", None), ("100", 100), ("1k", 1000), ("500m", None), (250, 250)])
def test_many_cores_are_looked_at(cpu: str | int, cores: float | None) -> None:
    found = most_cores(pod({"requests": {"cpu": cpu}}))

    assert (found.value if found else None) == cores
