"""Why an image could not be pulled: parsing what kubelets and container runtimes say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from kubedx.checks._support.pods import status_path
from kubedx.core.finding import Evidence, field
from kubedx.core.inputs import Events
from kubedx.kube.views import ContainerStatus, Pod

PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"})
"""The reasons that a container waits with while its image cannot be pulled (`pkg/kubelet/images/types.go`)."""

FAILED_REASON = "Failed"
"""The reason of the Events about it (`pkg/kubelet/events/event.go`); other failures of containers have it too."""

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?')
_ERROR_NAME = re.compile(r"^(?:ErrImagePull|RegistryUnavailable|SignatureValidationFailed): ")
_EVENT = re.compile(r'^Failed to pull image "(?P<image>[^"]+)": (?P<why>.+)', re.DOTALL)
_QUOTED = re.compile(r'"[^"]*"')
_KINDS = (
    # The order matters: the broader words of a later class also stand in messages of the earlier ones.
    ("platform", r"no match for platform in manifest|no matching manifest for"),
    ("local content", r"parent snapshot|missing parent|failed to stat parent|content digest|failed to extract layer"),
    ("disk full", r"no space left on device"),
    ("signature", r"signature validation failed|SignatureValidationFailed"),
    ("certificate", r"x509: |tls: failed to verify certificate"),
    ("plain HTTP", r"server gave HTTPS? response to HTTPS? client|malformed HTTP response"),
    ("rate limit", r"429 Too Many Requests|toomanyrequests|pull rate limit"),
    (
        "unreachable",
        (
            r"no such host|server misbehaving|i/o timeout|connection refused|connection reset by peer|no route to host"
            r"|network is unreachable|TLS handshake timeout|proxyconnect tcp|Client\.Timeout exceeded"
            r"|request canceled while waiting for connection|registry is unavailable"
        ),
    ),
    (
        "denied",
        (
            r"no basic auth credentials|pull access denied|requested access to the resource is denied"
            r"|authorization failed|insufficient_scope|401 Unauthorized|403 Forbidden|unauthorized: |denied: "
        ),
    ),
    (
        "not found",
        (
            r"manifest unknown|name unknown|no such image|404 Not Found|: not found$"
            r"|(?:reading manifest|manifest for|repository) .{1,512} not found"
        ),
    ),
)
_PATTERNS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _KINDS)


@dataclass(frozen=True, slots=True)
class PullFailure:
    """Why a pull failed.

    Attributes:
        kind: The class of the reason: ``not found``, ``unreachable``, ``denied``, ``rate limit``, ``certificate``,
            ``plain HTTP``, ``platform``, ``local content``, ``disk full``, ``signature``, or ``other``.
        why: What the runtime said.
    """

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class WaitingPull:
    """A container that waits for its image.

    Attributes:
        container: The container's status.
        failure: Why the pull fails, None where neither the status nor an Event says so.
        evidence: Where that stands.
    """

    container: ContainerStatus
    failure: PullFailure | None
    evidence: tuple[Evidence, ...]


@lru_cache(maxsize=4096)
def pull_failure(message: str) -> PullFailure | None:
    """Read the message of a container that waits for its image.

    What stands in double quotes are names of images and addresses. They are not searched, as anybody may call an image
    ``denied``.

    Args:
        message: ``state.waiting.message``, or what follows the image in the message of a ``Failed`` Event.

    Returns:
        The failure, or None for a bare ``Back-off pulling image "…"``, which kubelets before 1.32 say.
    """
    why = _ERROR_NAME.sub("", _BACK_OFF.sub("", message)).strip()
    if not why:
        return None
    searched = _QUOTED.sub('""', why)
    return PullFailure(next((kind for kind, pattern in _PATTERNS if pattern.search(searched)), "other"), why)


def waiting_pulls(pod: Pod, events: Events | None) -> Iterator[WaitingPull]:
    """Find the containers of a pod that wait for their images.

    Since Kubernetes 1.32 the cause stands in the container's status. Before it stands only in the newest ``Failed``
    Event about the image.

    Args:
        pod: The pod.
        events: The Events, None where they cannot be read.

    Yields:
        Each such container with the reason, as far as it is known.
    """
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting is None or waiting.reason not in PULL_REASONS:
            continue
        path = status_path(pod, container)
        seen: tuple[Evidence, ...] = (field(pod, f"{path}.state.waiting", f"{waiting.reason}: {waiting.message}"),)
        failure = pull_failure(waiting.message)
        if failure is None and events is not None:
            failure, said = _from_events(pod, container.image, events)
            seen += said
        yield WaitingPull(container, failure, seen)


def _from_events(pod: Pod, image: str, events: Events) -> tuple[PullFailure | None, tuple[Evidence, ...]]:
    for record in events.about(pod, FAILED_REASON):
        match = _EVENT.match(record.message)
        if match and match["image"] == image:
            return pull_failure(match["why"]), (record.evidence,)
    return None, ()
