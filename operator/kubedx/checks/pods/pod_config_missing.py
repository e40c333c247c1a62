"""PodConfigMissing."""

import re
from datetime import datetime

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import EventRecord, Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import ContainerStatus, Pod

_MOUNT_FAILED = "FailedMount"
_LOGIN_MISSING = "FailedToRetrieveImagePullSecret"
_CONFIG = re.compile(
    r"(?:configmap|secret) \"[^\"]+\" not found|references non-existent (?:secret|config) key: \S+",
    re.IGNORECASE,
)
_LATE = re.compile(r"failed to sync (?:secret|configmap) cache")
"""The object may well be there: that is PodConfigCacheSyncTimeout."""
_SECRETS = re.compile(r"^Unable to retrieve some image pull secrets")
_QUIET = minutes(15)
"""The kubelet tries a mount again at least every two minutes, and its Events are written at least every five."""


@check(
    title="A container cannot be configured",
    message="Container {container} of pod {name} cannot be configured: {why}",
    severity=Severity.CRITICAL,
    layer=0,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.WAITING,
    events=(_MOUNT_FAILED, _LOGIN_MISSING, FAILED_REASON),
    explains={
        "DaemonSetUnavailable": join.itself,
        "DeploymentMinimumReplicasUnavailable": join.same_owner,
        "DeploymentProgressDeadlineExceeded": join.same_owner,
        "ImagePullBackOff": join.itself,
        "ImageRegistryAuthFailed": join.itself,
        "PodContainerCreatingStuck": join.itself,
        "PodCrashExitCode": join.itself,
        "PodCrashLoopBackOff": join.itself,
        "PodVolumeMountFailed": join.itself.where(cause="config missing"),
    },
    steps=(
        Step("Read what the kubelet misses.", "kubectl -n {namespace} describe pod {name}"),
        Step("See which objects the namespace has.", "kubectl -n {namespace} get configmaps,secrets"),
        Step(
            "Create the object or the key, correct its name in the pod template, or mark the reference as optional. A "
            "container that must not run as root needs an image with a numeric user, or securityContext.runAsUser."
        ),
    ),
    since="0.1.0",
)
def pod_config_missing(pod: Pod, events: Events | None, now: Now) -> Answer:
    """The kubelet cannot put a container's configuration together.

    ## Meaning
    A ConfigMap, a Secret or a key of one that the container's environment, volumes or image pull refer to does not
    exist in the pod's namespace, or the container demands a user that the image does not have.

    ## Impact
    The container does not start until the object is there. The kubelet tries again by itself.

    ## Diagnosis
    The container waits with `CreateContainerConfigError` and the kubelet's words; a volume that lacks its object shows
    only as a `FailedMount` event while the container waits with `ContainerCreating`. A pull secret that is missing is
    taken as the problem only where the registry denies the image.

    ## Mitigation
    Create the object or key, correct the name or the namespace, or mark the reference `optional: true`.

    ## Limitations
    What volumes and pulls lack is known only from Events and counts as over 15 minutes after the last one. A pod whose
    first container waits for an image does not show what the next one lacks.

    ## References
    - `pkg/kubelet/kubelet_pods.go`: `couldn't find key … in ConfigMap …`, 1.30 to 1.36; `environment variable key … not
      found in file …` since 1.34. `pkg/kubelet/kuberuntime/security_context.go`: runAsNonRoot.
    - `pkg/kubelet/kubelet_pods.go`: `FailedToRetrieveImagePullSecret`, since 1.30.
    - `pkg/volume/{secret,configmap}`: `references non-existent secret key: …`.
    """
    if pod.deleted:
        return
    pulls = waiting_pulls(pod, events)
    denied = frozenset(one.container.name for one in pulls if one.failure and one.failure.kind == "denied")
    for container in pod.containers:
        lack = _lack(pod, container, denied, events, now)
        if lack:
            since, evidence, why = lack
            yield Finding(pod, since=since, evidence=(evidence,), container=container.name, why=why)
            return


Lack = tuple[datetime | None, Evidence, str]


def _lack(pod: Pod, container: ContainerStatus, denied: frozenset[str], events: Events | None, now: Now) -> Lack | None:
    waiting = container.state.waiting
    if waiting is None or _LATE.search(waiting.message):
        return None
    if waiting.reason == "CreateContainerConfigError":
        path = f"{status_path(pod, container)}.state.waiting"
        seen = field(pod, path, f"{waiting.reason}: {waiting.message}")
        return containers_unready_since(pod), seen, waiting.message
    if events is None:
        return None
    if waiting.reason in {"ContainerCreating", "PodInitializing"}:
        return _newest(events.about(pod, _MOUNT_FAILED), _CONFIG, now)
    if container.name in denied:
        return _newest(events.about(pod, _LOGIN_MISSING), _SECRETS, now)
    return None


def _newest(records: tuple[EventRecord, ...], pattern: re.Pattern[str], now: Now) -> Lack | None:
    for record in records:
        if pattern.search(record.message) and not now.older(record.last, _QUIET):
            return record.first, record.evidence, record.message
    return None
