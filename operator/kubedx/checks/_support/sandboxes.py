"""Why a pod gets no sandbox, the shell with its network that containers start in: parsing what kubelets report."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice

from kubedx.checks._support.pods import containers_unready_since
from kubedx.core.finding import Evidence
from kubedx.core.inputs import EventRecord, Events, Lookup, Now, minutes
from kubedx.kube.views import Pod

SANDBOX_REASON = "FailedCreatePodSandBox"
"""The reason of the Events about it (`pkg/kubelet/events/event.go`)."""

CREATING = frozenset({"ContainerCreating", "PodInitializing"})
"""The reasons of containers that wait for what comes before them (`pkg/kubelet/kubelet_pods.go`)."""

CGROUP_FULL = re.compile(r"/sys/fs/cgroup\S{0,1024}: (?:no space left on device|cannot allocate memory)")
INOTIFY = re.compile(
    r"(?:inotify|fsnotify).{0,256}(?:no space left on device|too many open files)"
    r"|Failed to watch .{1,512}: no space left on device",
    re.IGNORECASE | re.DOTALL,
)
PARENT_MISSING = re.compile(
    r"parent snapshot \S{1,512} does not exist: not found|missing parent \"[^\"]{1,512}\" bucket: not found"
    r"|failed to stat parent:.{1,512}no such file or directory"
)
SELINUX = re.compile(
    r"/proc/self/attr/keycreate: permission denied|avc: {1,2}denied|setxattr .{1,512}permission denied"
    r"|relabel .{1,512} failed",
    re.IGNORECASE,
)
MISSING_PROGRAM = re.compile(r"failed to find plugin \"(?P<plugin>[\w.-]+)\" in path \[(?P<path>[^\]]{1,512})\]")

_KINDS = tuple(
    (kind, re.compile(pattern, re.IGNORECASE) if isinstance(pattern, str) else pattern)
    for kind, pattern in (
        # The order matters: the narrower comes first, and what a node lacks before what fails for want of it.
        ("inotify", INOTIFY),
        ("control groups", CGROUP_FULL),
        ("snapshot", PARENT_MISSING),
        ("security label", SELINUX),
        ("disk full", r"no space left on device"),
        ("process ids", r"fork/exec \S{1,512}: resource temporarily unavailable|pthread_create failed|newosproc"),
        (
            "network",
            (
                r"failed to set ?up (?:network for sandbox|sandbox container .{1,128} network)|failed to find plugin \""
                r"|plugin type=\"[\w.-]+\"|NetworkPlugin cni failed|cni plugin not initialized|no cni config"
                r"|failed to create pod network sandbox|error adding pod \S{1,512} to CNI network"
            ),
        ),
        ("image", r"failed to get sandbox image|failed to pull (?:and unpack )?image|unable to pull pause image"),
        ("runtime", r"code = Unavailable|dial unix \S{1,256}: connect: "),
        ("timeout", r"DeadlineExceeded|context deadline exceeded|operation timeout"),
    )
)
_PREFIX = re.compile(r"^Failed to create pod sandbox: (?:rpc error: code = \w+ desc = )?")
_ID = re.compile(r"(?<!sha256:)\b[0-9a-f]{32,64}\b")
_FROM = re.compile(r"\b(read|write) (tcp|udp) \S{1,64}?->")

_LASTING = minutes(1)
_QUIET = minutes(5)
_QUIET_OF_SLOW = minutes(12)
_FILTERED = 10
_AGAIN = 2
_MANY = 3


@dataclass(frozen=True, slots=True)
class SandboxFailure:
    """Why one attempt failed.

    Attributes:
        kind: The class of the reason: ``network``, ``timeout``, ``inotify``, ``control groups``, ``snapshot``,
            ``security label``, ``disk full``, ``process ids``, ``image``, ``runtime``, or ``other``.
        why: What the runtime said, without what differs from attempt to attempt.
    """

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Failing:
    """A pod whose sandbox cannot be created, and how the newest attempt failed.

    Attributes:
        failure: Why.
        record: The Event.
        since: Since when the pod has no sandbox.
        lasting: Whether it failed again over a minute, so that it is more than a network plugin that just starts.
        count: How many attempts failed, at least.
    """

    failure: SandboxFailure
    record: EventRecord
    since: datetime
    lasting: bool
    count: int

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What it rests on."""
        return (self.record.evidence,)


