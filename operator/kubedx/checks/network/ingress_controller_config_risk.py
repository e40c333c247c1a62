"""IngressControllerConfigRisk."""

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.kube.views import DaemonSet, Deployment

NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"


@check(
    title="ingress-nginx gets no more fixes",
    message="{kind} {namespace}/{name} is ingress-nginx, a project that was retired in March 2026",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=3,
    group=by.namespace,
    steps=(
        Step("See which Ingresses depend on it.", "kubectl get ingresses -A"),
        Step(
            "Read its settings: timeouts and keep-alive have to be set one key an option, each a string.",
            "kubectl -n {namespace} get configmaps -l app.kubernetes.io/name=ingress-nginx -o yaml",
        ),
        Step("Plan the way to Gateway API or to another controller: https://gateway-api.sigs.k8s.io/"),
    ),
    since="0.1.0",
)
def ingress_controller_config_risk(workload: Deployment | DaemonSet) -> Answer:
    """The cluster's way in is ingress-nginx, which nobody maintains any more.

    ## Meaning
    The project ingress-nginx was retired in March 2026. There are no more releases, and no fixes for holes in it.

    ## Impact
    It works as before, until a hole is found in it.

    ## Diagnosis
    `kubectl get ingresses -A` shows what goes through it.

    ## Mitigation
    Move to Gateway API or to a controller that is maintained. Until then keep its admission webhook away from
    everything but the API server.

    ## Limitations
    It is known by the labels of its manifests and of its chart. NGINX Ingress Controller by F5 is another project and
    not meant. Its ConfigMap is not read.

    ## References
    - https://kubernetes.io/blog/2025/11/11/ingress-nginx-retirement/
    """
    labels = workload.metadata.labels
    if labels.get(NAME) == "ingress-nginx" and labels.get(COMPONENT) == "controller" and not workload.deleted:
        yield Finding(
            workload,
            since=workload.created,
            evidence=(field(workload, f"metadata.labels[{NAME}]", "ingress-nginx"),),
        )
