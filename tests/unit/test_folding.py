"""Folding: which finding is the cause, which the symptom, whatever the order in which they came."""

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from kubedx.core import by, join
from kubedx.core.check import Registry
from kubedx.core.finding import Confidence, Ref, Severity
from kubedx.diagnosis.diagnosis import State
from kubedx.diagnosis.folding import Folding
from kubedx.diagnosis.group import NEVER, Group, Identity, Member
from kubedx.engine.verdict import Outcome
from tests.unit.folding_oracle import Told, fold
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
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Forest:
    """A folding, and the groups in it."""

    def __init__(self, registry: Registry, told: Iterable[Told] = ()) -> None:
        self.folding = Folding(registry)
        self.groups: dict[Identity, Group] = {}
        for one in told:
            self.tell(one)
        self.settle()

    def tell(self, told: Told) -> None:
        """A group is from now on as told; what it has in common with what it was stays in place."""
        group = self.groups.setdefault(told.identity, Group(told.identity, told.check))
        kept = {one.subject: one for one in told.members}
        over = [member for member in group.members if kept.get(member.finding.subject) != member.finding]
        known = {member.finding.subject for member in group.members if member not in over}
        added = [Member(one, group, 0, one.since) for one in told.members if one.subject not in known]
        self.folding.change(group, added=added, removed=over)
        if told.members:
            self.folding.place(group, is_pending=told.is_pending, cleared_at=told.cleared_at)
        else:
            self.folding.drop(group)

    def settle(self) -> None:
        self.folding.settle()

    def told(self) -> tuple[object, ...]:
        parents = {identity: group.parent.identity for identity, group in self.groups.items() if group.parent}
        roots = [group for group in self.groups.values() if group.is_in and not group.is_folded]
        explained = {}
        for root in roots:
            found, chain = self.folding.explained(root)
            assert bool(found) is (root.weight > 0)
            if found:
                explained[root.identity] = ({
                    check: (one.count, one.samples, None if one.since == NEVER else one.since, not one.likely)
                    for check, one in found.items()
                }, chain)  # fmt: skip
        return parents, explained, {root.identity for root in roots if root.is_proved}


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


def test_a_ledger_that_is_told_of_what_cannot_be_seen_now_keeps_the_chain_together() -> None:
    story = Story(NODE_DOWN, POD_LOST, SERVICE_EMPTY)
    service = Ref("Service", "x", "web")
    story.outcomes = {**story.outcomes, POD_LOST: Outcome(missing=("Pod",))}
    story.says(
        finding(NODE_DOWN, NODE, since=START, keys="n1"),
        finding(POD_LOST, pod("a"), since=START, keys=("n1", "web")),
        finding(SERVICE_EMPTY, service, since=START, keys="web"),
    )
    assert story.states() == {"NodeDown n1": "Open"}

    story.goes(POD_LOST, Outcome())
    assert story.states() == {"NodeDown n1": "Open"}
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


def test_a_cause_that_was_noticed_clearly_after_its_symptom_is_probable() -> None:
    for lag, confidence in ((MINUTE, Confidence.CONFIRMED), (MINUTE * 2, Confidence.PROBABLE)):
        story = Story(NODE_DOWN, POD_LOST, now=START + HOUR)
        story.says(
            finding(NODE_DOWN, NODE, since=START + lag, keys="n1"),
            finding(POD_LOST, pod("a"), since=START, keys="n1"),
        )
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


def test_what_suffices_explains_what_began_long_before_it_was_noticed() -> None:
    empty = toy("service_empty", layer=7, explains={"QueueDown": join.service_behind})
    story = Story(empty, toy("queue_down", layer=8), now=START + HOUR)
    story.says(
        finding(story.registry.by_id["QueueDown"], Ref("APIService", "", "v1.x"), since=START - HOUR, keys="web"),
        finding(empty, Ref("Service", "x", "web"), since=START, keys="web"),
    )

    assert story.one().path == "ServiceEmpty → QueueDown"
    assert story.one().confidence is Confidence.PROBABLE


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
    story.later(seconds=30)
    assert story.diagnoses()[0].settled


