"""NodeImageFootprintLarge."""

from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Settings
from kubedx.kube.quantity import GIB, amount, shown_bytes
from kubedx.kube.views import Node


class NodeImageFootprintLargeSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeImageFootprintLarge."""

    gib: Annotated[int, Meta(ge=1, le=100_000, description="GiB that the images of a node may take.")] = 50
    percent: Annotated[int, Meta(ge=1, le=100, description="Percent of the node's disk that they may take.")] = 40


@check(
    title="Images take much of a node's disk",
    message="The images on node {name} add up to {size} GiB at least, and its disk has {disk}",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=4,
    explains={"NodeDiskPressure": join.back(join.itself), "NodeFreeDiskSpaceFailed": join.back(join.itself)},
    steps=(
        Step(
            "List the largest images of the node.",
            "kubectl get node {name} -o "
            "jsonpath='{{range .status.images[*]}}{{.sizeBytes}} {{.names[0]}}{{\"\\n\"}}{{end}}'",
        ),
        Step("On the machine, compare images with the disk.", "crictl imagefsinfo; df -h /var/lib"),
        Step("Remove images that no container uses. This is safe.", "crictl rmi --prune"),
        Step(
            "Let the kubelet remove unused images earlier: imageMaximumGCAge and imageGCHighThresholdPercent in its "
            "configuration. Give the runtime a larger disk if images in use fill it."
        ),
    ),
    since="0.1.0",
)
def node_image_footprint_large(node: Node, settings: NodeImageFootprintLargeSettings) -> Answer:
    """Container images fill a large part of a node's disk.

    ## Meaning
    The fifty largest images on the node add up to more than 50 GiB and to more than 40 % of its disk.

    ## Impact
    None yet. Logs, writable layers and volumes have to share the rest; disk pressure is near.

    ## Diagnosis
    `status.images` of the Node lists the images with their sizes; on the machine `crictl images` lists all.

    ## Mitigation
    Remove what is unused, let the kubelet do so by age (`imageMaximumGCAge`), make images smaller, enlarge the disk.

    ## Limitations
    The kubelet names fifty images, and containerd tells their compressed sizes, so it is more in truth. Layers that
    images share count for each. A runtime with a disk of its own is measured against the wrong one.

    ## References
    - Node `status.images`, of which `nodeStatusMaxImages` (50) are named, 1.11 to 1.36.
    - https://kubernetes.io/docs/concepts/architecture/garbage-collection/#container-image-lifecycle
    """
    size, disk = node.status.images, amount(node.status.capacity.get("ephemeral-storage"))
    if size > settings.gib and disk and size * GIB * 100 > disk * settings.percent and not node.deleted:
        yield Finding(
            node,
            evidence=(field(node, "status.images[*].sizeBytes", f"{size} GiB together"),),
            size=size,
            disk=shown_bytes(disk),
        )
