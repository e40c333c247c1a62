"""ResourceFinalizerStuck."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.finalizers import of_rancher
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Object, Settings, hours, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import PersistentVolumeClaim, Pod

BY_DESIGN = {
    "foregroundDeletion": "the objects that it owns have to go first",
    "karpenter.sh/termination": "its pods are being moved away",
    "kubernetes.io/pv-protection": "a claim is bound to it",
}
"""Finalizers that mean waiting for other objects, with what they wait for."""

OF_BALANCERS = "service.kubernetes.io/load-balancer-cleanup"
KEEPERS = {
    "batch.kubernetes.io/job-tracking": "the Job controller has not counted it",
    "customresourcecleanup.apiextensions.k8s.io": "objects of this kind are left",
    "external-provisioner.volume.kubernetes.io/finalizer": "its provisioner has not deleted the volume",
    "kubernetes.io/pv-controller": "kube-controller-manager has not deleted the volume",
    "networking.k8s.io/service-cidr-finalizer": "Services have addresses of it",
    "orphan": "the garbage collector has not released what it owns",
    "resource.kubernetes.io/delete-protection": "pods use it",
    OF_BALANCERS: "the cloud controller has not removed its load balancer",
    **BY_DESIGN,
}
"""What it means that a finalizer of Kubernetes itself stays."""

CONTROLLER_MANAGER = "kube-controller-manager"
ITS_OWN = frozenset({
    "batch.kubernetes.io/job-tracking", "foregroundDeletion", "kubernetes.io/pv-controller",
    "kubernetes.io/pv-protection", "networking.k8s.io/service-cidr-finalizer", "orphan",
    "resource.kubernetes.io/delete-protection",
})  # fmt: skip
"""The finalizers that kube-controller-manager takes off."""

CLAIMS_OWN = "kubernetes.io/pvc-protection"
"""The finalizer of claims that has a check of its own."""


class ResourceFinalizerStuckSettings(Settings, frozen=True, rename="camel"):
    """Settings of ResourceFinalizerStuck."""

    critical_hours: Annotated[
        int, Meta(ge=1, le=720, description="Hours after its deletion after which it is critical.")
    ] = 24


@check(
    title="A finalizer keeps a deleted object",
    message="{kind} {name} was deleted at {deleted} and waits for {finalizers}: {why}",
    layer=3,
    raise_after=minutes(10),
    clear_after=minutes(0),
    group=by.owner,
    when=Bit.TERMINATING,
    explains={
        "NamespaceStuckTerminating": join.same_namespace,
        "PVCStuckTerminating": join.itself,
        "PodStuckTerminating": join.itself,
    },
    steps=(
        Step("See the object with its finalizers.", "kubectl -n {namespace} get {kind} {name} -o yaml"),
        Step("Find the controller that the finalizer's name points to, and bring it back: it does the rest."),
        Step(
            "Only if that controller is gone for good and what it would have cleaned up is cleaned up by hand: "
            "remove all finalizers.",
            "kubectl -n {namespace} patch {kind} {name} --type=merge "
            """-p '{{"metadata":{{"finalizers":null}}}}'""",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def resource_finalizer_stuck(subject: Object, settings: ResourceFinalizerStuckSettings, now: Now) -> Answer:
    """Somebody deleted an object, and a controller that wants to clean up first has not done so.

    ## Meaning
    A finalizer is a promise of some controller to clean something up before the object goes. The object has been marked
    as deleted for ten minutes and the promise has not been kept: mostly because the controller is not there any more.

    ## Impact
    The object stays, cannot be changed back and cannot be created anew; its namespace cannot be deleted either.

    ## Diagnosis
    The finalizer's name tells whose it is: a domain such as `example.com/…` belongs to the operator of that name. Look
    for its Deployment and its log. `foregroundDeletion` waits for objects that this one owns.

    ## Mitigation
    Bring the controller back, if only for this. Removing the finalizer by hand leaves behind what it would have
    removed: volumes, load balancers, records outside the cluster.

    ## Limitations
    Only kinds that kubedx watches are looked at; while one of them cannot be read, the check counts as skipped for that
    kind and judges the others. Pods count when their containers have ended. Waiting that is by
    design, for dependents, a bound claim or a drain, is information and no warning. Claims that are in use are left to
    PVCStuckTerminating, the finalizers in a namespace's spec to NamespaceStuckTerminating, and those of Rancher to
    RancherFinalizersRemaining.

    ## References
    - https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
    - `staging/src/k8s.io/api/core/v1`, `component-helpers/storage/volume/pv_helpers.go`,
      `cloud-provider/service/helpers/helper.go`, 1.20 to 1.36.
    """
    others = CLAIMS_OWN if isinstance(subject, PersistentVolumeClaim) else ""
    found = [one for one in subject.metadata.finalizers if one != others and not of_rancher(one)]
    still_running = isinstance(subject, Pod) and subject.metadata.deletion_grace_period_seconds != 0
    if not subject.deleted or not found or still_running:
        return
    blamed = next((one for one in found if one not in BY_DESIGN), "")
    severity = Severity.WARNING
    if not blamed:
        severity = Severity.INFO
    elif now.older(subject.deleted, hours(settings.critical_hours)):
        severity = Severity.CRITICAL
    yield Finding(
        subject,
        since=subject.deleted,
        severity=severity,
        evidence=(field(subject, "metadata.finalizers", ", ".join(found), subject.deleted),),
        deleted=subject.deleted,
        finalizers=", ".join(found),
        keeper=_keeper(blamed, found),
        why=KEEPERS.get(blamed or found[0], "its controller has not finished, or is gone"),
    )


def _keeper(blamed: str, found: list[str]) -> str:
    """Whose part of the control plane should have taken the finalizers off."""
    if blamed == OF_BALANCERS:
        return "cloud"
    return CONTROLLER_MANAGER if ITS_OWN.issuperset(found) else "other"
