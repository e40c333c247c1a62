from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from kubedx.api.policy import PolicySpec, PolicyStatus, SuppressionPolicy

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_largest_status_is_far_below_what_etcd_takes() -> None:
    text = "x" * 5000
    largest = PolicyStatus(
        observed_generation=2**31,
        conditions=[
            {"type": text, "status": "Unknown", "reason": text, "message": text, "last_transition_time": NOON}
        ] * 20,
        checks={
            "skipped": [{"check": text, "missing": [text] * 100}] * 1000,
            "failed": [{"check": text, "error": text}] * 1000,
        },
        watches=[{"kind": text, "state": "Forbidden", "objects": 10**6}] * 1000,
        problems=[{"field": text, "message": text}] * 1000,
        suppressions=[{"field": text, "pattern": text, "silences": 10**6, "idle_since": NOON}] * 1000,
        last_seen=NOON,
    )  # fmt: skip
    assert len(largest.model_dump_json(by_alias=True).encode()) <= 384 * 1024


def test_a_status_reads_back_as_it_was_written() -> None:
    condition = {"type": "Ready", "status": "True", "reason": "Works", "last_transition_time": NOON}
    one = PolicyStatus(conditions=[condition], checks={"skipped": [{"check": "A", "missing": ["Pod"]}]}, last_seen=NOON)
    assert PolicyStatus.model_validate(one.wire()) == one


def test_a_policy_that_says_nothing_is_valid() -> None:
    assert PolicySpec.model_validate({}) == PolicySpec()


@pytest.mark.parametrize("field", ["check", "kind", "namespace", "name"])
def test_a_suppression_by_one_field_is_enough(field: str) -> None:
    assert SuppressionPolicy.model_validate({field: "a", "reason": "known"}).reason == "known"


@pytest.mark.parametrize("labels", [{}, {"k" * 318: "v"}, {"k": "v" * 64}, {f"k{number}": "v" for number in range(17)}])
def test_labels_out_of_bounds_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SuppressionPolicy.model_validate({"labels": labels, "reason": "known"})
