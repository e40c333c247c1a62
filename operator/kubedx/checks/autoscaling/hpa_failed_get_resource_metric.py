"""HPAFailedGetResourceMetric."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.autoscalers import why_no_metrics
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.views import HorizontalPodAutoscaler

REASONS = ("FailedGetResourceMetric", "FailedGetContainerResourceMetric")
PREFIX = "the HPA was unable to compute the replica count: "


class HPAFailedGetResourceMetricSettings(Settings, frozen=True, rename="camel"):
    """Settings of HPAFailedGetResourceMetric."""

    starting_minutes: Annotated[
        int, Meta(ge=3, le=60, description="Minutes that new pods may take until there are metrics of them.")
    ] = 5


@check(
    title="An autoscaler cannot read CPU or memory",
    message="The autoscaler {namespace}/{name} does not scale {target}: {why}",
    layer=9,
    raise_after=minutes(3),
    steps=(
        Step("See what the autoscaler reads.", "kubectl -n {namespace} describe horizontalpodautoscaler {name}"),
        Step("See whether there are metrics of the pods.", "kubectl -n {namespace} top pods"),
        Step("See whether their API answers.", "kubectl get apiservice v1beta1.metrics.k8s.io"),
        Step("If a request is missing: add it to each container.", "kubectl -n {namespace} get {target} -o yaml"),
    ),
    since="0.1.0",
)
def hpa_failed_get_resource_metric(
    autoscaler: HorizontalPodAutoscaler, settings: HPAFailedGetResourceMetricSettings, now: Now
) -> Answer:
    """A HorizontalPodAutoscaler gets no CPU or memory metrics and therefore does not scale.

    ## Meaning
    The autoscaler's condition `ScalingActive` is False because the resource metrics of its pods could not be read.

    ## Impact
    The workload keeps the number of pods that it has, whatever the load.

    ## Diagnosis
    The message tells: `could not find the requested resource` is a metrics-server that is not installed, `unable to
    handle the request` one that does not answer, `missing request for` a container without a request, the rest pods
    that are not ready.

    ## Mitigation
    Install or repair metrics-server; give every container, sidecars included, a request for the resource.

    ## Limitations
    Other metrics of the same autoscaler may still work: it is reported only when nothing is left to scale by, or when
    the autoscaler would have to scale down on incomplete data.

    ## References
    - `pkg/controller/podautoscaler/horizontal.go`, `replica_calculator.go`, `metrics/client.go`, 1.18 to 1.36: `unable
      to fetch metrics from resource metrics API: ` since 1.12, before it `from API: `.
    - https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
    """
    condition = autoscaler.condition("ScalingActive")
    if not condition or condition.status != "False" or condition.reason not in REASONS or autoscaler.deleted:
        return
    since = condition.last_transition_time
    cause = why_no_metrics(condition.message)
    if cause == "pods not ready" and not now.older(since, minutes(settings.starting_minutes)):
        return
    target = autoscaler.spec.scale_target_ref
    yield Finding(
        autoscaler,
        since=since,
        evidence=(field(autoscaler, "status.conditions[ScalingActive]", condition.reason, since),),
        target=f"{target.kind}/{target.name}",
        why=condition.message.removeprefix(PREFIX),
        cause=cause,
    )
