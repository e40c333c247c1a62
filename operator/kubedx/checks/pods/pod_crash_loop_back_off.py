"""PodCrashLoopBackOff."""

import re

from kubedx.checks._support.pods import (
    NEVER_RAN,
    containers_unready_since,
    crashed,
    how_ended,
    is_system,
    run_length,
    status_path,
)
from kubedx.checks._support.resolution import cannot_resolve
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, minutes, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.duration import parse
from kubedx.kube.views import ContainerStatus, Pod, Terminated

_BACK_OFF = re.compile(r"back-off (?P<pause>(?:\d+[hms])+) restarting failed container")
_SERIOUS_PAUSE = seconds(40)
"""The kubelet pauses for 10 s, then for twice as long each time: 40 s are the third crash in a row."""

_RESET = minutes(10)
"""A container that ran for so long starts again without a pause."""

_NOT_STARTED = "RunContainerError"
"""What a container waits with between two attempts of the runtime to start its program."""

_THIRD, _FOURTH = 2, 3
"""Restarts before the third crash, and before the run after it."""


@check(
    title="A container crashes again and again",
    message="Container {container} of pod {name} crashes again and again; it ended with {how}",
    severity=Severity.WARNING,
    layer=5,
    clear_after=minutes(15),
    group=by.owner,
    when=Bit.WAITING | Bit.TERMINATED,
    explains={
        "CloudControllerManagerDown": join.component,
        "ClusterDNSDown": join.component,
        "DaemonSetUnavailable": join.itself,
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "KubeProxyDown": join.itself,
        "MetricsAPIUnavailable": join.component,
        "NodeCNINotReady": join.back(join.component),
        "PodFrequentRestarts": join.itself,
        "PodInitContainerStuck": join.itself,
        "PodNotReady": join.itself,
        "PodSandboxCNIError": join.component,
        "ServiceNoReadyEndpoints": join.selected_pods,
        "StatefulSetRolloutStuck": join.same_owner,
        "WorkloadCascadingCrash": join.same_owner,
        "WorkloadUnavailable": join.same_owner,
    },
    steps=(
        Step(
            "Read what the container wrote before it ended.",
            "kubectl -n {namespace} logs {name} -c {container} --previous",
        ),
        Step("Read its exit code, its probes and its configuration.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "Look around in a copy of the pod that does not crash.",
            "kubectl -n {namespace} debug {name} -it --copy-to={name}-debug --container={container} -- sh",
        ),
    ),
    since="0.1.0",
)
def pod_crash_loop_back_off(pod: Pod, now: Now) -> Answer:
    """The kubelet waits longer and longer before it starts a container again that keeps ending.

    ## Meaning
    A container ended several times in a row. The kubelet starts it again after 10 s, 20 s, 40 s and so on up to five
    minutes.

    ## Impact
    The pod does its work only for moments or not at all. In kube-system it is critical, as the cluster itself depends
    on it.

    ## Diagnosis
    `kubectl logs --previous` has the container's last words; the exit code tells much: 1 and 2 are the program's own,
    126 and 127 a command that cannot be run, 137 a kill (memory or a failed liveness probe), 139 a segmentation fault,
    143 a container that was asked to stop.

    ## Mitigation
    Mend what the log names: configuration, a dependency that is away, the command, the memory limit, the liveness
    probe.

    ## Limitations
    Between two crashes the container runs. It counts as crashing until it is ready or has run for longer than the last
    time, and the problem as over only after 15 minutes without a sign of it; the start that is given is that of the
    latest phase without readiness. A container that crashes less often than its pauses are reset (ten minutes of
    running) is not seen.

    ## References
    - `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (doBackOff): `back-off 5m0s restarting failed container=…`, 1.30
      to 1.36; `pkg/kubelet/container/sync_result.go` (CrashLoopBackOff, RunContainerError). Kubelets of 1.36
      leave the container in the state `terminated` for a part of the pause.
    - `StartError` of containerd and `ContainerCannotRun` of CRI-O and Docker, for a command that the image does not
      have or that may not be run.
    - https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
    """
    if pod.deleted or pod.finished:
        return
    for container in pod.containers:
        seen = _crash(pod, container, now)
        if seen is None:
            continue
        ended, path, value = seen
        at = ended.finished_at if ended else None
        yield Finding(
            pod,
            since=containers_unready_since(pod),
            severity=Severity.CRITICAL if is_system(pod) else Severity.WARNING,
            evidence=(field(pod, f"{status_path(pod, container)}.{path}", value, at),),
            container=container.name,
            how=how_ended(ended),
            cause="dns" if ended and cannot_resolve(ended.message) else "other",
        )
        return


Crash = tuple[Terminated | None, str, str]
"""How the container ended last, and where that it crashes can be read, with what stands there."""


def _crash(pod: Pod, container: ContainerStatus, now: Now) -> Crash | None:
    waiting, ended, before = container.state.waiting, container.state.terminated, container.last_state.terminated
    if waiting and waiting.reason == "CrashLoopBackOff" and _is_serious(container, now):
        return before, "state.waiting", f"{waiting.reason}: {waiting.message}"
    if waiting and waiting.reason == _NOT_STARTED and before and container.restart_count >= _THIRD:
        return before, "state.waiting", f"{waiting.reason}: {waiting.message}"
    if ended:
        again = container.restart_count >= _THIRD and _is_short(ended) and (before is None or _is_short(before))
        return (ended, "state.terminated", how_ended(ended)) if again and crashed(pod, container, ended) else None
    if before and container.restart_count >= _FOURTH and _is_short(before) and crashed(pod, container, before):
        return (before, "lastState.terminated", how_ended(before)) if _is_unproven(container, before, now) else None
    return None


def _is_serious(container: ContainerStatus, now: Now) -> bool:
    """Whether it is more than a container that waits for another to come up."""
    match = _BACK_OFF.search(container.state.waiting.message) if container.state.waiting else None
    if match and parse(match["pause"]) >= _SERIOUS_PAUSE:
        return True
    ended = container.last_state.terminated
    return ended is not None and now.older(ended.finished_at, minutes(1))


def _is_short(ended: Terminated) -> bool:
    length = run_length(ended)
    return ended.reason in NEVER_RAN or (length is not None and length < _RESET)


def _is_unproven(container: ContainerStatus, before: Terminated, now: Now) -> bool:
    """Whether it is not ready and has not run longer than the last time, so that nothing shows that it is well."""
    running, length = container.state.running, run_length(before)
    if container.ready or running is None or running.started_at is None or length is None:
        return False
    return not now.older(running.started_at, length)
