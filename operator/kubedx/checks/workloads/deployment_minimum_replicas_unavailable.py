"""DeploymentMinimumReplicasUnavailable."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.nodes import shown_time
from kubedx.checks._support.pods import is_ready, trouble
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step, field
from kubedx.core.inputs import Lookup, Now, Settings, minutes
from kubedx.kube.views import Deployment, Pod, ReplicaSet, Service

REASON = "MinimumReplicasUnavailable"


class DeploymentMinimumReplicasUnavailableSettings(Settings, frozen=True, rename="camel"):
    """Settings of DeploymentMinimumReplicasUnavailable."""

    some_minutes: Annotated[
        int, Meta(ge=1, le=1440, description="Minutes that it may have too few pods while some are available.")
    ] = 5
    starting_minutes: Annotated[
        int, Meta(ge=0, le=60, description="Minutes after a pod was created in which it may start.")
    ] = 2


@check(
    title="A Deployment has too few available pods",
    message="Of {wanted} pods of {namespace}/{name} {available} are available since {at}: {why}",
    severity=Severity.WARNING,
    layer=6,
    raise_after=minutes(1),
    explains={
        "DeploymentProgressDeadlineExceeded": join.itself,
        "ServiceNoReadyEndpoints": join.service_behind,
        "WorkloadUnavailable": join.same_owner,
    },
    steps=(
        Step("See what it says and which ReplicaSets it has.", "kubectl -n {namespace} describe deployment {name}"),
        Step("See its pods; the first that fails tells why.", "kubectl -n {namespace} describe pods -l {selector}"),
        Step("If a change broke it, see what changed.", "kubectl -n {namespace} rollout history deployment {name}"),
        Step(
            "Go back to the version before. This replaces the pods.",
            "kubectl -n {namespace} rollout undo deployment {name}",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def deployment_minimum_replicas_unavailable(
    deployment: Deployment,
    replica_sets: Lookup[ReplicaSet] | None,
    pods: Lookup[Pod] | None,
    services: Lookup[Service] | None,
    settings: DeploymentMinimumReplicasUnavailableSettings,
    now: Now,
) -> Answer:
    """A Deployment has fewer available pods than its rollout strategy allows.

    ## Meaning
    More pods are missing or not ready than `maxUnavailable` permits, also while it is rolled out: without a change, or
    because of one.

    ## Impact
    Nothing answers if no pod is available: critical. With some, the others carry the load: a warning after five
    minutes.

    ## Diagnosis
    The message names one of the pods and what it waits for. If there is no pod at all, the events of the newest
    ReplicaSet tell why none could be created.

    ## Mitigation
    Mend what the pods wait for, or go back to the version before.

    ## Limitations
    Pods that start slowly are indistinguishable from those that do not start, after two minutes. A Deployment with
    `maxUnavailable` of 100 % is never reported. Deployments that are being deleted or want no pods are not judged.

    ## References
    - `pkg/controller/deployment/sync.go`, `util/deployment_util.go`, 1.8 to 1.36: `Available` False,
      `MinimumReplicasUnavailable`, `Deployment does not have minimum availability.`
    - https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
    """
    condition = deployment.condition("Available")
    if not condition or condition.status != "False" or condition.reason != REASON:
        return
    wanted, available, since = (
        deployment.spec.replicas,
        deployment.status.available_replicas,
        condition.last_transition_time,
    )
    if not wanted or deployment.deleted:
        return
    own = _pods_of(deployment, replica_sets, pods)
    failing = [pod for pod in own if not pod.deleted and not is_ready(pod)]
    if failing and not any(now.older(pod.created, minutes(settings.starting_minutes)) for pod in failing):
        return
    if available and not now.older(since, minutes(settings.some_minutes)):
        return
    yield Finding(
        deployment,
        since=since,
        severity=Severity.WARNING if available else Severity.CRITICAL,
        evidence=(field(deployment, "status.conditions[Available]", condition.reason, since),),
        nodes=_nodes_of(own),
        backends=_services_of(own, services),
        wanted=wanted,
        available=available,
        at=shown_time(since),
        why=_why(failing, own, wanted),
        selector=_selector(own),
    )


def _pods_of(
    deployment: Deployment, replica_sets: Lookup[ReplicaSet] | None, pods: Lookup[Pod] | None
) -> tuple[Pod, ...]:
    if replica_sets is None or pods is None:
        return ()
    found = (pod for one in replica_sets.owned_by(deployment) for pod in pods.owned_by(one))
    return tuple(pod for pod in found if not pod.finished)


def _nodes_of(own: tuple[Pod, ...]) -> tuple[str, ...]:
    """The nodes of pods that are not ready, also of those that are being deleted, as those of a lost node are."""
    return tuple(sorted({pod.spec.node_name for pod in own if pod.spec.node_name and not is_ready(pod)}))


def _why(failing: list[Pod], own: tuple[Pod, ...], wanted: int) -> str:
    if failing:
        return f"{failing[0].name}: {trouble(failing[0])}"
    return "pods are missing" if len(own) < wanted else "its pods have not been ready for long enough"


def _services_of(own: tuple[Pod, ...], services: Lookup[Service] | None) -> tuple[Ref, ...]:
    """The Services that send traffic to one of the pods; all pods of a Deployment have its labels."""
    if services is None or not own:
        return ()
    labels = own[0].metadata.labels.items()
    return tuple(
        Ref("Service", one.namespace, one.name)
        for one in services.in_namespace(own[0].namespace)
        if one.spec.selector and one.spec.selector.items() <= labels
    )


def _selector(own: tuple[Pod, ...]) -> str:
    labels = own[0].metadata.labels if own else {}
    return f"pod-template-hash={labels['pod-template-hash']}" if "pod-template-hash" in labels else "pod-template-hash"
