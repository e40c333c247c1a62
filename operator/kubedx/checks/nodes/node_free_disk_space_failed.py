"""NodeFreeDiskSpaceFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.garbage import shortage
from kubedx.checks._support.reports import reports, since_within
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, Settings, minutes
from kubedx.kube.views import Node


class NodeFreeDiskSpaceFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeFreeDiskSpaceFailed."""

    quiet_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes without another report after which it counts as over.")
    ] = 60
    critical_times: Annotated[
        int, Meta(ge=2, le=1000, description="Reports within half an hour from which on it is critical.")
    ] = 3


@check(
    title="Removing unused images does not free enough disk space",
    message="The kubelet of node {name} cannot free enough disk space by removing unused images: {why}",
    layer=2,
    events=("FreeDiskSpaceFailed",),
    explains={"NodeImageGCFailed": join.same_node.where(cause="space")},
    steps=(
        Step("Read what the kubelet tried, and whether the node is under pressure.", "kubectl describe node {name}"),
        Step(
            "On the machine, find what fills the disk: writable layers, logs, volumes of pods, or files of the host.",
            "crictl stats; du -xsh /var/lib/containerd /var/lib/kubelet/pods /var/log | sort -h",
        ),
        Step(
            "See which pods of the node use hostPath volumes, whose files no kubelet removes.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={name}",
        ),
        Step("Enlarge the disk, or give the container runtime a disk of its own."),
    ),
    since="0.1.0",
)
def node_free_disk_space_failed(
    node: Node, events: Events, now: Now, settings: NodeFreeDiskSpaceFailedSettings
) -> Answer:
    """The image filesystem of a node is fuller than it may be, and there are no unused images left to remove.

    ## Meaning
    The filesystem that holds the images is fuller than `imageGCHighThresholdPercent`, by default 85 %. The kubelet
    removed what images no container uses, and that was not enough to come below 80 %.

    ## Impact
    If the disk fills further, the node comes under disk pressure and evicts pods. It is critical from the third report
    within half an hour on: the kubelet tries every five minutes.

    ## Diagnosis
    What is left are images in use, writable layers and logs of containers, `emptyDir` and `hostPath` volumes, and what
    else is on that disk. If next to nothing was freed, see NodeHostFilesFillDisk.

    ## Mitigation
    Find the largest directories and clean what should not be there. Set limits of `ephemeral-storage`, so that a pod
    that writes too much is evicted. Enlarge the disk if images in use fill it.

    ## Limitations
    It is known from Events: nothing tells when there is room again, so it counts as over after an hour without one.

    ## References
    - `pkg/kubelet/images/image_gc_manager.go`: `Wanted to free … bytes, but freed … bytes` up to 1.26, `Attempted to
      free … bytes, but only found … bytes eligible to free` from 1.27 to 1.34, `Insufficient free disk space on the
      node's image filesystem (…% of … used)` since 1.35.
    - https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle
    """
    found = reports(
        lambda one: shortage(one.message), node, events, ("FreeDiskSpaceFailed",), now, minutes(settings.quiet_minutes)
    )
    if found:
        often = found.often(settings.critical_times, minutes(30))
        yield Finding(
            node,
            since=since_within(node, "DiskPressure", found.first),
            severity=Severity.CRITICAL if often else Severity.WARNING,
            evidence=(found.record.evidence,),
            why=found.what.why,
        )
