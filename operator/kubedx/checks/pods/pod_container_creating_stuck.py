"""PodContainerCreatingStuck."""

from kubedx.checks._support.pods import containers_unready_since
from kubedx.checks._support.sandboxes import CREATING, SANDBOX_REASON, stable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import EventRecord, Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_ATTACH = "FailedAttachVolume"
_REASONS = (SANDBOX_REASON, _ATTACH, "FailedCreatePodContainer", "FailedMount", "NetworkNotReady")
_LATE = minutes(15)
_LASTING = minutes(2)


@check(
    title="The containers of a pod are not created",
    message="The containers of pod {name} have been waiting to be created on node {node} since {at}: {why}",
    severity=Severity.WARNING,
    layer=5,
    raise_after=minutes(5),
    group=by.owner,
    when=Bit.WAITING,
    events=_REASONS,
    explains={
        "DaemonSetUnavailable": join.itself,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "ServiceNoReadyEndpoints": join.selected_pods,
    },
    steps=(
        Step("Read the events of the pod.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See whether other pods of this node start.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
        ),
        Step(
            "On the machine, see whether an image is being pulled or a mount hangs.",
            "crictl images; journalctl -u kubelet --since -15min | grep {name}",
        ),
    ),
    since="0.1.0",
)
def pod_container_creating_stuck(pod: Pod, events: Events | None, now: Now) -> Answer:
    """A pod is bound to a node, and its containers are not created there.

    ## Meaning
    Before it creates containers the kubelet mounts the pod's volumes, has its sandbox made and pulls its images. One of
    these does not end.

    ## Impact
    The pod does no work. It is critical after 15 minutes.

    ## Diagnosis
    The events of the pod name what the kubelet waits for. Where another check knows the reason, such as
    PodSandboxCreateFailed or PodConfigMissing, this finding stands below it.

    ## Mitigation
    Mend what the events name. The kubelet tries again by itself.

    ## Limitations
    A pod of which Events do not complain for two minutes at least is reported only after 15, as it may pull a large
    image. One whose init containers run, or of which a container waits for another reason, is not judged here.

    ## References
    - `pkg/kubelet/kubelet_pods.go`: the reasons `ContainerCreating` and `PodInitializing`, 1.5 to 1.36.
    - https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/
    """
    reason = _creating(pod)
    if pod.deleted or pod.finished or not pod.spec.node_name or not reason:
        return
    since = containers_unready_since(pod)
    late = now.older(since, _LATE)
    said = [one for one in events.about(pod, *_REASONS) if not now.older(one.last, _LATE)] if events else []
    if late or any(map(_lasts, said)):
        yield Finding(
            pod,
            since=since,
            severity=Severity.CRITICAL if late and said else Severity.WARNING,
            evidence=(field(pod, "status.containerStatuses", reason, since), *(one.evidence for one in said[:1])),
            at=since or "its start",
            node=pod.spec.node_name,
            why=f"{said[0].reason}: {stable(said[0].message)}" if said else "the kubelet complains of nothing",
        )


def _lasts(record: EventRecord) -> bool:
    """Whether it is more than a hiccup, as mounts have when the kubelet has just heard of a pod.

    That a volume cannot be attached is said once, even if it lasts.
    """
    lasts = record.first and record.last and record.last - record.first >= _LASTING
    return bool(lasts) or record.reason == _ATTACH


def _creating(pod: Pod) -> str:
    """The reason for which all containers that did not end wait, where it is that of containers to be created."""
    waiting = [one.state.waiting for one in pod.containers if not one.state.terminated]
    reasons = {one.reason if one else "" for one in waiting}
    return min(reasons, default="") if reasons <= CREATING else ""
