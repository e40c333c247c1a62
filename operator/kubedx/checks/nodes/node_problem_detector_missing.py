"""NodeProblemDetectorMissing."""

from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Ref, Severity, Step, absent
from kubedx.core.inputs import Cluster, Lookup
from kubedx.kube.views import DaemonSet, Node

_ORDINARY = frozenset({"DiskPressure", "MemoryPressure", "NetworkUnavailable", "PIDPressure", "Ready"})
"""What the control plane and kubelets report themselves."""

_FEW = 3


@check(
    title="Nothing watches the kernels of the nodes",
    message="Nothing reports problems of kernel and hardware: of {count} nodes none has a condition of "
    "node-problem-detector, and there is no DaemonSet of that name",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=2,
    steps=(
        Step(
            "See which conditions the nodes have.",
            "kubectl get nodes -o custom-columns=NODE:.metadata.name,CONDITIONS:.status.conditions[*].type",
        ),
        Step(
            "Install node-problem-detector, or what your cloud offers in its place.",
            "helm upgrade --install node-problem-detector node-problem-detector --namespace kube-system "
            "--repo https://charts.deliveryhero.io",
        ),
    ),
    since="0.1.0",
)
def node_problem_detector_missing(_: Cluster, nodes: Lookup[Node], daemon_sets: Lookup[DaemonSet]) -> Answer:
    """No node tells about its kernel and its hardware.

    ## Meaning
    node-problem-detector reads the kernel's log on each node and turns what it finds into conditions and Events. It
    does not run here, nor does anything like it.

    ## Impact
    Nothing breaks. But a kernel that hangs, a filesystem that turns read-only or memory that fails are noticed only by
    what they do to pods, and the cause has to be looked for on the machine.

    ## Diagnosis
    Nodes with node-problem-detector have conditions such as `KernelDeadlock`.

    ## Mitigation
    Install it as a DaemonSet. Several clouds bring it, or an agent of their own, as an option.

    ## Limitations
    Any condition beyond those of Kubernetes itself counts as a sign that something watches, whoever sets it. Clusters
    of fewer than three nodes are not judged.

    ## References
    - https://kubernetes.io/docs/tasks/debug/debug-cluster/monitor-node-health/
    """
    if any(_watches(one.name) for one in daemon_sets.all()):
        return
    found = nodes.all()
    if len(found) < _FEW or any(one.type not in _ORDINARY for node in found for one in node.status.conditions):
        return
    missing = Ref("DaemonSet", "kube-system", "node-problem-detector")
    yield Finding(missing, evidence=(absent(missing),), count=len(found))


def _watches(name: str) -> bool:
    return "problem-detector" in name or "node-monitoring-agent" in name or "npd" in name.split("-")
