"""What kubelets say about probes that fail, what the probes ask, and what is to be changed.

Strings: `pkg/kubelet/prober/prober.go`, `pkg/kubelet/kuberuntime/kuberuntime_manager.go`,
`pkg/probe/{http,tcp,grpc,exec}`, 1.30 to 1.36. OpenShift writes the reason `ProbeError` and `Liveness probe error: …`.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from kubedx.checks._support.resolution import cannot_resolve
from kubedx.core.inputs import EventRecord, Events, Lookup, Now, minutes, seconds
from kubedx.kube.views import Container, ContainerStatus, Event, Pod, Probe

Kind = Literal["liveness", "readiness", "startup"]
How = Literal[
    "dns", "refused", "timeout", "unreachable", "status", "speaks HTTP", "speaks TLS", "no command", "no port",
    "not serving", "no health service", "other",
]  # fmt: skip

REASONS = ("Unhealthy", "ProbeError")
KILLING = "Killing"

_FAILED = re.compile(
    r"^(?P<kind>Liveness|Readiness|Startup) probe "
    r"(?:failed|errored(?: and resulted in \w+ state)?|error): ?(?P<said>.*)",
    re.DOTALL,
)
_KILLED = re.compile(r"^Container (?P<container>\S+) failed liveness probe, will be restarted")
_WORDS: tuple[tuple[How, str], ...] = (
    ("status", r"HTTP probe failed with statuscode: (?P<code>\d+)"),
    ("speaks HTTP", r"server gave HTTP response to HTTPS client"),
    ("speaks TLS", r"malformed HTTP response \"?\\x15\\x03"),
    ("no command", r"executable file not found|exec: \"[^\"]+\": stat \S+: no such file"),
    ("no port", r"couldn't find port"),
    ("not serving", r"service unhealthy \(responded with"),
    ("no health service", r"does not implement the grpc health protocol"),
    ("refused", r"connection refused"),
    (
        "timeout",
        r"context deadline exceeded|Client\.Timeout exceeded|i/o timeout|timed out|DeadlineExceeded|failed to connect",
    ),
    ("unreachable", r"no route to host|network is unreachable|connection reset by peer|host is down"),
)
_HOWS = tuple((how, re.compile(words, re.IGNORECASE)) for how, words in _WORDS)
_LONGEST = 120
"""Letters of a program's own words that are shown."""

_MANY = 25
"""As many Events the kubelet sends about a pod at once, then one every five minutes (`events_cache.go`)."""

_GRACE = seconds(35)
"""What passes between the last failure and the end of a container that ignores the request to stop."""


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """One answer that a probe did not want.

    Attributes:
        kind: Which probe.
        how: The class of the answer.
        code: The HTTP status, 0 where there is none.
        said: The answer in the kubelet's words.
    """

    kind: Kind
    how: How
    code: int
    said: str


@lru_cache(maxsize=2048)
def probe_failure(message: str) -> ProbeFailure | None:
    """Read the message of an Event about a probe.

    Args:
        message: ``Liveness probe failed: HTTP probe failed with statuscode: 500``

    Returns:
        The failure; None for a message about anything else.
    """
    match = _FAILED.match(message)
    if match is None:
        return None
    kind: Kind = match["kind"].lower()  # type: ignore[assignment]  # the pattern has just these three
    # What decoding made of line breaks; OpenShift appends the body, which mostly is empty.
    said = " ".join(match["said"].replace("\\n", " ").split()).removesuffix(" body:")
    if cannot_resolve(said):
        return ProbeFailure(kind, "dns", 0, said)
    for how, pattern in _HOWS:
        if found := pattern.search(said):
            return ProbeFailure(kind, how, int(found["code"]) if how == "status" else 0, said)
    return ProbeFailure(kind, "other", 0, said)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A container whose probe fails.

    Attributes:
        pod: The pod.
        container: The container as it is declared.
        status: What the kubelet says about it.
        probe: The probe.
        failure: Its newest answer.
        record: The Event with that.
        since: When such answers began.
        kill: The Event about the kubelet ending the container because of it, where that happened lately.
    """

    pod: Pod
    container: Container
    status: ContainerStatus
    probe: Probe
    failure: ProbeFailure
    record: EventRecord
    since: datetime | None
    kill: EventRecord | None

    @property
    def killed_while_starting(self) -> bool:
        """Whether its last run ended when the probe's patience did, counted from its start."""
        ended = self.status.last_state.terminated or self.status.state.terminated
        if self.kill is None or self.container.startup_probe or ended is None:
            return False
        if ended.started_at is None or ended.finished_at is None:
            return False
        return ended.finished_at - ended.started_at <= patience(self.probe) + _GRACE


