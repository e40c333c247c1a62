"""ClusterDNSDown."""

from kubedx.checks._support.components import is_ready, last_turned, state_of
from kubedx.checks._support.replicas import pods_of
from kubedx.checks._support.services import living, readiness, routes, shown_labels, slices_of
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step, field, ref
from kubedx.core.inputs import Lookup, Now, minutes, seconds
from kubedx.kube.views import Deployment, EndpointSlice, Pod, Service

WELL_KNOWN = {("kube-system", "kube-dns"), ("openshift-dns", "dns-default")}
UPSTREAM = "kube-dns-upstream"
"""The second Service of the same pods, which the caches of the nodes use."""


@check(
    title="The cluster's DNS does not answer",
    message="The cluster's DNS, the Service {service_namespace}/{name}, {what}",
    severity=Severity.CRITICAL,
    layer=3,
    raise_after=seconds(30),
    explains={
        "ClusterDNSResolutionFailing": join.cluster,
        "PodCrashLoopBackOff": join.cluster.where(cause="dns"),
        "PodNotReady": join.component,
        "PodReadinessProbeFailing": join.cluster.where(cause="dns"),
        "ServiceNoEndpoints": join.service_behind,
        "ServiceNoReadyEndpoints": join.service_behind,
    },
    steps=(
        Step("See its pods and where they run.", "kubectl -n {service_namespace} get pods -o wide -l {selector}"),
        Step("Read what they wrote.", "kubectl -n {service_namespace} logs -l {selector} --tail=100 --prefix"),
        Step(
            "See whether its configuration was changed.",
            "kubectl -n {service_namespace} get configmap coredns -o yaml",
        ),
        Step(
            "When its pods are ready, this must show their addresses as ready.",
            "kubectl -n {service_namespace} get endpointslices -l kubernetes.io/service-name={name} -o yaml",
        ),
    ),
    since="0.1.0",
)
def cluster_dns_down(
    service: Service,
    pods: Lookup[Pod],
    slices: Lookup[EndpointSlice] | None,
    deployments: Lookup[Deployment] | None,
    now: Now,
) -> Answer:
    """The Service that all pods ask for names has no ready pod behind it, or fewer than half of them are ready.

    ## Meaning
    CoreDNS or kube-dns does not run, or does not become ready: its pods crash, cannot be scheduled, do not get to the
    API server, or their node is lost. If fewer than half are ready for three minutes it is a warning.

    ## Impact
    Without a ready pod no name is resolved in any pod: hardly any program gets on without names. Caches on the nodes
    hide it for a short while. With few of many ready, answers are late or time out.

    ## Diagnosis
    `kubectl get pods` shows whether the pods are there and what keeps them. `Loop ... detected` in the log is a
    forwarder that asks itself, `i/o timeout` to port 443 of the API server's Service a node without kube-proxy or
    network plugin.

    ## Mitigation
    Mend the pods; take back the last change of the Corefile. Scale the Deployment up if somebody scaled it down.

    ## Limitations
    The DNS is known by its Service: `kube-system/kube-dns`, another one of kube-system with the label
    `k8s-app=kube-dns`, or `openshift-dns/dns-default`. That it is ready does not prove that it answers. A cluster whose
    DNS runs elsewhere may have this Service without pods: then it is reported only if there is a Deployment named
    coredns or one that wants pods.

    ## References
    - `cmd/kubeadm/app/phases/addons/dns/manifests.go`: Service kube-dns, label k8s-app, 1.9 to 1.36.
    - https://kubernetes.io/docs/tasks/administer-cluster/dns-debugging-resolution/
    """
    if not _is_dns(service) or not routes(service) or not now.older(service.created, minutes(5)):
        return
    found = [one for one in slices_of(service, slices, pods) if one.ports]
    behind = living(pods.selected_by(service.spec.selector, service.namespace))
    ready, addresses = readiness(found)
    wanted = max(addresses, len(behind))
    since = last_turned(pod for pod in behind if ready == 0 or not is_ready(pod))
    unready = [pod for pod in behind if not is_ready(pod)]
    if ready == 0 and not behind:
        what = _without_pods(service, deployments)
    elif ready == 0 and unready:
        what = f"has no ready pod; of {len(unready)}, {unready[0].name}: {state_of(unready[0])}"
    elif ready == 0:
        what = "has ready pods, and none of them on its ports"
    else:
        what = f"has {ready} of {wanted} pods ready" if 2 * ready < wanted and now.older(since, minutes(3)) else ""
    if what:
        yield Finding(
            Ref("ClusterDNS", "", service.name),
            since=since,
            backends=(ref(service), *map(ref, unready[:5])),
            severity=Severity.WARNING if ready else Severity.CRITICAL,
            evidence=(field(service, "endpoints", f"{ready} of {wanted} ready", since),),
            what=what,
            selector=shown_labels(service.spec.selector.items()),
            service_namespace=service.namespace,
        )


def _is_dns(service: Service) -> bool:
    if (service.namespace, service.name) in WELL_KNOWN:
        return True
    labelled = service.namespace == "kube-system" and service.metadata.labels.get("k8s-app") == "kube-dns"
    return labelled and service.name != UPSTREAM and not service.is_headless


def _without_pods(service: Service, deployments: Lookup[Deployment] | None) -> str:
    selector = service.spec.selector.items()
    for one in deployments.in_namespace(service.namespace) if deployments else ():
        wanted, is_coredns = pods_of(one)[0], "coredns" in one.name and "autoscaler" not in one.name
        if not selector <= one.spec.template.metadata.labels.items():
            if is_coredns and wanted:
                return f"has no pod: its selector does not select those of Deployment {one.name}"
        elif wanted:
            return f"has no pod: Deployment {one.name} wants {wanted} and has none"
        elif is_coredns:
            return f"has no pod: Deployment {one.name} is scaled to zero"
    return ""
