"""NodeAllocatableEnforcementFailed."""

import re
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.reports import reports
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Node

_FAILED, _DONE = "FailedNodeAllocatableEnforcement", "NodeAllocatableEnforced"
_MESSAGE = re.compile(
    r"Failed to (?:update Node Allocatable Limits|"
    r"enforce (?:System|Kube) Reserved (?:Compressible )?Cgroup Limits on) .*",
    re.DOTALL,
)


class NodeAllocatableEnforcementFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeAllocatableEnforcementFailed."""

    quiet_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes without another failure after which it counts as over.")
    ] = 30
    times: Annotated[int, Meta(ge=1, le=100, description="Failures that are worth a word.")] = 5


@check(
    title="Kubelet cannot limit what the pods of its node use together",
    message="The kubelet of node {name} cannot set the limit of its pods or of its daemons: {detail}",
    layer=2,
    events=(_FAILED, _DONE),
    explains={"NodeMemoryPressure": join.same_node, "NodeSystemOOM": join.same_node},
    steps=(
        Step("Read the error, and see what is allocatable and in use.", "kubectl describe node {name}"),
        Step(
            "On the machine, see what the kubelet is told to enforce, and whether the control groups exist.",
            "grep -iE 'cgroup|reserved|enforce' /var/lib/kubelet/config.yaml; ls /sys/fs/cgroup",
        ),
        Step(
            "If systemReservedCgroup or kubeReservedCgroup names a group that does not exist: create it, or leave only "
            "pods in enforceNodeAllocatable.",
        ),
        Step(
            "If the pods use more than the new limit, move them away, so that it can be set. This evicts every pod of "
            "the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_allocatable_enforcement_failed(
    node: Node, events: Events, now: Now, settings: NodeAllocatableEnforcementFailedSettings
) -> Answer:
    """The kubelet fails to write the limits that keep something of the node for the system.

    ## Meaning
    The kubelet limits all pods together to what is allocatable, and may limit the groups of the system's and its own
    daemons. The kernel refuses the limit, as the pods use more than that, or the control group does not exist.

    ## Impact
    Pods may use what is reserved for the system: the node may run out of memory as a whole.

    ## Diagnosis
    The message names the limit and the kernel's error. `no such file or directory` means a missing control group,
    `device or resource busy` or `invalid argument` a limit below what is in use.

    ## Mitigation
    Create the control groups that the configuration names, or do not enforce them. Drain the node where pods use more
    than the new limit. `enforceNodeAllocatable: [pods]` needs `cgroupsPerQOS: true`.

    ## Limitations
    It is known from Events: fewer than five are not reported, and half an hour without one counts as over, as does a
    later `NodeAllocatableEnforced`.

    ## References
    - `pkg/kubelet/cm/node_container_manager_linux.go`, reason `FailedNodeAllocatableEnforcement`, 1.7 to 1.36; the
      `Compressible` forms since 1.32.
    - https://kubernetes.io/docs/tasks/administer-cluster/reserve-compute-resources/
    """
    found = reports(_failure, node, events, (_FAILED,), now, minutes(settings.quiet_minutes))
    if found is None or not found.often(settings.times, minutes(30)):
        return
    done = events.about(node, _DONE)
    if done and done[0].last and found.last and done[0].last > found.last:
        return
    yield Finding(node, since=found.first, evidence=(found.record.evidence,), detail=found.what)


def _failure(record: EventRecord) -> str | None:
    match = _MESSAGE.search(record.message)
    return match[0] if match else None
