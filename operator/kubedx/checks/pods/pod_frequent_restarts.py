"""PodFrequentRestarts."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.pods import crashed, how_ended, status_path
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, hours, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import ContainerStatus, Pod, Terminated

_SOME, _MANY, _VERY_MANY = 3, 5, 10
_SHORT, _LONG, _TWO_RUNS = minutes(15), hours(1), minutes(30)


class PodFrequentRestartsSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodFrequentRestarts."""

    quiet_minutes: Annotated[
        int, Meta(ge=2, le=60, description="Minutes without another restart after which it counts as over.")
    ] = 10


@check(
    title="A container is restarted often",
    message="Container {container} of pod {name} was restarted at least {count} times, {when}; it ended at {at} with "
    "{how}",
    severity=Severity.WARNING,
    layer=5,
    clear_after=minutes(15),
    group=by.owner,
    when=Bit.TERMINATED,
    explains={"ServiceNoReadyEndpoints": join.selected_pods, "WorkloadUnavailable": join.same_owner},
    steps=(
        Step(
            "Read what the container wrote before it ended.",
            "kubectl -n {namespace} logs {name} -c {container} --previous",
        ),
        Step(
            "See why it was ended: its exit code, its probes, its events.", "kubectl -n {namespace} describe pod {name}"
        ),
        Step(
            "Exit code 137 is a kill: by memory (OOMKilled), or by a liveness probe that got no answer. If probes "
            "end it under "
            "load, raise timeoutSeconds and failureThreshold and use a startupProbe."
        ),
    ),
    since="0.1.0",
)
def pod_frequent_restarts(pod: Pod, settings: PodFrequentRestartsSettings, now: Now) -> Answer:
    """A container ends and is started again, often within a short time.

    ## Meaning
    Three restarts within a quarter of an hour or five within an hour, the latest a short time ago. The container need
    not crash in a row: it may be ready in between.

    ## Impact
    With each restart connections break and work in hand is lost. It is critical from ten restarts in an hour on.

    ## Diagnosis
    `kubectl logs --previous` has the last words, `kubectl describe pod` the exit code and the probes' events.

    ## Mitigation
    Depends on what ends it: memory (raise the limit), a liveness probe (give it more time), or the program itself.

    ## Limitations
    The kubelet keeps a number and the times of two runs. So for a pod that is older than an hour five restarts in all
    and two within the last half hour count as often. What a restart of the machine ended does not count, nor do pods of
    Jobs, whose retries are meant. A number is shown as the lower one of 3, 5 and 10.

    ## References
    - `status.containerStatuses[].restartCount` and `lastState`: `staging/src/k8s.io/api/core/v1/types.go`, 1.30 to
      1.36.
    - https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts
    """
    if pod.deleted or pod.finished or (pod.controller and pod.controller.kind == "Job"):
        return
    quiet = minutes(settings.quiet_minutes)
    for container in pod.containers:
        ended = container.state.terminated or container.last_state.terminated
        if ended is None or container.restart_count < _SOME or now.older(ended.finished_at, quiet):
            continue
        when = _when(pod, container, ended, now)
        if not when or not crashed(pod, container, ended):
            continue
        critical = container.restart_count >= _VERY_MANY and not now.older(pod.status.start_time, _LONG)
        path = f"{status_path(pod, container)}.restartCount"
        yield Finding(
            pod,
            since=ended.finished_at,
            severity=Severity.CRITICAL if critical else Severity.WARNING,
            evidence=(field(pod, path, f"at least {container.restart_count}", ended.finished_at),),
            container=container.name,
            count=container.restart_count,
            when=when,
            at=ended.finished_at or "an unknown time",
            how=how_ended(ended),
        )
        return


def _when(pod: Pod, container: ContainerStatus, ended: Terminated, now: Now) -> str:
    """Say in what time it was restarted so often; empty where that need not be a short one."""
    began = pod.status.start_time
    if began and ended.finished_at and not now.older(began, _SHORT if container.restart_count < _MANY else _LONG):
        return f"all since the pod began at {began:%Y-%m-%dT%H:%M:%SZ}"
    twice = ended.started_at is not None and not now.older(ended.started_at, _TWO_RUNS)
    if container.restart_count >= _MANY and twice:
        return f"twice since {ended.started_at:%Y-%m-%dT%H:%M:%SZ}"
    return ""
