"""The control plane where it runs as static pods, and its nodes.

kubeadm, kind, minikube, RKE2 and Talos run it so and label the pods `tier=control-plane` and `component=…`
(`cmd/kubeadm/app/util/staticpod/utils.go`, 1.13 to 1.36). Managed clusters, k3s and k0s show no such pods.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kubedx.checks._support.pods import SYSTEM_NAMESPACE, is_ready, trouble, unready_since
from kubedx.core.finding import Evidence, Finding, Ref, Severity, absent, field
from kubedx.core.inputs import Lookup, Now, Reader, derived, minutes
from kubedx.kube.quantity import amount
from kubedx.kube.views import Node, Pod

ETCD, API_SERVER = "etcd", "kube-apiserver"
CONTROLLER_MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
COMPONENTS = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER)
TOGETHER = frozenset({API_SERVER, CONTROLLER_MANAGER, SCHEDULER})
"""What each node of a control plane runs. etcd may have nodes of its own, or be no pod."""

_LABEL = {"tier": "control-plane"}
_ROLES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


def static_pods(pods: Lookup[Pod]) -> tuple[Pod, ...]:
    """Find the static pods of the control plane; none where it does not run so."""
    found = pods.selected_by(_LABEL, SYSTEM_NAMESPACE)
    return tuple(pod for pod in found if component(pod) in COMPONENTS and _is_static(pod))


def component(pod: Pod) -> str:
    """Name the part of the control plane that a pod runs, such as ``kube-scheduler``."""
    return pod.metadata.labels.get("component", "")


def _is_static(pod: Pod) -> bool:
    return not pod.deleted and (pod.controller is None or pod.controller.kind == "Node")


def is_judged(pod: Pod, nodes: Lookup[Node] | None) -> bool:
    """Tell whether a static pod's state is its own: that of a node that is not ready says only that nobody reports."""
    node = nodes.get("", pod.spec.node_name) if nodes else None
    ready = node.condition("Ready") if node else None
    return ready is None or ready.status == "True"


def not_ready(pod: Pod) -> Evidence:
    """Give as evidence that a pod is not ready."""
    ready = pod.condition("Ready")
    return field(
        pod, "status.conditions[Ready]", ready.message or ready.status if ready else "missing", unready_since(pod)
    )


def down(wanted: str, pods: Lookup[Pod], nodes: Lookup[Node] | None, now: Now) -> Finding | None:
    """Find out whether no instance of a part of the control plane works.

    Args:
        wanted: The part, one of `TOGETHER`.
        pods: The pods.
        nodes: The nodes, where they can be read.
        now: The time: what began less than two minutes ago is a warning.

    Returns:
        A finding about the part, with `what` for how it shows; None where an instance works, and where the control
        plane shows no pods.
    """
    found = static_pods(pods)
    own = [pod for pod in found if component(pod) == wanted]
    subject = Ref("Component", "", wanted)
    if own:
        if any(map(is_ready, own)) or not any(is_judged(pod, nodes) for pod in own):
            return None
        last = max(own, key=lambda pod: (str(unready_since(pod) or ""), pod.name))
        since = unready_since(last)
        recent = since is not None and not now.older(since, minutes(2))
        return Finding(
            subject,
            since=since,
            severity=Severity.WARNING if recent else Severity.CRITICAL,
            evidence=tuple(map(not_ready, own[:5])),
            nodes=_nodes(own),
            what=f"none of its pods ({len(own)}) is ready; {last.name}: {trouble(last)}",
        )
    others = {component(pod) for pod in found}
    if not others >= TOGETHER - {wanted} or pods.selected_by({"component": wanted}, SYSTEM_NAMESPACE):
        return None
    missing = Ref("Pod", SYSTEM_NAMESPACE, f"{wanted}-{found[0].spec.node_name}")
    what = "it has no pod, while other parts of the control plane have; its manifest is missing or not valid"
    return Finding(subject, severity=Severity.CRITICAL, evidence=(absent(missing),), what=what)


def _nodes(pods: Iterable[Pod]) -> tuple[str, ...]:
    return tuple(sorted({pod.spec.node_name for pod in pods if pod.spec.node_name}))


@dataclass(frozen=True, slots=True)
class Machine:
    """A node of the control plane: its name, its cores and its bytes of memory, None where they are not known."""

    name: str
    cores: float | None
    memory: float | None


@dataclass(frozen=True, slots=True)
class Machines:
    """The nodes of a cluster.

    Attributes:
        control: Those that say that they are of the control plane; none in a managed cluster.
        workers: How many others there are.
    """

    control: tuple[Machine, ...]
    workers: int


@derived(Node)
def machines(read: Reader) -> Machines:
    """Tell the nodes of the control plane from the others."""
    lookup = read.lookup(Node)
    nodes = [node for node in lookup.all() if not node.deleted] if lookup else []
    control = [node for node in nodes if any(role in node.metadata.labels for role in _ROLES)]
    return Machines(tuple(map(_machine, control)), len(nodes) - len(control))


def _machine(node: Node) -> Machine:
    capacity = node.status.capacity
    return Machine(node.name, amount(capacity.get("cpu")), amount(capacity.get("memory")))
