"""ContainerNameReserved."""

import re
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.images import FAILED_REASON
from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step, field
from kubedx.core.inputs import Events, Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_RESERVED = re.compile(
    r"failed to reserve container name \"(?P<containerd>[^\"]{1,512})\""
    r"|error reserving ctr name (?P<crio>\S{1,512}) for id|^name is reserved"
)


class ContainerNameReservedSettings(Settings, frozen=True, rename="camel"):
    """Settings of ContainerNameReserved."""

    failures: Annotated[
        int, Meta(ge=2, le=100, description="Failed attempts to create a container from which it is reported.")
    ] = 5


@check(
    title="A container cannot be created while an earlier attempt hangs",
    message="Container {container} of pod {name} cannot be created on node {node}: its name {reserved} is still "
    "reserved for an earlier attempt that hangs in the container runtime",
    severity=Severity.WARNING,
    layer=4,
    group=by.node,
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={"PodCreateContainerError": join.itself},
    steps=(
        Step(
            "On the machine, see what became of the earlier attempt.",
            "crictl ps -a; ctr -n k8s.io containers ls | grep {container}",
        ),
        Step(
            "On the machine, see whether the disk is busy and which mounts hang.", "iostat -dx 1 3; mount -t nfs,nfs4"
        ),
        Step(
            "It may end by itself. If not, let the pod start elsewhere.",
            "kubectl -n {namespace} get pod {name} -o wide",
        ),
        Step(
            "Remove the pod, so that a controller makes another one. Its emptyDir volumes are lost.",
            "kubectl -n {namespace} delete pod {name}",
            danger=True,
        ),
        Step(
            "As the last step restart the runtime of the machine. Containers keep running.",
            "systemctl restart containerd",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def container_name_reserved(
    pod: Pod, events: Events | None, now: Now, settings: ContainerNameReservedSettings
) -> Answer:
    """The container runtime still works on an earlier request for the same container.

    ## Meaning
    The kubelet asked for the container, gave up waiting after two minutes, and asks again. The runtime refuses, as it
    has not finished the first request: the disk is slow, the snapshotter hangs, or a volume's mount does not answer.

    ## Impact
    The container does not start as long as the earlier attempt hangs. Several such pods on a node mean that the machine
    is at fault.

    ## Diagnosis
    Look at the disk (`iostat -dx 1`) and at mounts that hang on the machine. An earlier `Error: context deadline
    exceeded` event of the pod is the attempt that hangs.

    ## Mitigation
    It often ends by itself. Take load off the disk, mend the mount, or let the pod start on another node.

    ## Limitations
    The message names the symptom and not what hangs. It is reported from the fifth failed attempt, or after ten
    minutes.

    ## References
    - containerd `internal/cri/server/container_create.go`: `failed to reserve container name "…": name "…" is reserved
      for "…"`, 1.3 to 2.2; since 2.3 with `; check if another CreateContainer request is in progress`.
    - CRI-O: `error reserving ctr name … for id …: name is reserved`.
    - https://github.com/containerd/containerd/issues/4604
    """
    if pod.deleted:
        return
    for container in pod.containers:
        waiting = container.state.waiting
        reserved = waiting and waiting.reason == "CreateContainerError" and _RESERVED.search(waiting.message)
        if not waiting or not reserved:
            continue
        first, count = _attempts(pod, events)
        if count >= settings.failures or now.older(first, minutes(10)):
            path = f"{status_path(pod, container)}.state.waiting"
            yield Finding(
                pod,
                since=first,
                evidence=(field(pod, path, f"{waiting.reason}: {waiting.message}", first),),
                node=pod.spec.node_name,
                container=container.name,
                reserved=reserved["containerd"] or reserved["crio"] or container.name,
            )
            return


def _attempts(pod: Pod, events: Events | None) -> tuple[datetime | None, int]:
    """When the first attempt failed in this way, and how many did."""
    records = events.about(pod, FAILED_REASON) if events else ()
    records = tuple(one for one in records if _RESERVED.search(one.message.removeprefix("Error: ")))
    first = min((one.first for one in records if one.first), default=containers_unready_since(pod))
    return first, sum(one.count for one in records)
