"""What holds for every relation that is declared: between which layers, across which bounds, on which words."""

from datetime import timedelta
from functools import cache

import msgspec
import pytest

from kubedx.core import join
from kubedx.core.check import Check, check_id, function_name
from kubedx.core.finding import Finding, Param, Ref
from kubedx.core.join import Join
from kubedx.diagnosis.folding import Folding
from kubedx.diagnosis.group import Group, Member
from kubedx.kube.views import KINDS, Pod
from kubedx.store.lookups import Desk
from kubedx.store.store import Store
from tests.checks.cases import REGISTRY, load, paths, run
from tests.unit.cluster_edits import decode
from tests.unit.toys import START, finding

RELATIONS = [(cause, symptom, how) for symptom, causes in REGISTRY.causes.items() for cause, how in causes]
UPWARDS = {
    # Whichever was deleted first, the pod holds the claim; a pod that is merely slow to go holds nothing up.
    ("PodStuckTerminating", "PVCStuckTerminating"),
    # The pod that does not go had the volume before another one wanted it.
    ("PodStuckTerminating", "VolumeMultiAttach"),
    ("StatefulSetPodOnLostNode", "VolumeMultiAttach"),
    # Without an endpoint no webhook answers, whichever was noticed first.
    ("ServiceNoEndpoints", "AdmissionWebhookUnreachable"),
    ("ServiceNoReadyEndpoints", "AdmissionWebhookUnreachable"),
    # The very pod of the component: it stops being ready in the moment in which it fails.
    ("PodCrashLoopBackOff", "CloudControllerManagerDown"),
    ("PodCrashLoopBackOff", "ClusterDNSDown"),
    ("PodCrashLoopBackOff", "KubeProxyDown"),
    ("ImagePullBackOff", "CloudControllerManagerDown"),
    ("ImagePullBackOff", "ClusterDNSDown"),
    ("ImagePullBackOff", "KubeProxyDown"),
    ("PodReadinessProbeFailing", "ClusterDNSDown"),
    ("PodUnschedulable", "ClusterDNSDown"),
}
"""Relations whose cause stands in a higher layer and need not have begun first."""

ON_THE_MACHINE = {
    # A full disk of the machine ends what its kubelet starts from files.
    ("NodeDiskPressure", "APIServerStaticPodUnhealthy"),
}
"""Relations whose cause is the machine below a component, and began first."""

each_relation = pytest.mark.parametrize(
    ("cause", "symptom", "how"), RELATIONS, ids=[f"{cause.id}-{symptom}" for cause, symptom, _ in RELATIONS]
)


def folds(cause: Check, symptom: Check, how: Join, above: Ref, below: Ref) -> bool:
    """Whether a finding folds under another with which it shares all keys."""
    folding = Folding(REGISTRY)
    groups = []
    for says, subject, since in ((cause, above, START - lead(how)), (symptom, below, START)):
        raw = msgspec.structs.replace(finding(says, subject, since=since), own_params=dict(how.narrowing))
        raw = msgspec.structs.replace(raw, keys={how.name: ("k",)})
        group = Group((says.id, subject), says)
        folding.change(group, added=[Member(raw, group, 0, since)])
        folding.place(group)
        groups.append(group)
    folding.settle()
    return groups[1].parent is groups[0]


def lead(how: Join) -> timedelta:
    return timedelta(minutes=1) if how.is_back else timedelta(0)


@each_relation
def test_a_cause_in_a_namespace_explains_nothing_in_another(cause: Check, symptom: str, how: Join) -> None:
    its = REGISTRY.by_id[symptom]

    assert not folds(cause, its, how, Ref("Pod", "x", "a"), Ref("Pod", "y", "b"))
    assert folds(cause, its, how, Ref("Pod", "x", "a"), Ref("Pod", "x", "b"))
    assert folds(cause, its, how, Ref("Node", "", "a"), Ref("Pod", "y", "b"))
    assert folds(cause, its, how, Ref("Pod", "x", "a"), Ref("Node", "", "b"))


@each_relation
def test_pods_that_are_grouped_by_what_has_no_namespace_are_joined_by_what_has_one(
    cause: Check, symptom: str, how: Join
) -> None:
    if cause.group.name in {"itself", "owner"} or Pod not in cause.subjects:
        return
    one, other = (
        Finding(decode("Pod", {"metadata": {"name": "a", "namespace": name}, "spec": {"nodeName": "n1"}}).whole)
        for name in ("x", "y")
    )
    desk = Desk(Store(KINDS), START)

    assert not {*how.keys(one, desk)} & {*how.keys(other, desk)}


@each_relation
def test_a_cause_stands_in_a_lower_layer_or_is_the_component_behind_its_symptom(
    cause: Check, symptom: str, how: Join
) -> None:
    is_above = cause.layer > REGISTRY.by_id[symptom].layer

    assert is_above == (how.is_back or (cause.id, symptom) in UPWARDS)
    named = {"component", "device_plugin", "itself"}
    assert not how.is_back or how.name in named or (cause.id, symptom) in ON_THE_MACHINE


@cache
def _said(check: str) -> list[dict[str, Param]]:
    """The params of all findings in the cases of a check."""
    cases = [load(path) for path in paths() if path.parent.name == check and path.name.startswith("fires")]
    return [one.params for case in cases for one in run(case).findings]


@each_relation
def test_what_a_relation_is_narrowed_to_is_said_in_some_case(cause: Check, symptom: str, how: Join) -> None:
    for name, value in how.narrowing.items():
        assert value in {params[name] for params in _said(symptom)}


def test_symptoms_without_a_check_are_spelt_as_their_check_will_be() -> None:
    for symptom in REGISTRY.unmet:
        assert check_id(function_name(symptom)) == symptom


def test_only_what_shares_no_more_than_a_namespace_is_likely() -> None:
    joins = [one for one in vars(join).values() if isinstance(one, Join)]

    assert {one.name for one in joins if not one.exact} == {"same_namespace"}
