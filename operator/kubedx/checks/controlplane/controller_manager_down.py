"""ControllerManagerDown."""

from kubedx.checks._support.controlplane import CONTROLLER_MANAGER, down
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Severity, Step
from kubedx.core.inputs import Cluster, Lookup, Now, minutes
from kubedx.kube.views import Node, Pod


@check(
    title="kube-controller-manager is down",
    message="No {name} works: {what}",
    severity=Severity.CRITICAL,
    layer=1,
    raise_after=minutes(1),
    explains={
        "CronJobMissedSchedule": join.cluster,
        "DeploymentStalled": join.cluster,
        "GarbageCollectorBlocked": join.cluster,
        "NamespaceStuckTerminating": join.cluster.where(cause="unknown"),
        "NodePressureTaintManual": join.cluster,
        "PVCStuckTerminating": join.cluster.where(cause="unused"),
        "PodPendingNoController": join.cluster,
        "ResourceFinalizerStuck": join.cluster.where(keeper="kube-controller-manager"),
    },
    steps=(
        Step("See its pods.", "kubectl -n kube-system get pods -l component={name} -o wide"),
        Step(
            "Read what they wrote before they ended.",
            "kubectl -n kube-system logs -l component={name} --tail=50 --prefix",
        ),
        Step("See when one of them was last at work.", "kubectl -n kube-system get lease {name} -o yaml"),
        Step(
            "On a machine of the control plane, see its manifest and whether the kubelet can read it.",
            "ls -lt /etc/kubernetes/manifests; journalctl -u kubelet --since -15min | grep -i {name}",
        ),
    ),
    since="0.1.0",
)
def controller_manager_down(_: Cluster, pods: Lookup[Pod], nodes: Lookup[Node] | None, now: Now) -> Answer:
    """No kube-controller-manager works.

    ## Meaning
    None of the static pods of kube-controller-manager is ready, or there is none while the API server and the scheduler
    have theirs: it crashes, or its manifest was changed or removed.

    ## Impact
    What runs goes on running, and nothing is looked after: no pod is replaced, no rollout goes on, no deleted namespace
    or claim goes away, no node that is lost is noticed, no certificate is signed.

    ## Diagnosis
    The last words of its pods name the flag, the certificate or the permission at fault.

    ## Mitigation
    Take back what was changed in its manifest. Let two or more run: one works, the others wait.

    ## Limitations
    Only static pods with the labels of kubeadm tell: managed clusters, k3s and k0s show none, and nothing is said
    there. One that runs but does not get its Lease counts as working, as kubedx watches no Leases. Pods on nodes that
    are not ready prove nothing by themselves.

    ## References
    - Labels `tier=control-plane` and `component`: `cmd/kubeadm/app/util/staticpod/utils.go`, 1.13 to 1.36.
    - https://kubernetes.io/docs/concepts/architecture/leases/
    """
    found = down(CONTROLLER_MANAGER, pods, nodes, now)
    if found:
        yield found
