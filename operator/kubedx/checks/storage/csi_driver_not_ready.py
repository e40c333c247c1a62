"""CSIDriverNotReady."""

import re

from kubedx.checks._support.mounts import MOUNT_REASONS, recent_failures
from kubedx.checks._support.nodes import new
from kubedx.checks._support.storage import PROVISIONING, served_by, unanswered
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, minutes
from kubedx.kube.views import CSIDriver, Node, PersistentVolumeClaim, Pod, StorageClass

_NOT_REGISTERED = re.compile(r"driver name (?P<driver>\S+) not found in the list of registered CSI drivers")
_SILENCE = minutes(5)


@check(
    title="A CSI driver does not do its work",
    message="The CSI driver {driver} does not work {where}: {example} waits for it",
    severity=Severity.CRITICAL,
    layer=4,
    raise_after=minutes(2),
    events=(*MOUNT_REASONS, *PROVISIONING),
    explains={
        "PVCPending": join.storage_class.where(cause="provisioner"),
        "PodVolumeMountFailed": join.same_node.where(cause="driver"),
    },
    steps=(
        Step("See where the driver is registered.", "kubectl get csidrivers {driver}; kubectl get csinodes"),
        Step(
            "Find the driver's pods: a controller, and one on each node. Look for those that do not run.",
            "kubectl get pods --all-namespaces -o wide | grep -i csi",
        ),
        Step("Read what the driver's pod says, above all the containers for registration and provisioning."),
    ),
    since="0.1.0",
)
def csi_driver_not_ready(
    subject: Pod | PersistentVolumeClaim,
    classes: Lookup[StorageClass] | None,
    drivers: Lookup[CSIDriver] | None,
    nodes: Lookup[Node] | None,
    events: Events,
    now: Now,
) -> Answer:
    """A CSI driver that is installed is not there on a node, or its controller does not answer.

    ## Meaning
    On a node: the kubelet does not know the driver, as the driver's pod does not run there or did not register. In the
    cluster: a claim has waited for five minutes, and the driver's controller has said nothing, not even that it fails.

    ## Impact
    Pods with such volumes do not start on that node; or no claim of the class gets a volume.

    ## Diagnosis
    `kubectl get csinodes` lists the drivers that each node knows. The pod of the driver on the node, or that of its
    controller, tells in its log why.

    ## Mitigation
    Bring the driver's pod back. Often its DaemonSet does not tolerate the taints of the node, or the controller lost
    its rights or its credentials.

    ## Limitations
    It is told by what pods and claims wait for: a driver that nobody waits for is not looked at. Nodes younger than
    five minutes get the time to start their drivers. A driver that answers with an error is left to PVCPending and
    PodVolumeMountFailed, one that was never installed to StorageProvisionerMissing.

    ## References
    - `pkg/volume/csi/csi_client.go`: `driver name x not found in the list of registered CSI drivers`, 1.13 to 1.36.
    - `ExternalProvisioning`: `pkg/controller/volume/persistentvolume/pv_controller.go`; `Provisioning`:
      `sig-storage-lib-external-provisioner`.
    """
    if isinstance(subject, Pod):
        yield from _unregistered(subject, nodes, events, now)
    elif subject.status.phase == "Pending" and classes and drivers:
        yield from _without_controller(subject, classes, drivers, events, now)


def _unregistered(pod: Pod, nodes: Lookup[Node] | None, events: Events, now: Now) -> Answer:
    for failure, record in recent_failures(pod, events, now):
        match = _NOT_REGISTERED.search(record.message) if failure.kind == "driver" else None
        node = nodes.get("", pod.spec.node_name) if match and nodes else None
        if match and node and not new(node, now):
            yield Finding(
                node,
                since=record.first,
                evidence=(record.evidence,),
                driver=match["driver"],
                where=f"on the node {node.name}",
                example=f"the pod {pod.namespace}/{pod.name}",
            )
            return


def _without_controller(
    claim: PersistentVolumeClaim,
    classes: Lookup[StorageClass],
    drivers: Lookup[CSIDriver],
    events: Events,
    now: Now,
) -> Answer:
    storage_class = classes.get("", claim.spec.storage_class_name or "")
    driver = drivers.get("", served_by(storage_class.provisioner)) if storage_class else None
    silence = unanswered(claim, storage_class, events, now) if storage_class and driver else None
    if storage_class and driver and silence and silence.asked and now.older(silence.since, _SILENCE):
        yield Finding(
            storage_class,
            since=silence.since,
            evidence=(
                field(claim, "status.phase", "Pending", silence.since),
                *(record.evidence for record in silence.asked[:1]),
            ),
            driver=driver.name,
            where=f"for the storage class {storage_class.name}",
            example=f"the claim {claim.namespace}/{claim.name}",
        )
