"""ImagePullBackOff."""

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, severity_of_waiting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_UNKNOWN_CAUSE = "the kubelet keeps the reason in its Events"


@check(
    title="An image cannot be pulled",
    message="Container {container} of pod {name} cannot start because its image {image} is not pulled: {why}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=minutes(2),
    group=by.owner,
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={
        "CloudControllerManagerDown": join.component,
        "ClusterDNSDown": join.component,
        "DaemonSetUnavailable": join.same_owner,
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "KubeProxyDown": join.itself,
        "PodNotReady": join.itself,
        "ServiceNoReadyEndpoints": join.selected_pods,
        "StatefulSetRolloutStuck": join.same_owner,
        "WorkloadUnavailable": join.same_owner,
    },
    steps=(
        Step("Read what the container runtime says.", "kubectl -n {namespace} describe pod {name}"),
        Step("Try the same pull on the node.", "crictl pull {image}"),
        Step("Compare the image's name and tag with what the registry has, and check the pod's pull secrets."),
    ),
    since="0.1.0",
)
def image_pull_back_off(pod: Pod, events: Events | None, now: Now) -> Answer:
    """A container waits because its image is not pulled, whatever the reason.

    ## Meaning
    The kubelet asked the container runtime to pull the image, this failed, and the kubelet tries again after ever
    longer pauses of up to five minutes. Checks such as ImageNotFound name the reason where it is known.

    ## Impact
    The container does not start. A pod that is new serves nothing; a rollout does not go on. It is critical after ten
    minutes.

    ## Diagnosis
    `kubectl describe pod` shows the runtime's message word for word. `crictl pull` on the node repeats the attempt.

    ## Mitigation
    Correct the image's name or tag, the pull secret, or the way from the node to the registry. The kubelet tries
    again by itself; deleting the pod only makes it try at once.

    ## Limitations
    The time is that of the pod's containers, as a waiting container has none of its own: a pod whose init containers
    ran for long before the first pull is reported without waiting. Images that are not there and may not be pulled
    (`imagePullPolicy: Never`) and names that no registry can have are other problems.

    ## References
    - `pkg/kubelet/images/image_manager.go` and `types.go`: `Back-off pulling image "…"`, 1.30 to 1.36; the cause is
      appended (`…: ErrImagePull: …`) since 1.32.
    - https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff
    """
    if pod.deleted:
        return
    for waiting in waiting_pulls(pod, events):
        yield Finding(
            pod,
            since=containers_unready_since(pod),
            severity=severity_of_waiting(pod, now),
            evidence=waiting.evidence,
            container=waiting.container.name,
            image=waiting.container.image,
            why=waiting.failure.why if waiting.failure else _UNKNOWN_CAUSE,
            cause=waiting.failure.kind if waiting.failure else "unknown",
        )
        return
