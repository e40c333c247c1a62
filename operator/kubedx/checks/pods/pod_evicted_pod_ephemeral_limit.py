"""PodEvictedPodEphemeralLimit."""

from kubedx.checks._support.evictions import EvictionSettings, evicted
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="A pod was evicted because it wrote too much to disk",
    message="Pod {name} was evicted at {at}: its containers' logs and files and its emptyDir volumes together exceed "
    "{limit}, "
    "the sum of its containers' ephemeral-storage limits",
    severity=Severity.WARNING,
    layer=5,
    group=by.owner,
    when=Bit.FAILED,
    explains={"PodEvicted": join.itself},
    steps=(
        Step("Read the containers' limits and the volumes.", "kubectl -n {namespace} get pod {name} -o yaml"),
        Step(
            "Raise resources.limits.ephemeral-storage of a container, as emptyDir volumes count too, or give the "
            "volumes a "
            "sizeLimit, so that it shows which one grows."
        ),
        Step(
            "Remove the records of failed pods of the namespace. Their messages go with them.",
            "kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_evicted_pod_ephemeral_limit(pod: Pod, settings: EvictionSettings, now: Now) -> Answer:
    """A kubelet ended a pod because all that it keeps on its node's disk exceeds the sum of its limits.

    ## Meaning
    Logs, written files and emptyDir volumes on disk, added up, take more than the containers' limits
    `ephemeral-storage`, added up. No single container need be beyond its own limit: mostly an emptyDir volume is what
    grew.

    ## Impact
    The pod ends with all that it wrote. Its replacement meets the same end when it has written as much.

    ## Diagnosis
    The pod stays as a record in phase Failed; its message names the sum of the limits.

    ## Mitigation
    Raise the limits by what the emptyDir volumes need, give these a `sizeLimit`, or use a claim.

    ## Limitations
    A record is reported for an hour (`windowMinutes`). Which volume grew is not known any more.

    ## References
    - `pkg/kubelet/eviction/helpers.go`: `Pod ephemeral local storage usage exceeds the total limit of containers ….`,
      1.13 to 1.36.
    - https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#local-ephemeral-storage
    """
    found = evicted(pod, settings, now)
    if found is None or found[0].kind != "pod":
        return
    why, since = found
    yield Finding(
        pod,
        since=since,
        evidence=(field(pod, "status.message", pod.status.message, since),),
        at=since or "an unknown time",
        limit=why.rest,
    )
