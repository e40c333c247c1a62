"""ServiceBackendsNotGated."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.services import living, ready_pod, routes, slices_of
from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.views import EndpointSlice, Pod, Service


class ServiceBackendsNotGatedSettings(Settings, frozen=True, rename="camel"):
    """Settings of ServiceBackendsNotGated."""

    window_minutes: Annotated[int, Meta(ge=1, le=120, description="Minutes in which a start counts as recent.")] = 10


@check(
    title="A Service sends traffic to pods that may still be starting",
    message="Service {namespace}/{name} did not wait for pod {pod}, which has no readiness probe and started at {at}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=3,
    group=by.namespace,
    steps=(
        Step("Read what the pod says about its start.", "kubectl -n {namespace} describe pod {pod}"),
        Step("Give its containers a readiness probe, and the Deployment a minReadySeconds of some seconds."),
        Step("Let a preStop hook sleep for some seconds, so that no connection meets a pod that is ending."),
    ),
    since="0.1.0",
)
def service_backends_not_gated(
    service: Service,
    slices: Lookup[EndpointSlice],
    pods: Lookup[Pod],
    settings: ServiceBackendsNotGatedSettings,
    now: Now,
) -> Answer:
    """Pods without a readiness probe started, and their Service sent traffic to them at once.

    ## Meaning
    Without a readiness probe a pod counts as ready as soon as its containers run, whether the program listens or not.
    Some pod behind the Service started within the last ten minutes.

    ## Impact
    With each rollout and each restart some connections are refused.

    ## Diagnosis
    Compare the times of refused connections with those of the pods' starts.

    ## Mitigation
    Give the containers a readiness probe.

    ## Limitations
    Readiness gates, which also make a Service wait, are not looked at.

    ## References
    - https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
    """
    one = ready_pod(slices_of(service, slices), pods) if routes(service) else None
    if one is None or _is_gated(one):
        return
    window = minutes(settings.window_minutes)
    started = [
        (at, pod.name, pod)
        for pod in living(pods.selected_by(service.spec.selector, service.namespace))
        if not _is_gated(pod) and (at := _started(pod)) and (service.created is None or at - service.created > window)
    ]
    recent = [entry for entry in started if not now.older(entry[0], window)]
    if recent:
        at, _, pod = max(recent, key=lambda entry: entry[:2])
        yield Finding(
            service,
            since=at,
            evidence=(field(pod, "spec.containers.readinessProbe", "none", at),),
            pod=pod.name,
            at=at,
        )


def _is_gated(pod: Pod) -> bool:
    return any(container.readiness_probe for container in pod.spec.containers)


def _started(pod: Pod) -> datetime | None:
    """When the last of its containers started anew, or else the pod."""
    ends = (one.last_state.terminated.finished_at for one in pod.status.container_statuses if one.last_state.terminated)
    return max(filter(None, (pod.created, *ends)), default=None)
