"""PodUnboundPVC."""

from collections.abc import Iterator

from kubedx.checks._support.scheduling import Reason, misfit, unschedulable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim, Pod, StorageClass

_BINDING = "unbound claim"


@check(
    title="A pod waits for a claim that has no volume",
    message="Pod {name} gets no node because of its claims: {why}",
    layer=5,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.UNSCHEDULED,
    explains={"PodUnschedulable": join.itself.where(binding=_BINDING)},
    steps=(
        Step("See the claims of the pod.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See which claims are not bound, and what the control plane says about them.",
            "kubectl -n {namespace} get persistentvolumeclaims; kubectl -n {namespace} get events "
            "--field-selector involvedObject.kind=PersistentVolumeClaim",
        ),
        Step(
            "Create the claim that is missing, or give the waiting one a volume. The pod is then scheduled by itself."
        ),
    ),
    since="0.1.0",
)
def pod_unbound_pvc(
    pod: Pod,
    claims: Lookup[PersistentVolumeClaim] | None,
    volumes: Lookup[PersistentVolume] | None,
    classes: Lookup[StorageClass] | None,
) -> Answer:
    """The scheduler passes a pod over because one of its claims has no volume.

    ## Meaning
    A claim of the pod does not exist, is being deleted, is not bound although its class binds at once, or is bound to a
    volume that is gone. With a class that waits for the first consumer, no node has a volume that fits, or the volume
    was not made in time.

    ## Impact
    The pod stays Pending, whatever room the nodes have. In a StatefulSet the pods after it are not created either.

    ## Diagnosis
    The message names the claim and its state. `kubectl describe persistentvolumeclaim` tells why it is not bound.

    ## Mitigation
    Mend the claim, its class or its provisioner. For storage that is tied to a zone use a class with
    `volumeBindingMode: WaitForFirstConsumer`.

    ## Limitations
    Where claims may not be read, the scheduler's words must do. They are as old as its last attempt; a pod whose claims
    are all bound by now is not reported.

    ## References
    - `pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go`: `pod has unbound immediate
      PersistentVolumeClaims`, `persistentvolumeclaim "x" not found`, `is being deleted`, `bound to non-existent
      persistentvolume "v"`, `node(s) didn't find available persistent volumes to bind`, `binding volumes: …`, 1.19 to
      1.36; before 1.19 with `running "VolumeBinding" filter plugin for pod "x": ` in front.
    """
    scheduled = unschedulable(pod)
    reasons = misfit(scheduled.message).of(_BINDING) if scheduled else ()
    if scheduled is None or not reasons:
        return
    lacking = _lacking(pod, reasons, claims, volumes, classes) if claims else None
    if lacking == []:
        return
    yield Finding(
        pod,
        since=scheduled.last_transition_time,
        evidence=(field(pod, "status.conditions[PodScheduled]", scheduled.message, scheduled.last_transition_time),),
        why="; ".join(lacking or (reason.shown for reason in reasons)),
    )


def _lacking(
    pod: Pod,
    reasons: tuple[Reason, ...],
    claims: Lookup[PersistentVolumeClaim],
    volumes: Lookup[PersistentVolume] | None,
    classes: Lookup[StorageClass] | None,
) -> list[str]:
    """What is wrong with each of the pod's claims; empty where nothing is any more."""
    at_once = all("unbound immediate" in reason.text for reason in reasons)
    found: list[str] = []
    for name in pod.claims:
        claim = claims.get(pod.namespace, name)
        if claim is None:
            found.append(f"the claim {name} does not exist")
        elif not (at_once and claim.status.phase == "Pending" and _waits_for_pod(claim, classes)):
            found.extend(_state(claim, volumes))
    return found


def _waits_for_pod(claim: PersistentVolumeClaim, classes: Lookup[StorageClass] | None) -> bool:
    storage_class = classes.get("", claim.spec.storage_class_name or "") if classes else None
    return storage_class is not None and storage_class.volume_binding_mode == "WaitForFirstConsumer"


def _state(claim: PersistentVolumeClaim, volumes: Lookup[PersistentVolume] | None) -> Iterator[str]:
    volume = claim.spec.volume_name
    if claim.deleted:
        yield f"the claim {claim.name} is being deleted"
    elif claim.status.phase == "Lost":
        yield f"the claim {claim.name} has lost its volume {volume}"
    elif claim.status.phase != "Bound":
        yield f"the claim {claim.name} is not bound to a volume"
    elif volumes and volumes.get("", volume) is None:
        yield f"the claim {claim.name} is bound to the volume {volume}, which does not exist"
