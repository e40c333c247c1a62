"""Which single change would let a pod fit: against a scheduler that is written down as plainly as can be."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from kubedx.checks._support.fit import BINDINGS, fit
from kubedx.checks._support.places import Nodes, Place, named
from kubedx.checks._support.ports import clashing_ports, host_ports
from kubedx.checks._support.room import Room, need, room_left_by, shown_amount
from kubedx.checks._support.scheduling import CORDON, TROUBLE, misfit
from kubedx.kube.meta import ObjectMeta
from kubedx.kube.selectors import Requirement
from kubedx.kube.slots import Pairs
from kubedx.kube.views import (
    Amounts,
    Container,
    ContainerPort,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    PodStatus,
    Resources,
    Taint,
    Toleration,
)

LOST, GPU = "node.kubernetes.io/unreachable", "dedicated"
PORT = ContainerPort(host_port=80)
TOLD = {
    "cordon": "node(s) were unschedulable", "trouble": "node(s) had untolerated taint(s)",
    "taint": "node(s) had untolerated taint(s)", "affinity": "node(s) didn't match Pod's node affinity/selector",
    "ports": "node(s) didn't have free ports for the requested pod ports", "resources": "Insufficient cpu",
    "pods": "Too many pods", "volumes": "node(s) didn't match PersistentVolume's node affinity",
}  # fmt: skip
"""The scheduler's words, in the order of its filters."""


def container(cpu: str = "", *, sidecar: bool = False, ports: tuple[ContainerPort, ...] = ()) -> Container:
    return Container(
        resources=Resources(requests=Amounts(cpu=cpu)), ports=ports, restart_policy="Always" if sidecar else ""
    )


def pod(cpu: str = "", selector: Mapping[str, str] | None = None, **spec: object) -> Pod:
    ports = (PORT,) if spec.pop("port", False) else ()
    tolerations = tuple(Toleration(key=key, operator="Exists") for key in spec.pop("tolerates", ()))  # type: ignore[attr-defined]  # keys
    return Pod(
        metadata=ObjectMeta(name="p", namespace="shop"),
        spec=PodSpec(
            containers=(container(cpu, ports=ports),), node_selector=Pairs(selector or {}), tolerations=tolerations
        ),
    )


pods = st.builds(
    pod,
    cpu=st.sampled_from(("", "1", "3")),
    selector=st.sampled_from(({}, {"pool": "a"})),
    port=st.booleans(),
    tolerates=st.sets(st.sampled_from((CORDON, LOST, GPU))).map(tuple),
)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[Nodes, dict[str, Room]]:
    found, rooms = [], {}
    for name in "abcd"[: draw(st.integers(1, 4))]:
        keys = draw(st.sets(st.sampled_from((CORDON, LOST, GPU))))
        taints = tuple(Taint(key=key, effect="NoSchedule") for key in sorted(keys, key=(CORDON, LOST, GPU).index))
        labels = Pairs(pool=draw(st.sampled_from("ab")))
        size = Pairs(cpu=draw(st.sampled_from(("2", "4"))), memory="8Gi", pods="3")
        found.append(Place(name, labels, taints, is_ready=LOST not in keys, allocatable=size))
        ports = (PORT,) if draw(st.booleans()) else ()
        rooms[name] = Room((draw(st.sampled_from((0.0, 1.0, 2.0))), 0.0, 0.0), draw(st.integers(0, 3)), ports)
    return Nodes(tuple(found)), rooms


def obstacles(one: Pod, place: Place, room: Room, reachable: frozenset[str]) -> list[str]:
    """All that keeps a pod from a node, in the order of the scheduler's filters."""
    tolerated = {toleration.key for toleration in one.spec.tolerations}
    keys = {taint.key for taint in place.taints} - tolerated
    wanted = need(one)[0]
    checks = {
        "cordon": CORDON in keys,
        "trouble": bool(keys & TROUBLE),
        "taint": GPU in keys,
        "affinity": not place.labels.items() >= one.spec.node_selector.items(),
        "ports": clashing_ports(host_ports(one), room.ports) is not None,
        "resources": bool(wanted) and wanted + room.used[0] > float(place.allocatable["cpu"]),
        "pods": room.pods >= int(place.allocatable["pods"]),
        "volumes": place.name not in reachable,
    }
    return [name for name, holds in checks.items() if holds]


