"""NamespaceStuckTerminating."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.creation import failed_call
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, hours, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Namespace

CAUSES = {
    "NamespaceDeletionDiscoveryFailure": "discovery",
    "NamespaceDeletionGroupVersionParsingFailure": "discovery",
    "NamespaceDeletionContentFailure": "content",
    "NamespaceContentRemaining": "content",
    "NamespaceFinalizersRemaining": "content",
}
"""The conditions that tell what the deletion waits for, with the class of the reason."""

OWN_FINALIZER = "kubernetes"


class NamespaceStuckTerminatingSettings(Settings, frozen=True, rename="camel"):
    """Settings of NamespaceStuckTerminating."""

    critical_hours: Annotated[
        int, Meta(ge=1, le=720, description="Hours after its deletion after which it is critical.")
    ] = 1


@check(
    title="A deleted namespace does not go away",
    message="The namespace {name} was deleted at {deleted} and is still there: {why}",
    layer=9,
    raise_after=minutes(10),
    clear_after=minutes(0),
    when=Bit.TERMINATING,
    steps=(
        Step("Read what its deletion waits for.", "kubectl get namespace {name} -o jsonpath='{{.status.conditions}}'"),
        Step(
            "List what is left in it.",
            "kubectl api-resources --verbs=list --namespaced -o name | xargs -n 1 "
            "kubectl -n {name} get --ignore-not-found --show-kind",
        ),
        Step(
            "If an API does not answer: repair it, or delete its registration.", "kubectl get apiservices | grep False"
        ),
        Step(
            "Last resort: drop the namespace. What is left in it stays in etcd, unseen.",
            "kubectl get namespace {name} -o json | jq '.spec.finalizers=[]' | "
            "kubectl replace --raw /api/v1/namespaces/{name}/finalize -f -",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def namespace_stuck_terminating(namespace: Namespace, settings: NamespaceStuckTerminatingSettings, now: Now) -> Answer:
    """Somebody deleted a namespace, and something in it or about it keeps it.

    ## Meaning
    A namespace goes when all kinds of objects could be listed and none is left in it. An aggregated API that does not
    answer, an object with a finalizer, or a finalizer of the namespace itself holds it.

    ## Impact
    Nothing can be created in the namespace, so whoever wants to install anew under its name has to wait.

    ## Diagnosis
    The conditions of the namespace name what is left: kinds with counts, finalizers with counts, API groups that could
    not be discovered.

    ## Mitigation
    Bring back the controller whose finalizer is named, or the API that does not answer: the deletion then goes on by
    itself. Clearing `spec.finalizers` leaves orphans behind; clearing `metadata.finalizers` by a patch does not touch
    what Kubernetes itself waits for.

    ## Limitations
    The conditions are written about every 15 seconds at first and ever more rarely later, so they may be a few minutes
    behind. A namespace with many thousands of objects may need longer than ten minutes without anything being wrong.

    ## References
    - `pkg/controller/namespace/deletion/status_condition_utils.go`, since 1.16 up to 1.36.
    - https://kubernetes.io/docs/tasks/administer-cluster/namespaces/
    """
    if not namespace.deleted:
        return
    call = None
    holding = [one for one in namespace.status.conditions if one.status == "True" and one.type in CAUSES]
    foreign = [one for one in (*namespace.spec.finalizers, *namespace.metadata.finalizers) if one != OWN_FINALIZER]
    if holding:
        cause, why = CAUSES[holding[0].type], "; ".join(one.message.rstrip(". ") for one in holding)
        call = failed_call(why)
        evidence = tuple(field(namespace, f"status.conditions[{one.type}]", one.reason) for one in holding)
    elif foreign:
        cause, why = "finalizer", f"it is empty, but has finalizers of its own: {', '.join(foreign)}"
        evidence = (field(namespace, "finalizers", ", ".join(foreign)),)
    else:
        cause, why = "unknown", "it does not tell what it waits for; kube-controller-manager may not be working"
        evidence = (field(namespace, "status.phase", namespace.status.phase),)
    old = now.older(namespace.deleted, hours(settings.critical_hours))
    yield Finding(
        namespace,
        since=namespace.deleted,
        severity=Severity.CRITICAL if old else Severity.WARNING,
        evidence=evidence,
        backends=(call.backend,) if call and call.backend else (),
        deleted=namespace.deleted,
        why=why,
        cause="webhook" if call else cause,
    )
