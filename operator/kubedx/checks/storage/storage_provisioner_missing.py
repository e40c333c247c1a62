"""StorageProvisionerMissing."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.storage import PROVISIONING, made_by, served_by, unanswered
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step, absent, field
from kubedx.core.inputs import Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import CSIDriver, PersistentVolumeClaim, StorageClass


class StorageProvisionerMissingSettings(Settings, frozen=True, rename="camel"):
    """Settings of StorageProvisionerMissing."""

    silence_minutes: Annotated[
        int, Meta(ge=2, le=240, description="Minutes that a provisioner may take until it says anything about a claim.")
    ] = 5


@check(
    title="Nobody provides the volumes of a storage class",
    message="Nobody answers for the provisioner {provisioner} of the storage class {name}: {why}; the claim {claim} "
    "waits",
    severity=Severity.CRITICAL,
    layer=0,
    explains={"PVCPending": join.storage_class.where(cause="provisioner")},
    events=PROVISIONING,
    steps=(
        Step(
            "Compare the provisioner's name with the drivers that are installed.",
            "kubectl get storageclass {name} -o yaml; kubectl get csidrivers",
        ),
        Step(
            "Look for the pods of the provisioner.",
            "kubectl get pods --all-namespaces | grep -i -E 'csi|provisioner'",
        ),
        Step(
            "Install the driver or start its controller again. A class cannot be changed: if its provisioner is "
            "misspelt, create the class anew, then the waiting claims."
        ),
    ),
    since="0.1.0",
)  # fmt: skip
def storage_provisioner_missing(
    claim: PersistentVolumeClaim,
    classes: Lookup[StorageClass],
    drivers: Lookup[CSIDriver] | None,
    makers: Annotated[frozenset[str], made_by],
    events: Events,
    settings: StorageProvisionerMissingSettings,
    now: Now,
) -> Answer:
    """Claims wait for a provisioner that does not exist or does not run.

    ## Meaning
    The control plane leaves it to an external provisioner to make a claim's volume. No CSI driver of that name is
    installed, and for five minutes nobody has said anything about the claim, not even that it fails.

    ## Impact
    No claim of the class gets a volume, and the pods that use them stay Pending.

    ## Diagnosis
    `kubectl get csidrivers` lists the CSI drivers; the class names its provisioner. Classes that were copied from
    another cluster and names with a slip are the usual reason.

    ## Mitigation
    Install the driver, or create the class with the right provisioner.

    ## Limitations
    Provisioners that are no CSI drivers register nowhere; that they are missing is told from their silence. One that
    made volumes before and is silent now is reported as well, since its pods seem to be gone. A CSI driver that is
    installed but does not answer is left to PVCPending and to the checks on its pods.

    ## References
    - `pkg/controller/volume/persistentvolume/pv_controller.go` (provisionClaimOperationExternal):
      `ExternalProvisioning`, 1.10 to 1.36. `sig-storage-lib-external-provisioner`: `Provisioning`,
      `ProvisioningFailed`.
    - In-tree names such as `kubernetes.io/aws-ebs` are served by CSI drivers:
      `staging/src/k8s.io/csi-translation-lib/plugins`.
    - https://kubernetes.io/docs/concepts/storage/storage-classes/#provisioner
    """
    storage_class = classes.get("", claim.spec.storage_class_name or "")
    provisioner = served_by(storage_class.provisioner) if storage_class else ""
    if storage_class is None or not provisioner or (drivers and drivers.get("", provisioner)):
        return
    silence = unanswered(claim, storage_class, events, now)
    if silence is None or not now.older(silence.since, minutes(settings.silence_minutes)):
        return
    if drivers is None and not silence.asked:
        return
    before = provisioner in makers or storage_class.provisioner in makers
    yield Finding(
        storage_class,
        since=silence.since,
        evidence=(
            *([absent(Ref("CSIDriver", "", provisioner))] if drivers else []),
            *(record.evidence for record in silence.asked[:1]),
            field(storage_class, "provisioner", storage_class.provisioner),
            field(claim, "status.phase", "Pending", silence.since),
        ),
        provisioner=storage_class.provisioner,
        claim=f"{claim.namespace}/{claim.name}",
        why=_why(before=before, known=drivers is not None),
    )


def _why(*, before: bool, known: bool) -> str:
    if before:
        return "it made volumes before, but is silent now"
    return "no such driver is installed" if known else "it was asked for a volume and is silent"
