"""PVCPending."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.storage import default_classes
from kubedx.checks._support.volumes import Offer, nearest, obstacles, offer, offers
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import EventRecord, Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim, StorageClass

REFUSED = ("ProvisioningFailed", "VolumeMismatch", "FailedBinding")
PROVISIONING = "ExternalProvisioning"


class PVCPendingSettings(Settings, frozen=True, rename="camel"):
    """Settings of PVCPending."""

    provisioning_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Minutes that a provisioner may take for a volume.")
    ] = 5
    critical_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Minutes without a volume after which it is critical.")
    ] = 15
    quiet_minutes: Annotated[
        int, Meta(ge=20, le=1440, description="Minutes after which an event about provisioning is out of date.")
    ] = 30


@check(
    title="A claim gets no volume",
    message="The claim {namespace}/{name} gets no volume: {why}",
    layer=4,
    raise_after=minutes(2),
    explains={
        "PodUnboundPVC": join.claim,
        "PodUnschedulable": join.claim.where(binding="unbound claim"),
    },
    events=(*REFUSED, PROVISIONING),
    steps=(
        Step("Read what the claim waits for.", "kubectl -n {namespace} describe persistentvolumeclaim {name}"),
        Step("Compare with the storage classes and the free volumes.", "kubectl get storageclass,persistentvolume"),
        Step(
            "If a provisioner is at fault, find its pods and read their logs.",
            "kubectl get csidrivers; kubectl get pods --all-namespaces | grep -i csi",
        ),
    ),
    since="0.1.0",
)
def pvc_pending(  # noqa: PLR0913, PLR0917 -- each parameter is an input
    claim: PersistentVolumeClaim,
    classes: Lookup[StorageClass],
    defaults: Annotated[tuple[str, ...], default_classes],
    offered: Annotated[tuple[Offer, ...], offers] | None,
    volumes: Lookup[PersistentVolume] | None,
    events: Events | None,
    settings: PVCPendingSettings,
    now: Now,
) -> Answer:
    """A PersistentVolumeClaim stays Pending although nothing but storage is missing.

    ## Meaning
    No volume could be bound to the claim: its class does not exist, no free volume fits, the volume that it names is
    taken, or the provisioner fails or does not answer.

    ## Impact
    Pods that use the claim are not scheduled.

    ## Diagnosis
    `kubectl describe persistentvolumeclaim` shows the events: `ProvisioningFailed` comes from the provisioner,
    `FailedBinding` and `VolumeMismatch` from the control plane, and `ExternalProvisioning` means that it waits for the
    provisioner's pods. Where the claim waits for a volume that somebody makes by hand, the message names those that
    come nearest, and what keeps each of them away.

    ## Mitigation
    Correct the class, create a volume that fits, or bring the provisioner's controller back.

    ## Limitations
    A claim whose class waits for the first consumer is reported only when its provisioning has begun and fails or takes
    too long: before, it waits for a pod, as it should. Volumes that are restored from large snapshots may take longer
    than the default. Volumes are compared by class, size, access modes, mode, selector and the claim that has them.
    Where they are does not matter here: a claim that binds at once binds to a volume anywhere.

    ## References
    - `pkg/controller/volume/persistentvolume/pv_controller.go`, `pkg/controller/volume/events/event.go`, 1.25 to 1.36.
    - `ExternalProvisioning` says `waiting for a volume to be created, either by external provisioner "x"` up to 1.29
      and `Waiting for a volume to be created either by the external provisioner 'x'` since 1.30.
    """
    if claim.status.phase != "Pending" or claim.deleted:
        return
    records = events.about(claim, *REFUSED, PROVISIONING) if events else ()
    recent = [one for one in records if not now.older(one.last, minutes(settings.quiet_minutes))]
    refused = next((one for one in recent if one.reason in REFUSED), None)
    found = _why(claim, classes, defaults, refused)
    if found is None:
        return
    cause, why = found
    storage_class = classes.get("", claim.spec.storage_class_name or "")
    on_demand = storage_class is not None and storage_class.volume_binding_mode == "WaitForFirstConsumer"
    since = min((one.first for one in recent if one.first), default=None) if on_demand else claim.created
    if on_demand and not recent:
        return
    if cause == "provisioner" and not refused and not now.older(since, minutes(settings.provisioning_minutes)):
        return
    late = cause == "provisioner" and now.older(since, minutes(settings.critical_minutes))
    yield Finding(
        claim,
        since=since,
        severity=Severity.CRITICAL if late else Severity.WARNING,
        evidence=(field(claim, "status.phase", "Pending"), *([refused.evidence] if refused else [])),
        why=_with_nearest(claim, cause, why, offered, volumes),
        cause=cause,
    )


def _with_nearest(
    claim: PersistentVolumeClaim,
    cause: str,
    why: str,
    offered: tuple[Offer, ...] | None,
    volumes: Lookup[PersistentVolume] | None,
) -> str:
    """Add what keeps the volume away that the claim names, or those that come nearest."""
    if cause == "volume" and volumes:
        volume = volumes.get("", claim.spec.volume_name)
        if volume is None:
            return f"the volume {claim.spec.volume_name}, which it names, does not exist"
        kept = " and ".join(obstacles(claim, offer(volume)))
        return f"{why.rstrip('.')}: {kept}" if kept else why
    near = nearest(claim, offered) if offered and cause in {"no volume", "class not found"} else ""
    return f"{why}; {near}" if near else why


def _why(
    claim: PersistentVolumeClaim,
    classes: Lookup[StorageClass],
    defaults: tuple[str, ...],
    refused: EventRecord | None,
) -> tuple[str, str] | None:
    """The class of the reason and the reason; None for a claim that will get its class in a moment."""
    wanted = claim.spec.storage_class_name
    if claim.spec.volume_name:
        return "volume", refused.message if refused else f"the volume {claim.spec.volume_name} does not take it"
    if wanted is None:
        return None if defaults else ("no class", "it names no storage class and none is the default")
    if not wanted:
        return "no volume", "it asks for no storage class, and no free volume fits"
    storage_class = classes.get("", wanted)
    if storage_class is None:
        return "class not found", f"its storage class {wanted} does not exist, and no free volume of it fits"
    return _why_of_class(storage_class, refused)


def _why_of_class(storage_class: StorageClass, refused: EventRecord | None) -> tuple[str, str]:
    if refused:
        return "quota" if "exceeded quota" in refused.message else "provisioner", refused.message
    if storage_class.provisioner == "kubernetes.io/no-provisioner":
        return "no volume", f"no free volume of the class {storage_class.name} fits"
    return "provisioner", f"the provisioner {storage_class.provisioner} has not made one yet"
