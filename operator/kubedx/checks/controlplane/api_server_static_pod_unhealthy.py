"""APIServerStaticPodUnhealthy."""

from collections.abc import Iterator, Sequence

from kubedx.checks._support.controlplane import TOGETHER, component, is_judged, not_ready, static_pods
from kubedx.checks._support.nodes import new, shown_time
from kubedx.checks._support.pods import SYSTEM_NAMESPACE, is_ready, trouble, unready_since
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step, absent
from kubedx.core.inputs import Cluster, Lookup, Now, minutes
from kubedx.core.message import shown
from kubedx.kube.views import Node, Pod


@check(
    title="A static pod of the control plane is not ready",
    message="{component} on node {node} {what}; others that are ready: {peers}",
    severity=Severity.CRITICAL,
    layer=1,
    raise_after=minutes(1),
    group=by.node,
    explains={
        "APIServerUnavailable": join.cluster,
        "ControllerManagerDown": join.component,
        "PodCrashLoopBackOff": join.itself,
        "PodNotReady": join.itself,
        "SchedulerDown": join.component,
    },
    steps=(
        Step(
            "Compare it with the other pods of the control plane.",
            "kubectl -n kube-system get pods -l tier=control-plane -o wide",
        ),
        Step("Read what it wrote last.", "kubectl -n kube-system logs {pod} --tail=50"),
        Step(
            "Where that does not answer, read it on the machine {node}.",
            "crictl ps -a --name {component}; crictl logs --tail 50 $(crictl ps -aq --name {component} | head -1)",
        ),
        Step(
            "See what was changed last in its manifest, and whether the kubelet can read it. Keep copies outside this "
            "folder, as the kubelet starts every file in it.",
            "ls -lt /etc/kubernetes/manifests; journalctl -u kubelet --since -15min | grep -i manifest",
        ),
    ),
    since="0.1.0",
)
def api_server_static_pod_unhealthy(_: Cluster, pods: Lookup[Pod], nodes: Lookup[Node] | None, now: Now) -> Answer:
    """A part of the control plane, the API server or another, does not run on one of its nodes.

    ## Meaning
    A kubelet starts etcd, kube-apiserver, kube-controller-manager and kube-scheduler from files. One of these pods is
    not ready for a minute: it crashes, or its file was changed so that it cannot start. Or a node of the control plane
    has no such pod at all while its others have: the file is gone or no valid manifest.

    ## Impact
    Where others of its kind are ready, they do the work, and there is one less to fail: a warning. Where none is, it is
    critical: without etcd or an API server nothing can be changed or replaced, without kube-controller-manager nothing
    that fails is replaced, without kube-scheduler no new pod gets a node.

    ## Diagnosis
    The pod's last words mostly name the flag, the certificate or the file at fault. On the machine, `crictl` shows
    containers that the API server cannot show.

    ## Mitigation
    Take back what was changed in the manifest; the kubelet sees that by itself. Free the disk, renew the certificate or
    repair etcd, whichever the pod complains about.

    ## Limitations
    Only static pods with the labels of kubeadm are looked at: managed clusters, k3s and k0s show none. If the only API
    server is down, nobody can see it here. Pods on a node that is not ready are left to the checks on nodes. A pod that
    restarts but is ready again within a minute is not reported.

    ## References
    - Labels `tier=control-plane` and `component`: `cmd/kubeadm/app/util/staticpod/utils.go`,
      `cmd/kubeadm/app/phases/etcd/local.go`, 1.13 to 1.36.
    - https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
    """
    found = static_pods(pods)
    for pod in found:
        if not is_ready(pod) and is_judged(pod, nodes) and not _joins(pod.spec.node_name, nodes, now):
            peers = _ready(component(pod), found)
            since = unready_since(pod)
            yield Finding(
                pod,
                since=since,
                severity=Severity.WARNING if peers else Severity.CRITICAL,
                evidence=(not_ready(pod),),
                component=component(pod),
                node=pod.spec.node_name,
                what=f"is not ready since {shown(shown_time(since))}: {trouble(pod)}",
                peers=len(peers),
                pod=pod.name,
            )
    yield from _without(found, nodes, now)


def _joins(node: str, nodes: Lookup[Node] | None, now: Now) -> bool:
    machine = nodes.get("", node) if nodes else None
    return machine is not None and new(machine, now)


def _ready(wanted: str, found: Sequence[Pod]) -> list[Pod]:
    return [pod for pod in found if component(pod) == wanted and is_ready(pod)]


def _without(found: Sequence[Pod], nodes: Lookup[Node] | None, now: Now) -> Iterator[Finding]:
    """The nodes that have all parts but one, where other nodes have that one."""
    by_node: dict[str, set[str]] = {}
    for pod in found:
        by_node.setdefault(pod.spec.node_name, set()).add(component(pod))
    for node, there in sorted(by_node.items()):
        missing = TOGETHER - there
        peers = [pod for one in missing for pod in _ready(one, found)]
        if len(missing) == 1 and peers and not _joins(node, nodes, now):
            name = f"{component(peers[0])}-{node}"
            yield Finding(
                Ref("Pod", SYSTEM_NAMESPACE, name),
                severity=Severity.WARNING,
                evidence=(absent(Ref("Pod", SYSTEM_NAMESPACE, name)),),
                nodes=(node,),
                component=component(peers[0]),
                node=node,
                what="has no pod; its manifest is missing or not valid",
                peers=len(peers),
                pod=name,
            )
