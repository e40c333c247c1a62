"""AdmissionWebhookUnreachable."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.creation import CONTROLLERS_REASON, failed_call, newest
from kubedx.checks._support.replicas import pods_wanting
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step
from kubedx.core.inputs import Events, Now, Settings, minutes
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, StatefulSet


class AdmissionWebhookUnreachableSettings(Settings, frozen=True, rename="camel"):
    """Settings of AdmissionWebhookUnreachable."""

    quiet_minutes: Annotated[
        int, Meta(ge=20, le=1440, description="Minutes without another failed call after which it counts as over.")
    ] = 30


@check(
    title="An admission webhook does not answer",
    message="The admission webhook {name} does not answer, so {workload} gets no pods: {why}",
    severity=Severity.CRITICAL,
    layer=3,
    clear_after=minutes(0),
    events=(CONTROLLERS_REASON,),
    explains={
        "NamespaceStuckTerminating": join.service_behind.where(cause="webhook"),
        "WorkloadPodCreateFailed": join.service_behind.where(cause="webhook"),
    },
    steps=(
        Step(
            "See which configuration it belongs to.",
            "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o json | "
            "jq -r --arg name {name} '.items[] | select(any(.webhooks[]?; .name == $name)) | [.kind, .metadata.name]'",
        ),
        Step(
            "See whether what should answer runs: {backend}.",
            "kubectl get services,endpointslices,pods --all-namespaces -o wide | grep -F {backend}",
        ),
        Step("Bring it back. The controllers try again by themselves, ever more rarely: within a quarter of an hour."),
        Step(
            "In an emergency let the API server go on without it: put the name found above in place of NAME and set "
            "failurePolicy to Ignore. What the webhook enforces is not enforced meanwhile.",
            "kubectl edit validatingwebhookconfiguration NAME",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def admission_webhook_unreachable(
    workload: ReplicaSet | StatefulSet | DaemonSet | Job,
    events: Events,
    settings: AdmissionWebhookUnreachableSettings,
    now: Now,
) -> Answer:
    """The API server cannot call a webhook that has to admit objects, and so admits none.

    ## Meaning
    A webhook configuration says that the API server has to ask before it stores certain objects, and that without an
    answer the object is not stored (`failurePolicy: Fail`). No answer comes: the Service has no endpoints, the
    connection is refused or takes too long, or the certificate is not trusted.

    ## Impact
    Nothing that the webhook is asked about can be created or changed. If it is asked about pods, no pod is created
    anywhere, perhaps not even those of the webhook itself.

    ## Diagnosis
    The message says how far the call came: `no endpoints available` and `connection refused` point to the pods behind
    it, `context deadline exceeded` to the network or to a webhook that is too slow, `x509` to the `caBundle`.

    ## Mitigation
    Mend what should answer. A webhook that stands in the way of its own pods has to be taken out of the way first; give
    it a `namespaceSelector` that leaves out its own namespace.

    ## Limitations
    It is known from the Events of workloads whose pods are not created, which are kept for an hour; after half an hour
    without one it counts as over. A webhook that only other objects are sent to is not seen.

    ## References
    - `staging/src/k8s.io/apiserver/pkg/util/webhook/error.go`: `failed calling webhook %q: %v`, 1.13 to 1.36;
      `failed to call webhook: ` within it since 1.20 (`pkg/admission/plugin/webhook/{validating,mutating}`).
    - https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#failure-policy
    """
    told = (
        newest(failed_call, workload, events, now, minutes(settings.quiet_minutes)) if pods_wanting(workload) else None
    )
    if told:
        call = told.what
        yield Finding(
            Ref("AdmissionWebhook", "", call.webhook),
            since=told.since,
            evidence=(told.record.evidence,),
            backends=(call.backend,) if call.backend else (),
            workload=f"{workload.kind} {workload.namespace}/{workload.name}",
            backend=call.backend.name if call.backend else call.webhook,
            why=call.why,
        )
