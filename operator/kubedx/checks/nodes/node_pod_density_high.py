"""NodePodDensityHigh."""

from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, hours
from kubedx.kube.quantity import amount
from kubedx.kube.views import Node, Pod

_REJECTED = "OutOfpods"


class NodePodDensityHighSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodePodDensityHigh."""

    percent: Annotated[int, Meta(ge=50, le=100, description="Percent of the pods that a node may have.")] = 90
    least: Annotated[
        int,
        Meta(ge=1, le=1000, description="Pods that a node must allow; where it allows few, they are to be used up."),
    ] = 100


@check(
    title="Node has nearly as many pods as it may have",
    message="Node {name} has {count} of the {most} pods that it may have",
    profile=Profile.RISK,
    layer=1,
    explains={
        "NodeInotifyExhausted": join.same_node,
        "PodIPExhausted": join.same_node,
        "PodRejectedOutOfResource": join.same_node.where(resource="pods"),
    },
    steps=(
        Step("See which pods the node has.", "kubectl get pods -A -o wide --field-selector spec.nodeName={name}"),
        Step(
            "Compare with the other nodes.",
            "kubectl get pods -A -o custom-columns=NODE:.spec.nodeName --no-headers | sort | uniq -c | sort -n",
        ),
        Step("Add nodes, or spread the pods by topology spread constraints."),
        Step(
            "If the machine is large: raise maxPods of the kubelet, and see that each node has addresses for that many."
        ),
    ),
    since="0.1.0",
)
def node_pod_density_high(node: Node, pods: Lookup[Pod], now: Now, settings: NodePodDensityHighSettings) -> Answer:
    """A node has nearly as many pods as its kubelet allows.

    ## Meaning
    More than 90 % of the pods that the node allows (`maxPods`, 110 by default) are there. Finished pods do not count.

    ## Impact
    When it is full, no more pods come, those of DaemonSets included. It is critical where the full node has rejected
    pods. So many pods also load the kubelet and the container runtime.

    ## Diagnosis
    `kubectl describe node` lists the pods. Compare the nodes: a single full one points at the spread, all full at the
    size of the cluster.

    ## Mitigation
    Add nodes, spread pods, or raise `maxPods`. A node with a /24 for its pods has 254 addresses.

    ## Limitations
    Nodes that allow fewer than 100 pods, as the small ones of clouds where each pod needs an address of the machine,
    are meant to be filled: they are reported only if they are full and have rejected a pod within the last hour.

    ## References
    - Node `status.allocatable.pods`, all versions; `pkg/kubelet/lifecycle/predicate.go` (reason `OutOfpods`).
    - https://kubernetes.io/docs/setup/best-practices/cluster-large/
    """
    most = int(amount(node.status.allocatable.get("pods")) or 0)
    if most <= 0 or node.deleted:
        return
    count = pods.count_on_node(node)
    rejects = count >= most and any(_rejected(pod, now) for pod in pods.on_node(node))
    if rejects or (most >= settings.least and count * 100 > most * settings.percent):
        yield Finding(
            node,
            severity=Severity.CRITICAL if rejects else Severity.WARNING,
            evidence=(field(node, "status.allocatable[pods]", most),),
            count=count,
            most=most,
        )


def _rejected(pod: Pod, now: Now) -> bool:
    return pod.status.reason == _REJECTED and pod.created is not None and not now.older(pod.created, hours(1))
