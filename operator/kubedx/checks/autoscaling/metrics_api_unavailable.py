"""MetricsAPIUnavailable."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.aggregation import METRICS_GROUPS, unavailable
from kubedx.checks._support.autoscalers import metrics_groups_in_use
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.views import APIService


class MetricsAPIUnavailableSettings(Settings, frozen=True, rename="camel"):
    """Settings of MetricsAPIUnavailable."""

    critical_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Minutes after which it is critical even if no autoscaler needs it.")
    ] = 10


@check(
    title="A metrics API is registered and does not answer",
    message="The metrics API {name} does not answer ({reason}): {detail}",
    severity=Severity.CRITICAL,
    layer=8,
    raise_after=minutes(2),
    explains={
        "APIDiscoveryPartial": join.itself,
        "DashboardNoMetrics": join.cluster.where(cause="unavailable"),
        "HPACustomMetricFailed": join.cluster,
        "HPAFailedGetResourceMetric": join.cluster.where(cause="unavailable"),
        "NamespaceStuckTerminating": join.cluster.where(cause="discovery"),
    },
    steps=(
        Step("Read why the API server cannot use it.", "kubectl describe apiservice {name}"),
        Step(
            "See whether the pods behind it run.",
            "kubectl -n {service_namespace} get service,endpointslices,pods -o wide",
        ),
        Step("Read what it says itself.", "kubectl -n {service_namespace} logs deployment/{service} --tail=100"),
    ),
    since="0.1.0",
)
def metrics_api_unavailable(
    api: APIService,
    in_use: Annotated[frozenset[str], metrics_groups_in_use],
    settings: MetricsAPIUnavailableSettings,
    now: Now,
) -> Answer:
    """metrics-server, or another server of metrics, is registered but the API server cannot use it.

    ## Meaning
    The APIService of `metrics.k8s.io`, `custom.metrics.k8s.io` or `external.metrics.k8s.io` has the condition
    `Available=False`.

    ## Impact
    Autoscalers that read it do not scale and `kubectl top` fails. Discovery of all APIs is incomplete, so namespaces
    cannot be deleted either.

    ## Diagnosis
    The condition's reason tells where to look. For metrics-server, `FailedDiscoveryCheck` mostly means that the API
    server cannot reach its pods, and a pod that is not ready mostly cannot read the kubelets: their serving
    certificates are not trusted, or port 10250 is blocked.

    ## Mitigation
    Bring its pods back; open the way from the API server to them (`hostNetwork`, konnectivity, network policies); give
    the kubelets serving certificates that metrics-server trusts.

    ## Limitations
    It does not look into the server itself; one that answers with no data is not seen here. Critical at once if an
    autoscaler reads this API, else after ten minutes.

    ## References
    - `staging/src/k8s.io/kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go`
    - https://github.com/kubernetes-sigs/metrics-server/blob/master/KNOWN_ISSUES.md
    """
    found = unavailable(api)
    if not found or api.spec.group not in METRICS_GROUPS:
        return
    condition, service = found
    since = condition.last_transition_time
    urgent = api.spec.group in in_use or now.older(since, minutes(settings.critical_minutes))
    yield Finding(
        api,
        since=since,
        severity=Severity.CRITICAL if urgent else Severity.WARNING,
        evidence=(field(api, "status.conditions[Available]", "False", since),),
        reason=condition.reason,
        detail=condition.message,
        service=service.name,
        service_namespace=service.namespace,
    )
