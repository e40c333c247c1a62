"""VolumeMultiAttach."""

from kubedx.checks._support.mounts import recent_failures
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import PersistentVolumeClaim, Pod


@check(
    title="A volume is still attached to another node",
    message="Pod {name} waits for the volume {volume}, which another node still has: {why}",
    severity=Severity.CRITICAL,
    layer=4,
    raise_after=minutes(2),
    group=by.owner,
    when=Bit.WAITING,
    events=("FailedAttachVolume", "FailedMount", "FailedMapVolume"),
    explains={
        "PodContainerCreatingStuck": join.itself,
        "PodVolumeMountFailed": join.itself.where(cause="multi-attach"),
    },
    steps=(
        Step("See which node the volume is attached to.", "kubectl get volumeattachments | grep -F {volume}"),
        Step("See where its other pods are, and whether one does not go.", "kubectl -n {namespace} get pods -o wide"),
        Step(
            "If a rollout waits for its own old pod: a volume for one node needs the strategy Recreate, or a "
            "StatefulSet. If the old pod's node is lost, make sure that its machine is off."
        ),
        Step(
            "Only if that machine is off: say so, so that its pods and volumes are let go. If it still runs, two nodes "
            "would write to the volume. Put the node's name in place of NODE.",
            "kubectl taint nodes NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute",
            danger=True,
        ),
    ),
    since="0.1.0",
)  # fmt: skip
def volume_multi_attach(
    pod: Pod,
    claims: Lookup[PersistentVolumeClaim] | None,
    pods: Lookup[Pod] | None,
    events: Events,
    now: Now,
) -> Answer:
    """A volume that only one node may have is attached to another node than the pod's.

    ## Meaning
    The pod was given a node, but its volume (`ReadWriteOnce`) is still attached elsewhere: an old pod that uses it
    still runs or does not go, or its node is lost and nobody knows whether the machine still writes.

    ## Impact
    The pod does not start. After a lost node the volume is freed by itself only when the node says that it is not used
    any more, or about six minutes after the old pod is gone.

    ## Diagnosis
    The message names the pod that has the volume and its node.

    ## Mitigation
    End the pod that holds the volume. A Deployment with such a volume needs the strategy `Recreate`. Fence a lost node
    before anything else.

    ## Limitations
    It is known only from Events and counts as over 15 minutes after the last one. Who holds the volume can be told only
    where its pod still exists.

    ## References
    - `pkg/controller/volume/attachdetach/reconciler/reconciler.go`: `Multi-Attach error for volume "v" Volume is
      already exclusively attached to one node and can't be attached to another`, `… Volume is already used by pod(s)
      x`, 1.12 to 1.36.
    - https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
    """
    for failure, record in recent_failures(pod, events, now):
        if failure.kind == "multi-attach":
            holder = _holder(pod, failure.volume, claims, pods) if claims and pods else None
            why, evidence = failure.why, [record.evidence]
            if holder:
                state = "is being deleted but still there" if holder.deleted else "uses it"
                why = f"the pod {holder.name} on the node {holder.spec.node_name} {state}"
                evidence.append(field(holder, "spec.nodeName", holder.spec.node_name))
            yield Finding(
                pod,
                since=record.first,
                evidence=tuple(evidence),
                nodes=(holder.spec.node_name,) if holder else (),
                volume=failure.volume,
                why=why,
            )
            return


def _holder(pod: Pod, volume: str, claims: Lookup[PersistentVolumeClaim], pods: Lookup[Pod]) -> Pod | None:
    for name in pod.claims:
        claim = claims.get(pod.namespace, name)
        if claim and claim.spec.volume_name == volume:
            for other in pods.using_claim(claim):
                if other.spec.node_name not in {"", pod.spec.node_name} and not other.finished:
                    return other
    return None
