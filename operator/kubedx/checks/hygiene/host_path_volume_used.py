"""HostPathVolumeUsed."""

from kubedx.checks._support.pods import is_system
from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.kube.views import Pod

_RULE_THE_NODE = frozenset({
    "/",
    "/etc",
    "/run/containerd",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var",
    "/var/lib/kubelet",
    "/var/run/docker.sock",
})  # fmt: skip
"""Who may write here, or speak to this socket, rules the node."""

_HARMLESS = ("/etc/localtime", "/usr/share/zoneinfo")
"""The time zone, which many pods take from their node."""


@check(
    title="A pod uses files of its node",
    message="Volume {volume} of pod {name} is {path} of its node",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    group=by.namespace,
    steps=(
        Step("See which containers mount it, and whether read-only.", "kubectl -n {namespace} describe pod {name}"),
        Step("For data use a claim, or a local persistent volume; for scratch an emptyDir with sizeLimit."),
        Step(
            "Where nobody needs hostPath, forbid it.",
            "kubectl label namespace {namespace} pod-security.kubernetes.io/warn=baseline",
        ),
    ),
    since="0.1.0",
)
def host_path_volume_used(pod: Pod) -> Answer:
    """A pod that is no agent of the nodes mounts a part of its node's filesystem.

    ## Meaning
    The volume is a `hostPath`. What the pod writes there stays on the node, outside of all limits and quotas; what it
    reads differs from node to node.

    ## Impact
    Data is lost to the pod when it moves, fills the node's disk, and is not removed with the pod. Paths such as `/`,
    `/etc`, `/var/lib/kubelet` and the sockets of container runtimes give whoever is in the pod the whole node: for
    these it is a warning.

    ## Diagnosis
    `kubectl describe pod` shows the volumes and who mounts them.

    ## Mitigation
    Use claims, local persistent volumes or emptyDir. Pod Security `baseline` forbids hostPath; label the namespace with
    `warn` first and with `enforce` when nothing is left.

    ## Limitations
    Whether it is mounted read-only is not looked at. Pods of kube-system, of DaemonSets and static pods are left out,
    as agents of the nodes need this; so is the node's time zone. How much is written is not known, so this is never
    taken as the cause of a full disk. Findings stand together by namespace.

    ## References
    - https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
    - https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    owner = pod.controller
    if pod.finished or is_system(pod) or (owner and owner.kind in {"DaemonSet", "Node"}):
        return
    paths = [
        (volume.host_path.path.rstrip("/") or "/", volume.name)
        for volume in pod.spec.volumes
        if volume.host_path and not volume.host_path.path.startswith(_HARMLESS)
    ]
    if paths:
        path, volume = min(paths, key=lambda one: (one[0] not in _RULE_THE_NODE, one))
        yield Finding(
            pod,
            severity=Severity.WARNING if path in _RULE_THE_NODE else Severity.INFO,
            evidence=(field(pod, f"spec.volumes[{volume}].hostPath.path", path),),
            volume=volume,
            path=path,
        )
