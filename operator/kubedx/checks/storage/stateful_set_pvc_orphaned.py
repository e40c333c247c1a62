"""StatefulSetPVCOrphaned."""

import re

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup, hours
from kubedx.kube.views import PersistentVolumeClaim, Pod, StatefulSet

_NAME = re.compile(r"^(?P<stem>[^-]+-.{1,253})-(?P<number>\d{1,6})$")


@check(
    title="A claim of a StatefulSet has no use any more",
    message="The claim {namespace}/{name} ({size}) has a volume that nothing uses: {why}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=4,
    raise_after=hours(7 * 24),
    group=by.namespace,
    steps=(
        Step("See that no pod uses the claim.", "kubectl -n {namespace} describe persistentvolumeclaim {name}"),
        Step(
            "See which StatefulSets there are, and how many pods they have.", "kubectl -n {namespace} get statefulsets"
        ),
        Step(
            "If the data may go: delete the claim. With the reclaim policy Delete the volume goes with it, with Retain "
            "it stays to be removed by hand.",
            "kubectl -n {namespace} delete persistentvolumeclaim {name}",
            danger=True,
        ),
        Step("For the future set spec.persistentVolumeClaimRetentionPolicy of the StatefulSet."),
    ),
    since="0.1.0",
)
def stateful_set_pvc_orphaned(claim: PersistentVolumeClaim, pods: Lookup[Pod], sets: Lookup[StatefulSet]) -> Answer:
    """A claim is left over from a StatefulSet that is gone or has fewer pods now.

    ## Meaning
    A StatefulSet makes a claim for each of its pods and by default never deletes one. This one belongs to a set that
    does not exist any more, or to a pod beyond its present number, and no pod uses it.

    ## Impact
    The volume costs money and is full of old data. If the set grows again the old data comes back.

    ## Diagnosis
    `kubectl describe persistentvolumeclaim` shows `Used By: <none>`.

    ## Mitigation
    Make sure that nobody wants the data, then delete the claim. `persistentVolumeClaimRetentionPolicy` does so by
    itself.

    ## Limitations
    The seven days count from when the claim was created, as nothing tells when it was last used. That it was made by a
    StatefulSet is told by its name and its labels. Sets with no pods at all count as parked and keep their claims.
    Claims that something owns are left alone.

    ## References
    - Names: `pkg/controller/statefulset/stateful_set_utils.go` (getPersistentVolumeClaimName), all versions; the claim
      gets the labels of the set's selector.
    - https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention
    """
    metadata = claim.metadata
    if claim.status.phase != "Bound" or claim.deleted or metadata.owner_references or not metadata.labels:
        return
    match = _NAME.match(claim.name)
    if match is None or pods.using_claim(claim):
        return
    mine = [one for one in sets.in_namespace(claim.namespace) if match["stem"].endswith(f"-{one.name}")]
    why = _beyond(max(mine, key=lambda one: len(one.name)), int(match["number"])) if mine else "its StatefulSet is gone"
    if why:
        yield Finding(
            claim,
            since=claim.created,
            evidence=(field(claim, "status.phase", "Bound", claim.created),),
            size=str(claim.spec.resources.requests.get("storage", "unknown size")),
            why=why,
        )


def _beyond(owner: StatefulSet, number: int) -> str:
    """Say that a number is none of a set's; empty where it is one, and where the set has no pods on purpose."""
    first, wanted = owner.spec.ordinals.start, owner.spec.replicas
    if not wanted or first <= number < first + wanted or owner.status.replicas > wanted:
        return ""
    last = first + wanted - 1
    return (
        f"the StatefulSet {owner.name} has the pods {first} to {last}"
        if wanted > 1
        else (f"the StatefulSet {owner.name} has the pod {first} only")
    )
