"""NodeCSINodeNotInitialized."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import departing, eased, new
from kubedx.checks._support.readiness import reported
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node


class NodeCSINodeNotInitializedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeCSINodeNotInitialized."""

    grace_minutes: Annotated[int, Meta(ge=0, le=60, description="Minutes that a new node may take to start.")] = 5


@check(
    title="Kubelet cannot register its node for storage drivers",
    message="The kubelet of node {name} cannot write the CSINode object of its node: {detail}",
    layer=2,
    raise_after=minutes(2),
    when=Bit.NOT_READY,
    explains={"NodeNotReady": join.same_node},
    steps=(
        Step("See whether the object is there.", "kubectl get csinode {name} -o yaml"),
        Step(
            "See whether the kubelet may write it.",
            "kubectl auth can-i create csinodes.storage.k8s.io --as=system:node:{name} --as-group=system:nodes",
        ),
        Step(
            "On the machine, read what the API server answers.",
            "journalctl -u kubelet --since -30min | grep -i csinode",
        ),
        Step(
            "When the cause is mended and the node stays like this, restart the kubelet.", "systemctl restart kubelet"
        ),
    ),
    since="0.1.0",
)
def node_csi_node_not_initialized(node: Node, now: Now, settings: NodeCSINodeNotInitializedSettings) -> Answer:
    """A kubelet cannot create or update the CSINode object, in which storage drivers of its node are listed.

    ## Meaning
    As it starts, the kubelet writes a CSINode with the name of its node. The API server refuses that, or is not
    reached.

    ## Impact
    The node is not ready until this works.

    ## Diagnosis
    The kubelet's log has the API server's answer. `forbidden` means that the role `system:node` or the node authorizer
    does not cover `csinodes`; a timeout means that the API server is slow or out of reach.

    ## Mitigation
    Restore the rights of the nodes, or the way to the API server. The kubelet tries again for two and a half minutes,
    then it ends and is started anew.

    ## Limitations
    It counts from the moment when the node became not ready, even if this failed later. New nodes have five minutes.

    ## References
    - `pkg/volume/csi/csi_plugin.go`: `CSINode is not yet initialized`, `failed to initialize CSINode: …`, 1.17 to 1.36.
    - https://kubernetes.io/docs/concepts/architecture/nodes/
    """
    found = reported(node, "storage")
    if found is None:
        return
    error, since = found
    if new(node, now, minutes(settings.grace_minutes)) or departing(node, since, now):
        return
    yield Finding(
        node,
        since=since,
        severity=eased(Severity.WARNING, node, now),
        evidence=(field(node, "status.conditions[Ready].message", error.text, since),),
        detail=error.text,
    )
