"""ServiceNoEndpoints."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.replicas import pods_of
from kubedx.checks._support.selection import Carrier, Workload, carriers, near_miss, selected
from kubedx.checks._support.services import api_behind, routes, shown_labels, slices_of
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.views import APIService, DaemonSet, Deployment, EndpointSlice, Pod, ReplicaSet, Service, StatefulSet


class ServiceNoEndpointsSettings(Settings, frozen=True, rename="camel"):
    """Settings of ServiceNoEndpoints."""

    grace_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes after a Service was created in which it is not judged.")
    ] = 5


@check(
    title="A Service selects no pods",
    message="There is no pod behind the Service {namespace}/{name}: {why}",
    layer=7,
    raise_after=minutes(2),
    explains={
        "APIDiscoveryPartial": join.service_behind,
        "APIServiceUnavailable": join.service_behind,
        "AdmissionWebhookUnreachable": join.service_behind,
        "IngressBackendUnavailable": join.service_behind,
        "MetricsAPIUnavailable": join.service_behind,
    },
    steps=(
        Step("Compare the labels of the pods with {selector}.", "kubectl -n {namespace} get pods --show-labels"),
        Step("{fix}", "kubectl -n {namespace} edit service {name}"),
        Step(
            "Then it must have endpoints.",
            "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}",
        ),
    ),
    since="0.1.0",
)
def service_no_endpoints(  # noqa: PLR0913, PLR0917 -- one input for each kind that may bring pods
    service: Service,
    pods: Lookup[Pod],
    services: Lookup[Service],
    slices: Lookup[EndpointSlice] | None,
    deployments: Lookup[Deployment] | None,
    stateful_sets: Lookup[StatefulSet] | None,
    daemon_sets: Lookup[DaemonSet] | None,
    replica_sets: Lookup[ReplicaSet] | None,
    apis: Lookup[APIService] | None,
    settings: ServiceNoEndpointsSettings,
    now: Now,
) -> Answer:
    """A Service has a selector, and no pod in its namespace has these labels.

    ## Meaning
    The labels that the Service selects are carried by no pod and by no workload's pod template. If one differs in a
    single label it is named: that is most probably a slip, on one side or the other.

    ## Impact
    Each connection to the Service is refused, or gets no answer until it times out. It is critical if the Service
    answers for an aggregated API, and only for your information if nothing in the namespace comes near its selector:
    then it may just be left over.

    ## Diagnosis
    Compare `spec.selector` of the Service with the labels of the pods, key by key. All must match.

    ## Mitigation
    Correct the selector, or the labels in the workload's pod template. A Deployment's own selector cannot be changed:
    change the Service rather than labels that it contains. Delete a Service that nobody needs.

    ## Limitations
    Scaled to zero is nobody's fault: such a Service is reported only if an aggregated API needs it. It is not reported
    either if a workload should have pods with these labels and has none, as that workload tells why; if labels are
    given while pods run, such as the role in a database cluster; and, if headless, without a near miss. Workloads of
    other kinds than those of Kubernetes are known only by their pods and ReplicaSets. Where Deployments, StatefulSets
    or DaemonSets cannot be read, only a near miss is reported.

    ## References
    - `staging/src/k8s.io/endpointslice/reconciler.go`, `pkg/controller/endpointslice`: pods are found by the selector
      alone, all versions.
    - https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/
    """
    if not routes(service) or not now.older(service.created, minutes(settings.grace_minutes)):
        return
    selector, namespace = service.spec.selector, service.namespace
    if slices_of(service, slices) or pods.selected_by(selector, namespace):
        return
    workloads: list[Workload] = [
        *(deployments.in_namespace(namespace) if deployments else ()),
        *(stateful_sets.in_namespace(namespace) if stateful_sets else ()),
        *(daemon_sets.in_namespace(namespace) if daemon_sets else ()),
        *(replica_sets.selected_by(selector, namespace) if replica_sets else ()),
    ]
    needing = api_behind(service, apis)
    bringing = selected(service, workloads)
    if bringing:
        found = _at_zero(bringing) if needing else None
    else:
        found = _mistaken(service, carriers(service, pods, workloads, services), needing)
        if found and found[0] is Severity.INFO and None in {deployments, stateful_sets, daemon_sets}:
            found = None  # What cannot be read may be scaled to zero.
    if found:
        severity, why, fix = found
        yield Finding(
            service,
            severity=Severity.CRITICAL if needing else severity,
            evidence=(field(service, "spec.selector", shown_labels(selector.items())),),
            why=f"{why}; the API {needing} needs it" if needing else why,
            fix=fix,
            selector=shown_labels(selector.items()),
        )


_Reason = tuple[Severity, str, str]


def _at_zero(bringing: list[Workload]) -> _Reason | None:
    if any(pods_of(one)[0] for one in bringing):
        return None
    who = f"{bringing[0].kind} {bringing[0].name}"
    return Severity.CRITICAL, f"{who}, whose pods it selects, is scaled to zero", f"Scale {who} up again."


def _mistaken(service: Service, candidates: list[Carrier] | None, needing: str) -> _Reason | None:
    if candidates is None:
        return None
    miss = near_miss(service.name, service.spec.selector, candidates)
    if miss:
        return Severity.WARNING, miss.text, miss.fix
    if service.is_headless or service.metadata.owner_references:
        return None
    why = f"no pod and no workload has the labels {shown_labels(service.spec.selector.items())}"
    instead = f"install what answers for {needing}" if needing else "delete the Service if nobody needs it"
    return Severity.INFO, why, f"Correct the selector, or {instead}."
