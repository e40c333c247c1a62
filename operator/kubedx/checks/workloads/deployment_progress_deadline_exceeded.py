"""DeploymentProgressDeadlineExceeded."""

from kubedx.checks._support.creation import refusal
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.kube.views import Deployment

REASONS = ("ProgressDeadlineExceeded", "ReplicaSetCreateError")


@check(
    title="A rollout is stuck",
    message="The rollout of {namespace}/{name} is stuck: {updated} of {wanted} pods are new, {available} available; "
    "{detail}",
    severity=Severity.CRITICAL,
    layer=6,
    explains={"WorkloadUnavailable": join.same_owner},
    steps=(
        Step("See what the rollout says.", "kubectl -n {namespace} describe deployment {name}"),
        Step("See what its newest pods say.", "kubectl -n {namespace} get pods --sort-by=.metadata.creationTimestamp"),
        Step(
            "Go back to the version before. This replaces the new pods.",
            "kubectl -n {namespace} rollout undo deployment {name}",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def deployment_progress_deadline_exceeded(deployment: Deployment) -> Answer:
    """A Deployment's rollout made no progress within its deadline.

    ## Meaning
    For `spec.progressDeadlineSeconds`, ten minutes by default, no further pod of the new version became available; or
    the new ReplicaSet could not be created.

    ## Impact
    The new version is not out. The pods of the old one go on as far as the rollout strategy keeps them: then it is a
    warning, and critical if too few pods are available.

    ## Diagnosis
    The reason is with the newest pods: they wait for an image, for a node, for a ConfigMap, or crash, or never become
    ready. If they do not exist at all, the events of the newest ReplicaSet tell why.

    ## Mitigation
    Mend the new pods, or go back with `kubectl rollout undo`.

    ## Limitations
    It says nothing before the deadline has passed, and nothing about paused rollouts. A version that needs longer to
    start than the deadline allows is reported until it is there.

    ## References
    - `pkg/controller/deployment/progress.go`, `pkg/controller/deployment/sync.go`, 1.8 to 1.36: `ReplicaSet "x" has
      timed out progressing.` and `ReplicaSetCreateError`.
    - https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment
    """
    condition = deployment.condition("Progressing")
    if not condition or condition.status != "False" or condition.reason not in REASONS or deployment.deleted:
        return
    available, failure = deployment.condition("Available"), deployment.condition("ReplicaFailure")
    served = available is not None and available.status == "True"
    refused = refusal(failure.message) if failure and failure.status == "True" else None
    since = condition.last_transition_time
    yield Finding(
        deployment,
        since=since,
        severity=Severity.WARNING if served else Severity.CRITICAL,
        evidence=(field(deployment, "status.conditions[Progressing]", condition.reason, since),),
        updated=deployment.status.updated_replicas,
        wanted=deployment.spec.replicas,
        available=deployment.status.available_replicas,
        detail=condition.message,
        cause=refused.cause if refused else "deadline",
    )
