"""FlexVolumeMountFailed."""

from collections.abc import Iterator

from kubedx.checks._support.mounts import MOUNT_REASONS, recent_failures
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Step, field
from kubedx.core.inputs import Events, Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import PersistentVolume, PersistentVolumeClaim, Pod

_FOLDER = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"


@check(
    title="A FlexVolume driver cannot mount a volume",
    message="The FlexVolume driver {driver} cannot mount the volume {volume} of pod {name} on node {node}: {why}",
    layer=4,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.WAITING,
    events=MOUNT_REASONS,
    explains={"PodVolumeMountFailed": join.itself},
    steps=(
        Step("Read the whole message.", "kubectl -n {namespace} describe pod {name}"),
        Step("On the node, see whether the driver's program is there.", f"ls -l {_FOLDER}/{{folder}}"),
        Step("On the node, have the kubelet look for its drivers again.", f"touch {_FOLDER}/{{folder}}/probe-again"),
        Step("Move to the vendor's CSI driver: FlexVolume is deprecated, and most vendors have given it up."),
    ),
    since="0.1.0",
)
def flex_volume_mount_failed(
    pod: Pod,
    claims: Lookup[PersistentVolumeClaim] | None,
    volumes: Lookup[PersistentVolume] | None,
    events: Events,
    now: Now,
) -> Answer:
    """A volume of a FlexVolume driver cannot be mounted.

    ## Meaning
    The kubelet runs a FlexVolume driver as a program on the node. The program is not there, was not noticed, or fails.

    ## Impact
    The pod does not start.

    ## Diagnosis
    The message has what the driver or the kubelet said. `no volume plugin matched` and `fork/exec …: no such file or
    directory` mean that the driver is not installed on this node.

    ## Mitigation
    Install the driver on the node, or have the kubelet look again: touch a file in the driver's folder, or restart the
    kubelet. In the long run use the vendor's CSI driver.

    ## Limitations
    The folder is the default one; some systems with a read-only /usr have another (`--volume-plugin-dir`). The failure
    is known only from Events and counts as over 15 minutes after the last one.

    ## References
    - A rule over `spec.volumes[].flexVolume` of pods and `spec.flexVolume` of volumes with `FailedMount` Events;
      `pkg/volume/flexvolume/driver-call.go`: `mount command failed, status: …, reason: …`. Deprecated since 1.23.
    - https://kubernetes.io/docs/concepts/storage/volumes/#flexvolume
    """
    failed = recent_failures(pod, events, now)
    if not failed:
        return
    drivers = dict(_drivers(pod, claims, volumes))
    told = [one for one in failed if one[0].volume in drivers]
    if not told:
        return
    failure, record = min(told, key=lambda one: one[0].kind == "waits")
    driver, evidence = drivers[failure.volume]
    yield Finding(
        pod,
        since=min((one.first for _, one in told if one.first), default=None),
        evidence=(record.evidence, evidence),
        driver=driver,
        folder=driver.replace("/", "~"),
        volume=failure.volume,
        node=pod.spec.node_name or "?",
        why=failure.why,
    )


Driver = tuple[str, tuple[str, Evidence]]
"""The name of a volume, and the driver with where it stands."""


def _drivers(
    pod: Pod, claims: Lookup[PersistentVolumeClaim] | None, volumes: Lookup[PersistentVolume] | None
) -> Iterator[Driver]:
    for one in pod.spec.volumes:
        name = one.persistent_volume_claim.claim_name if one.persistent_volume_claim else ""
        claim = claims.get(pod.namespace, name) if claims and name else None
        volume = volumes.get("", claim.spec.volume_name) if volumes and claim and claim.spec.volume_name else None
        if one.flex_volume:
            driver = one.flex_volume.driver
            yield one.name, (driver, field(pod, f"spec.volumes[{one.name}].flexVolume.driver", driver))
        elif volume and volume.spec.flex_volume:
            driver = volume.spec.flex_volume.driver
            told = driver, field(volume, "spec.flexVolume.driver", driver)
            yield volume.name, told
            yield one.name, told  # A mere waiting names volumes as the pod does.
