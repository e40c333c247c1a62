"""DNSInefficiencyRisk."""

from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Ref, Severity, Step, absent
from kubedx.core.inputs import Cluster, Lookup, Reader, Settings, derived
from kubedx.kube.views import DaemonSet, Node, Service

CACHES = ("node-local-dns", "nodelocaldns")
"""What the DaemonSet of NodeLocal DNSCache is called: by its own manifest and on GKE, and by Kubespray."""


class DNSInefficiencyRiskSettings(Settings, frozen=True, rename="camel"):
    """Settings of DNSInefficiencyRisk."""

    nodes: Annotated[int, Meta(ge=2, le=10000, description="Nodes from which on a cluster should have caches.")] = 50


@derived(Node)
def number_of_nodes(read: Reader) -> int:
    """Count the nodes."""
    nodes = read.lookup(Node)
    return len(nodes.all()) if nodes else 0


@check(
    title="A large cluster has no DNS caches on its nodes",
    message="The cluster has {count} nodes, and none of them has a DNS cache of its own",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    explains={"ClusterDNSResolutionFailing": join.cluster},
    steps=(
        Step("See how many pods answer for all names.", "kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide"),
        Step("Install NodeLocal DNSCache: https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/"),
        Step("Where a program asks for many outside names, set `ndots` to 2 in its pods' dnsConfig."),
    ),
    since="0.1.0",
)
def dns_inefficiency_risk(
    _: Cluster,
    count: Annotated[int, number_of_nodes],
    services: Lookup[Service],
    caches: Lookup[DaemonSet],
    settings: DNSInefficiencyRiskSettings,
) -> Answer:
    """More than fifty nodes ask the few pods of the cluster's DNS for each name.

    ## Meaning
    There is no NodeLocal DNSCache. With the default `ndots:5` a program asks up to five times for each outside name,
    and each question is a connection of its own that the kernel has to track.

    ## Impact
    Names are answered late or, now and then, only after five seconds, when one of two packets was lost in a race.

    ## Diagnosis
    Look at the latency and the load of CoreDNS, and at `insert_failed` of conntrack on the nodes.

    ## Mitigation
    Install NodeLocal DNSCache; write outside names with a dot at their end; lower `ndots`; do not use images whose musl
    is older than 1.2.4 (Alpine before 3.18), which cannot read long answers.

    ## Limitations
    Caches are known by the name of their DaemonSet in kube-system. It says nothing about whether there is a problem.

    ## References
    - https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
    """
    if count <= settings.nodes or services.get("kube-system", "kube-dns") is None:
        return
    if not any(caches.get("kube-system", name) for name in CACHES):
        missing = Ref("DaemonSet", "kube-system", CACHES[0])
        yield Finding(missing, evidence=(absent(missing),), count=count)
