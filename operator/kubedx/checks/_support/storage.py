"""What the storage classes and volumes of the cluster say as a whole."""

from dataclasses import dataclass
from datetime import datetime

from kubedx.core.inputs import EventRecord, Events, Now, Reader, derived, minutes
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim, StorageClass

_ANSWERS = ("Provisioning", "ProvisioningFailed", "ProvisioningSucceeded")
_ASKED = "ExternalProvisioning"

PROVISIONING = (*_ANSWERS, _ASKED)
"""The reasons of Events by which the control plane asks for a volume, and a provisioner answers."""

_QUIET = minutes(30)
"""The control plane asks again every few minutes."""


@derived(StorageClass)
def default_classes(read: Reader) -> tuple[str, ...]:
    """Name the storage classes that are marked as the default."""
    classes = read.lookup(StorageClass)
    return tuple(one.name for one in classes.all() if one.is_default) if classes else ()


@derived(PersistentVolume)
def classes_made_by_hand(read: Reader) -> frozenset[str]:
    """Name the classes of volumes that a person made; such a class needs no StorageClass.

    A provisioner signs its volumes with the annotation `pv.kubernetes.io/provisioned-by`
    (`component-helpers/storage/volume/pv_helpers.go`).
    """
    volumes = read.lookup(PersistentVolume)
    found = volumes.all() if volumes else ()
    return frozenset(one.spec.storage_class_name for one in found if not one.metadata.annotations.provisioned_by)


@derived(PersistentVolume)
def made_by(read: Reader) -> frozenset[str]:
    """Name the provisioners that made some volume."""
    volumes = read.lookup(PersistentVolume)
    found = (str(one.metadata.annotations.provisioned_by) for one in (volumes.all() if volumes else ()))
    return frozenset(filter(None, found))


_IN_TREE = "kubernetes.io/"
_MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
"""Which CSI driver serves a provisioner that was part of Kubernetes (`staging/src/k8s.io/csi-translation-lib`)."""


def served_by(provisioner: str) -> str:
    """Name who makes volumes for a class's provisioner.

    Args:
        provisioner: As the class names it.

    Returns:
        The provisioner, or the CSI driver that took its place; empty where nobody outside of the control plane does.
    """
    return _MIGRATED.get(provisioner, "" if provisioner.startswith(_IN_TREE) else provisioner)


@dataclass(frozen=True, slots=True)
class Silence:
    """A provisioner has not said anything about a claim.

    Attributes:
        since: Since when it could have.
        asked: The Events by which the control plane asked lately.
    """

    since: datetime | None
    asked: tuple[EventRecord, ...]


def unanswered(claim: PersistentVolumeClaim, storage_class: StorageClass, events: Events, now: Now) -> Silence | None:
    """Tell whether a claim waits for a provisioner that has not said anything about it.

    Args:
        claim: The claim.
        storage_class: Its class.
        events: What was reported.
        now: The time.

    Returns:
        The silence; None where the claim does not wait, or waits for a pod first, or was answered.
    """
    if claim.status.phase != "Pending" or claim.deleted or claim.spec.volume_name or events.about(claim, *_ANSWERS):
        return None
    asked = tuple(one for one in events.about(claim, _ASKED) if not now.older(one.last, _QUIET))
    if asked:
        return Silence(min((one.first for one in asked if one.first), default=None), asked)
    return None if storage_class.volume_binding_mode == "WaitForFirstConsumer" else Silence(claim.created, ())
