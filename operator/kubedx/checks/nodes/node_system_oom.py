"""NodeSystemOOM."""

import re
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import shown_time
from kubedx.checks._support.reports import reports
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import Node

_REASONS = ("SystemOOM", "OOMKilling")
_KUBELET = re.compile(r"System OOM encountered(?:, victim process: (?P<victim>.{1,256}), pid: \d+)?")
_KERNEL = re.compile(r"(?P<whole>Out of memory: )?Kill(?:ed)? process \d+ \((?P<victim>[^)]{1,256})\)")
_GROUP = re.compile(r"memory cgroup out of memory", re.IGNORECASE)
_DAEMONS = frozenset({"containerd", "crio", "dockerd", "kubelet", "sshd", "systemd"})
"""What a node does not work without, and what no pod's memory limit is about."""


class NodeSystemOOMSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeSystemOOM."""

    quiet_minutes: Annotated[
        int, Meta(ge=5, le=1440, description="Minutes without another kill after which it counts as over.")
    ] = 30
    critical_times: Annotated[
        int, Meta(ge=2, le=1000, description="Kills within half an hour from which on it is critical.")
    ] = 3


@check(
    title="Node ran out of memory and its kernel killed processes",
    message="Node {name} ran out of memory and its kernel killed {victim}, last at {at}",
    layer=2,
    events=_REASONS,
    explains={
        "KubeletRestartLoop": join.same_node,
        "NodeNotReady": join.same_node,
        "NodeUnreachable": join.same_node,
        "PodFrequentRestarts": join.same_node,
    },
    steps=(
        Step("See what the pods of the node requested and what its memory is.", "kubectl describe node {name}"),
        Step(
            "On the machine, read what the kernel killed and who used the memory then.", "journalctl -k | grep -i oom"
        ),
        Step("Find the pods that use most memory now.", "kubectl top pods -A --sort-by=memory"),
        Step(
            "Let the kubelet evict before the kernel kills: in its configuration reserve memory for the system and "
            "raise the threshold, for example systemReserved memory 500Mi and evictionHard memory.available 500Mi."
        ),
        Step("Give pods without one a memory limit, and requests that match what they use."),
    ),
    since="0.1.0",
)
def node_system_oom(node: Node, events: Events, now: Now, settings: NodeSystemOOMSettings) -> Answer:
    """The memory of a whole node ran out, and its kernel killed processes.

    ## Meaning
    Memory ran out faster than the kubelet could evict pods, or outside of pods, so that the kernel chose what to kill.
    That is another thing than a container that reaches its own limit.

    ## Impact
    Whatever was killed is gone: a container of any pod, or the kubelet or container runtime itself, after which the
    node may fall silent. It is critical from the third kill within half an hour on, and where a daemon of the node
    was killed.

    ## Diagnosis
    The kernel's log lists all processes with their memory at the moment of the kill.

    ## Mitigation
    Reserve memory for the system (`systemReserved`, `kubeReserved`), raise `evictionHard` for `memory.available`, give
    pods limits, and do not let the limits of a node add up to much more than it has.

    ## Limitations
    It is known from Events, of the kubelet (`SystemOOM`) or of node-problem-detector (`OOMKilling`), and is shown for
    half an hour. A line of the kernel that does not tell whether it is about the node or a container counts only if
    it names a daemon of the node.

    ## References
    - `pkg/kubelet/oom/oom_watcher_linux.go`: `System OOM encountered, victim process: …, pid: …`, 1.15 to 1.36; before
      without the victim.
    - node-problem-detector, `config/kernel-monitor.json` (reason `OOMKilling`).
    - https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior
    """
    found = reports(_victim, node, events, _REASONS, now, minutes(settings.quiet_minutes))
    if found:
        urgent = found.what in _DAEMONS or found.often(settings.critical_times, minutes(30))
        yield Finding(
            node,
            since=found.first,
            severity=Severity.CRITICAL if urgent else Severity.WARNING,
            evidence=(found.record.evidence,),
            victim=found.what,
            at=shown_time(found.last),
        )


def _victim(record: EventRecord) -> str | None:
    """What was killed as the node's memory ran out; None where a container only reached its limit."""
    if told := _KUBELET.search(record.message):
        return told["victim"] or "a process"
    line = _KERNEL.search(record.message)
    if line is None or _GROUP.search(record.message):
        return None
    return line["victim"] if line["whole"] or line["victim"] in _DAEMONS else None
