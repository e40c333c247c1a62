"""ImageNotFound."""

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, severity_of_waiting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="An image does not exist in its registry",
    message="Container {container} of pod {name} wants image {image}, which its registry does not have: {why}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=seconds(30),
    group=by.owner,
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={"ImagePullBackOff": join.itself, "ImagePullFailed": join.itself},
    steps=(
        Step("Read the image's name letter by letter.", "kubectl -n {namespace} describe pod {name}"),
        Step("Ask the registry which tags it has.", "skopeo inspect docker://{image}"),
        Step("Put the right name into the pod template, or push the image that is missing."),
    ),
    since="0.1.0",
)
def image_not_found(pod: Pod, events: Events | None, now: Now) -> Answer:
    """The registry answers that it has no image of that name and tag.

    ## Meaning
    The registry was reached and knows the repository or the tag not: a typing error, a tag that was never pushed or was
    cleaned up, or another registry than meant.

    ## Impact
    The container never starts; trying again does not help. It is critical after ten minutes.

    ## Diagnosis
    The message of the container runtime in `kubectl describe pod` names the reference that it looked for, with the
    registry that an incomplete name stands for (`docker.io/library`).

    ## Mitigation
    Correct the reference in the pod template, or push the image.

    ## Limitations
    Registries that hide what one may not see answer `pull access denied, repository does not exist or may require
    authorization`; as that may just as well be a missing secret it is not reported here. Before 1.32 the reason is
    known only while its Event is kept, one hour by default.

    ## References
    - `manifest unknown`, `name unknown`: the error codes of the OCI distribution specification; `: not found`: the
      resolver of containerd 1.7 to 2.x; `reading manifest … manifest unknown`: CRI-O.
    - `pkg/kubelet/images/image_manager.go`, 1.30 to 1.36; the cause stands in the status since 1.32.
    """
    if pod.deleted:
        return
    for waiting in waiting_pulls(pod, events):
        if waiting.failure and waiting.failure.kind == "not found":
            yield Finding(
                pod,
                since=containers_unready_since(pod),
                severity=severity_of_waiting(pod, now),
                evidence=waiting.evidence,
                container=waiting.container.name,
                image=waiting.container.image,
                why=waiting.failure.why,
            )
            return
