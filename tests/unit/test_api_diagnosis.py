import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kubedx.api import diagnosis, policy
from kubedx.api.diagnosis import DiagnosisStatus, bounded, read
from kubedx.core.finding import Confidence, Profile, Severity

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def status(**changed: object) -> DiagnosisStatus:
    fields: dict[str, Any] = {
        "check": "NodeDiskPressure",
        "severity": "critical",
        "state": "Open",
        "confidence": "Confirmed",
        "subject": {"kind": "Node", "name": "real-1"},
        "subject_text": "Node/real-1",
        "title": "Node has disk pressure",
        "message": "Node real-1 reports KubeletHasDiskPressure",
        "first_seen": NOON,
        "last_transition": NOON,
    }
    return DiagnosisStatus(**fields | changed)


def merged(target: object, patch: object) -> object:
    """JSON merge patch, as RFC 7386 §2 defines it."""
    if not isinstance(patch, dict):
        return patch
    found: dict[str, object] = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def full(text: str = "x") -> DiagnosisStatus:
    """Every list and every text as large as it may be."""
    return status(
        check="C" * 63,
        subject={"kind": text * 128, "namespace": text * 63, "name": text * 253, "uid": "u" * 64},
        subject_text=text * 400,
        title=text * 120,
        message=text * 1024,
        path=text * 512,
        evidence=[{"source": text * 400, "value": text * 512, "when": NOON}] * 10,
        explains=[{"check": "C" * 63, "count": 2**31 - 1, "samples": [text * 384] * 5, "first_seen": NOON}] * 40,
        explains_count=2**31 - 1,
        steps=[{"action": text * 256, "command": text * 1024, "danger": True}] * 10,
        resolution="SubjectDeleted",
        history=[{"state": "Resolved", "at": NOON, "reason": text * 128}] * 5,
        flaps=2**31 - 1,
        flapping=True,
        keys=[text * 192] * 40,
        suppressed={"reason": text * 512, "until": NOON, "by": text * 256, "expired": True},
    )


def test_a_status_is_written_in_camel_case_without_what_is_not_set() -> None:
    written = status().wire()

    assert written["firstSeen"] == "2026-01-01T12:00:00Z"
    assert written["explainsCount"] == 0
    assert "resolution" not in written


def test_times_are_whole_seconds_of_utc_so_that_they_read_back_as_they_were() -> None:
    cet = timezone(timedelta(hours=1))
    one = status(first_seen=datetime(2026, 1, 1, 13, 0, 0, 999_999, tzinfo=cet))

    assert one.first_seen == NOON
    assert read({"status": one.wire()}).status == one


@pytest.mark.parametrize("text", ["x", "€", "\N{GRINNING FACE}", '"', "\\"])
def test_the_largest_status_fits_whatever_its_texts_hold(text: str) -> None:
    one = bounded(full(text))

    assert len(json.dumps(one.wire(), ensure_ascii=False).encode()) <= diagnosis.STATUS_BYTES
    assert one.truncated
    assert one.explains_count == 2**31 - 1
    assert one.explains
    assert one.evidence
    assert one.steps


@given(
    some.integers(0, 10),
    some.integers(0, 40),
    some.integers(0, 5),
    some.integers(0, 400),
    some.sampled_from(["x", "\N{GRINNING FACE}", '"', "\x01"]),
)
def test_a_status_of_any_size_fits(pieces: int, checks: int, samples: int, characters: int, character: str) -> None:
    text = character * characters
    one = bounded(
        status(
            message=text,
            evidence=[{"source": text, "value": text, "when": NOON}] * pieces,
            explains=[{"check": "C" * 63, "count": 2**31 - 1, "samples": [text] * samples, "first_seen": NOON}]
            * checks,
            history=[{"state": "Unknown", "at": NOON, "reason": text}] * 5,
        )
    )
    assert len(one.model_dump_json(by_alias=True, exclude_none=True).encode()) <= diagnosis.STATUS_BYTES


@pytest.mark.parametrize("text", ["x", "\N{GRINNING FACE}"])
def test_a_shortened_status_reads_back_as_it_was_written(text: str) -> None:
    one = bounded(full(text))
    assert read({"status": json.loads(json.dumps(one.wire()))}).status == one


def test_the_words_of_the_schema_are_those_of_the_core() -> None:
    assert set(get_args(diagnosis.SeverityText)) == {severity.text for severity in Severity}
    assert set(get_args(diagnosis.ConfidenceText)) == {confidence.text for confidence in Confidence}
    assert set(get_args(policy.ProfileText)) == {profile.value for profile in Profile}


