"""Declarations of checks that do not hold together are refused where they are written."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from msgspec import Meta  # noqa: F401 -- resolved by name in annotations

from kubedx.core.check import Answer, Check, DeclarationError, Registry, check, check_id, function_name
from kubedx.core.finding import Step
from kubedx.core.inputs import Cluster, Events, History, Lookup, Now, Object, Reader, Settings, derived
from kubedx.kube.views import Event, Namespace, Node, Pod, ReplicaSet
from tests.unit.toys import DOCUMENTATION, toy


def declared(function: Callable[..., Answer], documentation: str = DOCUMENTATION, **more: Any) -> Check:
    function.__doc__ = documentation
    wanted = {"title": "A toy", "message": "{name}", "layer": 5, "since": "0.1.0",
              "steps": (Step("See.", "kubectl get {kind} {name}"),)} | more  # fmt: skip
    return check(**wanted)(function)


def node_toy(node: Node) -> Answer:
    return iter(())


class ToySettings(Settings, frozen=True):
    """Settings."""

    grace: int = 3


@derived(Node)
def counted(_: Reader) -> int:
    return 0


@derived(Namespace)
def counted_as_well(_: Reader) -> int:
    return 0


def test_inputs_are_told_apart_by_their_annotation() -> None:
    def pod_toy(
        pod: Pod,
        sets: Lookup[ReplicaSet] | None,
        events: Events,
        history: History[Pod],
        settings: ToySettings,
        now: Now,
    ) -> Answer:
        return iter(())

    found = declared(pod_toy, events=("Failed",))

    assert (found.id, found.subjects, found.about_cluster) == ("PodToy", (Pod,), False)
    assert [(one.role, one.optional) for one in found.inputs] == [
        ("lookup", True), ("events", False), ("history", False), ("settings", False), ("now", False),
    ]  # fmt: skip
    assert found.settings_type is ToySettings
    assert found.required == (Pod, Event)


def test_a_derived_value_needs_its_kinds_unless_it_is_optional() -> None:
    def pod_toy(pod: Pod, number: Annotated[int, counted], perhaps: Annotated[int, counted_as_well] | None) -> Answer:
        return iter(())

    found = declared(pod_toy)

    assert [(one.role, one.optional) for one in found.inputs] == [("derived", False), ("derived", True)]
    assert (found.required, found.enriching) == ((Pod, Node), (Namespace,))


def test_subjects_may_be_several_kinds_all_kinds_or_the_cluster() -> None:
    def thing_toy(thing: Pod | Node) -> Answer:
        return iter(())

    def any_toy(thing: Object) -> Answer:
        return iter(())

    def cluster_toy(_: Cluster, nodes: Lookup[Node]) -> Answer:
        return iter(())

    assert declared(thing_toy).subjects == (Pod, Node)
    assert declared(any_toy).any_kind
    assert declared(cluster_toy).about_cluster


@pytest.mark.parametrize(("wrong", "said"), [
    ({"documentation": "Only a summary."}, "the docstring needs the sections Meaning, Impact"),
    ({"documentation": DOCUMENTATION.replace("Nothing.", "", 1)}, "an empty section"),
    ({"steps": ()}, "give steps"),
    ({"steps": (Step("Drain.", "kubectl drain {name}", danger=True),)}, "the first step may not be dangerous"),
    ({"title": "x" * 81}, "a title is one line of 80"),
    ({"title": "A sentence."}, "no full stop"),
    ({"layer": 10}, "layers are 0 to 9"),
    ({"events": ("Failed",)}, "declare `events=` exactly if there is a parameter Events"),
])  # fmt: skip
def test_a_declaration_that_does_not_hold_together_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        declared(node_toy, **wrong)


def test_events_that_are_asked_for_must_be_declared() -> None:
    def pod_toy(pod: Pod, events: Events) -> Answer:
        return iter(())

    with pytest.raises(DeclarationError, match="declare `events=`"):
        declared(pod_toy)


def test_a_function_with_wrong_parameters_is_refused() -> None:
    def nothing() -> Answer:
        return iter(())

    def text(subject: str) -> Answer:
        return iter(())

    def bare(pod, other: Now) -> Answer:  # type: ignore[no-untyped-def]  # noqa: ANN001 -- what is refused
        return iter(())

    def odd(pod: Pod, other: dict[str, str]) -> Answer:
        return iter(())

    refused = {
        nothing: "every parameter needs an annotation",
        text: "the subject must be a view",
        bare: "every parameter needs an annotation",
        odd: "'other' asks for an unknown input",
    }
    for function, said in refused.items():
        with pytest.raises(DeclarationError, match=said):
            declared(function)


def test_two_checks_of_one_id_are_refused() -> None:
    with pytest.raises(DeclarationError, match="same id"):
        Registry([toy("pod_toy"), toy("pod_toy")])


@pytest.mark.parametrize(("function", "id_"), [
    ("pvc_pending", "PVCPending"), ("node_cni_not_ready", "NodeCNINotReady"),
    ("node_pleg_unhealthy", "NodePLEGUnhealthy"),
    ("pod_oom_killed", "PodOOMKilled"), ("hpa_failed_get_resource_metric", "HPAFailedGetResourceMetric"),
    ("api_discovery_partial", "APIDiscoveryPartial"),
])  # fmt: skip
def test_the_id_comes_from_the_name_of_the_function_and_back(function: str, id_: str) -> None:
    assert check_id(function) == id_
    assert function_name(id_) == function


def test_a_relation_to_a_check_that_does_not_exist_yet_is_listed_and_no_error() -> None:
    from kubedx.core import join  # noqa: PLC0415

    registry = Registry([toy("pod_toy", explains={"NotYet": join.itself})])

    assert registry.unmet == {"NotYet": ("PodToy",)}
    assert registry.causes == {}
    assert registry.joins(registry.by_id["PodToy"]) == ()
