"""PodEvictedByTaint."""

from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup
from kubedx.kube.bits import Bit
from kubedx.kube.meta import Condition
from kubedx.kube.views import Node, Pod

_MANY = 5


@check(
    title="A taint drives a pod from its node",
    message="Pod {name} is evicted from node {node} because of {taints}",
    severity=Severity.INFO,
    layer=5,
    group=by.node,
    when=Bit.DISRUPTED,
    explains={"PodStuckTerminating": join.itself, "WorkloadUnavailable": join.same_owner},
    steps=(
        Step("See the node's taints and conditions.", "kubectl describe node {node}"),
        Step("If the node has a problem, mend that: the control plane takes its own taints away again."),
        Step("If pods should sit out short outages, give them a toleration with tolerationSeconds."),
    ),
    since="0.1.0",
)
def pod_evicted_by_taint(pod: Pod, nodes: Lookup[Node] | None, pods: Lookup[Pod] | None) -> Answer:
    """The control plane deletes a pod because its node has a NoExecute taint that the pod does not tolerate.

    ## Meaning
    The taint was put there by the node controller, as the node is not ready or unreachable for longer than the pod
    tolerates (five minutes by default), or by a person or program.

    ## Impact
    The pod ends and its workload makes another elsewhere. Five or more pods of one node at a time are a warning.

    ## Diagnosis
    The pod's condition DisruptionTarget has the reason `DeletionByTaintManager`; the node's taints name the rest.

    ## Mitigation
    Take away the reason of the taint. Pods that may stay get a toleration.

    ## Limitations
    A pod is seen only until it is gone, a few seconds on a node that works, so this is mostly about nodes that do not.
    A taint that was taken away meanwhile cannot be named.

    ## References
    - `pkg/controller/tainteviction/taint_eviction.go`: `DeletionByTaintManager`, `Taint manager: deleting due to
      NoExecute taint`, 1.30 to 1.36.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
    """
    target = _evicting(pod)
    if target is None or pod.finished:
        return
    node = nodes.get("", pod.spec.node_name) if nodes else None
    others = pods.on_node(pod.spec.node_name) if pods and pod.spec.node_name else ()
    many = sum(1 for other in others if _evicting(other)) >= _MANY
    yield Finding(
        pod,
        since=target.last_transition_time,
        severity=Severity.WARNING if many else Severity.INFO,
        evidence=(field(pod, "status.conditions[DisruptionTarget]", target.message, target.last_transition_time),),
        node=pod.spec.node_name,
        taints=_taints(pod, node),
    )


def _evicting(pod: Pod) -> Condition | None:
    target = pod.condition("DisruptionTarget")
    if target and target.status == "True" and target.reason == "DeletionByTaintManager":
        return target
    return None


def _taints(pod: Pod, node: Node | None) -> str:
    """Name the taints that drive it out. Those of the node's own trouble are tolerated only for a time."""
    keys = [
        taint.key
        for taint in (node.spec.taints if node else ())
        if taint.effect == "NoExecute"
        and (
            taint.key.startswith("node.kubernetes.io/")
            or not any(toleration.tolerates(taint) for toleration in pod.spec.tolerations)
        )
    ]
    return f"taint {', '.join(keys)}" if keys else "a NoExecute taint"
