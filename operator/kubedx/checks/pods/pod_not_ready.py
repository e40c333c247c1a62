"""PodNotReady."""

import re

from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.meta import Condition, find
from kubedx.kube.views import Job, Pod

_GATE = re.compile(r'readiness gate "(?P<gate>[^"]+)"')


@check(
    title="A pod runs but is not ready",
    message="Pod {name} runs but is not ready since {at}: {what}",
    severity=Severity.WARNING,
    layer=5,
    raise_after=minutes(15),
    group=by.owner,
    when=Bit.NOT_READY,
    explains={
        "DaemonSetUnavailable": join.itself,
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "HPAFailedGetResourceMetric": join.scale_target.where(cause="pods not ready"),
        "PodPortForwardFailed": join.itself,
        "PodSandboxCNIError": join.component,
        "ServiceNoReadyEndpoints": join.selected_pods,
    },
    steps=(
        Step("Read which probe fails and what it answers.", "kubectl -n {namespace} describe pod {name}"),
        Step("Read what the containers wrote.", "kubectl -n {namespace} logs {name} --all-containers --tail=50"),
        Step(
            "See whether one pod is concerned or its whole node.",
            "kubectl -n {namespace} get pods -o wide",
        ),
    ),
    since="0.1.0",
)
def pod_not_ready(pod: Pod, jobs: Lookup[Job] | None) -> Answer:
    """A pod runs for a quarter of an hour without being ready.

    ## Meaning
    The pod's containers run, but a readiness probe fails, a readiness gate is not set, or its node stopped reporting.

    ## Impact
    Services send it no traffic, a rollout waits for it, an autoscaler leaves it out.

    ## Diagnosis
    The message names the containers or gates that are missing. `kubectl describe pod` shows the answers of the failing
    probe in the `Unhealthy` events.

    ## Mitigation
    Mend what the probe checks, or the probe where it asks too much. A gate is set by the controller that invented it.

    ## Limitations
    Pods that do not run yet, finished pods, pods that are being deleted, and pods of finished Jobs are not judged. A
    pod that becomes ready again and again within the time is not seen.

    ## References
    - `pkg/kubelet/status/generate.go`: `ContainersNotReady`, `containers with unready status: [a b]`,
      `ReadinessGatesNotReady`, 1.30 to 1.36.
    - `pkg/controller/nodelifecycle` sets Ready to False without a reason when the node stops reporting.
    """
    ready = pod.condition("Ready")
    if pod.deleted or pod.status.phase != "Running" or ready is None or ready.status == "True":
        return
    what = _what_is_missing(pod, ready)
    if not what or _is_of_finished_job(pod, jobs):
        return
    yield Finding(
        pod,
        since=ready.last_transition_time,
        evidence=(field(pod, "status.conditions[Ready]", ready.message or ready.status, ready.last_transition_time),),
        at=ready.last_transition_time or "its start",
        what=what,
    )


def _what_is_missing(pod: Pod, ready: Condition) -> str:
    """Name the containers or gates; empty where only containers that did their work are not ready."""
    unready = [container for container in pod.status.container_statuses if not container.ready]
    missing = [
        container.name
        for container in unready
        if not (container.state.terminated and container.state.terminated.exit_code == 0)
    ]
    if missing:
        return f"of its {len(pod.status.container_statuses)} containers these are not ready: {', '.join(missing)}"
    if unready:
        return ""
    gates = sorted(set(_GATE.findall(ready.message)))
    if gates:
        return f"these readiness gates are not set: {', '.join(gates)}"
    if ready.reason:
        return f"{ready.reason}: {ready.message}"
    return "its containers are ready, but it was marked as not ready when its node stopped reporting"


def _is_of_finished_job(pod: Pod, jobs: Lookup[Job] | None) -> bool:
    owner = pod.controller
    if owner is None or owner.kind != "Job" or jobs is None:
        return False
    job = jobs.get(pod.namespace, owner.name)
    return job is not None and any(
        condition is not None and condition.status == "True"
        for condition in (find(job.status.conditions, end) for end in ("Complete", "Failed"))
    )
