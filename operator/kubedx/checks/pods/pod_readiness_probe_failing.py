"""PodReadinessProbeFailing."""

from datetime import datetime

from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.checks._support.probes import (
    REASONS,
    ProbeFailure,
    asked,
    patience,
    probe_failure,
    remedy,
    shown_answer,
)
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import EventRecord, Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Container, ContainerStatus, Pod

_QUIET = minutes(15)
"""The kubelet's Events about a pod come every five minutes, and other Events take turns with them."""


@check(
    title="A readiness probe fails",
    message="Container {container} of pod {name} runs, but fails its readiness probe: {remedy}. "
    "The probe ({asked}) got: {answer}",
    severity=Severity.WARNING,
    layer=5,
    raise_after=minutes(5),
    group=by.owner,
    when=Bit.NOT_READY,
    events=REASONS,
    explains={
        "ClusterDNSDown": join.component,
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "PodNotReady": join.itself,
        "ServiceNoReadyEndpoints": join.selected_pods,
    },
    steps=(
        Step("Read what the probe gets.", "kubectl -n {namespace} describe pod {name}"),
        Step("Read what the program writes.", "kubectl -n {namespace} logs {name} -c {container} --tail=50"),
        Step("See whether its neighbours on the node fail, too.", "kubectl -n {namespace} get pods -o wide"),
    ),
    since="0.1.0",
)
def pod_readiness_probe_failing(pod: Pod, events: Events | None, now: Now) -> Answer:
    """A container runs, and its readiness probe has failed for five minutes or more.

    ## Meaning
    The kubelet asks the container whether it can serve, and the answer is no, wrong, or none in time.

    ## Impact
    Services leave the pod out, and a rollout waits for it. The container is not restarted: readiness never does that.
    If no pod of a Service is left, that is critical, and a problem of the Service.

    ## Diagnosis
    The container is running and not ready although a readiness probe is all that it waits for; the newest `Unhealthy`
    event has the probe's answer. The message compares what the probe asks with what the container declares.

    ## Mitigation
    Correct the probe's port, path or scheme, or mend what the program waits for: mostly a database or another Service.

    ## Limitations
    A probe that fails every now and then and passes in between is not reported. Without Events the answer is not known,
    only that the probe fails. Containers that still have to pass their startupProbe are not judged.

    ## References
    - `pkg/kubelet/prober/prober.go`: `Readiness probe failed: …`; `pkg/kubelet/prober/prober_manager.go`
      (UpdatePodStatus): a container is ready while it runs and its newest result is a success; 1.30 to 1.36.
    - https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
    """
    if pod.deleted or pod.status.phase != "Running":
        return
    for container in pod.spec.containers:
        status = next((one for one in pod.status.container_statuses if one.name == container.name), None)
        probe = container.readiness_probe
        if status is None or probe is None or not _waits_for_it_alone(container, status):
            continue
        began = status.state.running.started_at if status.state.running else None
        if not now.older(began, patience(probe)):
            continue
        failure, record = _newest(pod, container.name, events, now)
        yield Finding(
            pod,
            since=_since(pod, began),
            evidence=(
                field(pod, f"{status_path(pod, status)}.ready", "false, while it runs", began),
                *((record.evidence,) if record else ()),
            ),
            container=container.name,
            answer=shown_answer(failure) if failure else "an answer that is not known",
            asked=asked(probe),
            remedy=remedy(pod, container, probe, failure),
            cause="dns" if failure and failure.how == "dns" else "other",
        )
        return


def _waits_for_it_alone(container: Container, status: ContainerStatus) -> bool:
    starting = container.startup_probe is not None and not status.started
    return not status.ready and status.state.running is not None and not starting


def _since(pod: Pod, began: datetime | None) -> datetime | None:
    unready = containers_unready_since(pod)
    return max(unready, began) if unready and began else unready or began


def _newest(
    pod: Pod, container: str, events: Events | None, now: Now
) -> tuple[ProbeFailure, EventRecord] | tuple[None, None]:
    for record in events.about(pod, *REASONS) if events else ():
        failure = probe_failure(record.message)
        if failure and failure.kind == "readiness" and record.container == container:
            return (failure, record) if not now.older(record.last, _QUIET) else (None, None)
    return None, None
