"""WorkloadPodCreateForbidden."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.creation import CONTROLLERS_REASON, newest, refusal
from kubedx.checks._support.replicas import Workload, pods_of, pods_wanting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import DaemonSet, Deployment, Job, ReplicaSet, StatefulSet


class WorkloadPodCreateForbiddenSettings(Settings, frozen=True, rename="camel"):
    """Settings of WorkloadPodCreateForbidden."""

    quiet_minutes: Annotated[
        int, Meta(ge=20, le=1440, description="Minutes without another refusal after which it counts as over.")
    ] = 30


@check(
    title="Admission refuses the pods of a workload",
    message="Pods of {kind} {name} are missing ({missing}); admission refuses them: {why}",
    severity=Severity.CRITICAL,
    layer=6,
    raise_after=minutes(1),
    clear_after=minutes(0),
    group=by.owner,
    events=(CONTROLLERS_REASON,),
    explains={
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
    },
    steps=(
        Step("Read the refusals.", "kubectl -n {namespace} describe {kind} {name}"),
        Step(
            "See what the namespace enforces: pod security labels, quotas, limit ranges.",
            "kubectl get namespace {namespace} -o yaml; kubectl -n {namespace} get resourcequotas,limitranges",
        ),
        Step("Change the pod template so that it is admitted, or have the rule changed by its owner."),
    ),
    since="0.1.0",
)
def workload_pod_create_forbidden(
    workload: ReplicaSet | StatefulSet | DaemonSet | Job,
    events: Events,
    deployments: Lookup[Deployment] | None,
    settings: WorkloadPodCreateForbiddenSettings,
    now: Now,
) -> Answer:
    """A controller cannot create its pods because the API server refuses them.

    ## Meaning
    The workload's controller tries to create pods and admission answers `is forbidden`: a quota, pod security, a limit
    range, a missing ServiceAccount, PriorityClass or RuntimeClass.

    ## Impact
    The missing pods do not exist at all, so they show neither as Pending nor as failed. A rollout stops half-way. It is
    critical unless more than half of the pods are there; of a Deployment, pods of all versions that are available
    count.

    ## Diagnosis
    The `FailedCreate` events of the ReplicaSet, StatefulSet, DaemonSet or Job hold the refusal word for word.

    ## Mitigation
    Make the pod template fit the rule that the refusal names, or have the rule changed.

    ## Limitations
    The refusal is known from Events, which are kept for an hour and are repeated ever more rarely while the controller
    backs off; after half an hour without one it counts as over. A workload that has the pods it wants is never
    reported, whatever its old Events say. What admission webhooks refuse is WorkloadPodCreateFailed.

    ## References
    - `pkg/controller/controller_utils.go` (`Error creating: %v`), 1.8 to 1.36.
    - `staging/src/k8s.io/pod-security-admission`, since 1.22; SecurityContextDeny was removed in 1.30.
    """
    missing = pods_wanting(workload)
    refused = newest(refusal, workload, events, now, minutes(settings.quiet_minutes)) if missing else None
    if refused:
        yield Finding(
            workload,
            since=refused.since,
            severity=Severity.WARNING if _most_are_there(workload, deployments) else Severity.CRITICAL,
            evidence=(refused.record.evidence,),
            missing=missing,
            why=refused.what.why,
            cause=refused.what.cause,
        )


def _most_are_there(workload: Workload, deployments: Lookup[Deployment] | None) -> bool:
    owner = workload.controller
    deployment = None
    if deployments and owner and owner.kind == "Deployment":
        deployment = deployments.get(workload.namespace, owner.name)
    if deployment is not None:
        wanted, there = deployment.spec.replicas, deployment.status.available_replicas
    else:
        wanted, there = pods_of(workload)
    return 2 * there > wanted
