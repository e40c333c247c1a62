"""DashboardNoMetrics."""

from kubedx.checks._support.aggregation import unavailable
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Ref, Severity, Step, absent, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.views import APIService, Deployment

API = "v1beta1.metrics.k8s.io"


@check(
    title="A dashboard has no metrics to show",
    message="{namespace}/{name} shows no use of CPU and memory: {why}",
    severity=Severity.INFO,
    layer=9,
    raise_after=minutes(5),
    steps=(
        Step("See whether the metrics API is there and answers.", "kubectl get apiservice v1beta1.metrics.k8s.io"),
        Step("Install or mend metrics-server; a minute later this must answer.", "kubectl top nodes"),
        Step(
            "If it is Heapster: take it away, nothing uses it any more.",
            "kubectl -n {namespace} get deployment {name} -o wide",
        ),
    ),
    since="0.1.0",
)
def dashboard_no_metrics(deployment: Deployment, apis: Lookup[APIService]) -> Answer:
    """The Kubernetes dashboard runs, and the API that it reads its graphs from does not.

    ## Meaning
    The dashboard's graphs come from `metrics.k8s.io`, which metrics-server serves. That API is not registered or does
    not answer. Heapster, which once served it, has been retired since 2018.

    ## Impact
    The dashboard shows no use of CPU and memory. Nothing else depends on it.

    ## Diagnosis
    `kubectl top nodes` fails in the same way.

    ## Mitigation
    Install or mend metrics-server. Remove Heapster.

    ## Limitations
    The dashboard is known by the label `k8s-app=kubernetes-dashboard`, or by that of its metrics scraper since version
    7, and Heapster by `k8s-app=heapster`. Other dashboards are not known.

    ## References
    - https://github.com/kubernetes-retired/heapster
    - https://github.com/kubernetes/dashboard: manifests of version 2 (`k8s-app`), chart of version 7
      (`app.kubernetes.io/component: metrics-scraper`).
    """
    if deployment.deleted or not deployment.status.available_replicas:
        return
    labels = deployment.metadata.labels
    if labels.get("k8s-app") == "heapster":
        running = field(deployment, "metadata.labels[k8s-app]", "heapster")
        yield Finding(deployment, evidence=(running,), why="Heapster has been retired, and nothing reads it", cause="")
        return
    chart = (labels.get("app.kubernetes.io/part-of"), labels.get("app.kubernetes.io/component"))
    if labels.get("k8s-app") != "kubernetes-dashboard" and chart != ("kubernetes-dashboard", "metrics-scraper"):
        return
    api = apis.get("", API)
    broken = unavailable(api) if api else None
    if api is None:
        missing: Evidence = absent(Ref("APIService", "", API))
        yield Finding(deployment, evidence=(missing,), why=f"nothing serves {API}", cause="not served")
    elif broken:
        since = broken[0].last_transition_time
        evidence = field(api, "status.conditions[Available]", "False", since)
        why = f"{API} does not answer ({broken[0].reason})"
        yield Finding(deployment, since=since, evidence=(evidence,), why=why, cause="unavailable")
