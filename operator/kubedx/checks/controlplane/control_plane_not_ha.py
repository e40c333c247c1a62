"""ControlPlaneNotHA."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.controlplane import Machines, machines
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Profile, Ref, Severity, Step
from kubedx.core.inputs import Cluster, Lookup, Settings, hours
from kubedx.kube.views import EndpointSlice

API = {"kubernetes.io/service-name": "kubernetes"}


class ControlPlaneNotHASettings(Settings, frozen=True, rename="camel"):
    """Settings of ControlPlaneNotHA."""

    least_workers: Annotated[
        int, Meta(ge=0, le=5000, description="Worker nodes from which on a control plane should bear a failure.")
    ] = 3


@check(
    title="The control plane does not survive the loss of a node",
    message="The control plane has nodes: {count} ({names}), for {workers} others: {why}",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=1,
    raise_after=hours(1),
    group=by.cluster,
    explains={"APIServerUnavailable": join.cluster},
    steps=(
        Step(
            "See the nodes of the control plane.", "kubectl get nodes -l node-role.kubernetes.io/control-plane -o wide"
        ),
        Step("See the API servers that answer.", "kubectl get endpointslices -l kubernetes.io/service-name=kubernetes"),
        Step(
            "Put a load balancer or a virtual address before the API servers, then add nodes to the control plane "
            "until there are three.",
            "kubeadm token create --print-join-command",
        ),
    ),
    since="0.1.0",
)
def control_plane_not_ha(
    _: Cluster,
    nodes: Annotated[Machines, machines],
    slices: Lookup[EndpointSlice],
    settings: ControlPlaneNotHASettings,
) -> Answer:
    """The control plane runs on one node, or on two.

    ## Meaning
    A cluster with several workers has a single node of the control plane and a single API server; or it has two, of
    which etcd needs both.

    ## Impact
    When that node is lost or restarts, nothing can be changed or replaced until it is back; with its disk the whole
    state of the cluster is lost, unless etcd was saved. Two nodes are worse than one, as the loss of either stops etcd.

    ## Diagnosis
    `kubectl get nodes` shows the roles, and the EndpointSlice `kubernetes` in `default` the API servers.

    ## Mitigation
    Three nodes in different zones, one stable address before their API servers, and copies of etcd elsewhere.

    ## Limitations
    Nodes are counted by their role labels; managed clusters have none, and nothing is said there. Where etcd runs
    outside, two nodes are enough: suppress it then. It does not say whether the nodes share a machine, a rack or a
    zone.

    ## References
    - https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/
    - https://etcd.io/docs/latest/faq/ (why an odd number of members)
    """
    servers = max((len(one.endpoints) for one in slices.selected_by(API, "default")), default=0)
    count = len(nodes.control)
    if count not in {1, 2} or not 1 <= servers <= count or nodes.workers < settings.least_workers:
        return
    why = "when it is lost, nothing can be changed" if count == 1 else "etcd needs both, so each can stop it"
    yield Finding(
        Ref("Cluster"),
        severity=Severity.INFO if count == 1 else Severity.WARNING,
        evidence=(Evidence("EndpointSlice/default/kubernetes endpoints", str(servers)),),
        count=count,
        names=", ".join(one.name for one in nodes.control),
        workers=nodes.workers,
        why=why,
    )
