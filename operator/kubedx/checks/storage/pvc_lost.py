"""PVCLost."""

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step, absent, field
from kubedx.core.inputs import Events, Lookup
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim

_REASONS = ("ClaimLost", "ClaimMisbound")


@check(
    title="A claim has lost its volume",
    message="The claim {namespace}/{name} has lost its volume {volume}: {why}",
    severity=Severity.CRITICAL,
    layer=4,
    events=_REASONS,
    explains={"PodUnboundPVC": join.claim},
    steps=(
        Step("Read what the control plane says.", "kubectl -n {namespace} describe persistentvolumeclaim {name}"),
        Step("See whether the volume is there, and whose it is.", "kubectl get persistentvolume {volume} -o yaml"),
        Step(
            "If the storage itself is still there, create a PersistentVolume for it with a claimRef to this claim; "
            "then delete and create the claim. Otherwise restore a backup."
        ),
        Step(
            "A claim that is lost does not recover. Delete it only when the data is safe elsewhere or may be lost.",
            "kubectl -n {namespace} delete persistentvolumeclaim {name}",
            danger=True,
        ),
    ),
    since="0.1.0",
)  # fmt: skip
def pvc_lost(claim: PersistentVolumeClaim, volumes: Lookup[PersistentVolume] | None, events: Events | None) -> Answer:
    """A claim was bound to a volume that is gone or belongs to another claim now.

    ## Meaning
    The claim's phase is `Lost`: somebody deleted the PersistentVolume that it was bound to, or the volume says that it
    belongs to another claim.

    ## Impact
    Pods that use the claim do not start. Those that run may go on until they are restarted. Whether the data is lost
    depends on what happened to the storage behind the volume.

    ## Diagnosis
    `kubectl describe persistentvolumeclaim` shows `ClaimLost` or `ClaimMisbound`. With the reclaim policy `Retain` the
    storage itself is still there.

    ## Mitigation
    Make a volume by hand for the storage that is still there, bind it to a new claim of the same name, or restore a
    backup.

    ## Limitations
    Nothing tells since when a claim is lost but an Event, which is kept for an hour; without it the time counts from
    when it was first seen.

    ## References
    - `pkg/controller/volume/persistentvolume/pv_controller.go`: `Bound claim has lost its PersistentVolume. Data on the
      volume is lost!`, `Two claims are bound to the same volume, this one is bound incorrectly`, 1.4 to 1.36.
    - https://kubernetes.io/docs/concepts/storage/persistent-volumes/
    """
    if claim.status.phase != "Lost" or claim.deleted:
        return
    name = claim.spec.volume_name
    volume = volumes.get("", name) if volumes else None
    records = events.about(claim, *_REASONS) if events else ()
    holder = volume.spec.claim_ref if volume else None
    if volumes and volume is None:
        why = "no such volume exists any more"
    elif holder and (holder.namespace, holder.name) != (claim.namespace, claim.name):
        why = f"it belongs to the claim {holder.namespace}/{holder.name}"
    else:
        why = records[0].message if records else "nothing tells why"
    yield Finding(
        claim,
        since=min((one.first for one in records if one.first), default=None),
        evidence=(
            field(claim, "status.phase", "Lost"),
            *([absent(Ref("PersistentVolume", "", name))] if volumes and volume is None else []),
            *(one.evidence for one in records[:1]),
        ),
        volume=name or "of unknown name",
        why=why,
    )
