"""PVCStuckTerminating."""

from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, hours, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import PersistentVolumeClaim, Pod

PROTECTION = "kubernetes.io/pvc-protection"


class PVCStuckTerminatingSettings(Settings, frozen=True, rename="camel"):
    """Settings of PVCStuckTerminating."""

    critical_hours: Annotated[
        int, Meta(ge=1, le=720, description="Hours after the deletion of an unused claim after which it is critical.")
    ] = 24


@check(
    title="A deleted claim does not go away",
    message="The claim {namespace}/{name} was deleted at {deleted} and is still there: {why}",
    layer=4,
    raise_after=minutes(10),
    clear_after=minutes(0),
    when=Bit.TERMINATING,
    explains={"NamespaceStuckTerminating": join.same_namespace},
    steps=(
        Step("See which pods use the claim.", "kubectl -n {namespace} describe persistentvolumeclaim {name}"),
        Step("Scale down or delete these pods; the claim then goes by itself. Finished pods count as users too."),
        Step(
            "Only if nothing uses the claim: remove what protects it. A volume that is still mounted may be destroyed.",
            "kubectl -n {namespace} patch persistentvolumeclaim {name} --type=merge "
            """-p '{{"metadata":{{"finalizers":null}}}}'""",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pvc_stuck_terminating(
    claim: PersistentVolumeClaim, pods: Lookup[Pod], settings: PVCStuckTerminatingSettings, now: Now
) -> Answer:
    """Somebody deleted a PersistentVolumeClaim, and its protection still holds it.

    ## Meaning
    The finalizer `kubernetes.io/pvc-protection` keeps a deleted claim while pods use it. With such a pod the wait is
    intended; without one the controller that takes the finalizer off does not do so.

    ## Impact
    The claim cannot be created anew, its namespace cannot be deleted, and new pods with the claim do not start. As soon
    as the last user is gone the claim goes, and with the reclaim policy `Delete` its data goes too.

    ## Diagnosis
    `kubectl describe persistentvolumeclaim` lists the users under `Used By`.

    ## Mitigation
    End the pods that use the claim. If that was a mistake, save the data first: the deletion cannot be taken back.

    ## Limitations
    Claims that only other finalizers hold are left to ResourceFinalizerStuck.

    ## References
    - `pkg/volume/util/finalizer.go`, `pkg/controller/volume/pvcprotection`, 1.10 to 1.36: every pod that is bound to a
      node counts as a user.
    - https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
    """
    if not claim.deleted or PROTECTION not in claim.metadata.finalizers:
        return
    users = [pod.name for pod in pods.using_claim(claim) if pod.spec.node_name]
    if users:
        others = len(users) - 1
        severity = Severity.INFO
        why = f"the pod {users[0]} and {others} more use it" if others else f"the pod {users[0]} uses it"
    else:
        old = now.older(claim.deleted, hours(settings.critical_hours))
        severity, why = (Severity.CRITICAL if old else Severity.WARNING), "no pod uses it, but its protection stays"
    yield Finding(
        claim,
        since=claim.deleted,
        severity=severity,
        evidence=(field(claim, "metadata.finalizers", PROTECTION, claim.deleted),),
        deleted=claim.deleted,
        why=why,
        cause="used" if users else "unused",
    )