@lru_cache(maxsize=4096)
def sandbox_failure(message: str) -> SandboxFailure:
    """Read the message of a FailedCreatePodSandBox Event.

    Args:
        message: ``Failed to create pod sandbox: rpc error: code = Unknown desc = …``

    Returns:
        The failure; its kind is ``other`` where the words are none that we know.
    """
    why = stable(_PREFIX.sub("", message))
    return SandboxFailure(next((kind for kind, pattern in _KINDS if pattern.search(message)), "other"), why)


def stable(message: str) -> str:
    """Leave out what differs from attempt to attempt: ids of sandboxes and containers, and ports of connections."""
    return _FROM.sub(r"\1 \2 ", _ID.sub("…", message)).strip()


def lacks_sandbox(pod: Pod) -> bool:
    """Tell whether a pod that is bound to a node has no sandbox, as far as its status shows.

    Args:
        pod: The pod.

    Returns:
        Whether it is so. Kubelets set the condition since 1.29, and set it late where they pull an image first.
    """
    if pod.deleted or pod.finished or not pod.spec.node_name:
        return False
    condition = pod.condition("PodReadyToStartContainers")
    if condition:
        return condition.status != "True" and all(one.state.waiting or one.state.terminated for one in pod.containers)
    return bool(pod.containers) and all(
        one.state.waiting and one.state.waiting.reason in CREATING for one in pod.containers
    )


def widespread(pod: Pod, pods: Lookup[Pod] | None, events: Events) -> bool:
    """Tell whether at least three pods of the pod's node are without a sandbox.

    Args:
        pod: One of them.
        pods: All pods, None where they cannot be read.
        events: The Events.

    Returns:
        Whether the node is at fault rather than the pod.
    """
    on_node = pods.on_node(pod.spec.node_name) if pods else ()
    others = (one for one in on_node if lacks_sandbox(one) and events.about(one, SANDBOX_REASON))
    return len(tuple(islice(others, _MANY))) == _MANY


def failing_sandbox(pod: Pod, events: Events, now: Now, kind: str = "") -> Failing | None:
    """Find out whether the kubelet tries in vain to create a pod's sandbox.

    It tries again some ten seconds after each failure, and four minutes later where the runtime does not answer. The
    first 25 failures are reported one by one, those after them once in five minutes.

    Args:
        pod: The pod.
        events: The Events.
        now: The time.
        kind: The class of failures that count; empty for all.

    Returns:
        How it fails, None where the pod has a sandbox or nothing was reported lately.
    """
    records = events.about(pod, SANDBOX_REASON) if lacks_sandbox(pod) else ()
    records = tuple(one for one in records if not kind or sandbox_failure(one.message).kind == kind)
    if not records:
        return None
    newest, count = records[0], sum(one.count for one in records)
    failure = sandbox_failure(newest.message)
    slow = failure.kind == "timeout" or count >= _FILTERED
    if newest.last is None or now.older(newest.last, _QUIET_OF_SLOW if slow else _QUIET):
        return None
    first = min((one.first for one in records if one.first), default=newest.last)
    lasting = count >= _AGAIN and newest.last - first >= _LASTING
    return Failing(failure, newest, _without_since(pod) or first, lasting, count)


def _without_since(pod: Pod) -> datetime | None:
    condition = pod.condition("PodReadyToStartContainers")
    return condition.last_transition_time if condition else containers_unready_since(pod)
