"""NodeCNINotReady."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import departing, eased, new
from kubedx.checks._support.readiness import reported
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node


class NodeCNINotReadySettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeCNINotReady."""

    grace_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes that the network plugin may take to start on a new node.")
    ] = 3


@check(
    title="Network plugin of a node is not ready",
    message="The pod network of node {name} is not set up: {detail}",
    severity=Severity.CRITICAL,
    layer=2,
    raise_after=minutes(1),
    when=Bit.NOT_READY,
    explains={
        "ClusterDNSAPIServerTimeout": join.same_node,
        "ClusterDNSDown": join.same_node,
        "NodeNotReady": join.same_node,
        "PodSandboxCNIError": join.same_node,
        "PodSandboxCreateFailed": join.same_node.where(cause="network"),
    },
    steps=(
        Step(
            "Look for the pod of the network plugin on this node: is it there, and does it run?",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={name}",
        ),
        Step(
            "See whether the plugin's DaemonSet tolerates the node's taints.",
            "kubectl get daemonsets -A; kubectl get node {name} -o jsonpath='{{.spec.taints}}'",
        ),
        Step(
            "On the machine, see whether the plugin left its configuration and its programs.",
            "ls -l /etc/cni/net.d /opt/cni/bin",
        ),
        Step("If there is no network plugin at all, install one, as its documentation says."),
    ),
    since="0.1.0",
)
def node_cni_not_ready(node: Node, now: Now, settings: NodeCNINotReadySettings) -> Answer:
    """The container runtime has no working network plugin (CNI).

    ## Meaning
    No network plugin is installed in the cluster, its pod does not run on this node, or its configuration is missing
    below `/etc/cni/net.d`.

    ## Impact
    The node is not ready. Pods with their own network do not start there; those with the host's network do.

    ## Diagnosis
    Look at the network plugin's pod on the node (calico-node, cilium, kube-flannel, aws-node and so on) and at its init
    containers, which install programs and configuration. If every node shows this, the plugin is missing as a whole.

    ## Mitigation
    Mend or install the plugin. Its DaemonSet must tolerate `node.kubernetes.io/not-ready`.

    ## Limitations
    It counts from the moment when the node became not ready, even if the network failed later. A plugin whose
    configuration is in place but whose traffic does not flow is not seen here.

    ## References
    - `pkg/kubelet/kubelet.go` (updateRuntimeUp), 1.20 to 1.36; up to 1.18 the text began `runtime network not ready`.
    - containerd `internal/cri/server/status.go`, go-cni `errors.go`; CRI-O says `No CNI configuration file in`.
    - https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/
    """
    found = reported(node, "network")
    if found is None:
        return
    error, since = found
    if new(node, now, minutes(settings.grace_minutes)) or departing(node, since, now):
        return
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.WARNING if new(node, now) else Severity.CRITICAL, node, now),
        evidence=(field(node, "status.conditions[Ready].message", error.text, since),),
        detail=error.text,
    )
