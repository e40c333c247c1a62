"""HPAFailedUpdateStatus."""

import re
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.views import HorizontalPodAutoscaler

REASON = "FailedUpdateStatus"
CONFLICT = re.compile(
    r"Operation cannot be fulfilled on horizontalpodautoscalers\.autoscaling \"[^\"]*\": the object has been modified"
)


class HPAFailedUpdateStatusSettings(Settings, frozen=True, rename="camel"):
    """Settings of HPAFailedUpdateStatus."""

    conflicts: Annotated[int, Meta(ge=2, le=100, description="Conflicts within the window that are too many.")] = 5
    window_minutes: Annotated[int, Meta(ge=1, le=60, description="The window, in minutes.")] = 10


@check(
    title="Something else writes an autoscaler all the time",
    message="The status of the autoscaler {namespace}/{name} cannot be written: {count} conflicts, last at {last}",
    layer=8,
    clear_after=minutes(5),
    events=(REASON,),
    steps=(
        Step(
            "See who writes the autoscaler: the managers and their times.",
            "kubectl -n {namespace} get horizontalpodautoscaler {name} --show-managed-fields "
            "-o jsonpath='{{range .metadata.managedFields[*]}}{{.manager}} {{.time}}{{\"\\n\"}}{{end}}'",
        ),
        Step("Let a GitOps tool leave its status alone; see whether the object in Git has one."),
        Step(
            "If etcd was restored a short time ago, restart the control plane, the controller manager first.",
            "kubectl -n kube-system get pods -l component=kube-controller-manager",
        ),
    ),
    since="0.1.0",
)
def hpa_failed_update_status(
    autoscaler: HorizontalPodAutoscaler, events: Events, settings: HPAFailedUpdateStatusSettings, now: Now
) -> Answer:
    """The controller manager loses a race for an autoscaler's status again and again.

    ## Meaning
    Whenever the controller manager writes the autoscaler's status, somebody else has changed the object meanwhile, or
    the controller manager works from an old state of it. Once or twice is normal.

    ## Impact
    The status grows old, and the autoscaler may scale late or not at all.

    ## Diagnosis
    `managedFields` tell who writes the object and when. Usual are two controller managers that both believe to lead, a
    GitOps tool that applies a status, and a controller that sets annotations all the time.

    ## Mitigation
    Stop the other writer. After a restore of etcd restart all components of the control plane, as they remember
    versions of objects that do not exist any more.

    ## Limitations
    Events are dropped when there are many, so that the number is a lower bound. A conflict now and then is not
    reported, however long it goes on.

    ## References
    - `pkg/controller/podautoscaler/horizontal.go` (updateStatus), 1.18 to 1.36; since 1.37 rarer, as the controller
      waits until it sees its own write.
    - https://github.com/kubernetes/kubernetes/issues/95958
    """
    window = minutes(settings.window_minutes)
    found = [one for one in events.about(autoscaler, REASON) if CONFLICT.search(one.message)]
    for one in found:
        if one.last and not now.older(one.last, window) and _within(one, window) >= settings.conflicts:
            yield Finding(autoscaler, since=one.first, evidence=(one.evidence,), count=one.count, last=one.last)
            return


def _within(record: EventRecord, window: timedelta) -> float:
    """How many there were in the window, if they came evenly."""
    if record.first is None or record.last is None:
        return record.count
    return record.count * (window / max(window, record.last - record.first))
