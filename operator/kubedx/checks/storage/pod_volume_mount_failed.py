"""PodVolumeMountFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.mounts import MOUNT_REASONS, MountFailure, recent_failures
from kubedx.checks._support.pods import severity_of_waiting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_ADVICE = {
    "host path": "the path on the node is not there, or is not what hostPath.type says",
    "driver": "the CSI driver's pod on this node is not there or has not registered",
    "wrong filesystem": "the volume holds another filesystem, the options do not suit it, or the node lacks a tool",
    "server": "the file server does not answer, does not export the path, or does not let this node in",
    "busy": "something on the node still holds the device",
    "permission": "the node or the server refuses it",
    "waits": "nothing tells why; see whether it is attached to this node",
}
_HAVE_A_CHECK = frozenset({"config missing", "config cache", "flex volume", "multi-attach", "node affinity"})
"""What other checks tell more about, so that another failure of the same pod is told first."""


class PodVolumeMountFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodVolumeMountFailed."""

    attempts: Annotated[int, Meta(ge=1, le=100, description="Failed attempts after which it is reported at once.")] = 3
    minutes: Annotated[int, Meta(ge=1, le=60, description="Minutes after which a single failure is reported.")] = 2


@check(
    title="A pod's volume cannot be mounted",
    message="Pod {name} on node {node} does not get its volume {volume}: {why}",
    layer=4,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.WAITING,
    events=MOUNT_REASONS,
    explains={"PodContainerCreatingStuck": join.itself},
    steps=(
        Step("Read the whole message.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See the pods of the storage driver on that node, and read the log of its node plugin.",
            "kubectl get pods --all-namespaces --field-selector spec.nodeName={node} | grep -i -E 'csi|storage|nfs'",
        ),
        Step("See to which nodes volumes are attached.", "kubectl get volumeattachments"),
        Step(
            "On the node, read what the kubelet says about mounts.",
            "journalctl -u kubelet --since -30min | grep -i mount",
        ),
    ),
    since="0.1.0",
)
def pod_volume_mount_failed(pod: Pod, events: Events, settings: PodVolumeMountFailedSettings, now: Now) -> Answer:
    """The kubelet cannot attach or mount a volume that a pod needs to start.

    ## Meaning
    A volume could not be attached to the node, formatted, mounted or set up: three attempts failed, or one did more
    than two minutes ago, and the pod's containers are still not created.

    ## Impact
    The pod does not start. The kubelet tries again by itself, at least every two minutes. It is critical after ten
    minutes.

    ## Diagnosis
    The message has the error of the last attempt. `Unable to attach or mount volumes` alone says only that it takes too
    long: then the attachment is the place to look.

    ## Mitigation
    Depends on the error: bring the driver's node plugin back, correct the export or the mount options, create the path,
    detach the volume from where it was. Other checks say more about what they recognise, such as a missing ConfigMap.

    ## Limitations
    It is known only from Events, counts as over 15 minutes after the last one, and as mended when the containers are
    created. Of several volumes that fail one is named, first of all one about which no other check knows more.

    ## References
    - `pkg/volume/util/operationexecutor/operation_generator.go`: `MountVolume.SetUp failed for volume "v" : …`, also
      `MountVolume.MountDevice`, `MountVolume.WaitForAttach`, `MapVolume.…`, `AttachVolume.Attach`, 1.20 to 1.36.
    - `pkg/kubelet/volumemanager/volume_manager.go`: `Unable to attach or mount volumes: unmounted volumes=[…],
      unattached volumes=[…], failed to process volumes=[…]: …`; up to 1.23 `timeout expired waiting for volumes to
      attach or mount for pod …`.
    """
    found = recent_failures(pod, events, now)
    often = sum(record.count for _, record in found) >= settings.attempts
    since = min((record.first for _, record in found if record.first), default=None)
    if not found or not (often or now.older(since, minutes(settings.minutes))):
        return
    failure, record = min(found, key=_rank)
    yield Finding(
        pod,
        since=since,
        severity=severity_of_waiting(pod, now),
        evidence=(record.evidence,),
        node=pod.spec.node_name or "?",
        volume=failure.volume or "?",
        why=_why(failure),
        cause=failure.kind,
    )


def _rank(found: tuple[MountFailure, EventRecord]) -> int:
    """First what says what is wrong and is nobody else's, then what another check knows, last the mere waiting."""
    kind = found[0].kind
    return 2 if kind == "waits" else int(kind in _HAVE_A_CHECK)


def _why(failure: MountFailure) -> str:
    advice = _ADVICE.get(failure.kind)
    return f"{failure.why} ({advice})" if advice else failure.why
