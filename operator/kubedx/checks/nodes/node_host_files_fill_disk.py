"""NodeHostFilesFillDisk."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.garbage import Shortage, shortage
from kubedx.checks._support.nodes import condition_evidence, true_condition
from kubedx.checks._support.reports import reports
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Confidence, Evidence, Finding, Step
from kubedx.core.inputs import EventRecord, Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import Node, Pod


class NodeHostFilesFillDiskSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeHostFilesFillDisk."""

    quiet_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes without another report after which it counts as over.")
    ] = 60
    pressure_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes of disk pressure on a node whose pods are all gone.")
    ] = 30


@check(
    title="Something other than unused images fills the disk of a node",
    message="The disk of node {name} is full of something that the kubelet does not remove: {why}",
    layer=2,
    events=("FreeDiskSpaceFailed",),
    explains={"NodeDiskPressure": join.same_node, "NodeFreeDiskSpaceFailed": join.same_node},
    steps=(
        Step("See what the kubelet reports.", "kubectl describe node {name}"),
        Step(
            "On the machine, find the largest directories.",
            "df -h; du -xh --max-depth=3 / | sort -h | tail -40",
        ),
        Step(
            "Old logs of the system are a usual reason. This removes all but 500 MB of them.",
            "journalctl --vacuum-size=500M",
            danger=True,
        ),
        Step(
            "See which pods write to hostPath volumes, or much to their own disk.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={name}; crictl stats",
        ),
        Step("Move /var/log or the directory of the container runtime to a disk of its own, or enlarge the disk."),
    ),
    since="0.1.0",
)
def node_host_files_fill_disk(
    node: Node, events: Events, pods: Lookup[Pod] | None, now: Now, settings: NodeHostFilesFillDiskSettings
) -> Answer:
    """The disk of a node is full, and not of what the kubelet could remove.

    ## Meaning
    The kubelet found next to nothing to free among its unused images. Or the node has been under disk pressure for
    half an hour, although all pods that it could evict are gone. So the space is taken by logs, core dumps,
    `hostPath` files, data of pods in use, or other files of the machine.

    ## Impact
    The kubelet cannot help itself: the pressure stays, and with it the taint that keeps pods away.

    ## Diagnosis
    `du -xh --max-depth=3 /` on the machine. `/var/log`, `/var/lib/containerd`, `/var/lib/kubelet/pods` and the
    directories of hostPath volumes are the usual places; files that are deleted but still open show in `lsof +L1`.

    ## Mitigation
    Clean and rotate logs, remove old kernels and core dumps, limit the `ephemeral-storage` of pods, enlarge the disk,
    and watch it.

    ## Limitations
    This is inferred: it cannot tell files of the host from the data of running containers. It counts as over after an
    hour without another report. Of a node on which no pod is known at all, not even one of a DaemonSet, it says
    nothing without a report of the kubelet: what ran there is not known.

    ## References
    - `pkg/kubelet/images/image_gc_manager.go` (reason `FreeDiskSpaceFailed`, see NodeFreeDiskSpaceFailed), 1.8 to 1.36.
    - `pkg/kubelet/eviction/eviction_manager.go`: `no pods are active to evict`, which only the kubelet's log has.
    """
    told = _nothing_to_free(node, events, now, settings) or _nobody_to_evict(node, pods, now, settings)
    if told:
        why, since, evidence = told
        yield Finding(node, since=since, confidence=Confidence.PROBABLE, evidence=(evidence,), why=why)


Told = tuple[str, datetime | None, Evidence]
"""Why, since when, and by what."""


def _nothing_to_free(node: Node, events: Events, now: Now, settings: NodeHostFilesFillDiskSettings) -> Told | None:
    found = reports(_shortage, node, events, ("FreeDiskSpaceFailed",), now, minutes(settings.quiet_minutes))
    if found is None or not found.what.in_vain:
        return None
    return found.what.why, found.first, found.record.evidence


def _shortage(record: EventRecord) -> Shortage | None:
    return shortage(record.message)


def _nobody_to_evict(
    node: Node, pods: Lookup[Pod] | None, now: Now, settings: NodeHostFilesFillDiskSettings
) -> Told | None:
    pressure = true_condition(node, "DiskPressure")
    since = pressure.last_transition_time if pressure else None
    if pressure is None or pods is None or not now.older(since, minutes(settings.pressure_minutes)):
        return None
    here = pods.on_node(node)
    if not here or not all(pod.finished or _stays(pod) for pod in here):
        return None
    return "all pods that could be evicted are gone, and it is still full", since, condition_evidence(node, pressure)


def _stays(pod: Pod) -> bool:
    """Whether the pod comes back at once, or is never evicted: one of a DaemonSet, or a static one."""
    return pod.controller is not None and pod.controller.kind in {"DaemonSet", "Node"}
