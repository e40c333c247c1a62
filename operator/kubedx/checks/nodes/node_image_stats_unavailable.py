"""NodeImageStatsUnavailable."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.garbage import trouble
from kubedx.checks._support.reports import reports
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Node


class NodeImageStatsUnavailableSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeImageStatsUnavailable."""

    quiet_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes without another failure after which it counts as over.")
    ] = 60
    times: Annotated[int, Meta(ge=1, le=100, description="Failures within half an hour that are worth a word.")] = 2


@check(
    title="Container runtime does not tell how much room its images take",
    message="The kubelet of node {name} does not learn from its container runtime how much room images take: {detail}",
    layer=2,
    events=("ImageGCFailed",),
    explains={"NodeImageGCFailed": join.same_node.where(cause="stats")},
    steps=(
        Step("Read what fails.", "kubectl describe node {name}"),
        Step(
            "On the machine, see how long the runtime takes to answer.", "time crictl imagefsinfo; time crictl images"
        ),
        Step(
            "On the machine, see whether disk or CPU keep it waiting.",
            "cat /proc/pressure/io /proc/pressure/cpu; top -bn1",
        ),
        Step(
            "If it hangs, restart the runtime, then the kubelet. Containers keep running.",
            "systemctl restart containerd && systemctl restart kubelet",
        ),
    ),
    since="0.1.0",
)
def node_image_stats_unavailable(
    node: Node, events: Events, now: Now, settings: NodeImageStatsUnavailableSettings
) -> Answer:
    """The container runtime answers too late, or not at all, when the kubelet asks about its images.

    ## Meaning
    Before the kubelet removes unused images it asks the runtime how full the image filesystem is. That failed at least
    twice within half an hour: the runtime is slow, hangs, or reads from a slow disk.

    ## Impact
    Unused images are not removed, and thresholds for the disk are not watched. The same slowness delays the start of
    containers.

    ## Diagnosis
    On the machine, `crictl imagefsinfo` is slow or fails. Thousands of images or containers, a saturated disk and a
    saturated CPU are the usual reasons.

    ## Mitigation
    Relieve the disk or the CPU, remove what is unused, restart the runtime if it hangs.

    ## Limitations
    It is known from Events: nothing tells when the runtime answers again, so it counts as over after an hour without
    one.

    ## References
    - `pkg/kubelet/images/image_gc_manager.go`, `pkg/kubelet/stats/cri_stats_provider.go`: the runtime's own error, or
      `failed to get image stats: …` and `failed to get imageFs info: …` of older kubelets, 1.8 to 1.36.
    - https://kubernetes.io/docs/concepts/architecture/garbage-collection/
    """
    found = reports(_no_stats, node, events, ("ImageGCFailed",), now, minutes(settings.quiet_minutes))
    if found and found.often(settings.times, minutes(30)):
        yield Finding(node, since=found.first, evidence=(found.record.evidence,), detail=found.what)


def _no_stats(record: EventRecord) -> str | None:
    return record.message if trouble(record.message) == "stats" else None
