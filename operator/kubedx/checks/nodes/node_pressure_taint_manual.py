"""NodePressureTaintManual."""

from collections.abc import Iterator
from datetime import datetime

from kubedx.checks._support.nodes import leaving, new
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Now, minutes
from kubedx.kube.views import Node

_PRESSURES = {
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


@check(
    title="A taint of a node contradicts its conditions",
    message="Node {name} {what}: nobody keeps its taints in step with its conditions",
    severity=Severity.INFO,
    layer=3,
    raise_after=minutes(2),
    explains={"PodUnschedulable": join.same_node.where(binding="untolerated taint")},
    steps=(
        Step("Compare taints and conditions.", "kubectl describe node {name}"),
        Step(
            "See whether the controller manager works, which sets and removes these taints.",
            "kubectl -n kube-system get pods -l component=kube-controller-manager; "
            "kubectl -n kube-system get lease kube-controller-manager -o yaml",
        ),
        Step("If it does and the taint stays, somebody else puts it there: look for scripts that set taints."),
        Step("Only then remove a taint whose condition is False.", "kubectl taint nodes {name} {taint}-"),
    ),
    since="0.1.0",
)
def node_pressure_taint_manual(node: Node, now: Now) -> Answer:
    """A node carries a taint without the condition behind it, or lacks the taint that its condition demands.

    ## Meaning
    The control plane turns conditions into taints within seconds. Here they have differed for two minutes: the node
    lifecycle controller does not work, or somebody sets or removes the taint by hand.

    ## Impact
    A taint that is left over keeps pods away from a healthy node, or evicts them. A taint that is missing lets pods
    come to a node that evicts them again.

    ## Diagnosis
    If many nodes show it, the controller manager is down. If one does, somebody works on it by hand.

    ## Mitigation
    Mend the controller manager. Do not remove the taint of a pressure that lasts: free what is short instead. Agents
    that must run tolerate it through `priorityClassName: system-node-critical`.

    ## Limitations
    It cannot tell who set a taint. Nodes younger than five minutes and nodes that are about to go are left out.

    ## References
    - `pkg/controller/nodelifecycle/node_lifecycle_controller.go` (nodeConditionToTaintKeyStatusMap), 1.12 to 1.36.
    - https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-nodes-by-condition
    """
    if leaving(node) or new(node, now):
        return
    for since, evidence, what, taint, pressure in (*_pressures(node), *_readiness(node)):
        yield Finding(node, since=since, evidence=(evidence,), what=what, taint=taint, pressure=pressure)
        return


_Mismatch = tuple[datetime | None, Evidence, str, str, str]


def _pressures(node: Node) -> Iterator[_Mismatch]:
    for kind, key in _PRESSURES.items():
        condition, taint = node.condition(kind), node.taint(key)
        if condition is None:
            continue
        since = condition.last_transition_time
        seen = field(node, f"status.conditions[{kind}]", condition.status, since)
        if taint and condition.status == "False":
            yield _later(since, taint.time_added), seen, f"has the taint {key}, but {kind} is False", key, kind
        elif taint is None and condition.status == "True":
            yield since, seen, f"has {kind}, but not the taint {key}", key, kind


def _readiness(node: Node) -> Iterator[_Mismatch]:
    ready = node.condition("Ready")
    for key in _READY if ready and ready.status == "True" else ():
        taint = node.taint(key)
        if ready and taint:
            seen = field(node, "status.conditions[Ready]", ready.status, ready.last_transition_time)
            since = _later(ready.last_transition_time, taint.time_added)
            yield since, seen, f"has the taint {key}, but is ready", key, "Ready"


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other
