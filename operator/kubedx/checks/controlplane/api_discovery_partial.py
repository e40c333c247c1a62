"""APIDiscoveryPartial."""

from kubedx.checks._support.aggregation import unavailable
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import minutes
from kubedx.kube.views import APIService


@check(
    title="An aggregated API does not answer, so discovery is incomplete",
    message="The API {name} does not answer ({reason}): {detail}",
    layer=8,
    raise_after=minutes(2),
    explains={
        "GarbageCollectorBlocked": join.cluster,
        "NamespaceStuckTerminating": join.cluster.where(cause="discovery"),
    },
    steps=(
        Step("See which APIs do not answer.", "kubectl get apiservices | grep False"),
        Step("See what is behind this one.", "kubectl -n {service_namespace} get service,endpointslices,pods"),
        Step("Bring the pods behind the Service back; the API server looks again within a minute."),
        Step(
            "Only if its software was removed for good: delete the registration. The API is gone until it is installed "
            "anew.",
            "kubectl delete apiservice {name}",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def api_discovery_partial(api: APIService) -> Answer:
    """The API server cannot reach a Service that serves part of its API.

    ## Meaning
    An APIService is registered for a group and version, and the Service behind it is missing, has no endpoints, or
    does not answer.

    ## Impact
    Requests for this group fail. As nobody can list all kinds any more, namespaces cannot be deleted, the garbage
    collector waits, and tools report `unable to retrieve the complete list of server APIs`.

    ## Diagnosis
    `kubectl get apiservices` shows the reason in brackets. `ServiceNotFound` and `MissingEndpoints` are about the
    Service and its pods, `FailedDiscoveryCheck` about the way to them: network policies, firewalls, certificates.

    ## Mitigation
    Repair what is behind the Service. A registration that an uninstalled program left behind must be deleted.

    ## Limitations
    Whether namespaces or the garbage collector really wait depends on the API server's cache of the group. Groups that
    are served by CustomResourceDefinitions are none of this check's business.

    ## References
    - `staging/src/k8s.io/kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go`;
      `MissingEndpoints` says `endpoints for service/…` up to 1.33 and `endpointslices for service/…` since 1.34.
    - `staging/src/k8s.io/client-go/discovery/discovery_client.go`
    """
    found = unavailable(api)
    if found:
        condition, service = found
        yield Finding(
            api,
            since=condition.last_transition_time,
            evidence=(field(api, "status.conditions[Available]", "False", condition.last_transition_time),),
            reason=condition.reason,
            detail=condition.message,
            service_namespace=service.namespace,
        )
