"""Every case of every check, and what holds for all of them."""

import random
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest

from kubedx.core.check import Check
from kubedx.kube.views import BY_KIND
from tests.checks.cases import HERE, REGISTRY, Case, decode, load, paths, run, shown

CASES = [load(path) for path in paths()]
NAMES = [f"{case.check}/{case.path.name}" for case in CASES]
POLARITIES = {"fires", "silent", "skips", "unknown"}

each_case = pytest.mark.parametrize("case", CASES, ids=NAMES)
each_check = pytest.mark.parametrize("check", list(REGISTRY), ids=[check.id for check in REGISTRY])


@each_case
def test_the_check_says_what_the_case_expects(case: Case) -> None:
    said = run(case)

    assert said.outcome.errors == {}
    match case.polarity:
        case "fires":
            assert case.expect
            unique = list({tuple(entry.items()): entry for entry in map(shown, said.findings)}.values())
            assert unique == case.expect
        case "silent":
            assert (said.outcome.text, [shown(one) for one in said.findings], said.unknowns) == ("Evaluated", [], ())
        case "skips":
            assert [{"missing": kind} for kind in said.outcome.missing] == case.expect
        case "unknown":
            assert not said.findings
            assert [{"subject": about.text, "why": why} for about, why in said.unknowns] == case.expect
        case other:
            pytest.fail(f"a case begins with one of {sorted(POLARITIES)}, not with {other}")


@each_case
def test_the_order_of_objects_does_not_matter(case: Case) -> None:
    shuffled = list(case.objects)
    random.Random(7).shuffle(shuffled)  # noqa: S311 -- any other order will do

    assert run(case, shuffled) == run(case)


@each_case
def test_objects_of_cases_are_what_kubernetes_accepts(case: Case) -> None:
    for body in [*case.objects, *(entry["object"] for entry in case.history)]:
        version = body.get("apiVersion", "")
        assert BY_KIND[body["kind"]].resource.api_version == version, f"{body['kind']} is read from another version"
        kubernetes_validate.validate(_json(body), "1.36", strict=True)


@each_case
def test_the_finding_brings_the_values_for_message_and_steps(case: Case) -> None:
    check = REGISTRY.by_id[case.check]
    narrowed = {name for _, join in REGISTRY.causes.get(check.id, ()) for name in join.narrowing}

    for finding in run(case).findings:
        params = set(finding.params) - {"kind", "namespace", "name"}
        assert check.placeholders <= params
        assert params - check.placeholders <= narrowed, "a param that neither text nor relation uses"


@each_check
def test_every_check_has_cases_of_both_polarities(check: Check) -> None:
    polarities = {path.name.split(".")[0] for path in (HERE / check.id).glob("*.yaml")}

    assert {"fires", "silent"} <= polarities


@each_check
def test_every_check_that_needs_more_than_its_subject_says_what_is_missing(check: Check) -> None:
    needed = [view for view in check.required if view not in check.subjects]
    polarities = {path.name.split(".")[0] for path in (HERE / check.id).glob("*.yaml")}

    assert not needed or "skips" in polarities


@each_check
def test_bare_objects_never_break_a_check(check: Check) -> None:
    bare = [{"kind": kind, "metadata": {"name": "bare", "namespace": "x" if view.resource.namespaced else ""}}
            for kind, view in BY_KIND.items()]  # fmt: skip
    case = Case(HERE, check.id, "silent", load(next(paths())).now, {}, [], [], [], bare)

    assert run(case).outcome.errors == {}


def test_every_folder_of_cases_belongs_to_a_check() -> None:
    assert {path.parent.name for path in paths()} <= set(REGISTRY.by_id)


def test_objects_decode_without_loss_of_their_names() -> None:
    for case in CASES:
        for body in case.objects:
            assert decode(body).whole.name == body["metadata"]["name"]


def _json(value: Any) -> Any:
    """YAML knows times, JSON does not."""
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(value, "strftime") else value
