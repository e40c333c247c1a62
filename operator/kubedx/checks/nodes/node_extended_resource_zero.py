"""NodeExtendedResourceZero."""

from collections.abc import Iterator, Mapping

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import minutes
from kubedx.kube.quantity import amount
from kubedx.kube.views import Node

_DEVICES: Mapping[str, tuple[str, ...]] = {
    "amd.com": ("amd.com/gpu.", "beta.amd.com/gpu.", "feature.node.kubernetes.io/pci-1002.present"),
    "aws.amazon.com": ("aws.amazon.com/neuron.",),
    "google.com": ("cloud.google.com/gke-tpu-accelerator",),
    "habana.ai": ("habana.ai/", "feature.node.kubernetes.io/pci-1da3.present"),
    "huawei.com": ("accelerator/huawei-",),
    "nvidia.com": (
        "cloud.google.com/gke-accelerator",
        "feature.node.kubernetes.io/pci-0300_10de.present",
        "feature.node.kubernetes.io/pci-0302_10de.present",
        "feature.node.kubernetes.io/pci-10de.present",
        "k8s.amazonaws.com/accelerator",
        "karpenter.k8s.aws/instance-gpu-",
        "nvidia.com/gpu.count",
        "nvidia.com/gpu.present",
    ),
}
"""By the domain of a resource the beginnings of labels that are set where the hardware has the device."""


@check(
    title="Devices of a node are gone",
    message="Node {name} offers none of {resource} any more, though it has such devices: {why}",
    layer=2,
    raise_after=minutes(5),
    explains={"PodRejectedAdmissionError": join.same_node},
    steps=(
        Step("See what the node offers.", "kubectl describe node {name}"),
        Step(
            "Look for the pod of the device plugin on this node: is it there, and does it run?",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={name}",
        ),
        Step(
            "On the machine, see whether driver and plugin are there.",
            "ls /var/lib/kubelet/device-plugins; dmesg | tail -50; nvidia-smi",
        ),
        Step("If the plugin runs and is not known, restart it, or else the kubelet.", "systemctl restart kubelet"),
        Step("Give the plugin's DaemonSet priorityClassName system-node-critical, so that it is not evicted."),
    ),
    since="0.1.0",
)
def node_extended_resource_zero(node: Node) -> Answer:
    """A node has devices, such as GPUs, and offers none of them.

    ## Meaning
    A device plugin tells the kubelet how many devices there are and which of them work. It reports all as broken, or it
    has been gone for more than five minutes, so that the kubelet counts none.

    ## Impact
    Pods that ask for the device stay Pending or are rejected. Those that have one keep it until they restart.

    ## Diagnosis
    Look at the pod of the device plugin on this node: it may have been evicted, or wait for its driver. On the machine
    the tool of the vendor, such as `nvidia-smi`, tells about the device itself.

    ## Mitigation
    Mend or restart the plugin, reload the driver, restart the machine if the device has fallen off the bus.

    ## Limitations
    A resource that counts zero is reported only if the node's labels say that the device is there, as plugins also
    register what a node does not have, and the kubelet never forgets a resource. Where another resource of the same
    domain counts more (shared GPUs, MIG), nothing is wrong. Fewer devices than before are not noticed.

    ## References
    - `pkg/kubelet/cm/devicemanager/manager.go` (GetCapacity): broken devices stay in the capacity, those of a plugin
      that is gone are zero, 1.10 to 1.36.
    - https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
    """
    if node.deleted:
        return
    for resource, capacity in sorted(_extended(node)):
        domain = resource.partition("/")[0]
        if any(left for name, left in _left(node) if name.startswith(f"{domain}/")):
            continue
        label = next((one for one in sorted(node.metadata.labels) if one.startswith(_DEVICES.get(domain, "-"))), None)
        if capacity:
            why = f"all {capacity:.0f} are out of order"
        elif label and node.metadata.labels[label] not in {"false", "0"}:
            why = f"it has the label {label}"
        else:
            continue
        yield Finding(
            node,
            evidence=(field(node, f"status.allocatable[{resource}]", 0),),
            resource=resource,
            why=why,
        )
        return


def _extended(node: Node) -> Iterator[tuple[str, float]]:
    """The resources of device plugins in the node's capacity."""
    for name, quantity in node.status.capacity.items():
        is_own = "/" not in name or name.split("/")[0].endswith("kubernetes.io")
        number = amount(quantity)
        if not is_own and number is not None:
            yield name, number


def _left(node: Node) -> Iterator[tuple[str, float]]:
    for name, quantity in node.status.allocatable.items():
        yield name, amount(quantity) or 0
