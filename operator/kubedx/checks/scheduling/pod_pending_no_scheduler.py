"""PodPendingNoScheduler."""

from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_DEFAULT = "default-scheduler"


@check(
    title="No scheduler looks at a new pod",
    message="Pod {name} was created at {created}, and its scheduler, {scheduler}, has said nothing about it",
    severity=Severity.CRITICAL,
    layer=5,
    raise_after=minutes(2),
    group=by.cluster,
    when=Bit.PENDING,
    events=("FailedScheduling", "Scheduled"),
    explains={"WorkloadUnavailable": join.same_owner},
    steps=(
        Step(
            "See whether the default scheduler renews its lease; one that is older than a minute has no owner.",
            "kubectl -n kube-system get lease kube-scheduler -o yaml; "
            "kubectl -n kube-system get pods -l component=kube-scheduler",
        ),
        Step("See which scheduler the pod asks for.", "kubectl -n {namespace} get pod {name} -o yaml"),
        Step(
            "Bring that scheduler back; its log tells why it stopped. A pod that asks for one that nobody runs needs "
            "another spec.schedulerName: correct its template."
        ),
    ),
    since="0.1.0",
)
def pod_pending_no_scheduler(pod: Pod, events: Events | None) -> Answer:
    """A pod waits for a node, and for two minutes no scheduler has said anything about it.

    ## Meaning
    A scheduler either gives a pod a node or says why not, within seconds. This pod has neither a node nor a condition
    PodScheduled nor an event: kube-scheduler is down or cannot reach the API server, or the pod asks with
    `spec.schedulerName` for a scheduler that is not there.

    ## Impact
    No new pod starts; what runs goes on. After the loss of a node nothing is replaced. This is critical.

    ## Diagnosis
    If pods of all namespaces are silent, it is kube-scheduler: look at its lease and its log. If only pods with another
    `schedulerName` are, it is that one.

    ## Mitigation
    Bring the scheduler back: its static pod, its kubeconfig, its certificate. Correct `schedulerName` where it is a
    slip.

    ## Limitations
    A scheduler with a very long queue may take longer than two minutes before it looks at a pod for the first time.
    Some schedulers of others, for batches of pods, set no condition while they hold pods back.

    ## References
    - `pkg/scheduler/schedule_one.go` sets the condition with the first failure, `pkg/registry/core/pod/strategy.go` for
      pods with scheduling gates, 1.26 to 1.36.
    - https://kubernetes.io/docs/tasks/debug/debug-cluster/
    """
    waits = pod.status.phase == "Pending" and not pod.spec.node_name and not pod.deleted
    if not waits or pod.condition("PodScheduled") or (events and events.about(pod, "FailedScheduling", "Scheduled")):
        return
    scheduler = pod.spec.scheduler_name or _DEFAULT
    yield Finding(
        pod,
        since=pod.created,
        evidence=(
            field(pod, "spec.nodeName", "not set", pod.created),
            field(pod, "spec.schedulerName", scheduler),
        ),
        created=pod.created or "an unknown time",
        scheduler=scheduler,
    )