def test_a_symptom_that_loses_its_cause_settles_for_half_a_minute_as_it_may_heal_a_little_later() -> None:
    story = Story(NODE_DOWN, POD_LOST)
    story.says(finding(NODE_DOWN, NODE, since=START, keys="n1"), finding(POD_LOST, pod("a"), since=START, keys="n1"))
    story.says(finding(POD_LOST, pod("a"), since=START))
    assert story.states() == {"NodeDown n1": "Open", "PodLost a": "Open"}
    story.later(seconds=29)
    assert [one.settled for one in story.diagnoses() if one.check is POD_LOST] == [False]
    story.later(seconds=1)

    assert [one.settled for one in story.diagnoses() if one.check is POD_LOST] == [True]


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

    roles = {check: role for check, _, _, role in {**story.ledger.findings()["x"], **story.ledger.findings()[""]}}
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


def test_a_component_explains_only_where_it_began_first_itself() -> None:
    story = Story(CNI, CRASH)
    other = Ref("Node", "", "n2")
    story.says(
        finding(CRASH, pod("cni-1"), group=PLUGIN, since=START - HOUR, keys="n1"),
        finding(CRASH, pod("cni-2"), group=PLUGIN, since=START, keys="n2"),
        finding(CNI, NODE, since=START - HOUR / 2, keys="n1"),
        finding(CNI, other, since=START - HOUR / 2, keys="n2"),
    )

    assert "NodeCNINotReady n2" in story.states()
    assert "NodeCNINotReady n1" not in story.states()


def _plugin_groups() -> list[Told]:
    """A plugin that crashes on three nodes which report no network: a cycle for each node."""
    nodes = [Ref("Node", "", f"n{number}") for number in range(3)]
    crashes = tuple(
        finding(CRASH, pod(f"cni-{node.name}", "kube-system"), group=PLUGIN, since=START - HOUR, keys=node.name)
        for node in nodes
    )
    unready = [
        Told(("NodeCNINotReady", node), CNI, (finding(CNI, node, since=START - HOUR + timedelta(minutes=2),
                                                      keys=node.name),)) for node in nodes
    ]  # fmt: skip
    return [Told(("PodCrashing", PLUGIN), CRASH, crashes), *unready]


@given(st.permutations(_plugin_groups()))
def test_a_cycle_ends_in_the_same_roots_whatever_the_order(told: list[Told]) -> None:
    forest = Forest(Registry([CNI, CRASH]), told)

    roots = {identity[0] for identity, group in forest.groups.items() if not group.is_folded}
    assert roots == {"NodeCNINotReady"}, "the lower layer is the root of a cycle"
    parent = forest.groups["PodCrashing", PLUGIN].parent
    assert parent is forest.groups["NodeCNINotReady", NODE_0]


NODE_0 = Ref("Node", "", "n0")


def test_thousands_of_cycles_through_one_group_are_broken_in_no_time() -> None:
    nodes = [Ref("Node", "", f"n{number}") for number in range(3000)]
    began, later = START - HOUR, START - HOUR + timedelta(minutes=2)
    crashes = tuple(
        finding(CRASH, pod(node.name, "kube-system"), group=PLUGIN, since=began, keys=node.name) for node in nodes
    )
    unready = [
        Told(("NodeCNINotReady", node), CNI, (finding(CNI, node, since=later, keys=node.name),)) for node in nodes
    ]
    before = time.process_time()
    forest = Forest(Registry([CNI, CRASH]), [Told(("PodCrashing", PLUGIN), CRASH, crashes), *unready])

    assert time.process_time() - before < 3, "one after another they take minutes"
    assert [identity for identity, group in forest.groups.items() if group.is_folded] == [("PodCrashing", PLUGIN)]


