"""PodEphemeralStorageUnbounded."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.evictions import evicted_at, eviction
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.quantity import GIB, shown_bytes
from kubedx.kube.views import Pod


class PodEphemeralStorageUnboundedSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodEphemeralStorageUnbounded."""

    window_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes for which an evicted pod, which stays as a record, is reported.")
    ] = 60
    least_gibibytes: Annotated[
        int, Meta(ge=1, le=1024, description="Use of the node's disk, in GiB, from which on a container is reported.")
    ] = 1


@check(
    title="A container without a limit filled its node's disk",
    message="Container {container} of pod {name} had written {used} to the disk of node {node} and has no limit for it",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=0,
    group=by.owner,
    when=Bit.FAILED,
    explains={"NodeDiskPressure": join.same_node, "NodeFreeDiskSpaceFailed": join.same_node},
    steps=(
        Step("Read what the containers used.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "In a pod of the same workload see what grows: logs, caches, files in /tmp.",
            "kubectl -n {namespace} get pods",
        ),
        Step(
            "Set requests and limits of ephemeral-storage for container {container} in the pod template to what it may "
            "write, and sizeLimit for its emptyDir volumes. Then this pod is evicted and not its neighbours."
        ),
        Step("Give the namespace a LimitRange with a default for ephemeral-storage, so that no pod goes without."),
    ),
    since="0.1.0",
)
def pod_ephemeral_storage_unbounded(pod: Pod, settings: PodEphemeralStorageUnboundedSettings, now: Now) -> Answer:
    """A pod was evicted for a full disk, and one of its containers had written a lot and has no limit.

    ## Meaning
    The kubelet measured what the container wrote to its own filesystem and its logs when it evicted the pod. It was at
    least as much as the node wanted to have free, and nothing limits it.

    ## Impact
    The node's disk ran out. Other pods of the node may have been evicted with it, and the pod that replaces this one
    does the same to the next node.

    ## Diagnosis
    The message of the evicted pod holds the figures. `du` in a pod of the same workload shows what grows.

    ## Mitigation
    Limit `ephemeral-storage`, write to a volume of its own, and have logs rotated. A ResourceQuota for
    `limits.ephemeral-storage` makes every pod of the namespace state a limit.

    ## Limitations
    What running pods write is not known; only what the kubelet says of those it evicted. Files in emptyDir volumes are
    not among these figures. Such a record is reported for an hour (`windowMinutes`), even if the template was corrected
    meanwhile. Other pods may have written more and have been spared.

    ## References
    - `pkg/kubelet/eviction/helpers.go` (evictionMessage): `Container … was using …, request is …, has larger
      consumption of ephemeral-storage`, 1.30 to 1.36; before, `which exceeds its request of …`, without the threshold.
    - https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#local-ephemeral-storage
    """
    why = eviction(pod.status.message) if pod.status.reason == "Evicted" else None
    if why is None or why.resource != "ephemeral-storage" or pod.deleted:
        return
    least = max(settings.least_gibibytes * GIB, why.threshold or 0)
    bounded = {one.name for one in pod.spec.containers if one.resources.limits.ephemeral_storage}
    unbounded = [(used, container) for container, used in why.used if container not in bounded and used >= least]
    if unbounded and not now.older(evicted_at(pod), minutes(settings.window_minutes)):
        used, container = max(unbounded)
        yield Finding(
            pod,
            since=pod.status.start_time or pod.created,
            evidence=(field(pod, "status.message", pod.status.message, evicted_at(pod)),),
            container=container,
            used=shown_bytes(used),
            node=pod.spec.node_name,
        )
