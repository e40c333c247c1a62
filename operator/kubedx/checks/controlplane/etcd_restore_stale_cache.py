"""EtcdRestoreStaleCache."""

from typing import Annotated

from msgspec import Meta

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step
from kubedx.core.inputs import Cluster, EventRecord, Events, Lookup, Now, Settings, minutes
from kubedx.kube.views import HorizontalPodAutoscaler

REASON = "FailedUpdateStatus"
CONFLICT = "the object has been modified; please apply your changes to the latest version and try again"


class EtcdRestoreStaleCacheSettings(Settings, frozen=True, rename="camel"):
    """Settings of EtcdRestoreStaleCache."""

    autoscalers: Annotated[int, Meta(ge=3, le=1000, description="Autoscalers that must fail at the same time.")] = 3
    conflicts: Annotated[int, Meta(ge=3, le=1000, description="Conflicts of each that do not count as chance.")] = 5
    window_minutes: Annotated[
        int, Meta(ge=5, le=60, description="Minutes without another conflict after which it counts as over.")
    ] = 10


@check(
    title="The control plane remembers what etcd has forgotten",
    message="{count} of {total} autoscalers, among them {example}, cannot be updated: each time the object seems to "
    "have been modified, as after a restore of etcd",
    severity=Severity.CRITICAL,
    layer=0,
    clear_after=minutes(5),
    events=(REASON,),
    explains={"HPAFailedUpdateStatus": join.cluster, "NodeLeaseStale": join.cluster},
    steps=(
        Step("See the conflicts.", "kubectl get events -A --field-selector reason=FailedUpdateStatus"),
        Step("Find out whether etcd was restored from a backup, or whether a machine of it went back to an old disk."),
        Step(
            "If so, restart kube-apiserver, kube-controller-manager, kube-scheduler and the cloud controller on each "
            "machine of the control plane, one by one, by moving their manifests out and back. Then restart the "
            "kubelets and all operators, kubedx among them.",
            "crictl ps --name 'kube-(apiserver|controller-manager|scheduler)'",
        ),
        Step(
            "Next time, restore with a leap in revisions, so that everybody reads anew.",
            "etcdutl snapshot restore snapshot.db --bump-revision 1000000000 --mark-compacted",
        ),
    ),
    since="0.1.0",
)
def etcd_restore_stale_cache(
    _: Cluster,
    autoscalers: Lookup[HorizontalPodAutoscaler],
    events: Events,
    settings: EtcdRestoreStaleCacheSettings,
    now: Now,
) -> Answer:
    """Controllers hold newer versions of objects than etcd has, so whatever they write is refused.

    ## Meaning
    etcd was restored from a backup, and its revisions began anew from there. Controllers that went on running remember
    objects with higher revisions; they hear of no change and each of their writes is a conflict. It shows where a
    controller writes all the time: the status of autoscalers, every 15 seconds.

    ## Impact
    Controllers act on a state that is no more, and their writes fail, until they are restarted.

    ## Diagnosis
    Three or more autoscalers, at least half of all and in more than one namespace, have at least five conflicts each.
    One autoscaler alone has another writer instead.

    ## Mitigation
    Restart every component of the control plane, then kubelets and operators.

    ## Limitations
    This rests on Events alone. It is not seen in clusters with fewer than three autoscalers. Something that rewrites
    all autoscalers several times a minute looks the same. The plain sign, `Too large resource version`, stands only in
    logs.

    ## References
    - `pkg/controller/podautoscaler/horizontal.go`: `FailedUpdateStatus` with `Operation cannot be fulfilled on
      horizontalpodautoscalers.autoscaling "x": the object has been modified; …`, 1.18 to 1.36.
    - https://etcd.io/docs/latest/op-guide/recovery/
    """
    every = autoscalers.all()
    found: list[tuple[HorizontalPodAutoscaler, EventRecord]] = []
    for one in every:
        record = next((told for told in events.about(one, REASON) if CONFLICT in told.message), None)
        if (
            record
            and record.count >= settings.conflicts
            and not now.older(record.last, minutes(settings.window_minutes))
        ):
            found.append((one, record))
    if len(found) < max(settings.autoscalers, len(every) / 2) or len({one.namespace for one, _ in found}) == 1:
        return
    began = sorted(record.first for _, record in found if record.first)
    yield Finding(
        Ref("Cluster"),
        since=began[settings.autoscalers - 1] if len(began) >= settings.autoscalers else None,
        evidence=tuple(record.evidence for _, record in found[:5]),
        count=len(found),
        total=len(every),
        example=f"{found[0][0].namespace}/{found[0][0].name}",
    )
