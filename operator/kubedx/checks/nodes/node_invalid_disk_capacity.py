"""NodeInvalidDiskCapacity."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.garbage import trouble
from kubedx.checks._support.reports import reports
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Node

_REASONS = ("InvalidDiskCapacity", "Starting")


class NodeInvalidDiskCapacitySettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeInvalidDiskCapacity."""

    quiet_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes without another report after which it counts as over.")
    ] = 60
    times: Annotated[int, Meta(ge=2, le=100, description="Reports beside those at starts of the kubelet.")] = 3
    least_minutes: Annotated[int, Meta(ge=1, le=240, description="Minutes over which they must be spread.")] = 10


@check(
    title="Kubelet sees an image filesystem of no size",
    message="The kubelet of node {name} sees an image filesystem with a capacity of 0 bytes",
    layer=2,
    events=_REASONS,
    explains={"NodeImageGCFailed": join.same_node.where(cause="capacity")},
    steps=(
        Step("See how often it is reported, and whether the kubelet restarts.", "kubectl describe node {name}"),
        Step("On the machine, see what the runtime says about its image filesystem.", "crictl imagefsinfo"),
        Step(
            "On the machine, see whether the kernel was booted with the memory control group: small boards need "
            "cgroup_enable=cpuset cgroup_memory=1 cgroup_enable=memory.",
            "cat /proc/cmdline /sys/fs/cgroup/cgroup.controllers",
        ),
        Step("Restart the kubelet, so that it asks the runtime again.", "systemctl restart kubelet"),
    ),
    since="0.1.0",
)
def node_invalid_disk_capacity(
    node: Node, events: Events, now: Now, settings: NodeInvalidDiskCapacitySettings
) -> Answer:
    """The kubelet gets no sensible size of the filesystem that holds its images.

    ## Meaning
    The container runtime or cAdvisor reports a capacity of 0 bytes, for longer than the moment after a start in which
    nobody has measured yet: control groups are missing, or the filesystem is one that they do not know.

    ## Impact
    Unused images are not removed, so the disk may fill up.

    ## Diagnosis
    `crictl imagefsinfo` shows what the runtime says. On small boards and minimal distributions the memory control group
    is often off.

    ## Mitigation
    Boot with the missing control groups (drain the node before), use a filesystem that the runtime knows, or upgrade
    the runtime.

    ## Limitations
    Nearly every kubelet reports this once as it starts; these reports are taken off, by the `Starting` events that are
    still there. It is known from Events and counts as over after an hour without one.

    ## References
    - `pkg/kubelet/images/image_gc_manager.go`: `invalid capacity 0 on image filesystem`, 1.10 to 1.36.
    - https://github.com/k3s-io/k3s/issues/1857
    """
    found = reports(_no_capacity, node, events, ("InvalidDiskCapacity",), now, minutes(settings.quiet_minutes))
    if found is None or found.first is None or found.last is None:
        return
    starts = sum(one.count for one in events.about(node, "Starting") if one.message.startswith("Starting kubelet"))
    lasting = found.last - found.first >= minutes(settings.least_minutes)
    if lasting and found.count - starts >= settings.times:
        yield Finding(node, since=found.first, evidence=(found.record.evidence,))


def _no_capacity(record: EventRecord) -> str | None:
    return record.message if trouble(record.message) == "capacity" else None
