"""HeadlessServiceNoLoadBalancing."""

from kubedx.checks._support.pods import SYSTEM_NAMESPACE
from kubedx.checks._support.services import readiness, routes, slices_of
from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup
from kubedx.kube.views import EndpointSlice, Service, StatefulSet


@check(
    title="A headless Service does not balance",
    message="The Service {namespace}/{name} is headless: its clients choose one of its {count} pods themselves",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=3,
    group=by.namespace,
    steps=(
        Step("See its addresses.", "kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}"),
        Step(
            "If the clients do not balance by themselves: make a Service with a cluster IP beside it, as that of this "
            "one cannot be changed.",
            "kubectl -n {namespace} get service {name} -o yaml",
        ),
    ),
    since="0.1.0",
)
def headless_service_no_load_balancing(
    service: Service, slices: Lookup[EndpointSlice], stateful_sets: Lookup[StatefulSet]
) -> Answer:
    """A Service without a cluster IP stands before several pods of which each could answer.

    ## Meaning
    The name of a headless Service stands for the addresses of all its pods. Nothing shares connections out: most
    clients take the first address and stay with it.

    ## Impact
    One pod may get all the load, and a client may go on with an address that is gone.

    ## Diagnosis
    Compare the load of the pods.

    ## Mitigation
    Use a Service with a cluster IP, or clients that balance, as gRPC ones with `round_robin`.

    ## Limitations
    Whether the clients balance cannot be seen. Services of StatefulSets, those of kube-system and those that a
    controller owns are headless for a reason and not named.

    ## References
    - https://kubernetes.io/docs/concepts/services-networking/service/#headless-services
    """
    if not service.is_headless or not routes(service) or service.metadata.owner_references:
        return
    if service.namespace == SYSTEM_NAMESPACE:
        return
    ready, _ = readiness(slices_of(service, slices))
    if ready < 2:  # noqa: PLR2004 -- with one there is nothing to share out
        return
    selector = service.spec.selector.items()
    governed = stateful_sets.in_namespace(service.namespace)
    if any(selector <= one.spec.template.metadata.labels.items() for one in governed):
        return
    yield Finding(service, since=service.created, evidence=(field(service, "spec.clusterIP", "None"),), count=ready)
