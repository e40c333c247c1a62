"""QuotaExceeded."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.creation import CONTROLLERS_REASON, newest, over_quota, refusal
from kubedx.checks._support.replicas import pods_wanting
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Ref, Step, field
from kubedx.core.inputs import Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, ResourceQuota, StatefulSet


class QuotaExceededSettings(Settings, frozen=True, rename="camel"):
    """Settings of QuotaExceeded."""

    quiet_minutes: Annotated[
        int, Meta(ge=20, le=1440, description="Minutes without another refusal after which it counts as over.")
    ] = 30


@check(
    title="A quota keeps workloads from creating their pods",
    message="{kind} {name} keeps {workload} from creating its pods: {why}",
    layer=0,
    raise_after=minutes(1),
    clear_after=minutes(0),
    events=(CONTROLLERS_REASON,),
    explains={
        "DeploymentProgressDeadlineExceeded": join.same_namespace.where(cause="quota"),
        "PVCPending": join.same_namespace.where(cause="quota"),
        "WorkloadPodCreateForbidden": join.same_namespace.where(cause="quota"),
    },
    steps=(
        Step("See what the quotas allow and what is used.", "kubectl -n {where} describe resourcequotas"),
        Step("See what uses it.", "kubectl -n {where} get pods,persistentvolumeclaims"),
        Step("If pods must state requests or limits: add them to the template, or give the namespace a LimitRange."),
        Step("Remove what nobody needs, or have the quota raised.", "kubectl -n {where} edit resourcequota"),
    ),
    since="0.1.0",
)
def quota_exceeded(
    workload: ReplicaSet | StatefulSet | DaemonSet | Job,
    events: Events,
    quotas: Lookup[ResourceQuota] | None,
    settings: QuotaExceededSettings,
    now: Now,
) -> Answer:
    """A ResourceQuota refuses the pods, or the claims, of workloads in its namespace.

    ## Meaning
    The namespace may not use more of something than its quota says, and workloads ask for more. Or the quota limits a
    resource, so that every pod must say how much of it it wants, and these pods do not.

    ## Impact
    The pods are not created at all: they show neither as Pending nor as failed. Scaling up, rollouts and Jobs stop.

    ## Diagnosis
    The `FailedCreate` events of the workloads name the quota and its figures; `kubectl describe resourcequotas` shows
    them side by side.

    ## Mitigation
    Raise the quota, use less, or state requests and limits. The controllers try again by themselves, ever more rarely:
    after up to a quarter of an hour.

    ## Limitations
    A quota that is full and that nobody runs into is as it should be and is not reported. The refusal is known from
    Events; one whose limit differs from the quota's present one counts as over. When room was made by removing
    something, this shows only when the workload has its pods.

    ## References
    - `staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go`: `exceeded quota: `,
      `failed quota: `, `insufficient quota to consume: `, 1.20 to 1.36.
    - https://kubernetes.io/docs/concepts/policy/resource-quotas/
    """
    refused = (
        newest(refusal, workload, events, now, minutes(settings.quiet_minutes)) if pods_wanting(workload) else None
    )
    over = over_quota(refused.what.why) if refused else None
    if refused is None or over is None:
        return
    subject: ResourceQuota | Ref = Ref("Namespace", "", workload.namespace)
    evidence: tuple[Evidence, ...] = (refused.record.evidence,)
    if over.quota:
        quota = quotas.get(workload.namespace, over.quota) if quotas else None
        if quotas and (quota is None or not _still_limits(quota, over.limits)):
            return
        subject = quota or Ref("ResourceQuota", workload.namespace, over.quota)
        evidence += tuple(field(quota, f"status.hard[{name}]", limit) for name, limit in over.limits if quota)
    yield Finding(
        subject,
        since=refused.since,
        evidence=evidence,
        workload=f"{workload.kind} {workload.name}",
        why=over.why,
        where=workload.namespace,
    )


def _still_limits(quota: ResourceQuota, limits: tuple[tuple[str, str], ...]) -> bool:
    return all(str(quota.status.hard.get(name)) == limit for name, limit in limits)
