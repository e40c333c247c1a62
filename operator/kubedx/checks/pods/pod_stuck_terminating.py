"""PodStuckTerminating."""

from datetime import timedelta

from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, hours, minutes, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node, Pod

_FAILURES = ("FailedKillPod", "FailedPreStopHook")


@check(
    title="A pod does not go away",
    message="Pod {name} should have been gone at {due}; {why}",
    severity=Severity.WARNING,
    layer=5,
    raise_after=minutes(10),
    group=by.owner,
    when=Bit.TERMINATING,
    events=_FAILURES,
    explains={
        "NamespaceStuckTerminating": join.same_namespace,
        "PVCStuckTerminating": join.claim,  # Not back(): whichever was deleted first, the pod holds the claim.
        "StatefulSetRolloutStuck": join.same_owner,
        "VolumeMultiAttach": join.claim,  # Not back(): the pod had the volume before anyone else wanted it.
    },
    steps=(
        Step(
            "See what holds it: finalizers, its containers, its node.", "kubectl -n {namespace} get pod {name} -o yaml"
        ),
        Step("Read what the kubelet says about it.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "On its node, see whether the runtime answers and volumes hang.",
            "crictl pods; mount | grep kubelet",
        ),
        Step(
            "Forget the pod without waiting for its node. Its processes may still run there, also those of a database.",
            "kubectl -n {namespace} delete pod {name} --grace-period=0 --force",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_stuck_terminating(pod: Pod, nodes: Lookup[Node] | None, events: Events | None, now: Now) -> Answer:
    """A pod still exists long after its grace period ended.

    ## Meaning
    Somebody asked to delete the pod, its grace period passed, and it is not gone: a finalizer holds it, its node does
    not report, or the kubelet cannot end its containers or unmount its volumes.

    ## Impact
    A StatefulSet does not replace it, its claims and its namespace cannot be deleted, a drain does not end. It is
    critical after an hour.

    ## Diagnosis
    The message names what holds it. `FailedKillPod` events show what the container runtime answers.

    ## Mitigation
    Mend the node, the runtime or the volume; for a finalizer, mend the controller that should remove it. Deleting by
    force only removes the entry: use it when the node is known to be off for good.

    ## Limitations
    What hangs inside the kubelet is visible only on the node.

    ## References
    - `metadata.deletionTimestamp` is the time of the request plus the grace period:
      `staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go`, 1.30 to 1.36.
    - `FailedKillPod`, `FailedPreStopHook`: `pkg/kubelet/events/event.go`.
    - https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
    """
    if not now.older(pod.deleted, _patience(pod)):
        return
    why, evidence = _what_holds(pod, nodes, events)
    yield Finding(
        pod,
        since=pod.deleted,
        severity=Severity.CRITICAL if now.older(pod.deleted, hours(1)) else Severity.WARNING,
        evidence=(field(pod, "metadata.deletionTimestamp", pod.deleted, pod.deleted), *evidence),
        due=pod.deleted or "an unknown time",
        why=why,
    )


def _patience(pod: Pod) -> timedelta:
    """What a kubelet takes to clear up, or half the grace period where that is longer than raiseAfter.

    Before that it is no cause of anything, however long a claim or a namespace already waits for the pod.
    """
    return max(seconds(10), seconds((pod.metadata.deletion_grace_period_seconds or 0) / 2))


def _has_ended(pod: Pod) -> bool:
    return bool(pod.containers) and all(one.state.terminated for one in pod.containers)


def _what_holds(pod: Pod, nodes: Lookup[Node] | None, events: Events | None) -> tuple[str, tuple[Evidence, ...]]:
    finalizers = ", ".join(pod.metadata.finalizers)
    ended = pod.finished or not pod.spec.node_name or _has_ended(pod)
    if finalizers and ended:
        return f"none of its containers runs and these finalizers hold it: {finalizers}", ()
    name = pod.spec.node_name
    node = nodes.get("", name) if nodes and name else None
    ready = node.condition("Ready") if node else None
    if nodes and name and node is None:
        return f"its node {name} does not exist any more", ()
    if node and ready and ready.status == "Unknown":
        silent = field(node, "status.conditions[Ready]", "Unknown", ready.last_transition_time)
        return f"its node {name} does not report, so nobody can tell whether its containers ended", (silent,)
    failures = events.about(pod, *_FAILURES) if events else ()
    if failures:
        return f"the kubelet of {name} says {failures[0].message}", (failures[0].evidence,)
    return f"the kubelet of {name or 'its node'} does not report that its containers ended", ()
