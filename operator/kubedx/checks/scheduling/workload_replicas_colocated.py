"""WorkloadReplicasColocated."""

from datetime import datetime
from typing import Annotated

from kubedx.checks._support.places import Nodes, Place, named, places
from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup, hours
from kubedx.kube.views import Pod, ReplicaSet, StatefulSet

_MOST = 50
"""More replicas than this come together on one node only on purpose."""


@check(
    title="All replicas of a workload are in one place",
    message="All {count} ready pods of {kind} {namespace}/{name} are {where}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=5,
    raise_after=hours(1),
    group=by.namespace,
    steps=(
        Step("See where the pods are.", "kubectl -n {namespace} get pods -o wide"),
        Step(
            "Spread them: give the pod template topologySpreadConstraints over kubernetes.io/hostname and "
            "topology.kubernetes.io/zone, then restart the rollout. On a cluster that grew, the descheduler does it "
            "again and again (RemoveDuplicates)."
        ),
    ),
    since="0.1.0",
)
def workload_replicas_colocated(
    workload: ReplicaSet | StatefulSet, pods: Lookup[Pod], nodes: Annotated[Nodes, places]
) -> Answer:
    """The replicas of a workload are all on one node, or in one zone, although there are others.

    ## Meaning
    Two or more pods of the workload are ready, and one machine or zone has them all, while others that the pods may use
    are ready too. Several replicas are meant to survive the loss of one.

    ## Impact
    None now. When the node or the zone is lost, the whole workload is.

    ## Diagnosis
    `kubectl get pods -o wide` shows the nodes. After nodes came back from maintenance nothing moves pods to them.

    ## Mitigation
    Use `topologySpreadConstraints` or pod anti-affinity; a restart of the rollout spreads the pods once.

    ## Limitations
    Only pods of one ReplicaSet or StatefulSet are compared, up to 50. Volumes that tie pods to a zone are not
    considered. How unevenly nodes are used in all is not judged.

    ## References
    - A rule over `spec.nodeName` of ready pods and the nodes' zones; no text of a component is involved.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
    - https://github.com/kubernetes-sigs/descheduler
    """
    if not 1 < workload.spec.replicas <= _MOST or workload.deleted:
        return
    ready = [pod for pod in pods.owned_by(workload) if _ready_since(pod) and not pod.deleted]
    if len(ready) < 2:  # noqa: PLR2004 -- one pod is always in one place
        return
    open_to = {node.name: node for node in nodes if node.is_ready and node.takes(ready[0])}
    where = _one_place({pod.spec.node_name for pod in ready}, open_to, {node.name: node.zone for node in nodes})
    if where:
        since = max(filter(None, map(_ready_since, ready)))
        yield Finding(
            workload,
            since=since,
            evidence=tuple(field(pod, "spec.nodeName", pod.spec.node_name, _ready_since(pod)) for pod in ready[:3]),
            count=len(ready),
            where=where,
        )


def _one_place(used: set[str], open_to: dict[str, Place], zones: dict[str, str]) -> str:
    """The one node or zone that has all pods, with what else there is; empty where they are spread or cannot be."""
    if len(used) == 1 and len(open_to) > 1:
        (node,) = used
        others = len(open_to.keys() - used)
        return f"on the node {node}, and {others} other node{'' if others == 1 else 's'} could take some"
    their = {zones.get(node, "") for node in used}
    zones_left = {node.zone for node in open_to.values() if node.zone} - their
    if len(used) > 1 and len(their) == 1 and "" not in their and zones_left:
        (zone,) = their
        return f"in the zone {zone}, and {named(sorted(zones_left))} could take some"
    return ""


def _ready_since(pod: Pod) -> datetime | None:
    ready = pod.condition("Ready")
    return ready.last_transition_time if ready and ready.status == "True" else None
