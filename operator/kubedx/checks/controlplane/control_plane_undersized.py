"""ControlPlaneUndersized."""

from typing import Annotated

from kubedx.checks._support.controlplane import Machine, Machines, machines
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Profile, Ref, Severity, Step
from kubedx.core.inputs import Cluster, hours
from kubedx.kube.quantity import shown_bytes

SIZES = ((5, 1, 4e9), (10, 2, 8e9), (100, 4, 16e9), (250, 8, 32e9), (500, 16, 64e9), (5000, 32, 128e9))
"""Up to so many nodes, a node of the control plane should have so many cores and bytes of memory."""

SET_ASIDE = 0.88
"""A machine's memory as Linux sees it is a little smaller than what it was sold as."""


@check(
    title="A node of the control plane is small for its cluster",
    message="Node {name} has {cores} cores and {memory}; for a control plane of {total} nodes, {wanted} are advised",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    raise_after=hours(1),
    group=by.cluster,
    explains={"APIServerOverloaded": join.cluster, "EtcdUnhealthy": join.cluster},
    steps=(
        Step(
            "See how busy the nodes of the control plane are.",
            "kubectl top nodes -l node-role.kubernetes.io/control-plane",
        ),
        Step("Replace them by larger ones, one at a time, and wait in between until etcd is complete again."),
    ),
    since="0.1.0",
)
def control_plane_undersized(_: Cluster, nodes: Annotated[Machines, machines]) -> Answer:
    """A node of the control plane has fewer cores or less memory than clusters of this size usually need.

    ## Meaning
    As a rule of thumb, a node of the control plane needs 1 core and 4 GB for up to 5 nodes, 2 and 8 up to 10, 4 and 16
    up to 100, 8 and 32 up to 250, 16 and 64 up to 500, and 32 and 128 beyond.

    ## Impact
    The API server or etcd become slow or are killed for their memory when much happens at a time, such as after a
    failure.

    ## Diagnosis
    `kubectl top nodes` shows how much they use now; what counts are the peaks.

    ## Mitigation
    Larger machines, one after the other.

    ## Limitations
    This is a rule of thumb, which Kubernetes' own documentation gave for a time; what a control plane needs depends on
    what the cluster does, more than on its nodes. Managed clusters show no such nodes. Events of their own etcd or of
    load balancers before it are not seen.

    ## References
    - https://kubernetes.io/docs/setup/best-practices/cluster-large/
    """
    total = len(nodes.control) + nodes.workers
    _upto, cores, memory = next((one for one in SIZES if total <= one[0]), SIZES[-1])
    for one in nodes.control:
        if _is_small(one, cores, memory):
            yield Finding(
                Ref("Node", "", one.name),
                evidence=(
                    Evidence(f"Node/{one.name} status.capacity", f"{one.cores:g} cores, {one.memory:.0f} bytes"),
                ),
                cores=f"{one.cores:g}",
                memory=shown_bytes(one.memory or 0),
                total=total,
                wanted=f"{cores} cores and {memory / 1e9:g} GB",
            )


def _is_small(one: Machine, cores: int, memory: float) -> bool:
    return one.cores is not None and one.memory is not None and (one.cores < cores or one.memory < memory * SET_ASIDE)
