"""HPAScaledToZeroOrDisabled."""

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.kube.views import HorizontalPodAutoscaler


@check(
    title="An autoscaler is off, as its target has no replicas",
    message="The autoscaler {namespace}/{name} does nothing: {target} has zero replicas",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=8,
    group=by.namespace,
    steps=(
        Step("See its target.", "kubectl -n {namespace} describe horizontalpodautoscaler {name}"),
        Step("To turn it on again, scale the target up.", "kubectl -n {namespace} scale {target} --replicas=1"),
        Step("To scale to zero and up again by load, use KEDA or Knative in its place."),
    ),
    since="0.1.0",
)
def hpa_scaled_to_zero_or_disabled(autoscaler: HorizontalPodAutoscaler) -> Answer:
    """A HorizontalPodAutoscaler is switched off because somebody scaled its target to zero.

    ## Meaning
    A target with zero replicas means to the autoscaler that it is to keep away: its condition ScalingActive is False
    with the reason ScalingDisabled.

    ## Impact
    Whatever the load, no pod is started until somebody scales the target to one or more.

    ## Diagnosis
    `kubectl describe` shows the condition and the target.

    ## Mitigation
    Scale the target up, or delete the autoscaler with what it scales.

    ## Limitations
    KEDA sets targets to zero on purpose and scales them up itself: there it is as it should be.

    ## References
    - `pkg/controller/podautoscaler/horizontal.go`: `scaling is disabled since the replica count of the target is zero`,
      1.6 to 1.36.
    - https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
    """
    active = autoscaler.condition("ScalingActive")
    if active and active.status == "False" and active.reason == "ScalingDisabled" and not autoscaler.deleted:
        target = autoscaler.spec.scale_target_ref
        yield Finding(
            autoscaler,
            since=active.last_transition_time,
            evidence=(
                field(autoscaler, "status.conditions[ScalingActive]", active.reason, active.last_transition_time),
            ),
            target=f"{target.kind}/{target.name}",
        )