def told(kept: list[list[str]]) -> str:
    """The message of a scheduler that tells the first obstacle of each node, and of those of room each."""
    counts: dict[str, int] = {}
    for those in kept:
        first = those[0]
        for one in those if first in {"resources", "pods"} else [first]:
            if one == first or {one, first} <= {"resources", "pods"}:
                counts[TOLD[one]] = counts.get(TOLD[one], 0) + 1
    return f"0/{len(kept)} nodes are available: " + ", ".join(f"{n} {text}" for text, n in sorted(counts.items())) + "."


@given(pods, clusters(), st.sets(st.sampled_from("abcd")))
def test_what_alone_keeps_a_pod_away_is_just_what_it_would_fit_without(
    one: Pod, cluster: tuple[Nodes, dict[str, Room]], names: set[str]
) -> None:
    nodes, rooms = cluster
    where = NodeSelector(
        node_selector_terms=(
            NodeSelectorTerm(
                match_fields=(Requirement(key="metadata.name", operator="In", values=tuple(sorted(names))),)
            ),
        )
    )
    reachable = nodes.at(where)
    kept = [obstacles(one, place, rooms[place.name], reachable) for place in nodes]
    if not all(kept):
        return
    found = fit(one, misfit(told(kept)), nodes, rooms, [where])
    alone = {BINDINGS[those[0]] for those in kept if len(those) == 1}
    size = max((float(place.allocatable["cpu"]) for place, those in zip(nodes, kept, strict=True)
                if not {"affinity", "taint"} & set(those)), default=9.0)  # fmt: skip

    if all("affinity" in those for those in kept):
        assert found.alone == {"affinity"}
    elif need(one)[0] > size:
        assert found.alone == {"insufficient resources"}
        assert found.advice.startswith("It asks for")
    else:
        assert found.alone == alone
        assert found.advice.startswith("It would fit on " if alone else "No single change would do; ")
    lasting = [set(those) & {"cordon", "trouble", "taint", "affinity", "volumes"} for those in kept]
    shut = [place.name for place, those in zip(nodes, lasting, strict=True) if those and those <= {"cordon", "trouble"}]
    assert sorted(found.closed) == shut


@given(pods, clusters())
def test_nothing_is_said_where_the_pod_fits(one: Pod, cluster: tuple[Nodes, dict[str, Room]]) -> None:
    nodes, rooms = cluster
    if any(not obstacles(one, place, rooms[place.name], frozenset("abcd")) for place in nodes):
        old = misfit("0/4 nodes are available: 4 node(s) were unschedulable.")

        assert fit(one, old, nodes, rooms).advice == ""


@given(pods, pods, clusters())
def test_what_was_worked_out_for_one_pod_holds_for_no_other(
    one: Pod, other: Pod, cluster: tuple[Nodes, dict[str, Room]]
) -> None:
    nodes, rooms = cluster
    said = misfit("0/4 nodes are available: 4 Insufficient cpu.")
    fit(other, said, nodes, rooms)

    assert fit(one, said, nodes, rooms) == fit(one, said, Nodes(nodes.all), rooms)


def test_a_pod_needs_what_it_runs_with_or_what_it_starts_with() -> None:
    asked = PodSpec(
        init_containers=(container("500m", sidecar=True), container("2"), container("1", sidecar=True)),
        containers=(container("250m"), container("250m")),
        overhead=Amounts(cpu="100m"),
    )

    assert round(need(Pod(spec=asked))[0], 3) == 2.6  # 0.5 + 2 while it starts; 0.5 + 1 + 0.5 while it runs
    assert need(pod("nonsense"))[0] == 0


@given(st.lists(st.sampled_from(("1", "500m", "")), max_size=4), st.sampled_from(("Running", "Succeeded", "Failed")))
def test_pods_that_have_ended_leave_their_room(asked: list[str], phase: str) -> None:
    those = [Pod(spec=pod(cpu).spec, status=PodStatus(phase=phase)) for cpu in asked]
    room = room_left_by(those)

    assert room.pods == (len(asked) if phase == "Running" else 0)
    assert room.used[0] == (sum(need(one)[0] for one in those) if phase == "Running" else 0)


def test_amounts_are_shown_in_units() -> None:
    assert shown_amount("cpu", 0.3) == "300m CPU"
    assert shown_amount("cpu", 1.5) == "1.5 CPU"
    assert shown_amount("memory", 1.5 * 1024**3) == "1.5 GiB of memory"
    assert shown_amount("ephemeral-storage", 1024**3) == "1.0 GiB of disk"


def test_many_names_are_cut_short() -> None:
    assert [named("abcde"[:number]) for number in range(6)] == [
        "",
        "a",
        "a and b",
        "a, b and c",
        "a, b and 2 more",
        "a, b and 3 more",
    ]
