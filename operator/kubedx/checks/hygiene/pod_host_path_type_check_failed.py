"""PodHostPathTypeCheckFailed."""

import re

from kubedx.checks._support.mounts import MOUNT_REASONS, recent_failures
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_FAILED = re.compile(
    r"hostPath type check failed: (?P<path>.{1,4096}?) is not a "
    r"(?P<type>file|directory|socket file|character device|block device)"
)


@check(
    title="A pod wants something of its node that is not there",
    message="Pod {name} wants {path} of node {node} to be a {wanted}, which it is not",
    layer=4,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.WAITING,
    events=MOUNT_REASONS,
    explains={"PodContainerCreatingStuck": join.itself, "PodVolumeMountFailed": join.itself.where(cause="host path")},
    steps=(
        Step("Read what the kubelet says.", "kubectl -n {namespace} describe pod {name}"),
        Step("On node {node}, see what is there.", "stat {path}"),
        Step("If other nodes have it: install what brings it on this node, or keep the pod on the nodes that have it."),
        Step(
            "If the pod can do without: remove the volume. A directory or file that may be empty is made by the types "
            "DirectoryOrCreate and FileOrCreate. For a time zone set the variable TZ, with tzdata in the image."
        ),
    ),
    since="0.1.0",
)
def pod_host_path_type_check_failed(pod: Pod, events: Events, now: Now) -> Answer:
    """A hostPath volume demands a file, directory, socket or device that the node does not have.

    ## Meaning
    The volume states a `type`, and the kubelet looked: the path does not exist on this node, or is something else, such
    as a directory in place of a socket.

    ## Impact
    The pod stays in ContainerCreating on this node. The kubelet tries again by itself.

    ## Diagnosis
    The `FailedMount` event names the path and what it should be. `stat` on the node tells whether it is missing or of
    another kind.

    ## Mitigation
    Install on the node what the pod expects (time zones, a runtime's socket at its present path, a device's driver),
    change the path or the type, or keep the pod on nodes that have it.

    ## Limitations
    The message does not tell a path that is missing from one of another kind. It is known only from Events, and counts
    as over 15 minutes after the last one. Volumes without a type are not looked at by the kubelet, and not here.

    ## References
    - `hostPath type check failed: … is not a directory`: `pkg/volume/hostpath/host_path.go`, 1.30 to 1.36.
    - https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
    """
    for failure, record in recent_failures(pod, events, now):
        match = _FAILED.search(failure.why) if failure.kind == "host path" else None
        if match:
            yield Finding(
                pod,
                since=record.first,
                evidence=(record.evidence,),
                node=pod.spec.node_name,
                path=match["path"],
                wanted=match["type"],
            )
            return
