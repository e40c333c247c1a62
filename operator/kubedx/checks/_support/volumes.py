"""Which volumes a claim could have, and what keeps each of them away."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubedx.core.inputs import Reader, derived
from kubedx.kube.quantity import amount
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim

MOST = 1000
"""Volumes that are compared with a claim; more made by hand are rare, and one that nearly fits is among the first."""

_NAMED = 2


@dataclass(frozen=True, slots=True)
class Offer:
    """A volume that a claim might get, as far as it matters for that.

    Attributes:
        name: The volume's name.
        storage_class: Its class, empty for none.
        size: Its size, as a quantity in text form.
        access_modes: How it may be used.
        volume_mode: ``Filesystem`` or ``Block``.
        labels: Its labels.
        holder: Namespace and name of the claim that has it or that it is kept for; empty where it is free.
        phase: Its phase.
    """

    name: str
    storage_class: str
    size: str
    access_modes: tuple[str, ...]
    volume_mode: str
    labels: Mapping[str, str]
    holder: str
    phase: str


def offer(volume: PersistentVolume) -> Offer:
    """Give a volume as an offer."""
    spec = volume.spec
    holder = f"{spec.claim_ref.namespace}/{spec.claim_ref.name}" if spec.claim_ref and spec.claim_ref.name else ""
    size = str(spec.capacity.get("storage", ""))
    return Offer(
        volume.name, spec.storage_class_name, size, spec.access_modes, spec.volume_mode, volume.metadata.labels,
        holder, volume.status.phase,
    )  # fmt: skip


@derived(PersistentVolume)
def offers(read: Reader) -> tuple[Offer, ...]:
    """List the volumes that were made by hand, and those that a provisioner made and that nobody has.

    Args:
        read: Access to the volumes.

    Returns:
        The first of them in the order of their names.
    """
    volumes = read.lookup(PersistentVolume)
    found = (
        offer(volume)
        for volume in (volumes.all() if volumes else ())
        if not volume.deleted and not (volume.metadata.annotations.provisioned_by and volume.status.phase == "Bound")
    )
    return tuple(found)[:MOST]


def obstacles(claim: PersistentVolumeClaim, volume: Offer) -> Iterator[str]:
    """Tell what keeps a volume from a claim (`pkg/controller/volume/persistentvolume/index.go`, findMatchingVolume).

    Args:
        claim: The claim.
        volume: The volume.

    Yields:
        Each attribute that does not suit, in words; nothing where the volume fits.
    """
    spec = claim.spec
    if volume.holder and volume.holder != f"{claim.namespace}/{claim.name}":
        yield _held(volume)
    elif volume.phase == "Failed":
        yield "it has failed"
    if volume.storage_class != (spec.storage_class_name or ""):
        yield f"its class is {volume.storage_class or 'none'} and not {spec.storage_class_name or 'none'}"
    asked = str(spec.resources.requests.get("storage", ""))
    if (amount(volume.size) or 0) < (amount(asked) or 0):
        yield f"it has {volume.size or 'no size'} and not {asked}"
    lacking = [mode for mode in spec.access_modes if mode not in volume.access_modes]
    if lacking:
        yield f"it does not allow {' and '.join(lacking)}"
    if volume.volume_mode != spec.volume_mode:
        yield f"its volumeMode is {volume.volume_mode} and not {spec.volume_mode}"
    if spec.selector and not spec.selector.matches(volume.labels):
        yield "its labels do not match the claim's selector"


def _held(volume: Offer) -> str:
    if volume.phase == "Released":
        return f"it is still kept for the claim {volume.holder}, which is gone, until its spec.claimRef is removed"
    return (
        f"the claim {volume.holder} has it" if volume.phase == "Bound" else f"it is kept for the claim {volume.holder}"
    )


def nearest(claim: PersistentVolumeClaim, volumes: Iterable[Offer]) -> str:
    """Name the volumes that come nearest to what a claim asks for, and what keeps each of them away.

    Volumes that belong to other claims count only where nothing else keeps them away: that they are taken is no news.

    Args:
        claim: The claim.
        volumes: The volumes that there are.

    Returns:
        A sentence without a full stop; empty where no volume comes near.
    """
    found = sorted(
        (len(why), volume.phase == "Bound", volume.name, why)
        for volume in volumes
        if (why := tuple(obstacles(claim, volume))) and (len(why) == 1 or volume.phase != "Bound")
    )
    best = [one for one in found if one[0] == found[0][0]]
    return "; ".join(f"{name} would fit, but {' and '.join(why)}" for _, _, name, why in best[:_NAMED])
