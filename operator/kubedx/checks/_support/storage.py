"""What the storage classes and volumes of the cluster say as a whole."""

from kubedx.core.inputs import Reader, derived
from kubedx.kube.views import PersistentVolume, StorageClass


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