def test_a_small_status_stays_as_it_is() -> None:
    one = status(message="x" * 1024)
    assert bounded(one) is one
    assert not one.truncated


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    one = status(message="x" * 2000)
    assert len(one.message) <= 1024
    assert one.message.endswith("… (+1000 characters)")


def test_the_first_entries_are_kept_and_the_newest_of_the_history() -> None:
    one = status(
        evidence=[{"source": f"{number}", "value": "v"} for number in range(12)],
        history=[{"state": "Open", "at": NOON, "reason": f"{number}"} for number in range(7)],
    )
    assert [piece.source for piece in one.evidence] == [f"{number}" for number in range(10)]
    assert [change.reason for change in one.history] == ["2", "3", "4", "5", "6"]
    assert one.truncated


def test_a_command_that_is_too_long_is_left_out_because_half_of_it_may_do_harm() -> None:
    one = status(steps=[{"action": "Delete it", "command": "kubectl delete pod " + "x" * 1024, "danger": True}])
    assert one.steps[0].command is None


def test_a_command_is_never_shortened_to_make_the_status_fit() -> None:
    command = "kubectl delete pod " + "x" * 900
    one = bounded(full().model_copy(update={"steps": (diagnosis.StepStatus(action="Delete it", command=command),)}))
    assert one.steps[0].command in {None, command}


def test_a_patch_removes_what_is_no_longer_so() -> None:
    before = status(
        state="Resolved",
        resolution="Cleared",
        subject={"kind": "Node", "name": "real-1", "uid": "u-1"},
        suppressed={"reason": "known", "until": NOON},
        evidence=[{"source": "a", "value": "b", "when": NOON}],
    )
    after = status(suppressed={"reason": "known"}, evidence=[{"source": "a", "value": "c"}])

    assert merged(before.wire(), after.patch()) == after.wire()


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
        lambda inner: (
            some.lists(inner, max_size=3)
            | some.dictionaries(
                some.sampled_from(
                    ["metadata", "spec", "status", "suppress", "reason", "until", "name", "labels", "check"]
                ),
                inner,
            )
        ),
    )
)
def test_an_object_of_any_shape_is_read_without_an_exception(raw: object) -> None:
    found = read({"metadata": raw, "spec": raw, "status": raw})
    assert found.status is None
    if found.suppress is None and raw not in (None, {}) and not isinstance(raw, dict):
        assert found.problem.startswith("spec: ")


def test_what_a_person_set_is_read_with_its_reason_and_its_end() -> None:
    found = read(
        {
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"kubedx.dev/check": "PodX"}},
            "spec": {"suppress": {"reason": "planned", "until": "2026-01-01T13:00:00+01:00"}},
        }
    )
    assert (found.name, found.uid, found.resource_version) == ("a", "u", "7")
    assert found.labels == {"kubedx.dev/check": "PodX"}
    assert found.suppress is not None
    assert (found.suppress.reason, found.suppress.until) == ("planned", NOON)
    assert found.problem == ""


@pytest.mark.parametrize(
    ("suppress", "problem"),
    [
        ({}, "spec.suppress.reason: is required"),
        ({"reason": " "}, "spec.suppress.reason: is required: say why, in up to 512 characters"),
        ({"reason": "a", "until": "soon"}, "spec.suppress.until: 'soon' is not a time; write 2026-01-31T18:00:00Z"),
        ({"reason": "a", "until": "2026-01-31"}, "spec.suppress.until: 2026-01-31T00:00:00 has no time zone"),
        (
            {"reason": "a", "until": "9999-12-31T23:59:59-05:00"},
            "spec.suppress.until: 9999-12-31T23:59:59-05:00 is out",
        ),
        ({"reason": "a", "untill": "x"}, "spec.suppress.untill: there is no such field"),
        ("yes", "spec.suppress: must hold fields, not 'yes'"),
    ],
)
def test_a_suppression_that_makes_no_sense_silences_nothing_and_says_why(suppress: object, problem: str) -> None:
    found = read({"spec": {"suppress": suppress}})
    assert found.suppress is None
    assert found.problem.startswith(problem)


def test_a_status_of_a_newer_release_is_read_as_far_as_it_is_known() -> None:
    raw = status().wire() | {"somethingNew": {"a": 1}}
    assert read({"status": raw}).status == status()
