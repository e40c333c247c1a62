"""PodEvictedContainerEphemeralLimit."""

from kubedx.checks._support.evictions import EvictionSettings, evicted
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="A pod was evicted because a container wrote too much to disk",
    message="Pod {name} was evicted at {at}: the log and the written files of its container {container} exceed its "
    "ephemeral-storage limit of {limit}",
    severity=Severity.WARNING,
    layer=5,
    group=by.owner,
    when=Bit.FAILED,
    explains={"PodEvicted": join.itself},
    steps=(
        Step("Read the container's limits and mounts.", "kubectl -n {namespace} get pod {name} -o yaml"),
        Step(
            "Have container {container} log less, write to a volume instead of its own filesystem, or raise "
            "resources.limits.ephemeral-storage in the pod template."
        ),
        Step(
            "Remove the records of failed pods of the namespace. Their messages go with them.",
            "kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_evicted_container_ephemeral_limit(pod: Pod, settings: EvictionSettings, now: Now) -> Answer:
    """A kubelet ended a pod because one of its containers exceeded its limit of ephemeral storage.

    ## Meaning
    The log of the container and what it wrote into its own filesystem take more than its limit `ephemeral-storage`.

    ## Impact
    The pod ends with all that it wrote. Its replacement meets the same end when it has written as much.

    ## Diagnosis
    The pod stays as a record in phase Failed; its message names the container and the limit.

    ## Mitigation
    Rotate or reduce the log, write caches and uploads to a volume, or raise the limit.

    ## Limitations
    A record is reported for an hour (`windowMinutes`). Whether log or files filled the disk is not known any more.

    ## References
    - `pkg/kubelet/eviction/helpers.go`: `Container … exceeded its local ephemeral storage limit "…".`, 1.13 to 1.36.
    - https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#local-ephemeral-storage
    """
    found = evicted(pod, settings, now)
    if found is None or found[0].kind != "container":
        return
    why, since = found
    yield Finding(
        pod,
        since=since,
        evidence=(field(pod, "status.message", pod.status.message, since),),
        at=since or "an unknown time",
        container=why.what,
        limit=why.rest,
    )
