"""NodeKernelProblem."""

import re
from collections.abc import Iterator
from datetime import datetime

from kubedx.checks._support.nodes import condition_evidence, eased
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step
from kubedx.core.inputs import Events, Now, hours, minutes
from kubedx.kube.views import Node

_CONDITIONS = frozenset({
    "CorruptDockerOverlay2",
    "CperHardwareErrorFatal",
    "FrequentContainerdRestart",
    "FrequentDockerRestart",
    "FrequentUnregisterNetDevice",
    "KernelDeadlock",
    "XfsShutdown",
})  # fmt: skip
_ELSEWHERE = frozenset({
    "ContainerRuntimeUnhealthy",
    "FrequentKubeletRestart",
    "KubeletUnhealthy",
    "NTPProblem",
    "ReadonlyFilesystem",
})  # fmt: skip
"""Conditions of node-problem-detector that other checks report, or whose consequence they report."""

_BAD = re.compile(r"(?:BadDisk|Corruption|Deadlock|Fatal|HardwareError|Hang|Hung|Problem)$")
"""How the conditions end that vendors add for what is broken."""

_EVENTS = (
    "CperHardwareErrorCorrected", "CperHardwareErrorRecoverable", "Ext4Error", "IOError", "KernelOops",
    "MemoryReadError", "TaskHung",
)  # fmt: skip
_WINDOW = hours(1)
_OFTEN = 3
_LASTING = minutes(1)


@check(
    title="The kernel or the hardware of a node has a problem",
    message="Node {name} reports {what}: {detail}",
    severity=Severity.CRITICAL,
    layer=0,
    events=_EVENTS,
    explains={
        "NodeContainerRuntimeDown": join.same_node,
        "NodeFilesystemReadOnly": join.same_node,
        "NodeNotReady": join.same_node,
        "NodePLEGUnhealthy": join.same_node,
        "NodeRebooted": join.same_node,
        "NodeUnreachable": join.same_node,
        "ProbeFailuresNodeWide": join.same_node,
    },
    steps=(
        Step("Read what node-problem-detector found.", "kubectl describe node {name}"),
        Step("On the machine, read the kernel's log.", "dmesg -T | tail -200"),
        Step("Keep new pods away from the node.", "kubectl cordon {name}"),
        Step(
            "Move the work away, then restart the machine; replace it if its hardware reports errors. This evicts "
            "every pod of the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_kernel_problem(node: Node, events: Events | None, now: Now) -> Answer:
    """node-problem-detector found something broken in the kernel's log of a node.

    ## Meaning
    Tasks that hang, a filesystem that shut itself down, errors of memory, disk or processor, a runtime that is
    restarted often. Nothing in Kubernetes can mend that; it is the machine.

    ## Impact
    It depends: a deadlock stops the container runtime, and with it the node; errors of a disk destroy data.

    ## Diagnosis
    The condition carries the line of the kernel's log. `dmesg -T` on the machine shows what is around it.

    ## Mitigation
    Cordon and drain the node, then restart it. Replace hardware that reports errors.

    ## Limitations
    It needs node-problem-detector, or what a cloud has in its place. Conditions of unknown types count where their
    names end in `Problem`, `Deadlock`, `HardwareError` and the like. Events count from three within an hour, and are a
    warning. `Ext4Warning` and `UnregisterNetDevice`, which healthy machines report as well, are left out.

    ## References
    - https://github.com/kubernetes/node-problem-detector, `config/*.json`, of 2026.
    - https://kubernetes.io/docs/tasks/debug/debug-cluster/monitor-node-health/
    """
    if node.deleted:
        return
    for since, severity, evidence, what, detail in (*_conditions(node, now), *_told(node, events, now)):
        yield Finding(
            node,
            since=since,
            severity=eased(severity, node, now),
            evidence=(evidence,),
            what=what,
            detail=detail,
        )
        return


_Problem = tuple[datetime | None, Severity, Evidence, str, str]


def _conditions(node: Node, now: Now) -> Iterator[_Problem]:
    for one in node.status.conditions:
        is_bad = one.type in _CONDITIONS or (one.type not in _ELSEWHERE and _BAD.search(one.type))
        since = one.last_transition_time
        if one.status == "True" and is_bad and (since is None or now.older(since, _LASTING)):
            yield since, Severity.CRITICAL, condition_evidence(node, one), one.type, one.message or one.reason


def _told(node: Node, events: Events | None, now: Now) -> Iterator[_Problem]:
    records = [one for one in events.about(node, *_EVENTS) if not now.older(one.last, _WINDOW)] if events else []
    for reason in sorted({one.reason for one in records}):
        same = [one for one in records if one.reason == reason]
        first = min((one.first for one in same if one.first), default=None)
        if sum(one.count for one in same) >= _OFTEN:
            yield first, Severity.WARNING, same[0].evidence, reason, same[0].message
