"""EmptyDirMemoryBacked."""

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.kube.quantity import amount
from kubedx.kube.views import Pod

_HALF = 0.5


@check(
    title="A volume in memory may take the memory of its containers",
    message="Volume {volume} of pod {name} is kept in memory and {size}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    group=by.namespace,
    steps=(
        Step("See the volume, and the memory limits of the containers.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "Set sizeLimit of volume {volume}, and raise the memory limits of the containers that write to it by that."
        ),
        Step("If it need not be in memory: leave out medium: Memory."),
    ),
    since="0.1.0",
)
def empty_dir_memory_backed(pod: Pod) -> Answer:
    """An emptyDir volume with `medium: Memory` has no size limit, or one of more than half of the pod's memory.

    ## Meaning
    Files in such a volume are memory. They count for the container that wrote them, and stay when it restarts.

    ## Impact
    Files that pile up end in an OOM kill, which a restart does not cure. Without memory limits the volume may take the
    node's memory.

    ## Diagnosis
    `df -h` in the container shows the volume as tmpfs, with its size and what is in it.

    ## Mitigation
    Set `sizeLimit` and count it into the memory limit.

    ## Limitations
    What is in the volume is not known: many, such as those of service meshes, hold a few kilobytes. So it is advice,
    and never taken as the cause of an OOM kill. Since 1.22 a volume without a size limit is at most as large as the
    memory limits of all containers together, where each has one. Findings stand together by namespace.

    ## References
    - `pkg/volume/emptydir/empty_dir.go`; the feature gate SizeMemoryBackedVolumes, on since 1.22, GA in 1.32.
    - https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
    """
    if pod.finished:
        return
    limits = [amount(one.resources.limits.memory or None) for one in pod.spec.containers]
    memory = sum(one for one in limits if one) if limits and all(limits) else None
    for volume in pod.spec.volumes:
        if volume.empty_dir is None or volume.empty_dir.medium != "Memory":
            continue
        written = volume.empty_dir.size_limit
        size = amount(written or None)
        if not size:
            what = "has no size limit"
        elif memory and size > _HALF * memory:
            what = f"may hold {written}, more than half of the memory that the containers of the pod may use"
        else:
            continue
        path = f"spec.volumes[{volume.name}].emptyDir"
        yield Finding(
            pod, evidence=(field(pod, path, f"Memory, {written or 'no size limit'}"),), volume=volume.name, size=what
        )
        return
