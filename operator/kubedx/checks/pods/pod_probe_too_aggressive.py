"""PodProbeTooAggressive."""

from kubedx.checks._support.probes import KILLING, REASONS, Trouble, asked, liveness_trouble, patience, took_to_start
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, hours, seconds
from kubedx.kube.views import Event, Pod

_HASTY = seconds(20)
_SHORT_TIMEOUT, _SHORT_DELAY = 1, 10
_WINDOW = hours(1)


@check(
    title="A liveness probe leaves its container too little time",
    message="The liveness probe of container {container} of pod {name} ends a program that is only slow: {why}",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=0,
    group=by.owner,
    events=(*REASONS, KILLING),
    explains={"PodLivenessProbeFailing": join.itself},
    steps=(
        Step("Compare the probe's times with what the program needs.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "In the pod template set timeoutSeconds to 3 to 5, periodSeconds to 10, failureThreshold to 3 or more, "
            "and add a "
            "startupProbe whose failureThreshold times periodSeconds is longer than the slowest start."
        ),
    ),
    since="0.1.0",
)
def pod_probe_too_aggressive(event: Event, pods: Lookup[Pod], events: Events, now: Now) -> Answer:
    """A liveness probe has ended a container, and its times are so tight that a slow moment is enough for that.

    ## Meaning
    The kubelet ended the container within the last hour because of its liveness probe. The probe waits for a second or
    less, and either gives up within 20 s or begins within 10 s of the start without a startupProbe. What failed was
    time: no answer in time, or nobody listening yet.

    ## Impact
    A busy node or a slow start is enough for a restart, which costs time itself: under load one restart leads to the
    next.

    ## Diagnosis
    The message has the probe's times beside the time that the last run, or the last start, took.

    ## Mitigation
    Use a startupProbe for the start and leave the liveness probe to real hangs: a timeout of 3 to 5 s, a period of 10 s
    and three failures or more.

    ## Limitations
    Tight times alone are not reported, as many programs are quick enough. Nor are probes whose answer is wrong rather
    than late. Restarts are known from Events and hence for about an hour.

    ## References
    - Rule over `timeoutSeconds`, `periodSeconds`, `failureThreshold`, `initialDelaySeconds`; all versions.
    - https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
    """
    found = liveness_trouble(event, pods, events, now, _WINDOW)
    if found is None or found.kill is None or found.probe.timeout_seconds > _SHORT_TIMEOUT:
        return
    hasty = seconds(found.probe.period_seconds * found.probe.failure_threshold) < _HASTY
    early = found.probe.initial_delay_seconds < _SHORT_DELAY and found.container.startup_probe is None
    why = _why(found) if hasty or early else ""
    if why:
        yield Finding(
            found.pod,
            since=found.since,
            evidence=(_times(found), found.kill.evidence),
            container=found.container.name,
            why=why,
        )


def _why(found: Trouble) -> str:
    """Say how the times are too tight; empty where more time would not help."""
    given = int(patience(found.probe).total_seconds())
    took = took_to_start(found.pod, found.status)
    if found.failure.how == "refused" and took is not None and took > given:
        return f"it gives up {given} s after the start, and the last start took {took} s"
    if found.failure.how == "refused" and found.killed_while_starting:
        return f"it gives up {given} s after the start, when nothing listens yet on port {found.probe.port}"
    if found.failure.how == "timeout":
        return f"it waits {found.probe.timeout_seconds} s for an answer and gives up after {_failures(found)}"
    return ""


def _failures(found: Trouble) -> str:
    return f"{found.probe.failure_threshold} failures in a row, one every {found.probe.period_seconds} s"


def _times(found: Trouble) -> Evidence:
    return field(found.pod, f"spec.containers[{found.container.name}].livenessProbe", asked(found.probe))
