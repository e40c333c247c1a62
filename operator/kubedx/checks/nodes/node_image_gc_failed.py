"""NodeImageGCFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.garbage import trouble
from kubedx.checks._support.nodes import true_condition
from kubedx.checks._support.reports import reports, since_within
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, Settings, minutes
from kubedx.kube.views import Node


class NodeImageGCFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeImageGCFailed."""

    quiet_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes without another failure after which it counts as over.")
    ] = 60
    times: Annotated[int, Meta(ge=1, le=100, description="Failures within half an hour that are worth a word.")] = 2
    critical_times: Annotated[
        int, Meta(ge=2, le=1000, description="Failures within half an hour from which on it is critical.")
    ] = 6


@check(
    title="Kubelet cannot remove unused images",
    message="The kubelet of node {name} fails to remove unused images: {detail}",
    layer=2,
    events=("ImageGCFailed",),
    steps=(
        Step("Read what fails, and whether the node is under pressure.", "kubectl describe node {name}"),
        Step(
            "On the machine, see whether the runtime answers, and whether its disk is full or read-only.",
            "crictl imagefsinfo; df -h /var/lib; grep ' ro,' /proc/mounts",
        ),
        Step(
            "If single images cannot be removed, look for dead containers that hold them.",
            "crictl images; crictl ps -a --state Exited",
        ),
        Step("Remove images that no container uses. This is safe.", "crictl rmi --prune"),
    ),
    since="0.1.0",
)
def node_image_gc_failed(node: Node, events: Events, now: Now, settings: NodeImageGCFailedSettings) -> Answer:
    """The garbage collection of images on a node fails again and again.

    ## Meaning
    Every five minutes the kubelet removes unused images if the image filesystem is fuller than 85 %. That failed at
    least twice: too little could be freed, images could not be removed, or the runtime gave no figures.

    ## Impact
    Images pile up until the disk is full, and the node evicts pods. It is critical from the sixth failure within half
    an hour on, or at once while the node has disk pressure.

    ## Diagnosis
    The message tells which it is: too little freed (NodeFreeDiskSpaceFailed), no figures (NodeImageStatsUnavailable), a
    disk of no size (NodeInvalidDiskCapacity), or `errors in image deletion`.

    ## Mitigation
    Mend the runtime or its disk. Remove dead containers that hold images. Give the runtime a disk of its own, and pods
    limits of `ephemeral-storage`.

    ## Limitations
    The kubelet is silent about the first failure after its start. It is known from Events: nothing tells when it works
    again, so it counts as over after an hour without one.

    ## References
    - `pkg/kubelet/kubelet.go` (StartGarbageCollection), reason `ImageGCFailed`, 1.8 to 1.36.
    - https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle
    """
    found = reports(
        lambda one: trouble(one.message), node, events, ("ImageGCFailed",), now, minutes(settings.quiet_minutes)
    )
    if found is None or not found.often(settings.times, minutes(30)):
        return
    urgent = found.often(settings.critical_times, minutes(30)) or true_condition(node, "DiskPressure") is not None
    yield Finding(
        node,
        since=since_within(node, "DiskPressure", found.first) if found.what == "space" else found.first,
        severity=Severity.CRITICAL if urgent else Severity.WARNING,
        evidence=(found.record.evidence,),
        detail=found.record.message,
        cause=found.what,
    )
