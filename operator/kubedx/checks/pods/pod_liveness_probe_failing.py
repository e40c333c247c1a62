"""PodLivenessProbeFailing."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.probes import (
    KILLING,
    REASONS,
    Trouble,
    asked,
    is_frequent,
    liveness_trouble,
    patience,
    remedy,
    shown_answer,
    took_to_start,
)
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import Event, Pod

_OFTEN = 3
"""Restarts from which on the probe keeps the container from working at all."""


class PodLivenessProbeFailingSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodLivenessProbeFailing."""

    failures: Annotated[int, Meta(ge=1, le=20, description="Failures within the window from which on it is said.")] = 3
    window_minutes: Annotated[
        int, Meta(ge=6, le=60, description="The window in minutes; the kubelet's Events come every five.")
    ] = 10


@check(
    title="A liveness probe fails",
    message="Container {container} of pod {name} fails its liveness probe: {remedy}. The probe ({asked}) got: {answer}",
    severity=Severity.WARNING,
    layer=5,
    clear_after=minutes(5),
    group=by.owner,
    events=(*REASONS, KILLING),
    explains={"PodCrashLoopBackOff": join.itself, "PodFrequentRestarts": join.itself},
    steps=(
        Step("Read what the probe got, and how often.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "Read what the program wrote before it was ended.",
            "kubectl -n {namespace} logs {name} -c {container} --previous",
        ),
        Step(
            "Give a program that starts slowly a startupProbe, one that answers slowly a longer timeoutSeconds. A "
            "liveness "
            "probe must not ask for what the program depends on: a restart mends no database."
        ),
    ),
    since="0.1.0",
)
def pod_liveness_probe_failing(
    event: Event, pods: Lookup[Pod], events: Events, settings: PodLivenessProbeFailingSettings, now: Now
) -> Answer:
    """A container does not answer its liveness probe as it should, and the kubelet restarts it for that.

    ## Meaning
    The kubelet asked the container whether it lives and got an error, a wrong answer or none in time, three times
    within ten minutes or so often that it ended the container.

    ## Impact
    Each time the failures in a row reach failureThreshold, the container is ended and started again: connections break,
    and a program that only starts slowly never gets there. It is critical once the container was restarted several
    times and is not ready.

    ## Diagnosis
    The message compares what the probe asks with what the container declares and how long it took. An answer of
    `connection refused` means that nothing listens on the port (yet), a time-out that the program or its node is busy,
    a status of 500 that the program itself says so.

    ## Mitigation
    Correct port, path or scheme; give a slow start a startupProbe; raise timeoutSeconds, which is 1 s by default. Keep
    what the program depends on out of the liveness probe.

    ## Limitations
    Failures are known from Events, which are counted only in part once they are many, and for static pods carry another
    uid, so that those are not seen. How long a container takes to start is known only of one that became ready.

    ## References
    - `pkg/kubelet/prober/prober.go`: `Liveness probe failed: …`, `Liveness probe errored …`;
      `pkg/kubelet/kuberuntime/kuberuntime_manager.go`: `Container … failed liveness probe, will be restarted`, 1.30 to
      1.36. On OpenShift the reason is `ProbeError`.
    - https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
    """
    window = minutes(settings.window_minutes)
    found = liveness_trouble(event, pods, events, now, window)
    if found is None or (found.kill is None and not is_frequent(found.record, settings.failures, window)):
        return
    again = found.kill is not None and found.status.restart_count >= _OFTEN and not found.status.ready
    yield Finding(
        found.pod,
        since=found.since,
        severity=Severity.CRITICAL if again else Severity.WARNING,
        evidence=(found.record.evidence, *((found.kill.evidence,) if found.kill else ())),
        container=found.container.name,
        answer=shown_answer(found.failure),
        asked=asked(found.probe),
        remedy=_remedy(found),
    )


def _remedy(found: Trouble) -> str:
    said = remedy(found.pod, found.container, found.probe, found.failure)
    if found.failure.how not in {"refused", "timeout"} or "correct" in said:
        return said
    if found.killed_while_starting:
        given = int(patience(found.probe).total_seconds())
        return f"it was ended before it had started, as it has {given} s for that: give it a startupProbe"
    took = took_to_start(found.pod, found.status)
    if found.kill and took is not None and not found.container.startup_probe and took > patience(found.probe).seconds:
        return (
            f"the last start took {took} s, the probe gives it {patience(found.probe).seconds} s: give it a "
            f"startupProbe"
        )
    return said
