"""ProbeFailuresNodeWide."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import BOOTSTRAP, departing, eased
from kubedx.checks._support.probes import REASONS, probe_failure, shown_answer
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step
from kubedx.core.inputs import EventRecord, Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import DaemonSet, Node, Pod, ReplicaSet, StatefulSet

_WINDOW = minutes(6)
"""Five minutes, which is how often the kubelet tells of a probe that goes on failing, and what it takes to arrive."""

_OF_NODES = frozenset({"timeout", "refused", "unreachable"})
_MOST_ELSEWHERE = 0.2


class ProbeFailuresNodeWideSettings(Settings, frozen=True, rename="camel"):
    """Settings of ProbeFailuresNodeWide."""

    pods: Annotated[int, Meta(ge=2, le=50, description="Pods of one node whose probes fail.")] = 3
    workloads: Annotated[int, Meta(ge=2, le=20, description="Workloads that these pods belong to.")] = 2


@check(
    title="Probes fail all over a node",
    message="On node {name} the probes of at least {pods} pods of {workloads} workloads are not answered, while these "
    "workloads are well on other nodes; for example {example}: {answer}",
    severity=Severity.WARNING,
    layer=3,
    raise_after=minutes(1),
    clear_after=minutes(5),
    events=REASONS,
    explains={
        "PodFrequentRestarts": join.same_node,
        "PodLivenessProbeFailing": join.same_node,
        "PodReadinessProbeFailing": join.same_node,
    },
    steps=(
        Step("Look at the node and not at the pods: its conditions and what it runs.", "kubectl describe node {name}"),
        Step(
            "On the machine, see whether CPU or disk are at their limit, and whether the table of connections is full.",
            "uptime; cat /proc/pressure/cpu /proc/pressure/io; sysctl net.netfilter.nf_conntrack_count "
            "net.netfilter.nf_conntrack_max",
        ),
        Step("Keep new pods away while you look into it.", "kubectl cordon {name}"),
        Step(
            "If it stays so, move the work away. This evicts every pod of the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def probe_failures_node_wide(  # noqa: PLR0913, PLR0917 -- what a pod's workload says depends on its kind
    node: Node,
    events: Events,
    pods: Lookup[Pod],
    replica_sets: Lookup[ReplicaSet] | None,
    stateful_sets: Lookup[StatefulSet] | None,
    daemon_sets: Lookup[DaemonSet] | None,
    settings: ProbeFailuresNodeWideSettings,
    now: Now,
) -> Answer:
    """Pods of several workloads fail their probes on one node, and the same workloads are well on others.

    ## Meaning
    The kubelet's probes time out or are refused for many pods at once. What they have in common is the node: it is
    short of CPU or of disk throughput, its table of connections is full, or its network or container runtime is sick.

    ## Impact
    Pods are restarted and leave their Services although nothing is wrong with them, and the restarts add to the load.

    ## Diagnosis
    Each workload that counts has pods on other nodes, and less than a fifth of those are unavailable. So neither the
    program nor what it depends on is at fault.

    ## Mitigation
    Cordon the node, look for what is short on the machine, and drain it if that does not end.

    ## Limitations
    Workloads whose pods are all on this node do not count, as nothing tells the node's fault from theirs; nor do pods
    younger than five minutes and nodes that became ready within the last five. The node is known from the field
    source.host of the Events; of these the first fifty by name are looked at. Failures elsewhere are counted by
    availability, not by the probes of each pod.

    ## References
    - `Unhealthy` with a time-out or a refused connection: `pkg/kubelet/prober/prober.go`, 1.30 to 1.36; `source.host`
      is set by `client-go/tools/record`.
    """
    failing = _failing(events.of_probes_on(node), now)
    if len(failing) < settings.pods or node.deleted or _came_back(node, now):
        return
    found: dict[Ref, list[Ref]] = {}
    for ref in failing:
        pod = pods.get(ref.namespace, ref.name)
        owner = pod.controller if pod and _is_at_home(pod, node, now) else None
        if owner:
            found.setdefault(Ref(owner.kind, ref.namespace, owner.name), []).append(ref)
    sets = {"ReplicaSet": replica_sets, "StatefulSet": stateful_sets, "DaemonSet": daemon_sets}
    counted = [its for owner, its in found.items() if _is_well_elsewhere(owner, len(its), sets.get(owner.kind))]
    many = sorted(ref for its in counted for ref in its)
    since = min(filter(None, (failing[ref].first for ref in many)), default=None)
    if len(many) < settings.pods or len(counted) < settings.workloads or departing(node, since, now):
        return
    failure = probe_failure(failing[many[0]].message)
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.WARNING, node, now),
        evidence=tuple(failing[ref].evidence for ref in many[:3]),
        pods=len(many),
        workloads=len(counted),
        example=f"{many[0].namespace}/{many[0].name}",
        answer=shown_answer(failure) if failure else "",
    )


def _failing(reported: tuple[tuple[Ref, EventRecord], ...], now: Now) -> dict[Ref, EventRecord]:
    """The pods that are not answering at present; a single failure is nothing on a busy node."""
    found = {}
    for ref, record in reported:
        failure = probe_failure(record.message)
        if failure and failure.how in _OF_NODES and record.count > 1 and not now.older(record.last, _WINDOW):
            found[ref] = record
    return found


def _came_back(node: Node, now: Now) -> bool:
    """Whether the node became ready a moment ago, so that everything on it starts."""
    ready = node.condition("Ready")
    return ready is not None and ready.status == "True" and not now.older(ready.last_transition_time, BOOTSTRAP)


def _is_at_home(pod: Pod, node: Node, now: Now) -> bool:
    """Whether it is a pod of the node that neither starts nor ends."""
    return pod.deleted is None and pod.spec.node_name == node.name and now.older(pod.status.start_time, BOOTSTRAP)


def _is_well_elsewhere(
    owner: Ref, here: int, sets: Lookup[ReplicaSet] | Lookup[StatefulSet] | Lookup[DaemonSet] | None
) -> bool:
    """Whether a workload has pods that do not fail here, and most of those are available."""
    workload = sets.get(owner.namespace, owner.name) if sets else None
    match workload:
        case None:
            return False
        case DaemonSet(status=status):
            there, available = status.current_number_scheduled, status.number_available
        case _:
            there, available = workload.status.replicas, workload.status.available_replicas
    elsewhere, unavailable = there - here, max(0, there - available - here)
    return elsewhere > 0 and unavailable < _MOST_ELSEWHERE * elsewhere
