"""NodeExtendedResourceZero."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import eased, new
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.quantity import amount
from kubedx.kube.views import Node, Pod

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


class NodeExtendedResourceZeroSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeExtendedResourceZero."""

    grace_minutes: Annotated[
        int, Meta(ge=0, le=120, description="Minutes that a new node may take to install drivers and plugins.")
    ] = 15


@check(
    title="Devices of a node are gone",
    message="Node {name} offers none of {resource} any more, though it has such devices: {why}",
    layer=2,
    raise_after=minutes(5),
    explains={
        "PodRejectedAdmissionError": join.same_node,
        "PodUnschedulable": join.same_node.where(binding="insufficient resources"),
    },
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
def node_extended_resource_zero(
    node: Node, pods: Lookup[Pod] | None, now: Now, settings: NodeExtendedResourceZeroSettings
) -> Answer:
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
    Plugins also register what a node does not have, and the kubelet forgets no resource. So one that counts zero is
    reported only if the node's labels say that the device is there, or if the node has a pod with `device-plugin` in
    its name that is not ready. Where another resource of the same domain counts more (shared GPUs, MIG), nothing is
    wrong. Fewer devices than before are not noticed. A new node has a quarter of an hour; on a node that was cordoned
    within the last hour it is only worth an info.

    ## References
    - `pkg/kubelet/cm/devicemanager/manager.go` (GetCapacity): broken devices stay in the capacity, those of a plugin
      that is gone are zero, 1.10 to 1.36.
    - https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
    """
    found = next(_gone(node, pods), None)
    if found and not node.deleted and not new(node, now, minutes(settings.grace_minutes)):
        resource, why = found
        yield Finding(
            node,
            severity=eased(Severity.WARNING, node, now),
            evidence=(field(node, f"status.allocatable[{resource}]", 0),),
            resource=resource,
            why=why,
        )


def _gone(node: Node, pods: Lookup[Pod] | None) -> Iterator[tuple[str, str]]:
    """The resources of which the node has devices and offers none, each with what tells so."""
    offered = {name.partition("/")[0] for name, left in node.status.allocatable.items() if amount(left)}
    for resource, capacity in sorted(_extended(node)):
        domain = resource.partition("/")[0]
        if domain in offered:
            continue
        if capacity:
            yield resource, f"all {capacity:.0f} are out of order"
        elif label := _label(node, domain):
            yield resource, f"it has the label {label}"
        elif plugin := _ailing_plugin(node, pods):
            yield resource, f"its device plugin {plugin} is not ready"


def _label(node: Node, domain: str) -> str | None:
    beginnings, labels = _DEVICES.get(domain, ()), node.metadata.labels
    return min(
        (one for one in labels if one.startswith(beginnings) and labels[one] not in {"false", "0"}), default=None
    )


def _ailing_plugin(node: Node, pods: Lookup[Pod] | None) -> str | None:
    for pod in pods.on_node(node) if pods else ():
        ready = pod.condition("Ready")
        if "device-plugin" in pod.name and pod.controller and not (ready and ready.status == "True"):
            return f"{pod.namespace}/{pod.name}"
    return None


def _extended(node: Node) -> Iterator[tuple[str, float]]:
    """The resources of device plugins in the node's capacity."""
    for name, quantity in node.status.capacity.items():
        is_own = "/" not in name or name.split("/")[0].endswith("kubernetes.io")
        number = amount(quantity)
        if not is_own and number is not None:
            yield name, number
