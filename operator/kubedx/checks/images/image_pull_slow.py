"""ImagePullSlow."""

import re
from typing import Annotated

from msgspec import Meta

from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_BEGAN, _ENDED = "Pulling", "Pulled"
_IMAGE = re.compile(r'^(?:Pulling|Successfully pulled) image "(?P<image>[^"]+)"')


class ImagePullSlowSettings(Settings, frozen=True, rename="camel"):
    """Settings of ImagePullSlow."""

    slow_minutes: Annotated[int, Meta(ge=1, le=240, description="Minutes after which a pull counts as slow.")] = 5
    warning_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Minutes after which a slow pull is a warning.")
    ] = 10


@check(
    title="The pull of an image takes long",
    message="Node {node} pulls image {image} for container {container} of pod {name} since {began}",
    severity=Severity.INFO,
    layer=4,
    group=by.owner,
    when=Bit.WAITING,
    events=(_BEGAN, _ENDED),
    explains={"DeploymentProgressDeadlineExceeded": join.same_owner, "PodContainerCreatingStuck": join.itself},
    steps=(
        Step("See what the pod waits for.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See whether other pods of the node wait too.", "kubectl get pods -A --field-selector spec.nodeName={node}"
        ),
        Step(
            "On the node, see the size of the image once it is there, and how busy disk and network are.",
            "crictl images",
        ),
        Step(
            "Make the image smaller, keep a mirror near the nodes, or pull it beforehand. Where many pulls wait for "
            "one another, set serializeImagePulls: false and maxParallelImagePulls of the kubelet."
        ),
    ),
    since="0.1.0",
)
def image_pull_slow(pod: Pod, events: Events, now: Now, settings: ImagePullSlowSettings) -> Answer:
    """A container waits for its image, whose pull began a while ago and has neither ended nor failed.

    ## Meaning
    The kubelet told the container runtime to pull the image, and nothing came of it yet: the image is large, the way to
    the registry is narrow, the disk is slow, or other pulls of the node come first.

    ## Impact
    The pod starts later; a rollout may run out of its time. It is a warning after ten minutes.

    ## Diagnosis
    The `Pulling` event tells when it began. When it is over, the `Pulled` event says how long it took, how much of that
    was waiting for other pulls, and since 1.30 how large the image is.

    ## Mitigation
    Smaller images, a mirror in the same network, images pulled beforehand by a DaemonSet, or parallel pulls. Disks with
    burst credits, as clouds sell them, are slow when the credits are spent.

    ## Limitations
    How far the pull has come is not known. A pull that is over is not reported, however long it took. Without
    Events, which are kept for an hour, nothing is known: a pull of more than an hour is no longer reported.

    ## References
    - `Pulling image "…"`, `Successfully pulled image "…" in …`: `pkg/kubelet/images/image_manager.go`, 1.30 to 1.36.
    - https://kubernetes.io/docs/concepts/containers/images/#serial-and-parallel-image-pulls
    """
    if pod.deleted:
        return
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting is None or waiting.reason not in {"ContainerCreating", "PodInitializing"}:
            continue
        began = _of(container.image, events.about(pod, _BEGAN))
        ended = _of(container.image, events.about(pod, _ENDED)) if began else None
        if began is None or (ended and ended.last and began.last and ended.last >= began.last):
            continue
        if now.older(began.last, minutes(settings.slow_minutes)):
            yield Finding(
                pod,
                since=began.last,
                severity=Severity.WARNING
                if now.older(began.last, minutes(settings.warning_minutes))
                else Severity.INFO,
                evidence=(began.evidence,),
                container=container.name,
                image=container.image,
                node=pod.spec.node_name,
                began=began.last or "an unknown time",
            )
            return


def _of(image: str, records: tuple[EventRecord, ...]) -> EventRecord | None:
    """The newest record about an image."""
    return next((one for one in records if (match := _IMAGE.match(one.message)) and match["image"] == image), None)
