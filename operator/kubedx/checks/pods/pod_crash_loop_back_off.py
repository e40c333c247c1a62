"""PodCrashLoopBackOff."""

import re

from kubedx.checks._support.pods import containers_unready_since, is_system, status_path
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


@check(
    title="A container crashes again and again",
    message="Container {container} of pod {name} crashes again and again; it ended with {how}",
    severity=Severity.WARNING,
    layer=5,
    clear_after=minutes(15),
    group=by.owner,
    when=Bit.WAITING,
    explains={
        "CloudControllerManagerDown": join.component,
        "ClusterDNSDown": join.component,
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "KubeProxyDown": join.itself,
        "MetricsAPIUnavailable": join.component,
        "NodeCNINotReady": join.back(join.component),
        "PodFrequentRestarts": join.itself,
        "PodInitContainerStuck": join.itself,
        "PodNotReady": join.itself,
        "ServiceNoReadyEndpoints": join.selected_pods,
        "StatefulSetRolloutStuck": join.same_owner,
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
    Between two crashes the container runs and nothing shows that it will crash again. So the problem counts as over
    only after 15 minutes without a pause; the start that is given is that of the latest phase without readiness. A
    container that crashes less often than its pauses are reset (ten minutes of running) is not seen.

    ## References
    - `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (doBackOff): `back-off 5m0s restarting failed container=…`,
      1.30 to 1.36; `pkg/kubelet/container/sync_result.go` (CrashLoopBackOff).
    - https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
    """
    if pod.deleted:
        return
    for container in pod.containers:
        waiting, ended = container.state.waiting, container.last_state.terminated
        if waiting is None or waiting.reason != "CrashLoopBackOff":
            continue
        if _is_serious(container, now):
            path = f"{status_path(pod, container)}.state.waiting"
            yield Finding(
                pod,
                since=containers_unready_since(pod),
                severity=Severity.CRITICAL if is_system(pod) else Severity.WARNING,
                evidence=(
                    field(pod, path, f"{waiting.reason}: {waiting.message}", ended.finished_at if ended else None),
                ),
                container=container.name,
                how=_how(ended),
                cause="dns" if ended and cannot_resolve(ended.message) else "other",
            )
            return


def _is_serious(container: ContainerStatus, now: Now) -> bool:
    """Whether it is more than a container that waits for another to come up."""
    match = _BACK_OFF.search(container.state.waiting.message) if container.state.waiting else None
    if match and parse(match["pause"]) >= _SERIOUS_PAUSE:
        return True
    ended = container.last_state.terminated
    return ended is not None and now.older(ended.finished_at, minutes(1))


def _how(ended: Terminated | None) -> str:
    if ended is None:
        return "an unknown exit code"
    return f"exit code {ended.exit_code} ({ended.reason})" if ended.reason else f"exit code {ended.exit_code}"
