"""PodExecProbeHeavy."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import true_condition
from kubedx.checks._support.readiness import About, reported
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup, Settings
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node, Pod

_MINUTE = 60
_ERRORS: tuple[tuple[About, str], ...] = (
    ("pleg", "has an unhealthy PLEG"),
    ("runtime", "has a container runtime that does not answer"),
)


class PodExecProbeHeavySettings(Settings, frozen=True, rename="camel"):
    """Settings of PodExecProbeHeavy."""

    a_minute: Annotated[
        int,
        Meta(ge=10, le=10000, description="Commands that probes start on one node in a minute, from which it is said."),
    ] = 120
    warning_a_minute: Annotated[
        int, Meta(ge=10, le=10000, description="Commands in a minute from which on it is a warning.")
    ] = 300


@check(
    title="Probes start very many commands on a node in trouble",
    message="On node {name}, which {trouble}, probes start {count} commands a minute, the most in pod {example} "
    "({most} a minute)",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=0,
    when=Bit.NOT_READY | Bit.PRESSURE,
    explains={
        "NodeCPUSaturated": join.same_node,
        "NodePIDPressure": join.same_node,
        "NodePLEGUnhealthy": join.same_node,
    },
    steps=(
        Step(
            "List the probes of the pods on the node that run commands.",
            "kubectl get pods -A --field-selector spec.nodeName={name} -o yaml",
        ),
        Step(
            "On the machine, see how long the runtime takes to start a command, and what is left behind.",
            "time crictl exec $(crictl ps -q | head -1) true; ps -eo stat,ppid,comm | grep ^Z",
        ),
        Step("Ask by httpGet, tcpSocket or grpc instead of exec, or less often: periodSeconds of 10 or more."),
    ),
    since="0.1.0",
)
def pod_exec_probe_heavy(node: Node, pods: Lookup[Pod], settings: PodExecProbeHeavySettings) -> Answer:
    """On a node whose runtime or process ids are in trouble, probes start commands several times a second.

    ## Meaning
    Each probe of the kind exec has the container runtime start a process in the container. Two a second and more keep
    runtime and kernel busy, and scripts that leave children behind use up process ids.

    ## Impact
    The container runtime answers late, which makes the node not ready (PLEG) and has probes time out elsewhere.

    ## Diagnosis
    The number is what the probes of the node's running pods add up to: 60 divided by periodSeconds for each.

    ## Mitigation
    Use httpGet, tcpSocket or grpc. Where it must be a command, a cheap one, every ten seconds or more.

    ## Limitations
    It is only said of a node that has PID pressure, an unhealthy PLEG or a runtime that is down: on a node that is well
    so many commands harm nobody. What a command costs is not known. Since 1.35 commands that take longer than
    timeoutSeconds always fail.

    ## References
    - `pkg/probe/exec`, `pkg/features/kube_features.go` (ExecProbeTimeout, locked on since 1.35).
    - https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
    """
    trouble, since = _trouble(node)
    if not trouble:
        return
    rates = [(_rate(pod), pod) for pod in pods.on_node(node) if pod.status.phase == "Running"]
    total = round(sum(rate for rate, _ in rates))
    if total < settings.a_minute:
        return
    most, worst = max(rates, key=lambda one: one[0])
    yield Finding(
        node,
        since=since,
        severity=Severity.WARNING if total >= settings.warning_a_minute else Severity.INFO,
        evidence=(field(worst, "spec.containers", f"exec probes, {most:.0f} a minute"),),
        trouble=trouble,
        count=total,
        example=f"{worst.namespace}/{worst.name}",
        most=round(most),
    )


def _trouble(node: Node) -> tuple[str, datetime | None]:
    """Say what trouble the node has that such commands may bring about; empty where it has none."""
    pressure = true_condition(node, "PIDPressure")
    if pressure:
        return "has PID pressure", pressure.last_transition_time
    for about, words in _ERRORS:
        found = reported(node, about)
        if found:
            return words, found[1]
    return "", None


def _rate(pod: Pod) -> float:
    """How many commands the pod's probes start in a minute."""
    return sum(
        _MINUTE / max(1, probe.period_seconds)
        for container in pod.spec.containers
        for probe in (container.liveness_probe, container.readiness_probe)
        if probe and probe.exec
    )