TOYS = (
    toy("a_first", layer=1, explains={"BSecond": join.same_node, "CThird": join.service_behind}),
    toy("b_second", layer=2, explains={"CThird": join.same_node, "AFirst": join.back(join.same_node)}),
    toy("c_third", layer=3, explains={"AFirst": join.back(join.cluster), "BSecond": join.back(join.same_node)}),
)
REGISTRY = Registry(TOYS)


@st.composite
def _groups(draw: st.DrawFn) -> Told:
    says = draw(st.sampled_from(TOYS))
    namespace, number = draw(st.sampled_from(("x", "x", "y", ""))), draw(st.integers(0, 2))
    group = Ref("Deployment", namespace, str(number))
    members = tuple(
        finding(
            says, pod(f"{number}-{name}", namespace), group=group,
            severity=draw(st.sampled_from((Severity.WARNING, Severity.CRITICAL))),
            since=draw(st.sampled_from((None, START, START - 4 * MINUTE, START - HOUR, START - 2 * HOUR))),
            keys=draw(st.sampled_from((("k",), ("l",), ("k", "l"), ()))),
        ) for name in draw(st.sets(st.integers(0, 7), max_size=7))
    )  # fmt: skip
    cleared = draw(st.sampled_from((None, None, None, START - timedelta(minutes=1))))
    is_pending = cleared is None and draw(st.sampled_from((False, False, True)))
    return Told((says.id, group), says, members, cleared, is_pending)


def _now(changes: list[Told]) -> list[Told]:
    return list({told.identity: told for told in changes}.values())


@given(st.lists(st.lists(_groups(), min_size=1, max_size=4), min_size=1, max_size=8))
def test_change_by_change_and_from_scratch_and_by_definition_the_forest_is_the_same(changes: list[list[Told]]) -> None:
    grown = Forest(REGISTRY)
    known: list[Told] = []
    for batch in changes:
        for told in batch:
            grown.tell(told)
        grown.settle()
        known = _now(known + batch)
        by_definition = fold(known, REGISTRY)

        assert grown.told() == (by_definition.parent, by_definition.explained, by_definition.proved)
        for told in known:
            subjects = {one.subject for one in told.members}
            count, first = grown.groups[told.identity].subjects()
            assert (count, [name for _, _, name in first]) == (len(subjects), sorted(one.name for one in subjects)[:5])
    assert Forest(REGISTRY, known[::-1]).told() == grown.told()


@given(st.lists(st.lists(_groups(), min_size=1, max_size=4), min_size=1, max_size=8))
def test_nothing_is_left_of_groups_that_are_over(changes: list[list[Told]]) -> None:
    forest = Forest(REGISTRY)
    for batch in changes:
        for told in batch:
            forest.tell(told)
        forest.settle()
    for group in forest.groups.values():
        forest.folding.drop(group)
    forest.settle()

    for group in forest.groups.values():
        left = (group.causes, group.symptoms, group.inner, group.told, group.explained, group.weight, group.unlinked)
        assert left == ({}, {}, {}, {}, {}, 0, 0)
        assert group.parent is None
    assert not any(made.causes for offers in forest.folding._offers.values() for made in offers)
    assert not any(want.symptoms for wants in forest.folding._wants.values() for want in wants)


@given(st.lists(_groups(), max_size=12))
def test_every_symptom_has_a_root_that_is_no_symptom_and_no_namespace_reaches_into_another(told: list[Told]) -> None:
    forest = Forest(REGISTRY, _now(told))

    for group in forest.groups.values():
        at = group
        while at.parent is not None:
            assert at.parent.identity[1].namespace in {"", at.identity[1].namespace} or not at.identity[1].namespace
            at = at.parent
        assert not at.is_folded


def test_the_state_of_a_diagnosis_that_only_explains_is_resolved() -> None:
    story = Story(NODE_DOWN, POD_LOST, now=START + HOUR)
    story.says(finding(NODE_DOWN, NODE, since=START, keys="n1"), finding(POD_LOST, pod("a"), since=START, keys="n1"))
    story.silent(NODE_DOWN, NODE)

    assert story.one().state is State.RESOLVED
    assert [one.check for one in story.one().explains] == ["PodLost"]
