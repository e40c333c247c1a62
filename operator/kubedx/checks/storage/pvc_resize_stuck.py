"""PVCResizeStuck."""

from datetime import datetime

from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Step, field
from kubedx.core.inputs import EventRecord, Events, Lookup, minutes
from kubedx.kube.meta import Condition, find
from kubedx.kube.views import PersistentVolumeClaim, Pod

_FAILED = ("VolumeResizeFailed", "FileSystemResizeFailed")
_ERRORS = ("ControllerResizeError", "NodeResizeError")
_RESIZING, _PENDING = "Resizing", "FileSystemResizePending"


@check(
    title="A claim does not grow as asked",
    message="The claim {namespace}/{name} has {has} and was to have {wanted} since {at}: {why}",
    layer=4,
    raise_after=minutes(15),
    events=_FAILED,
    steps=(
        Step("Read how far it has got.", "kubectl -n {namespace} describe persistentvolumeclaim {name}"),
        Step("Read the log of the driver's resizer.", "kubectl get pods --all-namespaces | grep -i csi"),
        Step(
            "If the filesystem waits for the node: restart the pod that uses the claim. If the storage cannot grow "
            "that far: lower the request again, but not below what the claim has."
        ),
    ),
    since="0.1.0",
)  # fmt: skip
def pvc_resize_stuck(claim: PersistentVolumeClaim, pods: Lookup[Pod] | None, events: Events | None) -> Answer:
    """A claim asked for more storage, and for a quarter of an hour has not got it.

    ## Meaning
    Growing takes two steps: the driver's controller enlarges the volume, then the node enlarges the filesystem. One of
    them fails, is not possible, or does not end.

    ## Impact
    The pods go on with the size they have. If it was nearly full, it soon is.

    ## Diagnosis
    The conditions of the claim tell the step: `Resizing` is the controller's, `FileSystemResizePending` the node's. The
    `VolumeResizeFailed` events come from either.

    ## Mitigation
    Drivers that cannot grow a volume in use need the pod to end first. Where the storage has too little room, lower the
    request again, which is possible since 1.34, earlier with the feature RecoverVolumeExpansionFailure.

    ## Limitations
    A filesystem that waits while no pod runs with the claim is as it should be: it grows with the next pod. Growth of
    very large volumes may take longer than a quarter of an hour.

    ## References
    - `staging/src/k8s.io/api/core/v1/types.go`: the conditions `Resizing`, `FileSystemResizePending`, since 1.31 also
      `ControllerResizeError` and `NodeResizeError`; `status.allocatedResourceStatuses` since 1.28.
    - https://kubernetes.io/docs/concepts/storage/persistent-volumes/#recovering-from-failure-when-expanding-volumes
    """
    if claim.deleted or claim.status.phase != "Bound" or not claim.status.conditions:
        return
    failed = events.about(claim, *_FAILED) if events else ()
    stuck = _stuck(claim, pods, failed)
    if stuck:
        at, why, evidence = stuck
        yield Finding(
            claim,
            since=at,
            evidence=(evidence, *(one.evidence for one in failed[:1])),
            has=str(claim.status.capacity.get("storage", "an unknown size")),
            wanted=str(claim.spec.resources.requests.get("storage", "another")),
            at=at or "an unknown time",
            why=why,
        )


Stuck = tuple[datetime | None, str, Evidence]


def _stuck(claim: PersistentVolumeClaim, pods: Lookup[Pod] | None, failed: tuple[EventRecord, ...]) -> Stuck | None:
    said = f": {failed[0].message}" if failed else ""
    found = {name: _true(claim, name) for name in (*_ERRORS, _RESIZING, _PENDING)}
    infeasible = claim.status.allocated_resource_statuses.get("storage", "").endswith("ResizeInfeasible")
    begun = found[_RESIZING] or found[_PENDING]
    for name in _ERRORS:
        if error := found[name]:
            return _told(claim, error, error.message or f"the {'node' if name.startswith('Node') else 'driver'} fails")
    if begun and infeasible:
        return _told(claim, begun, f"the storage cannot give it that much{said}")
    if resizing := found[_RESIZING]:
        return _told(claim, resizing, f"the driver has not enlarged the volume{said}")
    pending = found[_PENDING]
    users = [pod for pod in pods.using_claim(claim) if pod.status.phase == "Running"] if pods else []
    if pending and (users or failed):
        user = f" with the pod {users[0].name}" if users else ""
        return _told(claim, pending, f"the node{user} has not enlarged the filesystem{said}")
    return None


def _true(claim: PersistentVolumeClaim, name: str) -> Condition | None:
    condition = find(claim.status.conditions, name)
    return condition if condition and condition.status == "True" else None


def _told(claim: PersistentVolumeClaim, condition: Condition, why: str) -> Stuck:
    at = condition.last_transition_time
    return at, why, field(claim, f"status.conditions[{condition.type}]", condition.status, at)
