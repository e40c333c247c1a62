"""DaemonSetUnavailable."""

from datetime import datetime

from kubedx.checks._support.nodes import departing, eased, new
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, minutes
from kubedx.core.join import CNI_DAEMON_SETS
from kubedx.kube.bits import Bit
from kubedx.kube.views import DaemonSet, Node, Pod

_KILLED = "FailedDaemonPod"
_AGAIN = 3
_NEW = minutes(15)
_VITAL = (*CNI_DAEMON_SETS, "kube-proxy")
"""What the DaemonSets are called without which a node is of no use; those of CSI drivers have `csi` in their names."""


@check(
    title="A DaemonSet does not work on a node",
    message="Pod {name} of DaemonSet {daemon_set} has not been ready on {where} since {at}: {how}",
    severity=Severity.WARNING,
    layer=6,
    raise_after=minutes(5),
    group=by.owner,
    when=Bit.NOT_READY,
    events=(_KILLED,),
    explains={
        "NodeCNINotReady": join.back(join.component),
        "NodeExtendedResourceZero": join.back(join.device_plugin),
        "PodSandboxCNIError": join.back(join.component),
    },
    steps=(
        Step("Read why this pod is not ready.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See on which nodes it is so: one node means the node, all nodes the DaemonSet.",
            "kubectl -n {namespace} get daemonset {daemon_set}; kubectl -n {namespace} get pods -o wide",
        ),
        Step("Read what the containers wrote.", "kubectl -n {namespace} logs {name} --all-containers --tail=50"),
    ),
    since="0.1.0",
)
def daemon_set_unavailable(
    pod: Pod,
    nodes: Lookup[Node] | None,
    daemon_sets: Lookup[DaemonSet] | None,
    events: Events | None,
    now: Now,
) -> Answer:
    """A DaemonSet's pod on some node is not ready.

    ## Meaning
    A DaemonSet is to work on each node, and its pod on this one has been pending or not ready for five
    minutes, or fails each time that the controller replaces it.

    ## Impact
    What the DaemonSet does is missing on that node: logs, metrics, devices. For the network plugin, kube-proxy and
    storage drivers it is critical, as the node cannot do without them.

    ## Diagnosis
    `kubectl describe pod` names the reason. Where another check knows it, this finding stands below that one.

    ## Mitigation
    Mend the pod, or the node if nothing else starts there either.

    ## Limitations
    Pods that the controller could not create at all are reported by WorkloadPodCreateForbidden and
    WorkloadPodCreateFailed. Nodes younger than 15 minutes and nodes that an autoscaler takes away do not count. During
    an update the pod that is being replaced is reported once its successor has not been ready for five minutes.

    ## References
    - `pkg/controller/daemon/daemon_controller.go` (updateDaemonSetStatus): numberUnavailable, 1.6 to 1.36.
    - The same: `FailedDaemonPod`, `Found failed daemon pod … on node …, will try to kill it`, 1.6 to 1.36.
    - https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
    """
    owner, ready = pod.controller, pod.condition("Ready")
    if owner is None or owner.kind != "DaemonSet" or pod.deleted or (ready and ready.status == "True"):
        return
    since = ready.last_transition_time if ready else pod.created
    if pod.finished:
        since = _killed_again_and_again(pod, daemon_sets, events, now)
        if since is None:
            return
    node = nodes.get("", pod.spec.node_name) if nodes and pod.spec.node_name else None
    if node and (new(node, now, _NEW) or departing(node, since, now)):
        return
    vital = owner.name.startswith(_VITAL) or "csi" in owner.name.split("-")
    severity = Severity.CRITICAL if vital else Severity.WARNING
    yield Finding(
        pod,
        since=since,
        severity=eased(severity, node, now) if node else severity,
        evidence=(field(pod, "status.conditions[Ready]", ready.status if ready else "missing", since),),
        daemon_set=owner.name,
        where=f"node {pod.spec.node_name}" if pod.spec.node_name else "any node",
        at=since or "its start",
        how=_how(pod),
    )


def _killed_again_and_again(
    pod: Pod, daemon_sets: Lookup[DaemonSet] | None, events: Events | None, now: Now
) -> datetime | None:
    """Since when the controller removes failed pods, of which this is the latest; None where it is the first."""
    owner = pod.controller
    daemon_set = daemon_sets.get(pod.namespace, owner.name) if daemon_sets and owner else None
    records = events.about(daemon_set, _KILLED) if events and daemon_set else ()
    if pod.status.phase != "Failed" or sum(one.count for one in records) < _AGAIN or now.older(records[0].last, _NEW):
        return None
    return min((one.first for one in records if one.first), default=None)


def _how(pod: Pod) -> str:
    """Say in a few words how the first container that is not ready is."""
    if pod.finished:
        return f"it fails as often as the controller replaces it ({pod.status.reason or 'Error'})"
    if not pod.spec.node_name:
        return "it is not scheduled"
    for container in pod.containers:
        waiting, ended = container.state.waiting, container.state.terminated
        if waiting:
            return f"container {container.name} waits ({waiting.reason})"
        if ended and ended.exit_code:
            return f"container {container.name} ended with exit code {ended.exit_code}"
    return "its containers run, but it does not count as ready"
