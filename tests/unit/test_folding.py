"""Folding: which finding is the cause, which the symptom, whatever the order in which they came."""

import time
from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kubedx.core import by, join
from kubedx.core.check import Registry
from kubedx.core.finding import Confidence, Ref
from kubedx.diagnosis.diagnosis import State
from kubedx.diagnosis.folding import Group, fold
from tests.unit.toys import START, Story, finding, pod, toy

NODE_DOWN = toy("node_down", layer=1, explains={"PodLost": join.same_node})
POD_LOST = toy("pod_lost", layer=5, group=by.owner, explains={"ServiceEmpty": join.same_owner})
SERVICE_EMPTY = toy("service_empty", layer=7)
# The network plugin's DaemonSet crashes because the node has no network, or the node has none because it crashes.
CNI = toy("node_cni_not_ready", layer=2, explains={"PodCrashing": join.same_node})
CRASH = toy("pod_crashing", layer=5, group=by.owner, explains={"NodeCNINotReady": join.back(join.same_node)})
NODE = Ref("Node", "", "n1")
PLUGIN = Ref("DaemonSet", "kube-system", "cni")
WEB = Ref("Deployment", "x", "web")
HOUR = timedelta(hours=1)


def test_a_symptom_folds_under_the_cause_that_it_shares_a_key_with() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(finding(POD_LOST, pod("a"), since=START, keys="n1"), finding(NODE_DOWN, NODE, since=START, keys="n1"))

    told = story.one()
    assert (told.subject, told.path) == (NODE, "NodeDown → PodLost")
    assert [(one.check, one.count, one.samples) for one in told.explains] == [("PodLost", 1, ("Pod/x/a",))]


def test_without_a_common_key_both_stand_alone() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(finding(POD_LOST, pod("a"), since=START, keys="n2"), finding(NODE_DOWN, NODE, since=START, keys="n1"))

    assert len(story.diagnoses()) == 2


def test_a_group_folds_only_when_each_of_its_members_has_a_cause() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(
        finding(NODE_DOWN, NODE, since=START, keys="n1"),
        finding(POD_LOST, pod("a"), group=WEB, since=START, keys="n1"),
        finding(POD_LOST, pod("b"), group=WEB, since=START, keys="n2"),
    )
    assert story.states() == {"NodeDown n1": "Open", "PodLost web": "Open"}
    story.silent(POD_LOST, pod("b"))

    assert story.states() == {"NodeDown n1": "Open"}


def test_a_cause_explains_all_that_lies_below_its_symptoms() -> None:
    story = Story(NODE_DOWN, POD_LOST, SERVICE_EMPTY)
    service = Ref("Service", "x", "web")
    story.says(
        finding(NODE_DOWN, NODE, since=START, keys="n1"),
        finding(POD_LOST, pod("a"), since=START, keys=("n1", "web")),
        finding(SERVICE_EMPTY, service, since=START, keys="web"),
    )

    assert story.one().path == "NodeDown → PodLost → ServiceEmpty"
    assert story.one().explains_count == 2


def test_a_cause_counts_all_that_it_explains_and_shows_five() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(
        finding(NODE_DOWN, NODE, since=START, keys="n1"),
        *(finding(POD_LOST, pod(f"p{number:03}"), group=WEB, since=START, keys="n1") for number in range(500)),
    )

    (explained,) = story.one().explains
    assert (explained.count, len(explained.samples)) == (500, 5)


def test_what_is_joined_by_likelihood_only_is_probable() -> None:
    likely = replace(join.same_node, exact=False)
    for how, confidence in ((join.same_node, Confidence.CONFIRMED), (likely, Confidence.PROBABLE)):
        cause = toy("node_down", layer=1, explains={"PodLost": how})
        story = Story(cause, POD_LOST)
        story.says(finding(cause, NODE, since=START, keys="n1"), finding(POD_LOST, pod("a"), since=START, keys="n1"))
        assert story.one().confidence is confidence


def test_a_namespace_never_explains_another() -> None:
    cause = toy("claim_broken", layer=3, explains={"PodLost": join.cluster})
    story = Story(cause, POD_LOST)
    story.says(
        finding(cause, Ref("PersistentVolumeClaim", "y", "data"), since=START, keys="*"),
        finding(POD_LOST, pod("a", "x"), since=START, keys="*"),
        finding(POD_LOST, pod("b", "y"), since=START, keys="*"),
    )

    assert story.states() == {"ClaimBroken data": "Open", "PodLost a": "Open"}


