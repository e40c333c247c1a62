"""WorkloadPodCreateFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.creation import (
    CONTROLLERS_REASON,
    failed_call,
    failure,
    name_too_long,
    newest,
    too_large,
)
from kubedx.checks._support.replicas import pods_wanting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import Events, Now, Settings, minutes
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, StatefulSet


class WorkloadPodCreateFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of WorkloadPodCreateFailed."""

    attempts: Annotated[int, Meta(ge=1, le=100, description="Failed attempts from which on it is reported.")] = 3
    quiet_minutes: Annotated[
        int, Meta(ge=20, le=1440, description="Minutes without another failed attempt after which it counts as over.")
    ] = 30


@check(
    title="A workload's pods cannot be created",
    message="Pods of {kind} {name} are missing ({missing}); creating them fails: {why}",
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
        Step("Read what the API server answers.", "kubectl -n {namespace} describe {kind} {name}"),
        Step(
            "Try it by hand: a pod of the same template gets the same answer.",
            "kubectl -n {namespace} get {kind} {name} -o jsonpath='{{.spec.template}}'",
        ),
        Step("Mend what the answer names: an admission webhook, a name that is too long, a field that is not valid."),
    ),
    since="0.1.0",
)
def workload_pod_create_failed(
    workload: ReplicaSet | StatefulSet | DaemonSet | Job,
    events: Events,
    settings: WorkloadPodCreateFailedSettings,
    now: Now,
) -> Answer:
    """A controller cannot create its pods, and admission by the API server itself is not the reason.

    ## Meaning
    The workload's controller tries to create pods and fails: an admission webhook does not answer or says no, the pod
    is not valid, the API server is overloaded.

    ## Impact
    The missing pods do not exist at all, so they show neither as Pending nor as failed. A rollout stops half-way.

    ## Diagnosis
    The `FailedCreate` events of the ReplicaSet, StatefulSet, DaemonSet or Job hold the answer word for word.

    ## Mitigation
    Mend what the answer names. The controllers try again by themselves, ever more rarely.

    ## Limitations
    It is known from Events, which are kept for an hour; after half an hour without one it counts as over. A single
    failure is not reported, as it mostly passes. What the API server forbids is WorkloadPodCreateForbidden.

    ## References
    - `pkg/controller/controller_utils.go` (`Error creating: %v`), `pkg/controller/statefulset/stateful_pod_control.go`
      (`create Pod %s in StatefulSet %s failed error: %s`), 1.8 to 1.36.
    """
    missing = pods_wanting(workload)
    told = newest(failure, workload, events, now, minutes(settings.quiet_minutes)) if missing else None
    if told and told.count >= settings.attempts:
        call = failed_call(told.what)
        yield Finding(
            workload,
            since=told.since,
            evidence=(told.record.evidence,),
            backends=(call.backend,) if call and call.backend else (),
            missing=missing,
            why=told.what,
            cause=_cause(told.what),
        )


def _cause(message: str) -> str:
    if failed_call(message):
        return "webhook"
    if name_too_long(message):
        return "name"
    return "too large" if too_large(message) else "other"
