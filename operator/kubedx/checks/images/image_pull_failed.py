"""ImagePullFailed."""

from kubedx.checks._support.images import FAILED_REASON, failed_pulls
from kubedx.checks._support.pods import containers_unready_since, severity_of_waiting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, minutes, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="The pull of an image failed",
    message="Image {image} of container {container} in pod {name} cannot be had, as {what}: {why}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=seconds(30),
    group=by.owner,
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "ImagePullBackOff": join.itself,
        "NodeCNINotReady": join.back(join.component),
    },
    steps=(
        Step("Read what the container runtime says.", "kubectl -n {namespace} describe pod {name}"),
        Step("{remedy}"),
        Step("Then try the same pull on node {node}.", "crictl pull {image}"),
    ),
    since="0.1.0",
)
def image_pull_failed(pod: Pod, events: Events | None, now: Now) -> Answer:
    """The container runtime of a node could not get an image, and the reason is known.

    ## Meaning
    The kubelet asked the container runtime for the image and got an error, or did not ask because the image's name or
    the pod's `imagePullPolicy` forbids it. The message says which of the common reasons it is: the host is unknown or
    not reached, the name or tag does not exist, the registry asks for a login, counts too many pulls, has a certificate
    that is not trusted, or has no image for this kind of machine.

    ## Impact
    The container does not start. The kubelet tries again after ever longer pauses of up to five minutes. It is critical
    after five minutes.

    ## Diagnosis
    The waiting message of the container, or the newest `Failed` event of the pod, holds the runtime's own words.
    `crictl pull` on the node repeats the attempt without Kubernetes.

    ## Mitigation
    The second step says what to change for this reason. The pod starts by itself once the pull succeeds.

    ## Limitations
    The reason is taken from the runtime's words, which no standard fixes: what fits none of the known ones is `other`.
    Before 1.32 the pause between two attempts hides the reason; it is then known only while its Event is kept, one hour
    by default, and without it only ImagePullBackOff is reported. Of several containers the first one is named.

    ## References
    - `pkg/kubelet/images/image_manager.go` and `types.go`: `ErrImagePull`, `ImagePullBackOff`, `RegistryUnavailable`,
      `ErrImageNeverPull`, `ImageInspectError`, `InvalidImageName`, 1.30 to 1.36. The cause stands behind
      `Back-off pulling image "…": ` since 1.32.
    - `Failed to pull image "…": …`: Events of the kubelet, all versions. The reasons are those of containerd 1.7 to
      2.x, CRI-O, and Docker behind kubelets up to 1.23.
    - https://kubernetes.io/docs/concepts/containers/images/
    """
    if pod.deleted:
        return
    for failed in failed_pulls(pod, events):
        if failed.failure:
            what, remedy = failed.failure.in_words
            yield Finding(
                pod,
                since=containers_unready_since(pod),
                severity=severity_of_waiting(pod, now, minutes(5)),
                evidence=failed.evidence,
                container=failed.container.name,
                image=failed.container.image,
                node=pod.spec.node_name,
                what=what,
                remedy=remedy,
                why=failed.failure.why,
                cause=failed.failure.kind,
            )
            return
