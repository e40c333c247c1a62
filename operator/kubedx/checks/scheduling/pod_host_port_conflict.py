"""PodHostPortConflict."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from kubedx.checks._support.places import Nodes, places
from kubedx.checks._support.ports import clashing, shown_ports
from kubedx.checks._support.scheduling import misfit, unschedulable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Step, field
from kubedx.core.inputs import Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_BINDING = "host port"
_MOST_NODES = 16
"""Nodes on which the pod that holds a port is looked for: one name is enough."""

_RECENT = minutes(15)
"""A pod that was rejected earlier has been replaced; if that one is rejected too, it says so itself."""


@check(
    title="A pod needs a port of its node that is taken",
    message="Pod {name} needs the host port {ports}, which is taken {why}",
    layer=5,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.UNSCHEDULED | Bit.FAILED,
    explains={
        "DaemonSetUnavailable": join.same_owner,
        "DeploymentRollingHostPortDeadlock": join.same_owner,
        "PodUnschedulable": join.itself.where(binding=_BINDING),
    },
    steps=(
        Step("Read what the scheduler or the kubelet says.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "List the pods that take ports of their nodes.",
            "kubectl get pods --all-namespaces -o custom-columns='NODE:.spec.nodeName,NAMESPACE:.metadata.namespace,"
            "NAME:.metadata.name,PORTS:.spec.containers[*].ports[*].hostPort' | grep -v '<none>'",
        ),
        Step(
            "Use a Service in place of the hostPort, choose another port, or run no more pods than there are nodes. If "
            "a rollout waits for its own old pods, let it end one first: maxUnavailable 1, maxSurge 0."
        ),
    ),
    since="0.1.0",
)
def pod_host_port_conflict(pod: Pod, pods: Lookup[Pod] | None, nodes: Annotated[Nodes, places], now: Now) -> Answer:
    """A pod wants a port of its node, and on each node that it may use another pod has it.

    ## Meaning
    A container has a `hostPort`, or the pod is on the host network, where all its ports count. Such a port can be had
    once a node. Either another workload has it, or pods of the same workload take all nodes.

    ## Impact
    The pod stays Pending. One that was put on its node without the scheduler fails at once.

    ## Diagnosis
    The message names a pod that has the port.

    ## Mitigation
    Most pods need no hostPort: use a Service, a NodePort or an Ingress. Otherwise choose another port, or a DaemonSet
    in place of a Deployment.

    ## Limitations
    The pod that has the port is looked for on the first 16 nodes that selector, affinity and taints leave. Processes of
    the machine itself that listen on the port are not seen, by the scheduler neither. Pods that the kubelet rejected
    more than a quarter of an hour ago are not reported.

    ## References
    - `pkg/scheduler/framework/plugins/nodeports/node_ports.go`: `node(s) didn't have free ports for the requested pod
      ports`, 1.18 to 1.36.
    - `pkg/kubelet/lifecycle/predicate.go`: pod reason `NodePorts`, `Predicate NodePorts failed`; since 1.30 with `Pod
      was rejected: ` in front.
    """
    found = _waiting(pod) or _rejected(pod, now)
    if found is None:
        return
    since, excluded, evidence = found
    candidates = [pod.spec.node_name] if pod.spec.node_name else [one.name for one in nodes if one.takes(pod)]
    holder = _holder(pod, pods, candidates[:_MOST_NODES]) if pods else None
    on = f"on {excluded} node{'' if excluded == 1 else 's'}" if excluded else f"on the node {pod.spec.node_name}"
    yield Finding(
        pod,
        since=since,
        evidence=(evidence,),
        ports=shown_ports(pod) or "of its containers",
        why=f"{on}{_by(pod, holder)}" if holder else on,
    )


Found = tuple[datetime | None, int, Evidence]


def _waiting(pod: Pod) -> Found | None:
    scheduled = unschedulable(pod)
    reasons = misfit(scheduled.message).of(_BINDING) if scheduled else ()
    if scheduled is None or not reasons:
        return None
    evidence = field(pod, "status.conditions[PodScheduled]", scheduled.message, scheduled.last_transition_time)
    return scheduled.last_transition_time, max(1, sum(reason.nodes for reason in reasons)), evidence


def _rejected(pod: Pod, now: Now) -> Found | None:
    since = pod.status.start_time or pod.created
    if pod.status.phase != "Failed" or pod.status.reason != "NodePorts" or pod.deleted or now.older(since, _RECENT):
        return None
    return since, 0, field(pod, "status.reason", f"{pod.status.reason}: {pod.status.message}", since)


def _holder(pod: Pod, pods: Lookup[Pod], candidates: Iterable[str]) -> Pod | None:
    for node in candidates:
        for other in pods.on_node(node):
            if other.name != pod.name and clashing(pod, other):
                return other
    return None


def _by(pod: Pod, holder: Pod) -> str:
    own, its = pod.controller, holder.controller
    same = bool(own and its and own.uid and own.uid == its.uid and pod.namespace == holder.namespace)
    whose = ", which belongs to the same workload" if same else ""
    where = "" if pod.spec.node_name else f": on {holder.spec.node_name}"
    return f"{where} by the pod {holder.namespace}/{holder.name}{whose}"
