"""KubeProxyDown."""

from kubedx.checks._support.components import is_kube_proxy, stands_on_ready_node, state_of
from kubedx.checks._support.services import turned
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node, Pod


@check(
    title="kube-proxy does not run on a node",
    message="kube-proxy does not run on node {node}, so changes of Services do not reach it: {why}",
    severity=Severity.CRITICAL,
    layer=3,
    raise_after=minutes(2),
    clear_after=minutes(6),
    group=by.owner,
    when=Bit.NOT_READY,
    explains={
        "ClusterDNSAPIServerTimeout": join.same_node,
        "ClusterDNSDown": join.same_node,
        "ClusterDNSResolutionFailing": join.same_node,
        "DaemonSetUnavailable": join.itself,
        "PodNotReady": join.itself,
        "ServiceConnectivityBroken": join.same_node,
    },
    steps=(
        Step("Read what it wrote last.", "kubectl -n {namespace} logs {name} --tail=100"),
        Step("Read what it wrote before it ended.", "kubectl -n {namespace} logs {name} --previous --tail=100"),
        Step(
            "See which proxy mode it is to use; the kernel of node {node} must have the modules for it.",
            "kubectl -n {namespace} get configmap kube-proxy -o yaml | grep -E 'mode:|bindAddress:'",
        ),
        Step("See whether other nodes are concerned.", "kubectl -n {namespace} get pods -o wide | grep kube-proxy"),
    ),
    since="0.1.0",
)
def kube_proxy_down(pod: Pod, nodes: Lookup[Node] | None) -> Answer:
    """The kube-proxy of a node that is ready itself has not run for two minutes.

    ## Meaning
    kube-proxy turns Services into rules of the node's kernel. Its pod on this node crashes, cannot start, or is not
    ready.

    ## Impact
    The rules that are there go on working, but no change reaches the node: connections go to pods that are gone. After
    a reboot there are no rules, and no Service can be reached from the node, not even the API server's or DNS.

    ## Diagnosis
    Read the log of the pod, also that of its previous run. Frequent reasons: a mode whose kernel modules the node
    lacks, an unreadable configuration, an address that is taken.

    ## Mitigation
    Correct its ConfigMap and restart its DaemonSet, or load the missing kernel modules.

    ## Limitations
    It is known by the label `k8s-app=kube-proxy` or `component=kube-proxy` in kube-system. Where a network plugin does
    its work, or where it runs within another process as in k3s, there is no such pod and nothing is reported. A node
    without any kube-proxy pod is not seen, and neither is one that runs but fails to write its rules.

    ## References
    - Labels: `cmd/kubeadm/app/phases/addons/proxy/manifests.go`, 1.6 to 1.36; AKS, GKE and RKE2 use `component`.
    - https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/
    """
    if not is_kube_proxy(pod) or pod.deleted or pod.finished or not stands_on_ready_node(pod, nodes):
        return
    ready = pod.condition("Ready")
    if ready is None or ready.status == "True":
        return
    yield Finding(
        pod,
        since=turned(pod),
        evidence=(field(pod, "status.conditions[Ready]", ready.status, ready.last_transition_time),),
        node=pod.spec.node_name,
        why=state_of(pod),
    )
