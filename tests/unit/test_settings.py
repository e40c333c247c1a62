from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kubedx.core.check import SECTIONS, check
from kubedx.core.finding import Finding, Profile, Ref, Severity, Step
from kubedx.core.inputs import Settings as CheckSettings
from kubedx.core.inputs import minutes
from kubedx.kube.views import Node
from kubedx.settings import Settings, resolve

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
DOCUMENTATION = "A summary.\n\n" + "\n\n".join(f"## {section}\nText." for section in SECTIONS)
STEPS = (Step("Look at it", "kubectl describe node {name}"),)


class FlappingSettings(CheckSettings, frozen=True):
    times: Annotated[int, msgspec.Meta(ge=2, le=100)] = 4
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    quiet_for: timedelta = timedelta(minutes=10)
    strict: bool = False
    least: int = 1
    most: int = 9

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError("least must not exceed most")


def node_flapping(node: Node, settings: FlappingSettings) -> Iterator[Finding]:
    yield Finding(node, times=settings.times)


def node_idle(node: Node) -> Iterator[Finding]:
    yield Finding(node)


node_flapping.__doc__ = node_idle.__doc__ = DOCUMENTATION
FLAPPING = check(
    title="Node flaps", message="Node {name} flaps", layer=3, steps=STEPS, since="0.1.0", severity=Severity.CRITICAL,
    raise_after=minutes(2), clear_after=minutes(5),
)(node_flapping)  # fmt: skip
IDLE = check(
    title="Node is idle", message="Node {name} idles", layer=3, steps=STEPS, since="0.1.0", profile=Profile.ADVICE
)(node_idle)
CHECKS = (FLAPPING, IDLE)


def settings(spec: object = None, defaults: dict[str, Any] | None = None) -> Settings:
    return resolve(defaults, None if spec is None else {"spec": spec}, CHECKS)


def flapping(own: dict[str, Any]) -> Settings:
    return settings({"checks": {"NodeFlapping": {"settings": own}}})


def problems(found: Settings) -> list[str]:
    return [problem.text for problem in found.problems]


def test_without_a_policy_everything_is_as_the_checks_declare_it() -> None:
    found = settings()

    assert found.problems == ()
    assert found.enabled(FLAPPING)
    assert not found.enabled(IDLE), "advice is off unless asked for"
    assert found.severity(FLAPPING) is Severity.CRITICAL
    assert (found.raise_after(FLAPPING), found.clear_after(FLAPPING)) == (minutes(2), minutes(5))
    assert found.check_settings(FLAPPING) == FlappingSettings()
    assert (found.retention, found.limits.objects, found.limits.writes_per_second) == (timedelta(hours=1), 500, 10)
    assert found.looks_at("default")


def test_the_policy_overrides_the_defaults_field_by_field() -> None:
    found = settings(
        {"limits": {"objects": 7}, "checks": {"NodeFlapping": {"settings": {"times": 9}}}},
        {
            "limits": {"objects": 99, "writesPerSecond": 3},
            "retention": "2h",
            "checks": {"NodeFlapping": {"severity": "info", "settings": {"times": 5, "raiseAfter": "1m"}}},
        },
    )
    assert found.problems == ()
    assert (found.limits.objects, found.limits.writes_per_second) == (7, 3)
    assert found.retention == timedelta(hours=2)
    assert found.severity(FLAPPING) is Severity.INFO
    assert found.raise_after(FLAPPING) == minutes(1)
    assert found.check_settings(FLAPPING) == FlappingSettings(times=9)


def test_a_wrong_value_in_the_policy_falls_back_to_the_chart_s_default() -> None:
    found = settings(
        {"retention": "soon", "checks": {"NodeFlapping": {"settings": {"times": -1}}}},
        {"retention": "2h", "checks": {"NodeFlapping": {"settings": {"times": 5}}}},
    )
    assert found.retention == timedelta(hours=2)
    assert found.check_settings(FLAPPING) == FlappingSettings(times=5)
    assert problems(found) == [
        "spec.checks.NodeFlapping.settings.times: must be a whole number >= 2, not -1",
        "spec.retention: 'soon' is not a duration; write 90s, 5m, 1h30m or 2d",
    ]


