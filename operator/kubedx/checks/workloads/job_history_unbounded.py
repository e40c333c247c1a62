"""JobHistoryUnbounded."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Ref, Severity, Step, field
from kubedx.core.inputs import Cluster, Lookup, Settings, hours
from kubedx.kube.views import Job


class JobHistoryUnboundedSettings(Settings, frozen=True, rename="camel"):
    """Settings of JobHistoryUnbounded."""

    jobs: Annotated[
        int, Meta(ge=10, le=100_000, description="Finished Jobs of a namespace that nobody will clean up.")
    ] = 200


@check(
    title="Finished Jobs pile up",
    message="In the namespace {name} {count} Jobs are finished and will never be cleaned up, for example {example}",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=0,
    raise_after=hours(24),
    explains={
        "APIServerOverloaded": join.cluster,
        "EtcdDatabaseSpaceLow": join.cluster,
        "KubeletSecretWatchPressure": join.cluster,
    },
    steps=(
        Step("List them, the oldest first.", "kubectl -n {name} get jobs --sort-by=.metadata.creationTimestamp"),
        Step("Let whoever makes them set `spec.ttlSecondsAfterFinished`, such as 86400 for a day."),
        Step(
            "Give those that are there an end: each goes an hour after it finished, with its pods and their logs.",
            "kubectl -n {name} get jobs -o name | xargs -n 1 kubectl -n {name} patch --type=merge "
            """-p '{{"spec":{{"ttlSecondsAfterFinished":3600}}}}'""",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def job_history_unbounded(_: Cluster, jobs: Lookup[Job], settings: JobHistoryUnboundedSettings) -> Answer:
    """A namespace keeps hundreds of finished Jobs, and nothing will ever remove them.

    ## Meaning
    More than 200 Jobs of the namespace finished a day ago or longer, have no `ttlSecondsAfterFinished`, and belong to
    no CronJob, which would keep only the last few.

    ## Impact
    Each of them, and each of their pods, is kept in etcd and in the memory of every component that watches. Lists
    become slow, etcd grows towards its quota, and kubelets go on watching the ConfigMaps and Secrets of pods that
    ended.

    ## Diagnosis
    `kubectl get jobs` shows them; their names mostly tell which program makes them.

    ## Mitigation
    A time to live in the template of that program. For CronJobs, `successfulJobsHistoryLimit` and
    `failedJobsHistoryLimit`.

    ## Limitations
    Jobs that belong to another object are left to it, whether it cleans up or not. Finished pods without a Job are not
    counted.

    ## References
    - https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/
    """
    ends: dict[str, list[tuple[datetime, Job]]] = {}
    for job in jobs.all():
        if end := _stays_since(job):
            ends.setdefault(job.namespace, []).append((end, job))
    for namespace, found in sorted(ends.items()):
        if len(found) > settings.jobs:
            found.sort(key=lambda one: (one[0], one[1].name))
            end, oldest = found[0]
            yield Finding(
                Ref("Namespace", "", namespace),
                since=found[settings.jobs][0],
                evidence=(field(oldest, "spec.ttlSecondsAfterFinished", "not set", end),),
                count=len(found),
                example=oldest.name,
            )


def _stays_since(job: Job) -> datetime | None:
    """When a Job finished that nothing will clean up."""
    if job.spec.ttl_seconds_after_finished is not None or job.metadata.owner_references or job.deleted:
        return None
    ends = (one for one in job.status.conditions if one.type in {"Complete", "Failed"} and one.status == "True")
    return next((one.last_transition_time for one in ends), None)
