"""CriticalAddonPriorityMissing."""

import re

from kubedx.checks._support.pods import is_system
from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.join import CNI_DAEMON_SETS
from kubedx.kube.views import Pod

_CRITICAL = frozenset({"system-cluster-critical", "system-node-critical"})
_ADDON = re.compile(
    rf"^(?:{'|'.join(CNI_DAEMON_SETS)}|coredns|rke2-coredns|kube-dns|node-local-dns|nodelocaldns|kube-proxy|metrics-server"
    r"|.*csi.*(?:node|controller|driver|plugin)|.*device-plugin)"
)


@check(
    title="An important part of the cluster may be evicted like any other pod",
    message="Pod {name} of {owner} is a part of the cluster and has {priority}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    group=by.namespace,
    steps=(
        Step(
            "See the class of each pod of the namespace.",
            "kubectl -n {namespace} get pods -o custom-columns=NAME:.metadata.name,CLASS:.spec.priorityClassName",
        ),
        Step(
            "Set priorityClassName in the pod template of {owner}: system-node-critical for what every node needs, "
            "system-cluster-critical for the rest."
        ),
    ),
    since="0.1.0",
)
def critical_addon_priority_missing(pod: Pod) -> Answer:
    """A pod of the network, the DNS, kube-proxy, a storage driver or a device plugin has no critical priority.

    ## Meaning
    Pods of `kube-system` that a cluster cannot do without should have one of the two priority classes that the kubelet
    does not evict and that the scheduler makes room for.

    ## Impact
    A node under pressure may evict the pod, and a pod of higher priority may take its place: then a node has no
    network, or the cluster no DNS. It is a warning if that happened to this pod.

    ## Diagnosis
    The first step lists the classes.

    ## Mitigation
    Set the class in the template; in most charts it is a value.

    ## Limitations
    Such pods are known by the names of their owners, and only those of `kube-system` are looked at. A class of your own
    with a high value counts as missing. Findings stand together by namespace.

    ## References
    - https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/
    - `pkg/kubelet/types/pod_update.go` (IsCriticalPod), 1.30 to 1.36.
    """
    owner = pod.controller
    if not is_system(pod) or owner is None or owner.kind not in {"DaemonSet", "ReplicaSet", "StatefulSet"}:
        return
    if pod.spec.priority_class_name in _CRITICAL or not _ADDON.match(owner.name) or pod.status.phase == "Succeeded":
        return
    went = pod.status.reason in {"Evicted", "Preempting"}
    priority = (
        f"the priority class {pod.spec.priority_class_name}" if pod.spec.priority_class_name else "no priority class"
    )
    yield Finding(
        pod,
        severity=Severity.WARNING if went else Severity.INFO,
        evidence=(field(pod, "spec.priorityClassName", pod.spec.priority_class_name or "none"),),
        owner=f"{owner.kind} {owner.name}",
        priority=priority,
    )
