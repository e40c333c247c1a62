"""NodeCgroupFsFull."""

from kubedx.checks._support.sandboxes import CGROUP_FULL, SANDBOX_REASON, stable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import EventRecord, Events, Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_REASONS = (SANDBOX_REASON, "FailedCreatePodContainer", "Failed")
_WINDOW = minutes(15)
_ENOUGH = 3


@check(
    title="A node cannot create control groups any more",
    message="Node {node} has no room for the control groups of pod {namespace}/{name}: {why}",
    severity=Severity.CRITICAL,
    layer=2,
    group=by.node,
    when=Bit.NOT_READY,
    events=_REASONS,
    explains={"PodSandboxCreateFailed": join.itself},
    steps=(
        Step(
            "On the machine, count the control groups. More than some thousand a controller are leaked ones.",
            "cat /proc/cgroups; systemctl list-units --type=scope | wc -l; uname -r",
        ),
        Step("Keep new pods away from the node.", "kubectl cordon {node}"),
        Step(
            "Move the work away and restart the machine, which frees what was leaked. This evicts all its pods.",
            "kubectl drain {node} --ignore-daemonsets",
            danger=True,
        ),
        Step("Bring the machine to a newer kernel and to cgroup v2, where this does not happen."),
    ),
    since="0.1.0",
)
def node_cgroup_fs_full(pod: Pod, events: Events, pods: Lookup[Pod] | None, now: Now) -> Answer:
    """The kernel of a node has no room for another control group.

    ## Meaning
    Control groups of ended containers stay in the kernel, until it refuses new ones with `no space left on device` or
    `cannot allocate memory`. It has nothing to do with the free space of a disk. Old kernels (3.10, early 4.x) with
    cgroup v1 leak one with each container, so nodes that run CronJobs get there first.

    ## Impact
    No pod starts on the node any more. Pods that run go on.

    ## Diagnosis
    `/proc/cgroups` on the machine counts the control groups of each controller; the limit is 65,535 for memory.

    ## Mitigation
    Restart the machine after its pods have moved away. Only a newer kernel, best with cgroup v2, mends it for good.

    ## Limitations
    Fewer than three failures on a node within 15 minutes are not reported. It is known only from Events.

    ## References
    - `pkg/kubelet/kubelet.go`: `FailedCreatePodContainer`, `unable to ensure pod container exists: …`, 1.8 to 1.36.
    - runc: `mkdir /sys/fs/cgroup/…: no space left on device`, `… cannot allocate memory`.
    - https://github.com/kubernetes/kubernetes/issues/70324
    """
    own = _failures(pod, events, now)
    if not own:
        return
    count = sum(one.count for one in own)
    for other in pods.on_node(pod.spec.node_name) if pods and count < _ENOUGH else ():
        if other.uid != pod.uid:
            count += sum(one.count for one in _failures(other, events, now))
    if count >= _ENOUGH:
        yield Finding(
            pod,
            since=min((one.first for one in own if one.first), default=None),
            evidence=(own[0].evidence,),
            node=pod.spec.node_name,
            why=stable(own[0].message),
        )


def _failures(pod: Pod, events: Events, now: Now) -> list[EventRecord]:
    ready = pod.condition("Ready")
    if pod.deleted or pod.finished or not pod.spec.node_name or (ready and ready.status == "True"):
        return []
    return [
        one
        for one in events.about(pod, *_REASONS)
        if CGROUP_FULL.search(one.message) and not now.older(one.last, _WINDOW)
    ]
