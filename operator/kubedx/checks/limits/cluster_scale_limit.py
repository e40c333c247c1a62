"""ClusterScaleLimit."""

from typing import Annotated

from msgspec import Meta

from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Profile, Ref, Severity, Step
from kubedx.core.inputs import Cluster, Reader, Settings, derived, minutes
from kubedx.kube.meta import View
from kubedx.kube.views import Namespace, Node, Service

_WARN_AT = 0.8


class ClusterScaleLimitSettings(Settings, frozen=True, rename="camel"):
    """Settings of ClusterScaleLimit."""

    nodes: Annotated[int, Meta(ge=5, le=100000, description="Nodes that the cluster is made for.")] = 5000
    services: Annotated[int, Meta(ge=5, le=1000000, description="Services that the cluster is made for.")] = 10000
    namespaces: Annotated[int, Meta(ge=5, le=1000000, description="Namespaces that the cluster is made for.")] = 10000


def _count(view: type[View], read: Reader) -> int:
    found = read.lookup(view)
    return len(found.all()) if found else 0


@derived(Node)
def _nodes(read: Reader) -> int:
    return _count(Node, read)


@derived(Service)
def _services(read: Reader) -> int:
    return _count(Service, read)


@derived(Namespace)
def _namespaces(read: Reader) -> int:
    return _count(Namespace, read)


@check(
    title="The cluster is near the size that it is made for",
    message="The cluster has {count} {what}; it is made for {limit}",
    profile=Profile.RISK,
    layer=0,
    raise_after=minutes(5),
    clear_after=minutes(15),
    steps=(
        Step("See how many there are.", "kubectl get {resource} -A --no-headers | wc -l"),
        Step("Remove what nobody needs any more, or put new work into another cluster."),
        Step("If the control plane was made for more, set {setting} of this check to that."),
    ),
    since="0.1.0",
)
def cluster_scale_limit(
    _: Cluster,
    nodes: Annotated[int, _nodes],
    services: Annotated[int, _services],
    namespaces: Annotated[int, _namespaces],
    settings: ClusterScaleLimitSettings,
) -> Answer:
    """The cluster has almost as many nodes, Services or namespaces as Kubernetes is tested with.

    ## Meaning
    Kubernetes promises its reaction times up to 5,000 nodes, 10,000 Services and 10,000 namespaces. The cluster has at
    least 80 % of one of them.

    ## Impact
    Beyond them the API server, etcd, the scheduler and kube-proxy become slower all at once, and the first sign is
    often an upgrade that does not end. At 100 % it is critical.

    ## Diagnosis
    The message says of what there is so much.

    ## Mitigation
    Split the cluster. Until then: larger machines for the control plane, an etcd of its own for Events, Endpoint slices
    in place of Endpoints, and nftables or another data path in place of iptables.

    ## Limitations
    Pods (150,000) and containers (300,000) are not counted, as counting them all the time costs more than it tells;
    pods on one node are NodePodDensityHigh. Control planes of clouds may be made for more or for less: set the numbers.
    How much objects are changed says more about load than their number and is not looked at, so this is never taken as
    the cause of a slow API server.

    ## References
    - https://kubernetes.io/docs/setup/best-practices/cluster-large/
    - https://github.com/kubernetes/community/blob/master/sig-scalability/configs-and-limits/thresholds.md
    """
    found = (
        (nodes, settings.nodes, "nodes", "nodes"),
        (services, settings.services, "Services", "services"),
        (namespaces, settings.namespaces, "namespaces", "namespaces"),
    )
    for count, limit, what, resource in found:
        if count >= _WARN_AT * limit:
            yield Finding(
                Ref("Cluster", "", resource),
                severity=Severity.CRITICAL if count >= limit else Severity.WARNING,
                evidence=(Evidence(f"number of {what}", str(count)),),
                count=count,
                what=what,
                limit=limit,
                resource=resource,
                setting=resource,
            )
