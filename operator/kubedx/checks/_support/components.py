"""Parts of the cluster that are known by the labels of their pods: kube-proxy, and cloud controller managers."""

from collections.abc import Iterable
from datetime import datetime

from kubedx.checks._support.pods import SYSTEM_NAMESPACE
from kubedx.checks._support.services import turned
from kubedx.core.inputs import Lookup
from kubedx.kube.views import Node, Pod

CLOUD_CONTROLLER = "cloud-controller-manager"
"""How the names of cloud controller managers end: that of AWS is called ``aws-cloud-controller-manager``."""

_NAMING = ("k8s-app", "component", "app", "app.kubernetes.io/name", "name")


def is_kube_proxy(pod: Pod) -> bool:
    """Tell whether a pod is kube-proxy: kubeadm and EKS label it k8s-app, AKS, GKE and RKE2 component."""
    labels = pod.metadata.labels
    return pod.namespace == SYSTEM_NAMESPACE and "kube-proxy" in {labels.get("k8s-app"), labels.get("component")}


def cloud_controller_label(pod: Pod) -> tuple[str, str] | None:
    """Find the label that tells that a pod is a cloud controller manager; None for other pods."""
    if pod.namespace != SYSTEM_NAMESPACE:
        return None
    labels = pod.metadata.labels
    found = ((key, labels.get(key, "")) for key in _NAMING)
    return next(((key, value) for key, value in found if value.endswith(CLOUD_CONTROLLER)), None)


def is_ready(subject: Node | Pod) -> bool:
    """Tell whether the Ready condition is True."""
    ready = subject.condition("Ready")
    return ready is not None and ready.status == "True"


def stands_on_ready_node(pod: Pod, nodes: Lookup[Node] | None) -> bool:
    """Tell whether the pod is bound to a node that is ready: else the node has the trouble.

    Where nodes cannot be read, a container that is not ready tells as much: a kubelet that is silent changes nothing.
    """
    if nodes is None:
        return bool(pod.spec.node_name) and not all(one.ready for one in pod.status.container_statuses)
    node = nodes.get("", pod.spec.node_name) if pod.spec.node_name else None
    return node is not None and is_ready(node) and not node.deleted


def state_of(pod: Pod) -> str:
    """Say why a pod is not ready, in a word or two."""
    for container in pod.containers:
        if container.state.waiting and container.state.waiting.reason:
            return f"container {container.name} waits ({container.state.waiting.reason})"
    for container in pod.containers:
        if container.state.terminated and not container.ready:
            return f"container {container.name} ended with exit code {container.state.terminated.exit_code}"
    unready = [container.name for container in pod.status.container_statuses if not container.ready]
    return f"container {unready[0]} is not ready" if unready else f"it is {pod.status.phase or 'Pending'} and not ready"


def last_turned(pods: Iterable[Pod]) -> datetime | None:
    """Say when the last of some pods became ready or not ready."""
    return max(filter(None, map(turned, pods)), default=None)