def test_a_wrong_value_in_the_chart_is_named_as_the_chart_s() -> None:
    found = settings({}, {"limits": {"objects": 0}})
    assert problems(found) == ["values.policy.limits.objects: must be at least 1, not 0"]
    assert found.limits.objects == 500


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"checks": {"NodeFlaping": {}}},
            "spec.checks.NodeFlaping: there is no such check; did you mean NodeFlapping?",
        ),
        ({"checks": {"Xyz": {}}}, "spec.checks.Xyz: there is no such check; kubedx checks lists them"),
        ({"checks": {"NodeIdle": 5}}, "spec.checks.NodeIdle: must hold fields, not 5"),
        (
            {"checks": {"NodeIdle": {"enabled": "yes"}}},
            "spec.checks.NodeIdle.enabled: must be true or false, not 'yes'",
        ),
        (
            {"checks": {"NodeIdle": {"severity": "high"}}},
            "spec.checks.NodeIdle.severity: must be 'critical', 'warning' or 'info', not 'high'",
        ),
        (
            {"checks": {"NodeIdle": {"setings": {}}}},
            "spec.checks.NodeIdle.setings: there is no such field; did you mean settings?",
        ),
        ({"profiles": ["Problem", "Advise"]}, "spec.profiles[1]: must be 'Problem', 'Risk' or 'Advice', not 'Advise'"),
        ({"namespaces": {"include": ["a", "Kube System"]}}, "spec.namespaces.include[1]: a namespace has lower case"),
        ({"limits": {"objects": 5000}}, "spec.limits.objects: must be at most 500, not 5000"),
        ({"limits": {"objects": "5"}}, "spec.limits.objects: must be a whole number, not '5'"),
        ({"retention": "99d"}, "spec.retention: 99d is out of bounds: write 0s to 30d"),
        ({"retention": 60}, "spec.retention: '60' is not a duration; write 60s, 60m or 60h"),
        ({"retension": "1h"}, "spec.retension: there is no such field; did you mean retention?"),
        ("everything", "spec: must hold fields, not 'everything'"),
        ([], "spec: must hold fields, not []"),
        ({"suppressions": {}}, "spec.suppressions: must be a list, not {}"),
        (
            {"suppressions": [{"check": "NodeIdle"}]},
            "spec.suppressions[0].reason: is required; the suppression silen",
        ),
        ({"suppressions": [{"check": "NodeIdle", "reason": " "}]}, "spec.suppressions[0].reason: is required: say why"),
        (
            {"suppressions": [{"reason": "quiet"}]},
            "spec.suppressions[0]: give a check, kind, namespace, name or labels",
        ),
        ({"suppressions": ["all"]}, "spec.suppressions[0]: must hold fields, not 'all'"),
        (
            {"suppressions": [{"reason": "a", "name": "b", "until": "soon"}]},
            "spec.suppressions[0].until: 'soon' is not a time",
        ),
        (
            {"suppressions": [{"reason": "a", "check": "NodeIdel"}]},
            "spec.suppressions[0].check: there is no such check; did you mean NodeIdle?",
        ),
    ],
)
def test_a_wrong_entry_is_named_and_everything_else_stays_as_it_was(spec: object, problem: str) -> None:
    found = settings(spec)

    assert len(found.problems) == 1
    assert found.problems[0].text.startswith(problem)
    assert found.checks == settings().checks
    assert (found.limits, found.retention) == (settings().limits, settings().retention)
    assert found.suppression_for(FLAPPING, Ref("Node", "", "b"), {}, NOW) is None


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({"tims": 5}, "tims: there is no such setting; did you mean times?"),
        ({"zzz": 5}, "zzz: there is no such setting; there are raiseAfter, clearAfter, times, share"),
        ({"times": 101}, "times: must be a whole number <= 100, not 101"),
        ({"times": "many"}, "times: must be a whole number, not 'many'"),
        ({"share": "1.5"}, "share: must be float <= 1.0, not '1.5'"),
        ({"quietFor": "-5m"}, "quietFor: '-5m' is not a duration"),
        ({"quietFor": "400d"}, "quietFor: 400d is out of bounds: write 0s to 7d"),
        ({"raiseAfter": "1"}, "raiseAfter: '1' is not a duration; write 1s, 1m or 1h"),
        ({"clearAfter": -5}, "clearAfter: '-5' is not a duration"),
        ({"times": True}, "times: must be a whole number or a text"),
        ({"times": None}, "times: must be a whole number or a text"),
        ({"least": 20}, "least: least must not exceed most, not 20"),
    ],
)
def test_a_wrong_setting_of_a_check_keeps_its_default(own: dict[str, Any], problem: str) -> None:
    found = flapping(own)

    assert [text.startswith(f"spec.checks.NodeFlapping.settings.{problem}") for text in problems(found)] == [True]
    assert found.checks == settings().checks