def test_what_began_long_before_is_no_symptom() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(
        finding(NODE_DOWN, NODE, since=START, keys="n1"),
        finding(POD_LOST, pod("just-before"), since=START - timedelta(minutes=5), keys="n1"),
        finding(POD_LOST, pod("long-before"), since=START - timedelta(minutes=5, seconds=1), keys="n1"),
    )

    assert story.states() == {"NodeDown n1": "Open", "PodLost long-before": "Open"}


def test_a_symptom_is_not_said_again_while_its_cause_has_just_cleared_and_comes_back_with_its_own_first_seen() -> None:
    story = Story(NODE_DOWN, POD_LOST, now=START + HOUR)
    began = START + timedelta(minutes=30)
    story.says(finding(NODE_DOWN, NODE, since=START, keys="n1"), finding(POD_LOST, pod("a"), since=began, keys="n1"))
    story.silent(NODE_DOWN, NODE)
    assert story.states() == {"NodeDown n1": "Resolved"}
    story.later(minutes=14, seconds=59)
    assert story.states() == {"NodeDown n1": "Resolved"}
    assert story.later(seconds=1)

    assert story.states() == {"PodLost a": "Open", "NodeDown n1": "Resolved"}
    came_back = story.diagnoses()[0]
    assert (came_back.first_seen, came_back.settled) == (began, False)
    story.later(seconds=2)
    assert story.diagnoses()[0].settled


def test_what_begins_after_its_cause_cleared_stands_alone() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(finding(NODE_DOWN, NODE, since=START - HOUR, keys="n1"))
    story.silent(NODE_DOWN, NODE)
    story.later(minutes=1)
    story.says(finding(POD_LOST, pod("a"), since=story.now, keys="n1"))

    assert story.states() == {"PodLost a": "Open", "NodeDown n1": "Resolved"}


def test_a_link_that_cleared_still_ties_what_is_left_to_the_open_root() -> None:
    story = Story(NODE_DOWN, POD_LOST, SERVICE_EMPTY)
    story.says(
        finding(NODE_DOWN, NODE, since=START, keys="n1"),
        finding(POD_LOST, pod("a"), since=START, keys=("n1", "web")),
        finding(SERVICE_EMPTY, Ref("Service", "x", "web"), since=START, keys="web"),
    )
    story.silent(POD_LOST, pod("a"))

    root = story.diagnoses()[0]
    assert root.subject == NODE
    assert [one.check for one in root.explains] == ["ServiceEmpty"]


def test_a_folded_symptom_is_still_counted_as_one() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(finding(NODE_DOWN, NODE, since=START, keys="n1"), finding(POD_LOST, pod("a"), since=START, keys="n1"))

    roles = {check.id: role for (check, _, _, _, role) in story.ledger.findings()}
    assert roles == {"NodeDown": "cause", "PodLost": "symptom"}


def test_a_cause_that_is_pending_is_said_with_its_symptom() -> None:
    slow = toy("node_down", layer=1, raise_after=timedelta(minutes=5), explains={"PodLost": join.same_node})
    story = Story(slow, POD_LOST)
    story.says(finding(POD_LOST, pod("a"), since=START, keys="n1"), finding(slow, NODE, since=START, keys="n1"))
    story.later(seconds=2)

    assert story.states() == {"NodeDown n1": "Open"}


def test_a_pending_cause_that_is_younger_than_its_symptom_takes_nothing_away() -> None:
    slow = toy("node_down", layer=1, raise_after=timedelta(minutes=5), explains={"PodLost": join.same_node})
    story = Story(slow, POD_LOST)
    late = START + timedelta(seconds=1)
    story.says(finding(POD_LOST, pod("a"), since=START, keys="n1"), finding(slow, NODE, since=late, keys="n1"))
    story.later(seconds=2)

    assert story.states() == {"PodLost a": "Open"}


def test_a_back_relation_holds_only_for_a_cause_that_began_half_a_minute_before() -> None:
    for lead, roots in ((30, {"PodCrashing cni"}), (29, {"PodCrashing cni", "NodeCNINotReady n1"})):
        crash = toy("pod_crashing", layer=5, group=by.owner, explains={"NodeCNINotReady": join.back(join.same_node)})
        story = Story(crash, toy("node_cni_not_ready", layer=2))
        story.says(
            finding(story.registry.by_id["NodeCNINotReady"], NODE, since=START, keys="n1"),
            finding(crash, pod("cni-1"), group=PLUGIN, since=START - timedelta(seconds=lead), keys="n1"),
        )
        assert set(story.states()) == roots


