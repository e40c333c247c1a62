"""ImageParentSnapshotMissing."""

from collections.abc import Iterator
from datetime import datetime

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.checks._support.sandboxes import PARENT_MISSING, SANDBOX_REASON, failing_sandbox
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Events, Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_PAUSE = "pause"
"""What stands for the image of sandboxes, whose name the message does not tell."""


@check(
    title="Layers of an image are lost on a node",
    message="Node {node} has lost layers that image {image} of pod {name} builds on: {why}",
    severity=Severity.WARNING,
    layer=4,
    group=by.node,
    when=Bit.NOT_READY,
    events=(FAILED_REASON, SANDBOX_REASON),
    explains={
        "ImagePullBackOff": join.itself,
        "ImagePullFailed": join.itself,
        "PodCreateContainerError": join.itself,
        "PodSandboxCreateFailed": join.itself,
    },
    steps=(
        Step("See which pods of this node it concerns.", "kubectl get pods -A --field-selector spec.nodeName={node}"),
        Step("On the machine, remove the image, so that it is pulled as a whole.", "crictl images; crictl rmi {image}"),
        Step(
            "On the machine, see whether the runtime uses the snapshotter that pulled the images.",
            "grep -n snapshotter /etc/containerd/config.toml; ctr plugins ls | grep snapshotter",
        ),
        Step(
            "If it concerns many images, move the work away and empty the store of the runtime. This evicts every pod "
            "of the node; all its images are pulled again.",
            "kubectl drain {node} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def image_parent_snapshot_missing(pod: Pod, events: Events | None, now: Now) -> Answer:
    """The container runtime knows an image and has lost a part of what it is built on.

    ## Meaning
    The metadata of the runtime names a snapshot, one layer of an image, that is gone: the store was cleaned by hand,
    the disk was full or failed, the snapshotter was changed, or a remote snapshotter (stargz, nydus) lost its mount.

    ## Impact
    Pods with this image do not start on this node. Elsewhere they do.

    ## Diagnosis
    One image points at an interrupted pull; many images at the store, its disk or a changed `snapshotter` setting.

    ## Mitigation
    Remove the image on the node with `crictl rmi`, so that it is pulled as a whole. If many images are concerned, drain
    the node and let the runtime begin with an empty store.

    ## Limitations
    Before Kubernetes 1.32 the reason of a failed pull is known only while its Event is kept, one hour by default.

    ## References
    - containerd `core/metadata/snapshot.go`: `parent snapshot … does not exist: not found`, 1.0 to 2.x;
      `missing parent "…" bucket: not found`.
    - https://github.com/containerd/containerd/issues/3787
    """
    if pod.deleted or pod.finished:
        return
    for since, evidence, image, why in _losses(pod, events, now):
        yield Finding(pod, since=since, evidence=evidence, node=pod.spec.node_name, image=image, why=why)
        return


_Loss = tuple[datetime | None, tuple[Evidence, ...], str, str]


def _losses(pod: Pod, events: Events | None, now: Now) -> Iterator[_Loss]:
    since = containers_unready_since(pod)
    for pull in waiting_pulls(pod, events):
        if pull.failure and pull.failure.kind == "local content" and PARENT_MISSING.search(pull.failure.why):
            yield since, pull.evidence, pull.container.image, pull.failure.why
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting and waiting.reason == "CreateContainerError" and PARENT_MISSING.search(waiting.message):
            path = f"{status_path(pod, container)}.state.waiting"
            yield since, (field(pod, path, f"{waiting.reason}: {waiting.message}"),), container.image, waiting.message
    failing = failing_sandbox(pod, events, now, "snapshot") if events else None
    if failing:
        yield failing.since, failing.evidence, _PAUSE, failing.failure.why