def test_settings_that_fit_alone_but_not_together_fall_back_together() -> None:
    found = flapping({"least": 8, "most": 5, "times": 7})
    assert problems(found) == ["spec.checks.NodeFlapping.settings: least must not exceed most"]
    assert found.check_settings(FLAPPING) == FlappingSettings()


def test_texts_stand_for_the_numbers_and_truths_that_the_schema_cannot_hold() -> None:
    found = flapping({"share": "0.8", "strict": "true", "times": "7", "quietFor": "1h", "raiseAfter": 0})

    assert found.problems == ()
    assert found.check_settings(FLAPPING) == FlappingSettings(0.8 and 7, 0.8, timedelta(hours=1), strict=True)
    assert found.raise_after(FLAPPING) == timedelta(0)


def test_several_wrong_entries_of_one_list_are_named_by_their_own_places() -> None:
    found = settings({"namespaces": {"include": ["a", "B", *(f"n{number}" for number in range(10)), "C"]}})
    assert [problem.field for problem in found.problems] == [
        "spec.namespaces.include[12]",
        "spec.namespaces.include[1]",
    ]
    assert "a" in found.namespaces.include
    assert len(found.namespaces.include) == 11


def test_the_switch_of_a_check_wins_over_its_profile() -> None:
    found = settings({"profiles": [], "checks": {"NodeIdle": {"enabled": True}}})
    assert found.enabled(IDLE)
    assert not found.enabled(FLAPPING)
    assert settings({"profiles": ["Advice"]}).enabled(IDLE)


def test_excluded_namespaces_are_left_out_even_where_included() -> None:
    found = settings({"namespaces": {"include": ["team-*", "prod"], "exclude": ["team-x?"]}})
    seen = {name: found.looks_at(name) for name in ("prod", "team-a", "team-x1", "team-x", "default", "")}
    assert seen == {"prod": True, "team-a": True, "team-x1": False, "team-x": True, "default": False, "": True}


def test_a_suppression_silences_what_fits_all_of_its_fields() -> None:
    found = settings(
        {
            "suppressions": [
                {
                    "check": "Node*",
                    "kind": "Node",
                    "name": "batch-*",
                    "labels": {"pool": "spot"},
                    "reason": "comes and goes",
                },
                {"namespace": "test-*", "reason": "nobody cares"},
            ]
        }
    )
    spot = {"pool": "spot", "other": "x"}
    first = found.suppression_for(FLAPPING, Ref("Node", "", "batch-1"), spot, NOW)
    assert first is not None
    assert (first.field, first.reason, first.until) == ("spec.suppressions[0]", "comes and goes", None)
    assert found.suppression_for(FLAPPING, Ref("Node", "", "batch-1"), {}, NOW) is None
    assert found.suppression_for(FLAPPING, Ref("Node", "", "web-1"), spot, NOW) is None
    second = found.suppression_for(FLAPPING, Ref("Pod", "test-1", "p"), {}, NOW)
    assert second is not None
    assert second.field == "spec.suppressions[1]"


