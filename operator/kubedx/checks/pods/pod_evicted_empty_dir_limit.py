"""PodEvictedEmptyDirLimit."""

from kubedx.checks._support.evictions import EvictionSettings, evicted
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="A pod was evicted because an emptyDir grew beyond its limit",
    message="Pod {name} was evicted at {at}: its emptyDir volume {volume} holds more than its sizeLimit of {limit}; "
    "{remedy}",
    severity=Severity.WARNING,
    layer=5,
    group=by.owner,
    when=Bit.FAILED,
    explains={"PodEvicted": join.itself},
    steps=(
        Step("Read the volume's sizeLimit.", "kubectl -n {namespace} get pod {name} -o yaml"),
        Step(
            "Raise sizeLimit of the volume {volume} in the pod template (with the unit Mi or Gi), have the program "
            "clean up, "
            "or use a PersistentVolumeClaim."
        ),
        Step(
            "Remove the records of failed pods of the namespace. Their messages go with them.",
            "kubectl -n {namespace} delete pods --field-selector=status.phase=Failed",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_evicted_empty_dir_limit(pod: Pod, settings: EvictionSettings, now: Now) -> Answer:
    """A kubelet ended a pod because one of its emptyDir volumes holds more than its sizeLimit.

    ## Meaning
    The kubelet measures emptyDir volumes every ten seconds, and evicts the pod when one exceeds its `sizeLimit`.

    ## Impact
    The pod ends, and all its emptyDir volumes are deleted with it. Its replacement meets the same end when it has
    written as much.

    ## Diagnosis
    The pod stays as a record in phase Failed; its message names the volume and the limit.

    ## Mitigation
    Raise the limit, write less, or use a claim. A limit that ends in `m` is a slip: `1m` is a thousandth of a byte.

    ## Limitations
    A record is reported for an hour (`windowMinutes`). What fills the volume is gone with it.

    ## References
    - `pkg/kubelet/eviction/helpers.go`: `Usage of EmptyDir volume "…" exceeds the limit "…".`, 1.13 to 1.36; without
      the quotes before.
    - https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
    """
    found = evicted(pod, settings, now)
    if found is None or found[0].kind != "emptyDir":
        return
    why, since = found
    yield Finding(
        pod,
        since=since,
        evidence=(field(pod, "status.message", pod.status.message, since),),
        at=since or "an unknown time",
        volume=why.what,
        limit=why.rest,
        remedy=_remedy(why.rest),
    )


def _remedy(limit: str) -> str:
    if limit.endswith("m"):
        return f"the unit m means a thousandth of a byte: write {limit[:-1]}Mi"
    return "raise the limit, or have the program write less"
