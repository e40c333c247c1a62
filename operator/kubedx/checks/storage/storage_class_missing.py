"""StorageClassMissing."""

from typing import Annotated

from kubedx.checks._support.storage import classes_made_by_hand, default_classes
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Step, absent, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.views import PersistentVolumeClaim, StorageClass


@check(
    title="A storage class that claims ask for does not exist",
    message="{what}, but the claim {claim} needs it",
    layer=0,
    raise_after=minutes(1),
    explains={"PVCPending": join.storage_class},
    steps=(
        Step("See which storage classes there are, and which one is the default.", "kubectl get storageclass"),
        Step("See which claims wait.", "kubectl get persistentvolumeclaims --all-namespaces | grep Pending"),
        Step("Create the class, or delete the waiting claims and create them with a class that exists."),
        Step(
            "If a default is missing, mark one; put its name in place of CLASS.",
            "kubectl annotate storageclass CLASS storageclass.kubernetes.io/is-default-class=true",
        ),
    ),
    since="0.1.0",
)
def storage_class_missing(
    claim: PersistentVolumeClaim,
    classes: Lookup[StorageClass],
    defaults: Annotated[tuple[str, ...], default_classes],
    by_hand: Annotated[frozenset[str], classes_made_by_hand],
) -> Answer:
    """Claims wait for volumes of a storage class that does not exist.

    ## Meaning
    A pending claim names a StorageClass that is not there, or names none while no class is marked as the default. So
    nothing will ever make a volume for it.

    ## Impact
    The claim stays Pending, and so do the pods that use it.

    ## Diagnosis
    `kubectl get storageclass` lists what there is; the claim's `spec.storageClassName` says what was asked for.
    Manifests that were written for another cloud or cluster are the usual reason.

    ## Mitigation
    Create the missing class, or mark one as the default: claims without a class get it even later. A claim's class
    cannot be changed; delete and create the claim with another one.

    ## Limitations
    Classes of which some volume was made by hand need no StorageClass and are not reported; the claim alone is then.
    Several defaults are no fault: the newest one counts. A claim that names its volume needs no class.

    ## References
    - `pkg/controller/volume/persistentvolume/pv_controller.go`: `storageclass.storage.k8s.io "fast" not found`, and
      `no persistent volumes available for this claim and no storage class is set`, 1.8 to 1.36.
    - Claims get a default class later: `assignDefaultStorageClass`, by default since 1.26.
    """
    wanted = claim.spec.storage_class_name
    pending = claim.status.phase == "Pending" and not claim.deleted
    if not pending or claim.spec.volume_name or wanted == "" or (wanted or "") in by_hand:
        return
    if wanted is None and not defaults:
        missing, what = Ref("StorageClass", "", join.DEFAULT_CLASS), "No storage class is the default"
    elif wanted and classes.get("", wanted) is None:
        missing, what = Ref("StorageClass", "", wanted), f"The storage class {wanted} does not exist"
    else:
        return
    yield Finding(
        missing,
        since=claim.created,
        evidence=(absent(missing), field(claim, "spec.storageClassName", wanted or "none")),
        what=what,
        claim=f"{claim.namespace}/{claim.name}",
    )
