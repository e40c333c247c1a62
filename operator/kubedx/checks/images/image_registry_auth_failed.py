"""ImageRegistryAuthFailed."""

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, severity_of_waiting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.images import registry
from kubedx.kube.views import Pod


@check(
    title="A registry does not give an image to a pod",
    message="Registry {registry} does not give image {image} to pod {name}, which {secrets}: {why}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=seconds(30),
    group=by.owner,
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={"ImagePullFailed": join.itself},
    steps=(
        Step("See the image's name and the pull secrets of the pod.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See which pull secrets the namespace has.",
            "kubectl -n {namespace} get secrets --field-selector type=kubernetes.io/dockerconfigjson",
        ),
        Step(
            "Make one for this registry, and name it in imagePullSecrets of the pod template or service account. "
            "Put the real ones in place of USER and PASSWORD.",
            "kubectl -n {namespace} create secret docker-registry registry-login --docker-server={registry} "
            "--docker-username=USER --docker-password=PASSWORD",
        ),
        Step("If the image is public, correct its name: registries answer the same for one that does not exist."),
    ),
    since="0.1.0",
)
def image_registry_auth_failed(pod: Pod, events: Events | None, now: Now) -> Answer:
    """A registry refuses to give an image to whoever asks with the pod's pull secrets.

    ## Meaning
    The registry was reached and wants a login, or does not allow this one to read the repository: the pod names no pull
    secret, the secret is for another registry or has a password that is no longer valid, or the repository does not
    exist and the registry does not say so.

    ## Impact
    The container never starts, on no node that does not have the image already. It is critical after ten minutes.

    ## Diagnosis
    The message tells which pull secrets the pod names. `no basic auth credentials` means that none of them is for this
    registry, `pull access denied` and `insufficient_scope` that they are not enough, or that the name is wrong.

    ## Mitigation
    Create a pull secret and name it in `imagePullSecrets`. For the registry of a cloud, let the kubelet's credential
    provider do it: the node's role must be allowed to read the repository. Copying a login to
    `/var/lib/kubelet/config.json` gives it to every pod of the node.

    ## Limitations
    What is in a pull secret is never read, so whether it is for this registry, and still valid, is not known.
    docker.io answers alike for private images and for those that do not exist. A pull secret that does not exist at all
    is PodConfigMissing. Before 1.32 the reason is known only while its Event is kept, one hour by default.

    ## References
    - `pull access denied, repository does not exist or may require authorization`, `insufficient_scope: authorization
      failed`: containerd 1.7 to 2.x, `core/remotes/docker/{authorizer,resolver}.go`.
    - `no basic auth credentials`: Docker and the registries of clouds; `unauthorized: authentication required`,
      `denied: …`: the error codes of the OCI distribution specification.
    - https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
    """
    if pod.deleted:
        return
    for waiting in waiting_pulls(pod, events):
        if waiting.failure and waiting.failure.kind == "denied":
            yield Finding(
                pod,
                since=containers_unready_since(pod),
                severity=severity_of_waiting(pod, now),
                evidence=waiting.evidence,
                image=waiting.container.image,
                registry=registry(waiting.container.image),
                secrets=_secrets(pod),
                why=waiting.failure.why,
            )
            return


def _secrets(pod: Pod) -> str:
    named = [one.name for one in pod.spec.image_pull_secrets if one.name]
    if not named:
        return "names no pull secret"
    return f"names the pull secret{'s' if len(named) > 1 else ''} {', '.join(named)}"
