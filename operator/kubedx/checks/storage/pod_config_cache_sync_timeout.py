"""PodConfigCacheSyncTimeout."""

import re
from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.mounts import MountFailure, recent_failures
from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import EventRecord, Events, Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_SYNC = re.compile(r"failed to sync (?P<kind>secret|configmap) cache", re.IGNORECASE)
_KINDS = {"secret": "Secret", "configmap": "ConfigMap"}
_WINDOW = minutes(10)


class PodConfigCacheSyncTimeoutSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodConfigCacheSyncTimeout."""

    attempts: Annotated[
        int, Meta(ge=2, le=100, description="Failed attempts on one volume that are more than a hiccup.")
    ] = 5


@check(
    title="The kubelet cannot read a pod's configuration in time",
    message="The kubelet of node {node} cannot read a {what} for the pod {name}: {why}",
    layer=4,
    raise_after=minutes(1),
    group=by.node,
    when=Bit.WAITING,
    events=("FailedMount", "FailedMapVolume", "FailedAttachVolume"),
    explains={
        "PodContainerCreatingStuck": join.itself,
        "PodVolumeMountFailed": join.itself.where(cause="config cache"),
    },
    steps=(
        Step("Read the events of the pod.", "kubectl -n {namespace} describe pod {name}"),
        Step("See whether the API server is slow: this must answer at once.", "kubectl get --raw='/readyz?verbose'"),
        Step(
            "On the node, see whether the kubelet reaches the API server.",
            "journalctl -u kubelet --since -15min | grep -i -E 'timeout|refused|reflector' | tail -20",
        ),
        Step("If the object exists and the pod still waits, let a new pod take its place.",
             "kubectl -n {namespace} delete pod {name}", danger=True),
    ),
    since="0.1.0",
)  # fmt: skip
def pod_config_cache_sync_timeout(
    pod: Pod, events: Events | None, settings: PodConfigCacheSyncTimeoutSettings, now: Now
) -> Answer:
    """The kubelet cannot get a Secret or a ConfigMap from the API server within its time.

    ## Meaning
    The object is there, but the kubelet's own copy of it does not get up to date: the API server is slow or cannot be
    reached from this node, or the kubelet watches too many objects.

    ## Impact
    The container does not start until it works. Pods that run are not concerned.

    ## Diagnosis
    Once or twice when a pod starts or ends, or when the API server restarts, is harmless and not reported. If pods of
    many nodes say so, look at the API server; if those of one node do, at its kubelet and its network.

    ## Mitigation
    Mend the way from the kubelet to the API server. The pod goes on by itself.

    ## Limitations
    For volumes it is known only from Events: five attempts on one volume, the last of them in the last ten minutes. An
    object that does not exist is left to PodConfigMissing.

    ## References
    - `pkg/kubelet/util/manager/{watch_based_manager,cache_based_manager}.go`: `failed to sync secret cache: timed out
      waiting for the condition`, 1.16 to 1.36.
    - kubernetes/kubernetes#74412
    """
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting and waiting.reason == "CreateContainerConfigError" and not pod.deleted:
            sync = _SYNC.search(waiting.message)
            if sync:
                path = f"{status_path(pod, container)}.state.waiting"
                yield Finding(
                    pod,
                    since=containers_unready_since(pod),
                    evidence=(field(pod, path, f"{waiting.reason}: {waiting.message}"),),
                    node=pod.spec.node_name,
                    what=_KINDS[sync["kind"].lower()],
                    why=waiting.message,
                )
                return
    failed = recent_failures(pod, events, now) if events else ()
    for failure, record in failed:
        if _is_more_than_a_hiccup(failure, record, settings, now):
            sync = _SYNC.search(record.message)
            yield Finding(
                pod,
                since=record.first,
                evidence=(record.evidence,),
                node=pod.spec.node_name,
                what=_KINDS[sync["kind"].lower()] if sync else "Secret or ConfigMap",
                why=failure.why,
            )
            return


def _is_more_than_a_hiccup(
    failure: MountFailure, record: EventRecord, settings: PodConfigCacheSyncTimeoutSettings, now: Now
) -> bool:
    often = failure.kind == "config cache" and record.count >= settings.attempts
    return often and not now.older(record.last, _WINDOW)
