"""NodeSwapEnabled."""

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Events
from kubedx.kube.views import Node

_REASON = "PossibleMemoryBackedVolumesOnDisk"


@check(
    title="Nodes have swap",
    message="Node {name} has swap: {what}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    group=by.cluster,
    events=(_REASON,),
    steps=(
        Step(
            "See which nodes have swap, in bytes.",
            "kubectl get nodes -o custom-columns=NODE:.metadata.name,SWAP:.status.nodeInfo.swap.capacity",
        ),
        Step(
            "See how the kubelet of this node is to use it.",
            "kubectl get --raw /api/v1/nodes/{name}/proxy/configz",
        ),
        Step(
            "If swap is wanted, set failSwapOn: false and memorySwap.swapBehavior: LimitedSwap or NoSwap in the "
            "kubelet's configuration. It needs cgroup v2."
        ),
        Step("If not, turn it off on the machine, and take it out of /etc/fstab.", "swapoff -a", danger=True),
    ),
    since="0.1.0",
)
def node_swap_enabled(node: Node, events: Events | None) -> Answer:
    """A node has swap.

    ## Meaning
    The machine may move memory to its disk. Kubernetes supports that since 1.34 (by default on trial since 1.30), on
    cgroup v2 and with a `swapBehavior` that somebody chose.

    ## Impact
    With `LimitedSwap` pods of the class Burstable may get slow instead of being killed. Where the kernel does not know
    tmpfs without swap (before 6.4), Secrets and other volumes in memory may reach the disk: that is a warning.

    ## Diagnosis
    `status.nodeInfo.swap.capacity` is the size of the swap in bytes. `memorySwap` in the kubelet's configuration says
    who may use it.

    ## Mitigation
    Decide: choose a `swapBehavior`, or turn swap off. Encrypt the swap device where Secrets may reach it.

    ## Limitations
    The size is known from Kubernetes 1.33 on. How much is in use, and what the kubelet does with it, is not seen.

    ## References
    - `staging/src/k8s.io/api/core/v1/types.go` (NodeSwapStatus), since 1.33.
    - `pkg/kubelet/cm/container_manager_linux.go`: `PossibleMemoryBackedVolumesOnDisk`, since 1.30.
    - https://kubernetes.io/docs/concepts/cluster-administration/swap-memory-management/
    """
    swap = node.status.node_info.swap
    capacity = swap.capacity if swap else 0
    told = next(iter(events.about(node, _REASON)), None) if events else None
    evidence: tuple[Evidence, ...] = (field(node, "status.nodeInfo.swap.capacity", capacity),) if capacity else ()
    if told:
        what, evidence = "memory-backed volumes may reach the disk", (*evidence, told.evidence)
    else:
        what = f"{capacity / (1 << 30):.1f} GiB"
    if evidence:
        yield Finding(node, severity=Severity.WARNING if told else Severity.INFO, evidence=evidence, what=what)
