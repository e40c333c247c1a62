"""Why a pod's volume cannot be attached or mounted: parsing what the kubelet and the attach controller say."""

import re
from dataclasses import dataclass
from functools import lru_cache

from kubedx.core.inputs import EventRecord, Events, Now, minutes
from kubedx.kube.views import Pod

MOUNT_REASONS = ("FailedMount", "FailedMapVolume", "FailedAttachVolume")
"""The reasons of Events about volumes that a pod waits for (`pkg/kubelet/events/event.go`)."""

QUIET = minutes(15)
"""The kubelet tries a mount again at least every two minutes, and its Events are written at least every five."""

_FAILED = re.compile(
    r"(?:^|\s)(?:[A-Za-z]+\.[A-Za-z ]+? failed|Multi-Attach error) for volume \"(?P<volume>[^\"]+)\"\s*:?\s*"
    r"(?P<why>.*)",
    re.DOTALL,
)
_WAITS = re.compile(r"^(?:Unable to attach or mount volumes|timeout expired waiting for volumes)")
_COMMAND = re.compile(r"(?:\\n|\s){0,8}Mounting command: .{1,4096}?Output: ", re.DOTALL)
"""The kubelet tells its whole command before it tells what went wrong."""
_UNMOUNTED = re.compile(r"(?:unmounted volumes|list of unmounted volumes)=\[(?P<volume>[^\s\]]*)")
_MULTI_ATTACH = re.compile(r"Multi-Attach error|already exclusively attached to one node")
_KINDS = (
    ("config cache", r"failed to sync (?:secret|configmap) cache|object \"[^\"]+\"/\"[^\"]+\" not registered"),
    ("config missing", r"(?:configmap|secret) \"[^\"]+\" not found|references non-existent"),
    ("host path", r"hostPath type check failed"),
    ("driver", r"driver name \S+ not found in the list of registered CSI drivers"),
    ("flex volume", r"flexvolume|kubelet-plugins/volume/exec|Plugin from volumeSpec.{0,512}?no volume plugin matched"),
    ("node affinity", r"no matching NodeSelectorTerms"),
    ("wrong filesystem", r"wrong fs type|bad option|bad superblock|unknown filesystem type"),
    ("server", r"access denied by server|mount\.nfs|No route to host|Connection (?:timed out|refused)"),
    ("busy", r"already mounted|device is busy|(?:target|device) busy"),
    ("permission", r"permission denied|operation not permitted"),
)  # fmt: skip
_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for name, pattern in _KINDS)


@dataclass(frozen=True, slots=True)
class MountFailure:
    """What a message says about a volume.

    Attributes:
        volume: The volume: its name in the pod, or that of the PersistentVolume.
        kind: What is wrong: ``multi-attach``, ``config cache``, ``config missing``, ``host path``, ``driver``,
            ``flex volume``, ``node affinity``, ``wrong filesystem``, ``server``, ``busy``, ``permission``, ``other``;
            ``waits`` where the message only says that it takes too long.
        why: The error itself, in one line.
    """

    volume: str
    kind: str
    why: str


@lru_cache(maxsize=4096)
def mount_failure(message: str) -> MountFailure:
    """Read the message of a FailedMount, FailedMapVolume or FailedAttachVolume Event.

    The grammar is that of `pkg/volume/util/operationexecutor/operation_generator.go` (GenerateError) and of
    `pkg/kubelet/volumemanager/volume_manager.go`, 1.25 to 1.36.

    Args:
        message: ``MountVolume.SetUp failed for volume "data" : mount failed: exit status 32 …``

    Returns:
        The failure.
    """
    if _WAITS.search(message):
        unmounted = _UNMOUNTED.search(message)
        return MountFailure(unmounted["volume"] if unmounted else "", "waits", "it was not there in time")
    match = _FAILED.search(message)
    volume, why = (match["volume"], match["why"]) if match else ("", message)
    why = _COMMAND.sub(": ", why)
    if _MULTI_ATTACH.search(message):
        return MountFailure(volume, "multi-attach", why.strip())
    kind = next((name for name, pattern in _PATTERNS if pattern.search(message)), "other")
    return MountFailure(volume, kind, why.strip())


def is_starting(pod: Pod) -> bool:
    """Whether the pod has a container that the kubelet has yet to create, and so may wait for a volume."""
    return not pod.deleted and any(
        one.state.waiting is not None and one.state.waiting.reason in {"ContainerCreating", "PodInitializing"}
        for one in pod.containers
    )


def recent_failures(pod: Pod, events: Events, now: Now) -> list[tuple[MountFailure, EventRecord]]:
    """Tell why volumes of a starting pod could lately not be mounted.

    Args:
        pod: The pod.
        events: What was reported.
        now: The time.

    Returns:
        The failures with their Events, the newest first; none of a pod whose containers were created.
    """
    if not is_starting(pod):
        return []
    records = [one for one in events.about(pod, *MOUNT_REASONS) if not now.older(one.last, QUIET)]
    return [(mount_failure(one.message), one) for one in records]
