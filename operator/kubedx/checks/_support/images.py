"""Why an image could not be pulled: parsing what kubelets and container runtimes say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from kubedx.checks._support.pods import status_path
from kubedx.core.finding import Evidence, field
from kubedx.core.inputs import Events
from kubedx.kube.images import registry
from kubedx.kube.views import ContainerStatus, Pod

PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed"})
"""The reasons that a container waits with while its image cannot be pulled (`pkg/kubelet/images/types.go`)."""

FAILED_REASON = "Failed"
"""The reason of the Events about it (`pkg/kubelet/events/event.go`); other failures of containers have it too."""

_BACK_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?')
_ERROR_NAME = re.compile(r"^(?:ErrImagePull|RegistryUnavailable|SignatureValidationFailed): ")
_NEVER_TRIED = {
    "ErrImageNeverPull": "never pull",
    "ImageInspectError": "not readable",
    "InvalidImageName": "invalid name",
}
"""The reasons that a container waits with while the kubelet does not even try to pull its image, and their classes."""

_HOST_UNKNOWN = re.compile(r"no such host|server misbehaving", re.IGNORECASE)
_EVENT = re.compile(r'^Failed to pull image "(?P<image>[^"]+)": (?P<why>.+)', re.DOTALL)
_QUOTED = re.compile(r'"[^"]*"')
_KINDS = (
    # The order matters: the broader words of a later class also stand in messages of the earlier ones.
    ("platform", r"no match for platform in manifest|no matching manifest for"),
    ("disk full", r"no space left on device"),
    ("local content", r"parent snapshot|missing parent|failed to stat parent|content digest|failed to extract layer"),
    ("signature", r"signature validation failed|SignatureValidationFailed"),
    ("certificate", r"x509: |tls: failed to verify certificate"),
    (
        "plain HTTP",
        r"server gave HTTPS? response to HTTPS? client|malformed HTTP response|sent an HTTP request to an HTTPS server",
    ),
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
            ``plain HTTP``, ``platform``, ``local content``, ``disk full``, ``signature``, or ``other``; and where there
            was no attempt, ``never pull``, ``invalid name`` or ``not readable``.
        why: What the runtime said.
    """

    kind: str
    why: str

    @property
    def in_words(self) -> tuple[str, str]:
        """What is wrong and what to change, as the rest of a sentence and a sentence."""
        if self.kind == "unreachable" and _HOST_UNKNOWN.search(_QUOTED.sub('""', self.why)):
            return _WORDS["host unknown"]
        return _WORDS[self.kind]


_WORDS = {
    "not found": (
        "its registry has no such name or tag",
        "Correct the name or the tag in the pod template, or push the image.",
    ),
    "host unknown": (
        "the name of its registry does not resolve on the node",
        "Correct the registry in the image's name, or the node's own DNS; nodes do not ask the DNS of the cluster.",
    ),
    "unreachable": (
        "the node gets no connection to its registry",
        "Mend the node's route, firewall or proxy, or the registry itself.",
    ),
    "denied": (
        "its registry does not give it to this pod, or hides that it does not exist",
        "Give the pod a pull secret for this registry, or correct the image's name.",
    ),
    "rate limit": (
        "its registry has counted too many pulls",
        "Pull with an account, or through a mirror or cache of your own; the limit passes by itself after hours.",
    ),
    "certificate": (
        "the node does not trust the certificate of its registry",
        "Give the node the certificate authority of the registry, or the registry a certificate that nodes trust.",
    ),
    "plain HTTP": (
        "node and registry do not agree on HTTP or HTTPS",
        "Give the registry a certificate, or tell the container runtime of each node to use plain HTTP for it.",
    ),
    "platform": (
        "it is not made for the node's processor or operating system",
        "Build the image for this platform too, or keep the pod on other nodes by nodeSelector kubernetes.io/arch.",
    ),
    "local content": (
        "the node's own store of images is damaged",
        "Remove the image on the node with crictl rmi, so that it is pulled anew.",
    ),
    "disk full": (
        "the node's disk is full",
        "Free space on the node; crictl rmi --prune removes the images that nothing uses.",
    ),
    "signature": (
        "its signature does not pass the policy of the node",
        "Sign the image as the policy of the node's container runtime demands, or correct that policy.",
    ),
    "never pull": (
        "it is not on the node, and imagePullPolicy Never forbids to fetch it",
        "Set imagePullPolicy to IfNotPresent, or load the image onto each node that may run the pod.",
    ),
    "invalid name": (
        "its name is none that a registry can have",
        "Correct the image's name in the pod template: lower case, one tag, no https:// in front.",
    ),
    "not readable": (
        "the container runtime of the node cannot look at it",
        "Look at the container runtime of the node; often its disk or its store of images is damaged.",
    ),
    "other": (
        "the container runtime gives a reason that is none of the common ones",
        "Mend what the message of the container runtime names.",
    ),
}
"""For each class of failure what is wrong, and what to change."""


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


def failed_pulls(pod: Pod, events: Events | None) -> Iterator[WaitingPull]:
    """Find the containers of a pod whose image could not be had, and why.

    Args:
        pod: The pod.
        events: The Events, None where they cannot be read.

    Yields:
        The containers of `waiting_pulls` with a known failure, and those whose image the kubelet does not try to pull.
    """
    yield from (waiting for waiting in waiting_pulls(pod, events) if waiting.failure)
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting and waiting.reason in _NEVER_TRIED:
            said = waiting.message or waiting.reason
            seen = field(pod, f"{status_path(pod, container)}.state.waiting", f"{waiting.reason}: {said}")
            yield WaitingPull(container, PullFailure(_NEVER_TRIED[waiting.reason], said), (seen,))


@dataclass(frozen=True, slots=True)
class Retired:
    """A place that gets no new images any more.

    Attributes:
        place: Its name.
        what: What became of it, as the rest of a sentence.
        instead: Where the images are now.
    """

    place: str
    what: str
    instead: str


_RETIRED = (
    Retired("k8s.gcr.io", "is frozen since April 2023", "registry.k8s.io"),
    Retired("gcr.io/google-containers", "is frozen since 2020", "registry.k8s.io"),
    Retired("gcr.io/google_containers", "is frozen since 2020", "registry.k8s.io"),
    Retired("gcr.io/kubernetes-e2e-test-images", "is frozen since 2021", "registry.k8s.io/e2e-test-images"),
    Retired("quay.io/coreos/flannel", "is frozen since 2022", "ghcr.io/flannel-io/flannel"),
    Retired("docker.io/bitnami", "lost its tagged versions in September 2025", "docker.io/bitnamilegacy"),
)


@lru_cache(maxsize=4096)
def retired(image: str) -> Retired | None:
    """Say whether an image comes from a place that gets no new ones.

    Args:
        image: The image's name, such as ``k8s.gcr.io/pause:3.5``.

    Returns:
        The place, None for one that is alive.
    """
    host = registry(image)
    full = f"{host}/{image.removeprefix(f'{host}/')}"
    return next((one for one in _RETIRED if full.startswith((f"{one.place}/", f"{one.place}:"))), None)


def _from_events(pod: Pod, image: str, events: Events) -> tuple[PullFailure | None, tuple[Evidence, ...]]:
    for record in events.about(pod, FAILED_REASON):
        match = _EVENT.match(record.message)
        if match and match["image"] == image:
            return pull_failure(match["why"]), (record.evidence,)
    return None, ()
