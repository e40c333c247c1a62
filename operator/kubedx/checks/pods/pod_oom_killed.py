"""PodOOMKilled."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.checks._support.units import is_tiny
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import ContainerStatus, Pod, Terminated


class PodOOMKilledSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodOOMKilled."""

    window_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes after which a kill counts as over if the container runs since.")
    ] = 60


@check(
    title="A container was killed for its memory",
    message="Container {container} of pod {name} was killed at {at} because memory ran out; {limit}",
    severity=Severity.WARNING,
    layer=5,
    group=by.owner,
    when=Bit.TERMINATED,
    explains={
        "ClusterDNSDown": join.back(join.component),
        "JobFailed": join.same_owner,
        "PodCrashLoopBackOff": join.itself,
        "PodFrequentRestarts": join.itself,
        "WorkloadCascadingCrash": join.same_owner,
    },
    steps=(
        Step("Compare the containers' use with their limits.", "kubectl -n {namespace} top pod {name} --containers"),
        Step(
            "Read the container's limit, and when it was killed.",
            "kubectl -n {namespace} describe pod {name}",
        ),
        Step(
            "Raise the memory limit of container {container} in the pod template, or find what holds the memory. "
            "A Java program needs -XX:MaxRAMPercentage; files in a memory-backed emptyDir count too."
        ),
    ),
    since="0.1.0",
)
def pod_oom_killed(pod: Pod, settings: PodOOMKilledSettings, now: Now) -> Answer:
    """The kernel killed a container because it, or its node, ran out of memory.

    ## Meaning
    A process of the container asked for more memory than the container's limit leaves, and the kernel killed the
    container. A container without a limit is killed only when the whole node is out of memory.

    ## Impact
    Work in hand is lost, and the container starts again unless the pod's restart policy forbids it. A container that is
    killed over and over serves nothing: that is critical.

    ## Diagnosis
    `kubectl describe pod` shows `OOMKilled` with exit code 137 as the state or last state of the container.

    ## Mitigation
    Raise the memory limit or make the program need less. With cgroup v2 one process that is too large takes the whole
    container with it (`singleProcessOOMKill` of the kubelet changes this).

    ## Limitations
    Only the newest two runs of a container are known, so kills before them are not counted. A single kill is reported
    for an hour (`windowMinutes`), as nothing else tells that it is over. A process that is killed while the container's
    first process lives on is not seen. A kill of one container is not taken as the cause of its node's memory pressure.

    ## References
    - The reason `OOMKilled` comes from the container runtime through the CRI: `pkg/kubelet/kuberuntime/helpers.go`,
      1.30 to 1.36. Exit code 137 with the reason `Error` is another kind of kill.
    - https://kubernetes.io/docs/tasks/configure-pod-container/assign-memory-resource/
    """
    window = minutes(settings.window_minutes)
    for container in () if pod.deleted else pod.containers:
        kills = [kill for kill in _kills(container) if kill.finished_at and not now.older(kill.finished_at, window)]
        if not kills:
            continue
        looping = container.state.waiting is not None and container.state.waiting.reason == "CrashLoopBackOff"
        again = len(kills) > 1 or (looping and container.restart_count > 1)
        at, limit = kills[0].finished_at, _limit(pod, container.name)
        yield Finding(
            pod,
            since=_began(pod, container, at),
            severity=Severity.CRITICAL if again else Severity.WARNING,
            evidence=(field(pod, status_path(pod, container), "OOMKilled, exit code 137", at),),
            container=container.name,
            at=at or "an unknown time",
            limit=f"its limit is {limit}" if limit else "it has no memory limit, so its node was out of memory",
            limit_is="suspicious" if is_tiny(limit) else "plausible",
        )
        return


def _kills(container: ContainerStatus) -> tuple[Terminated, ...]:
    """The newest runs that ended so, the newest first."""
    runs = (container.state.terminated, container.last_state.terminated)
    return tuple(run for run in runs if run and run.reason == "OOMKilled")


def _began(pod: Pod, container: ContainerStatus, killed: datetime | None) -> datetime | None:
    """Since when it goes on: for a container that was not ready between its kills, since the first of them."""
    unready = None if container.ready else containers_unready_since(pod)
    return min(unready, killed) if unready and killed else killed


def _limit(pod: Pod, name: str) -> str | float:
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    return next((one.resources.limits.memory for one in containers if one.name == name), "")