def liveness_trouble(event: Event, pods: Lookup[Pod], events: Events, now: Now, within: timedelta) -> Trouble | None:
    """Find the container whose liveness probe an Event says failed.

    Args:
        event: Any Event.
        pods: The pods.
        events: The Events.
        now: The time.
        within: How old the newest failure may be.

    Returns:
        What is wrong, or None: for another Event, for a pod that is gone or going, and for what is over.
    """
    if event.reason not in REASONS or event.involved_object.kind != "Pod":
        return None
    about = probe_failure(event.message)
    pod = pods.get(event.namespace, event.involved_object.name) if about and about.kind == "liveness" else None
    if pod is None or pod.deleted or pod.status.phase != "Running" or pod.uid != event.involved_object.uid:
        return None
    name = event.involved_object.field_path.partition("{")[2].rstrip("}")
    records = [
        (failure, record)
        for record in events.about(pod, *REASONS)
        if record.container == name and (failure := probe_failure(record.message)) and failure.kind == "liveness"
    ]
    declared = next((one for one in (*pod.spec.containers, *pod.spec.init_containers) if one.name == name), None)
    status = next((one for one in pod.containers if one.name == name), None)
    if not records or now.older(records[0][1].last, within):
        return None
    if declared is None or status is None or declared.liveness_probe is None:
        return None
    failure, record = records[0]
    since = min((one.first for _, one in records if one.first), default=None)
    kill = next(
        (one for one in events.about(pod, KILLING) if _is_kill(one, name) and not now.older(one.last, within)), None
    )
    return Trouble(pod, declared, status, declared.liveness_probe, failure, record, since, kill)


def _is_kill(record: EventRecord, container: str) -> bool:
    match = _KILLED.match(record.message)
    return match is not None and match["container"] == container


def is_frequent(record: EventRecord, failures: int, within: timedelta) -> bool:
    """Whether an Event was repeated so often in such a time, on average since it was first sent.

    Args:
        record: The Event.
        failures: How often.
        within: In what time.

    Returns:
        Whether it was; the sender leaves most of the repetitions out after 25.
    """
    if record.count < failures or record.first is None or record.last is None:
        return False
    return record.count >= _MANY or (record.last - record.first) * failures <= within * record.count


def patience(probe: Probe) -> timedelta:
    """How long after its start a container is given up that never answers."""
    return seconds(probe.initial_delay_seconds + probe.period_seconds * probe.failure_threshold)


def asked(probe: Probe) -> str:
    """Say what a probe asks, and how often and how patiently."""
    times = (
        f"every {probe.period_seconds} s, waiting {probe.timeout_seconds} s for the answer, until "
        f"{probe.failure_threshold} failures in a row"
    )
    if probe.initial_delay_seconds:
        times = f"first after {probe.initial_delay_seconds} s, then {times}"
    return f"{_action(probe)}, {times}"


def _action(probe: Probe) -> str:
    if probe.http_get:
        return f"{probe.http_get.scheme or 'HTTP'} GET {probe.http_get.path or '/'} on port {probe.http_get.port}"
    if probe.tcp_socket:
        return f"a connection to port {probe.tcp_socket.port}"
    if probe.grpc:
        return f"gRPC health on port {probe.grpc.port}"
    return "a command"


