"""What the scheduler says about a pod that fits no node, and what is made of it."""

import pytest

from kubedx.checks._support.fit import fit
from kubedx.checks._support.places import Nodes, Place
from kubedx.checks._support.scheduling import misfit
from kubedx.kube.meta import ObjectMeta
from kubedx.kube.selectors import Requirement
from kubedx.kube.slots import Pairs
from kubedx.kube.views import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    Taint,
    Toleration,
)
from tests.checks.cases import HERE, load, run

HELPLESS = " preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling."

IN_USE = "access mode already in-use by another pod"

BINDINGS = [
    ("insufficient resources", "5 Insufficient cpu"),
    ("insufficient resources", "2 Too many pods, 3 Insufficient example.com/gpu"),
    ("insufficient resources", "1 node(s) had untolerated taint {example.com/control: }, 4 Insufficient cpu"),
    ("insufficient resources", "3 node(s) had untolerated taint(s), 2 Insufficient memory"),
    ("insufficient resources", "4 node(s) didn't match Pod's node affinity/selector, 1 Insufficient memory"),
    ("unschedulable node", "3 node(s) were unschedulable, 2 Insufficient cpu"),
    ("affinity", "5 node(s) didn't match Pod's node affinity/selector"),
    ("affinity", "5 node(s) didn't satisfy existing pods anti-affinity rules"),
    ("affinity", "5 node(s) didn't match pod topology spread constraints (missing required label)"),
    ("untolerated taint", "5 node(s) had untolerated taint {dedicated: gpu}"),
    ("untolerated taint", "5 node(s) had untolerated taint(s)"),
    ("unbound claim", "pod has unbound immediate PersistentVolumeClaims"),
    ("unbound claim", 'persistentvolumeclaim "data" not found'),
    ("unbound claim", 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'),
    ("unbound claim", "5 node(s) didn't find available persistent volumes to bind"),
    ("unbound claim", "5 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
    ("volume", "5 node(s) had volume node affinity conflict"),
    ("volume", "5 node(s) didn't match PersistentVolume's node affinity"),
    ("volume", "5 node(s) had no available volume zone"),
    ("volume", "5 node(s) exceed max volume count"),
    ("volume", f"5 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod {IN_USE}"),
    ("host port", "5 node(s) didn't have free ports for the requested pod ports"),
    ("device claim", "5 cannot allocate all claims"),
    ("other", "5 node(s) didn't match Pod's required features"),
]  # fmt: skip


@pytest.mark.parametrize(("binding", "why"), BINDINGS)
@pytest.mark.parametrize("tail", ["." + HELPLESS, ". no new claims to deallocate," + HELPLESS, ". not found", "", ". "])
def test_the_reason_in_the_way_is_named(binding: str, why: str, tail: str) -> None:
    said = misfit(f"0/5 nodes are available: {why}{tail}")

    assert (said.why, said.binding(nodes_in_trouble=False)) == (why, binding)


def test_a_taint_counts_more_than_the_choice_of_nodes_if_it_tells_of_trouble() -> None:
    said = misfit(
        "0/5 nodes are available: 1 node(s) had untolerated taint(s), 4 node(s) didn't match Pod's node affinity"
    )

    assert said.binding(nodes_in_trouble=True) == "untolerated taint"
    assert said.binding(nodes_in_trouble=False) == "affinity"


def test_a_cluster_without_nodes_has_a_message_of_its_own() -> None:
    assert misfit("no nodes available to schedule pods").binding(nodes_in_trouble=False) == "no nodes"


LOST = Place("n", {"pool": "a"}, (Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule"),), is_ready=False)
TOLD = misfit("0/1 nodes are available: 1 node(s) had untolerated taint(s).")


def pod(selector: dict[str, str], *tolerations: Toleration) -> Pod:
    return Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(node_selector=Pairs(selector), tolerations=tolerations))


def excludes(found: Pod) -> bool:
    return fit(found, TOLD, Nodes((LOST,)), {}).closed == ("n",)


def test_a_node_in_trouble_excludes_the_pods_that_may_run_there() -> None:
    assert excludes(pod({}))
    assert excludes(pod({"pool": "a"}))
    assert not excludes(pod({"pool": "b"}))


def demanding(**term: tuple[Requirement, ...]) -> Pod:
    terms = NodeSelector(node_selector_terms=(NodeSelectorTerm(**term),))
    demand = NodeAffinity(required_during_scheduling_ignored_during_execution=terms)
    return Pod(metadata=ObjectMeta(name="p"), spec=PodSpec(affinity=Affinity(node_affinity=demand)))


def test_a_node_in_trouble_excludes_no_pod_that_demands_another() -> None:
    assert excludes(demanding(match_expressions=(Requirement(key="pool", operator="In", values=("a", "b")),)))
    assert not excludes(demanding(match_expressions=(Requirement(key="pool", operator="NotIn", values=("a",)),)))


def test_a_pod_of_a_daemon_set_is_excluded_by_its_own_node_only() -> None:
    assert excludes(demanding(match_fields=(Requirement(key="metadata.name", operator="In", values=("n",)),)))
    assert not excludes(demanding(match_fields=(Requirement(key="metadata.name", operator="In", values=("m",)),)))


def test_a_term_without_a_demand_selects_no_node() -> None:
    assert not excludes(demanding())


def test_a_pod_that_tolerates_the_trouble_is_not_excluded() -> None:
    assert not excludes(pod({}, Toleration(operator="Exists")))
    assert excludes(pod({}, Toleration(key="node.kubernetes.io/not-ready", operator="Exists", effect="NoExecute")))


def test_what_alone_excludes_a_node_is_to_blame_and_not_what_excludes_most() -> None:
    said = misfit("0/4 nodes are available: 1 node(s) didn't match Pod's node affinity, 3 node(s) were unschedulable")

    assert said.binding(nodes_in_trouble=False) == "unschedulable node"
    assert said.binding(nodes_in_trouble=False, alone=frozenset({"affinity"})) == "affinity"
    assert said.binding(nodes_in_trouble=False, alone=frozenset({"insufficient resources"})) == "insufficient resources"


def test_the_resources_of_which_there_is_too_little_are_listed() -> None:
    said = misfit("0/4 nodes are available: 1 Insufficient cpu, 1 Too many pods, 3 Insufficient nvidia.com/gpu.")

    assert said.lacking == ("cpu", "nvidia.com/gpu")


def test_pods_that_only_a_lost_node_could_take_are_tied_to_it() -> None:
    findings = run(load(HERE / "PodUnschedulable" / "fires.real-1.36-the-only-node-is-lost.yaml")).findings

    assert {finding.params["binding"] for finding in findings} == {"untolerated taint"}
    assert {finding.keys["same_node"] for finding in findings} == {("lost-1",)}


def test_pods_that_ask_for_too_much_are_tied_to_no_node() -> None:
    findings = run(load(HERE / "PodUnschedulable" / "fires.real-1.36-cpu-and-selector.yaml")).findings

    assert {finding.params["binding"] for finding in findings} == {"insufficient resources", "affinity"}
    assert not any("same_node" in finding.keys for finding in findings)
