"""PodVolumeNodeAffinityConflict."""

import re
from typing import Annotated

from kubedx.checks._support.mounts import recent_failures
from kubedx.checks._support.places import Nodes, Place, Tied, demanded, named, places, ties
from kubedx.checks._support.scheduling import misfit, unschedulable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim, Pod

_REASON = re.compile(r"volume node affinity conflict|PersistentVolume's node affinity|no available volume zone")


@check(
    title="A pod cannot go where its volume is",
    message="Pod {name} cannot go where its volume is: {why}",
    layer=5,
    raise_after=minutes(2),
    group=by.owner,
    when=Bit.PENDING,
    events=("FailedMount", "FailedMapVolume", "FailedAttachVolume"),
    explains={
        "PodUnschedulable": join.itself.where(binding="volume"),
        "StatefulSetRolloutStuck": join.same_owner,
    },
    steps=(
        Step("Read what the scheduler says about each node.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "Compare the node affinity of the volume with the nodes and their zones.",
            "kubectl describe persistentvolumes | grep -E '^Name|^Claim|Term [0-9]' -A 1; "
            "kubectl get nodes -L topology.kubernetes.io/zone",
        ),
        Step("Bring a node back, or add one, where the volume is. For new claims use WaitForFirstConsumer."),
        Step(
            "Only if the data may be lost: delete the claim, so that a new volume is made where the pod may go.",
            "kubectl -n {namespace} delete persistentvolumeclaim CLAIM",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_volume_node_affinity_conflict(
    pod: Pod,
    claims: Lookup[PersistentVolumeClaim] | None,
    volumes: Lookup[PersistentVolume] | None,
    nodes: Annotated[Nodes, places],
    events: Events | None,
    now: Now,
) -> Answer:
    """A pod's volume is tied to a zone or to a node to which the pod cannot go.

    ## Meaning
    The volume exists in one zone or on one machine only, as its `spec.nodeAffinity` says. There the pod finds no node:
    the node is gone, cordoned, lost or full, or the pod's own selector demands another place.

    ## Impact
    The pod does not start. It is critical if the volume's place has no node that is ready.

    ## Diagnosis
    The message names the volume, where it is, and what is wrong with the nodes there.

    ## Mitigation
    Bring the node back, or add one in the volume's zone. For new claims use a class with
    `volumeBindingMode: WaitForFirstConsumer`, so that the volume is made where the pod goes. The data of local volumes
    must be copied.

    ## Limitations
    It cannot tell a machine that comes back from one that is gone for good. Volumes that are tied to a place by labels
    only (up to 1.20 or so) are known from the scheduler's words alone.

    ## References
    - `pkg/scheduler/framework/plugins/volumebinding/binder.go`: `node(s) had volume node affinity conflict` up to 1.32,
      `node(s) didn't match PersistentVolume's node affinity` since 1.33. `volumezone/volume_zone.go`: `node(s) had no
      available volume zone`.
    - `pkg/volume/util/operationexecutor/operation_generator.go`: `MountVolume.NodeAffinity check failed`.
    - https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
    """
    scheduled = unschedulable(pod)
    if scheduled is None:
        yield from _already_placed(pod, events, now)
        return
    said = misfit(scheduled.message)
    if not any(_REASON.search(reason.text) for reason in said.reasons):
        return
    tied = list(ties(pod, claims, volumes)) if claims and volumes else []
    others = ", ".join(reason.shown for reason in said.reasons if not _REASON.search(reason.text))
    why, closed, severity = _why(pod, tied, nodes, others) or (said.why, (), Severity.WARNING)
    yield Finding(
        pod,
        since=scheduled.last_transition_time,
        severity=severity,
        evidence=(
            field(pod, "status.conditions[PodScheduled]", scheduled.message, scheduled.last_transition_time),
            *(field(volume, "spec.nodeAffinity", demanded(where)) for volume, where in tied),
        ),
        nodes=closed,
        why=why,
    )


def _already_placed(pod: Pod, events: Events | None, now: Now) -> Answer:
    """A pod that was put on its node by hand, or before the volume, is stopped by the kubelet there."""
    for failure, record in recent_failures(pod, events, now) if events else ():
        if failure.kind == "node affinity":
            why = f"{failure.volume} cannot be used from the node {pod.spec.node_name}"
            yield Finding(pod, since=record.first, evidence=(record.evidence,), why=why)
            return


def _why(pod: Pod, tied: list[Tied], nodes: Nodes, others: str) -> tuple[str, tuple[str, ...], Severity] | None:
    """What is wrong with the nodes of the volumes' place, which of them are closed, and how bad it is."""
    there = list(nodes)
    for number, (volume, where) in enumerate(tied):
        its = [nodes.named[name] for name in sorted(nodes.at(where))]
        if not its:
            return f"{volume.name} needs a node with {demanded(where)}, and there is none", (), Severity.CRITICAL
        before, there = there, [node for node in there if node in its]
        if number and before and not there:
            also = named(one.name for one, _ in tied[:number])
            return f"{volume.name} needs a node with {demanded(where)}, and {also} another", (), Severity.WARNING
    if not tied:
        return None
    place = f"{named(volume.name for volume, _ in tied)} needs a node with {demanded(tied[0][1])}"
    wanted = [node for node in there if pod.spec.wants(node.name, node.labels)]
    if not wanted:
        return f"{place}, but the pod's own selector or affinity excludes {_listed(there)}", (), Severity.WARNING
    if all(node.repels(pod) for node in wanted):
        severity = Severity.WARNING if any(node.is_ready for node in there) else Severity.CRITICAL
        closed = "; ".join(f"{node.name} {_closed(node, pod)}" for node in wanted[:3])
        more = f"; and {len(wanted) - 3} more like these" if len(wanted) > 3 else ""  # noqa: PLR2004 -- as many as above
        return f"{place}, and there {closed}{more}", tuple(node.name for node in wanted), severity
    return f"{place}, and {_listed(wanted)} cannot take it either: {others or 'see the events'}", (), Severity.WARNING


def _listed(nodes: list[Place]) -> str:
    return named(node.name for node in nodes)


def _closed(node: Place, pod: Pod) -> str:
    taint = node.repels(pod)
    if node.is_cordoned and node.is_ready:
        return "is cordoned"
    if not node.is_ready:
        return "is not ready"
    return f"has the taint {taint.key}, which the pod does not tolerate" if taint else ""
