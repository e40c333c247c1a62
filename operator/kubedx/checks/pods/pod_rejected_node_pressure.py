"""PodRejectedNodePressure."""

from kubedx.checks._support.evictions import EvictionSettings, evicted
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_PRESSURES = {"DiskPressure": "disk", "MemoryPressure": "memory", "PIDPressure": "pid"}


@check(
    title="A node under pressure refuses a pod",
    message="Node {node} refused pod {name} at {at}, as it has {conditions}",
    severity=Severity.WARNING,
    layer=5,
    group=by.owner,
    when=Bit.FAILED,
    explains={
        "DaemonSetUnavailable": join.same_owner,
        "EvictedPodsAccumulating": join.same_namespace,
        "PodEvicted": join.itself,
    },
    steps=(
        Step("See whether the node is still under pressure, and why.", "kubectl describe node {node}"),
        Step(
            "An agent that must run on such a node as well needs priorityClassName: system-node-critical in its pod "
            "template. "
            "Everything else starts by itself when the pressure is gone."
        ),
        Step(
            "Remove the records of failed pods of the namespace. Their messages go with them.",
            "kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_rejected_node_pressure(pod: Pod, settings: EvictionSettings, now: Now) -> Answer:
    """A kubelet refused a pod that was bound to its node, because the node is short of disk, memory or process ids.

    ## Meaning
    The pod came to the node in spite of its condition: it tolerates the taint, as the pods of DaemonSets do, or was
    bound a moment before. The kubelet admits only critical pods then, and under memory pressure those with requests.
    A kubelet that restarts under pressure admits all its pods anew, and so stops some that were running.

    ## Impact
    The pod never ran, or was stopped when its kubelet restarted. Its workload makes another one; a DaemonSet makes one
    for the same node, again and again.

    ## Diagnosis
    The pod stays as a record in phase Failed; its message names the node's conditions.

    ## Mitigation
    Mend the node's pressure. Agents that must run there need the priority class `system-node-critical`.

    ## Limitations
    A record is reported for an hour (`windowMinutes`), also where the pressure was short. DaemonSet controllers delete
    the records of their pods, so that only the newest shows.

    ## References
    - `pkg/kubelet/eviction/eviction_manager.go` (Admit), `pkg/kubelet/kubelet.go` (rejectPod): `Pod was rejected: The
      node had condition: [DiskPressure].`, 1.30 to 1.36; `Pod The node had condition: …` before.
    - https://github.com/kubernetes/kubernetes/issues/40573
    """
    found = evicted(pod, settings, now)
    if found is None or found[0].kind != "rejected":
        return
    why, since = found
    conditions = why.what.replace(",", " ").split()
    yield Finding(
        pod,
        since=since,
        evidence=(field(pod, "status.message", pod.status.message, since),),
        node=pod.spec.node_name,
        at=since or "an unknown time",
        conditions=" and ".join(conditions),
        pressure=next((word for name, word in _PRESSURES.items() if name in conditions), "other"),
    )