def _plugin_groups() -> list[Group]:
    """A plugin that crashes on three nodes which report no network: a cycle for each node."""
    nodes = [Ref("Node", "", f"n{number}") for number in range(3)]
    crashes = tuple(
        finding(CRASH, pod(f"cni-{node.name}", "kube-system"), group=PLUGIN, since=START - HOUR, keys=node.name)
        for node in nodes
    )
    unready = [
        Group(("NodeCNINotReady", node), CNI, (finding(CNI, node, since=START - HOUR + timedelta(minutes=2),
                                                       keys=node.name),)) for node in nodes
    ]  # fmt: skip
    return [Group(("PodCrashing", PLUGIN), CRASH, crashes), *unready]


@given(st.permutations(_plugin_groups()))
def test_a_cycle_ends_in_the_same_roots_whatever_the_order(groups: list[Group]) -> None:
    folding = fold(groups, Registry([CNI, CRASH]), START)

    roots = {check for check, _ in folding.root.values()}
    assert roots == {"NodeCNINotReady"}, "the lower layer is the root of a cycle"
    assert folding.cause["PodCrashing", PLUGIN] == ("NodeCNINotReady", NODE_0)


NODE_0 = Ref("Node", "", "n0")


def test_thousands_of_cycles_through_one_group_are_broken_in_no_time() -> None:
    nodes = [Ref("Node", "", f"n{number}") for number in range(3000)]
    began, later = START - HOUR, START - HOUR + timedelta(minutes=2)
    crashes = tuple(
        finding(CRASH, pod(node.name, "kube-system"), group=PLUGIN, since=began, keys=node.name) for node in nodes
    )
    unready = [
        Group(("NodeCNINotReady", node), CNI, (finding(CNI, node, since=later, keys=node.name),)) for node in nodes
    ]
    before = time.process_time()
    folding = fold([Group(("PodCrashing", PLUGIN), CRASH, crashes), *unready], Registry([CNI, CRASH]), START)

    assert time.process_time() - before < 3, "one after another they take minutes"
    assert set(folding.cause) == {("PodCrashing", PLUGIN)}


TOYS = (
    toy("a_first", layer=1, explains={"BSecond": join.same_node, "CThird": join.same_owner}),
    toy("b_second", layer=2, explains={"CThird": join.same_node, "AFirst": join.back(join.same_node)}),
    toy("c_third", layer=3, explains={"AFirst": join.back(join.cluster), "BSecond": join.back(join.same_node)}),
)
REGISTRY = Registry(TOYS)


@st.composite
def _groups(draw: st.DrawFn) -> list[Group]:
    found = {}
    for number in range(draw(st.integers(1, 9))):
        says = draw(st.sampled_from(TOYS))
        group = Ref("Deployment", draw(st.sampled_from(("x", "y"))), str(number % 4))
        members = tuple(
            finding(
                says, pod(f"{number}-{index}", group.namespace), group=group,
                since=draw(st.sampled_from((None, START, START - HOUR, START - 2 * HOUR))),
                keys=draw(st.sampled_from(("k", "l", ("k", "l"), ()))),
            ) for index in range(draw(st.integers(1, 3)))
        )  # fmt: skip
        cleared = draw(st.sampled_from((None, None, START - timedelta(minutes=1))))
        found[says.id, group] = Group((says.id, group), says, members, cleared)
    return list(found.values())


@given(_groups(), st.randoms(use_true_random=False))
def test_folding_does_not_depend_on_the_order_of_groups(groups: list[Group], random: Random) -> None:
    shuffled = groups.copy()
    random.shuffle(shuffled)

    one, other = fold(groups, REGISTRY, START), fold(shuffled, REGISTRY, START)

    assert (one.cause, one.root, one.symptoms, one.exact) == (other.cause, other.root, other.symptoms, other.exact)


@given(_groups())
def test_every_symptom_has_a_root_that_is_no_symptom_and_no_namespace_reaches_into_another(groups: list[Group]) -> None:
    folding = fold(groups, REGISTRY, START)

    assert folding.root.keys() == {group.identity for group in groups}
    assert not set(folding.root.values()) & folding.cause.keys()
    for symptom, cause in folding.cause.items():
        assert symptom[1].namespace == cause[1].namespace
    explained = [found for symptoms in folding.symptoms.values() for found in symptoms]
    assert len(explained) == len({(identity, member.member) for identity, member in explained})


def test_the_state_of_a_diagnosis_that_only_explains_is_resolved() -> None:
    story = Story(NODE_DOWN, POD_LOST, now=START + HOUR)
    story.says(finding(NODE_DOWN, NODE, since=START, keys="n1"), finding(POD_LOST, pod("a"), since=START, keys="n1"))
    story.silent(NODE_DOWN, NODE)

    assert story.one().state is State.RESOLVED
    assert [one.check for one in story.one().explains] == ["PodLost"]
