"""MetricsServerMissing."""

from datetime import datetime

from kubedx.checks._support.autoscalers import RESOURCE_METRICS, why_no_metrics
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Step, absent, field
from kubedx.core.inputs import Cluster, Lookup, minutes
from kubedx.kube.views import APIService, HorizontalPodAutoscaler


@check(
    title="No metrics server, but autoscalers need it",
    message="Nothing serves {name}; autoscalers that need it for CPU or memory: {count}, for example {example}",
    layer=3,
    raise_after=minutes(2),
    explains={
        "DashboardNoMetrics": join.cluster.where(cause="not served"),
        "HPAFailedGetResourceMetric": join.cluster.where(cause="not served"),
    },
    steps=(
        Step("See that the API is not registered.", "kubectl get apiservice {name}"),
        Step(
            "Install metrics-server.",
            "kubectl apply -f https://github.com/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml",
        ),
        Step("A minute later this must answer.", "kubectl top nodes"),
    ),
    since="0.1.0",
)
def metrics_server_missing(
    _: Cluster, services: Lookup[APIService], autoscalers: Lookup[HorizontalPodAutoscaler]
) -> Answer:
    """Autoscalers ask for CPU or memory, and nothing in the cluster serves these metrics.

    ## Meaning
    HorizontalPodAutoscalers with resource metrics exist, but no APIService `v1beta1.metrics.k8s.io` is registered:
    metrics-server, or what takes its place, was never installed or was removed.

    ## Impact
    These autoscalers do not scale: the workloads stay at the size they have. `kubectl top` does not work.

    ## Diagnosis
    `kubectl get apiservice v1beta1.metrics.k8s.io` answers NotFound.

    ## Mitigation
    Install metrics-server. Clusters whose kubelets have self-signed serving certificates need
    `--kubelet-insecure-tls`, or better kubelet serving certificates from the cluster's CA.

    ## Limitations
    Clusters without such autoscalers are not reported, as they miss nothing. Nothing tells when an absent object went:
    the time counts from the first complaint of an autoscaler, or else from when it was first seen to be missing.

    ## References
    - `the server could not find the requested resource (get pods.metrics.k8s.io)` in the autoscalers' conditions, 1.18
      to 1.36.
    - https://github.com/kubernetes-sigs/metrics-server
    """
    missing = Ref("APIService", "", "v1beta1.metrics.k8s.io")
    needing = [one for one in autoscalers.all() if any(metric.type in RESOURCE_METRICS for metric in one.spec.metrics)]
    if needing and services.get("", missing.name) is None:
        yield Finding(
            missing,
            since=min(filter(None, map(_complained, needing)), default=None),
            evidence=(absent(missing), field(needing[0], "spec.metrics", "Resource")),
            count=len(needing),
            example=f"{needing[0].namespace}/{needing[0].name}",
        )


def _complained(autoscaler: HorizontalPodAutoscaler) -> datetime | None:
    condition = autoscaler.condition("ScalingActive")
    missed = condition and condition.status == "False" and why_no_metrics(condition.message) == "not served"
    return condition.last_transition_time if condition and missed else None
