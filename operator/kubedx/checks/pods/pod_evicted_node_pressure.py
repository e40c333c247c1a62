"""PodEvictedNodePressure."""

from kubedx.checks._support.evictions import EvictionSettings, evicted
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_PRESSURES = {"memory": "memory", "pids": "pid"}
"""What is not in here is one of the resources of a disk: ephemeral-storage, inodes, and the old nodefs and imagefs."""


@check(
    title="A node evicted a pod to save itself",
    message="Pod {name} was evicted from node {node}, which was low on {resource}: {details}",
    severity=Severity.WARNING,
    layer=5,
    group=by.owner,
    when=Bit.FAILED,
    explains={"PodEvicted": join.itself},
    steps=(
        Step("See whether the node is still under pressure.", "kubectl describe node {node}"),
        Step("Read what the pod used and what it had requested.", "kubectl -n {namespace} describe pod {name}"),
        Step("Set the pod's requests near what it uses; for a full disk set requests and limits of ephemeral-storage."),
        Step(
            "Remove the records of failed pods of the namespace. Their messages go with them.",
            "kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_evicted_node_pressure(pod: Pod, settings: EvictionSettings, now: Now) -> Answer:
    """A kubelet ended a pod because its node ran out of memory, disk or process ids.

    ## Meaning
    The node came under its eviction threshold and the kubelet chose this pod: pods that use more than they requested
    go first, those of lower priority before others.

    ## Impact
    A workload replaces the pod on another node; until that is ready there is one less. Nobody replaces a pod without a
    controller: that is critical.

    ## Diagnosis
    The pod stays as a record in phase Failed; its message says what the node lacked, what each container used and had
    requested.

    ## Mitigation
    Mend the pressure of the node, and let the requests tell the truth, so that the scheduler does not overfill nodes.

    ## Limitations
    Such records stay until somebody or the garbage collector removes them, so one is reported for an hour
    (`windowMinutes`) and no longer. Pods that are evicted because of limits of their own, and pods that a node under
    pressure refuses to start, have other words and are other problems.

    ## References
    - `pkg/kubelet/eviction/helpers.go` (evictionMessage): `The node was low on resource: …. Threshold quantity: …,
      available: …. Container … was using …, request is …, has larger consumption of …`, 1.30 to 1.36; before,
      `which exceeds its request of …`.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
    """
    found = evicted(pod, settings, now)
    if found is None or found[0].kind != "node low":
        return
    why, since = found
    yield Finding(
        pod,
        since=since,
        severity=Severity.WARNING if pod.controller else Severity.CRITICAL,
        evidence=(field(pod, "status.message", pod.status.message, since),),
        node=pod.spec.node_name,
        resource=why.what,
        details=why.rest or "the kubelet gives no figures",
        pressure=_PRESSURES.get(why.what, "disk"),
    )