def test_a_suppression_with_a_wrong_field_silences_nothing_rather_than_more() -> None:
    found = settings({"suppressions": [{"check": "NodeFlapping", "namespace": "Not A Namespace", "reason": "a"}]})
    assert found.suppressions == ()
    assert [problem.field for problem in found.problems] == ["spec.suppressions[0].namespace"]


def test_an_expired_suppression_silences_nothing_and_is_named() -> None:
    found = settings({"suppressions": [{"check": "*", "reason": "move", "until": "2026-01-01T12:00:00Z"}]})
    subject = Ref("Node", "", "n")
    before = NOW - timedelta(seconds=1)

    assert found.suppression_for(FLAPPING, subject, {}, before) is not None
    assert found.expired(before) == ()
    assert found.next_expiry(before) == NOW
    assert found.suppression_for(FLAPPING, subject, {}, NOW) is None
    assert [problem.text for problem in found.expired(NOW)] == [
        "spec.suppressions[0]: ended at 2026-01-01T12:00:00Z and silences nothing; remove it or set a later until"
    ]
    assert found.next_expiry(NOW) is None


def test_a_suppression_is_in_force_until_it_ends_and_known_by_what_it_matches() -> None:
    over = {"name": "a", "reason": "a", "until": "2020-01-01T00:00:00Z"}
    lasting = {"check": "Node*", "kind": "Node", "name": "b-*", "labels": {"team": "lab", "a": "1"}, "reason": "b"}
    first, second = settings({"suppressions": [over, lasting]}), settings({"suppressions": [lasting]})

    assert [one.field for one in first.in_force(NOW)] == ["spec.suppressions[1]"]
    (one,), (other,) = first.in_force(NOW), second.in_force(NOW)
    assert one.pattern == other.pattern == "check=Node* kind=Node name=b-* label:a=1 label:team=lab"


def test_the_policy_s_suppressions_replace_the_chart_s_even_by_none() -> None:
    chart = {"suppressions": [{"check": "*", "reason": "from the chart"}]}
    assert len(settings({}, chart).suppressions) == 1
    assert settings({"suppressions": []}, chart).suppressions == ()


def test_only_the_first_hundred_suppressions_are_in_force() -> None:
    found = settings({"suppressions": [{"check": "*", "reason": "a"}] * 101})
    assert len(found.suppressions) == 100
    assert problems(found) == ["spec.suppressions: has 101 entries; only the first 100 are in force"]


def test_equal_policies_give_equal_settings() -> None:
    spec = {"checks": {"NodeFlapping": {"settings": {"times": 5}}}, "suppressions": [{"check": "*", "reason": "a"}]}
    assert settings(spec) == settings(spec)
    assert settings(spec) != settings({})


NAMES = [
    "checks", "profiles", "namespaces", "include", "exclude", "suppressions", "retention", "limits", "objects",
    "writesPerSecond", "NodeFlapping", "NodeIdle", "enabled", "severity", "settings", "times", "share", "quietFor",
    "raiseAfter", "check", "name", "labels", "reason", "until", 1, "",
]  # fmt: skip
ANYTHING = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.datetimes()
    | some.sampled_from(
        ["5m", "critical", "Problem", "a*", "2026-01-01T00:00:00Z", "NodeIdle", "[", "\ud800", "x" * 600]
    ),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)


@given(ANYTHING, ANYTHING)
def test_whatever_people_write_the_operator_gets_settings(defaults: object, spec: object) -> None:
    found = resolve(defaults, {"spec": spec}, CHECKS)

    assert found.checks.keys() == {"NodeFlapping", "NodeIdle"}
    assert 1 <= found.limits.objects <= 500
    assert all(problem.field and problem.message for problem in found.problems)
    found.suppression_for(FLAPPING, Ref("Node", "", "n"), {}, NOW)
    found.looks_at("default")