def wrong_port(pod: Pod, container: Container, probe: Probe) -> str:
    """Compare a probe's port with what its container declares.

    Args:
        pod: The pod.
        container: The container.
        probe: One of its probes.

    Returns:
        What does not fit, in words; empty where it fits, where the container declares no port, and where another one of
        the pod has that port.
    """
    port, declared = str(probe.port), container.ports
    known = {str(word) for one in pod.spec.containers for at in one.ports for word in (at.container_port, at.name)}
    if probe.port is None or not declared or port in known:
        return ""
    shown = ", ".join(f"{one.container_port}{f' ({one.name})' if one.name else ''}" for one in declared)
    return f"it asks port {port}, but the container declares {shown}"


def took_to_start(pod: Pod, container: ContainerStatus) -> int | None:
    """How many seconds a container took from its start until the pod's containers were ready.

    Args:
        pod: The pod.
        container: The status of one of its containers.

    Returns:
        The seconds; None while they are not ready, and where the times do not tell.
    """
    ready, running = pod.condition("ContainersReady"), container.state.running
    if not container.ready or ready is None or ready.status != "True" or running is None:
        return None
    if ready.last_transition_time is None or running.started_at is None:
        return None
    took = ready.last_transition_time - running.started_at
    return int(took.total_seconds()) if timedelta(0) < took < minutes(60) else None


def remedy(pod: Pod, container: Container, probe: Probe, failure: ProbeFailure | None) -> str:
    """Say what to change for a probe that fails.

    Args:
        pod: The pod.
        container: The container.
        probe: The probe.
        failure: The newest answer; None where nobody knows it.

    Returns:
        One sentence without a full stop.
    """
    if failure is None or failure.how in {"refused", "unreachable", "no port"}:
        wrong = wrong_port(pod, container, probe)
        if wrong:
            return f"{wrong}: correct the probe's port"
    if failure is None:
        return "see what the program answers"
    if failure.how == "status":
        return _remedy_of_status(probe, failure.code)
    if failure.how == "other" and probe.exec:
        return "the command says no: run it in the container to see why"
    return _REMEDIES[failure.how].format(port=probe.port, timeout=probe.timeout_seconds)


_REMEDIES: dict[How, str] = {
    "dns": "no name server answers the program: see whether the cluster's DNS works",
    "refused": "nothing listens on port {port}: see in the log whether the program has started",
    "unreachable": "port {port} is not reached: see whether the program and the network of its node work",
    "timeout": "it does not answer within {timeout} s: find what slows it down, or raise timeoutSeconds",
    "speaks HTTP": "the program speaks HTTP there: set the probe's scheme to HTTP",
    "speaks TLS": "the program speaks TLS there: set the probe's scheme to HTTPS",
    "no command": "the image does not have that command: correct the probe's command",
    "no port": "the container declares no port {port}: correct the probe's port",
    "not serving": "the program itself says that it is not well: read its log",
    "no health service": "the program has no gRPC health service on port {port}: add one, or ask in another way",
    "other": "read what it answers",
}
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _SERVER_ERROR = 400, 401, 403, 404, 500


def _remedy_of_status(probe: Probe, code: int) -> str:
    path = probe.http_get.path or "/" if probe.http_get else "/"
    if code == _NOT_FOUND:
        return f"the program has no {path}: correct the probe's path"
    if code in {_UNAUTHORIZED, _FORBIDDEN}:
        return f"{path} wants a login: ask a path that needs none"
    if code == _BAD_REQUEST:
        return "the program does not take the request: see whether it expects HTTPS or another Host header"
    if code >= _SERVER_ERROR:
        return "the program itself says that it is not well: read its log"
    return f"the program answers {path} with status {code}: ask a path that answers 200"


def shown_answer(failure: ProbeFailure) -> str:
    """Give the answer as it is shown, cut where a program says too much."""
    return _cut(failure.said) or "no output"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
