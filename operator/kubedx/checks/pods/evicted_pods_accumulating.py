"""EvictedPodsAccumulating."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.evictions import evicted_at
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup, Settings
from kubedx.kube.views import Namespace, Pod

_RECORDS = frozenset({
    "Evicted", "NodeAffinity", "NodeShutdown", "OutOfcpu", "OutOfmemory", "OutOfpods", "Preempting", "Terminated",
    "UnexpectedAdmissionError",
})  # fmt: skip
"""The reasons with which kubelets leave failed pods as records; those of Jobs have none."""


class EvictedPodsAccumulatingSettings(Settings, frozen=True, rename="camel"):
    """Settings of EvictedPodsAccumulating."""

    pods: Annotated[int, Meta(ge=2, le=12500, description="Records of one namespace from which on it is said.")] = 20


@check(
    title="Evicted pods pile up",
    message="Namespace {name} has {count} pods that are only records of evictions and refusals, for example {example}",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=6,
    steps=(
        Step(
            "Read why the pods ended, before the records are gone.",
            "kubectl -n {name} get pods --field-selector=status.phase=Failed -o "
            "custom-columns=NAME:.metadata.name,NODE:.spec.nodeName,WHY:.status.message",
        ),
        Step(
            "Remove the records. Those of failed Jobs go with them.",
            "kubectl -n {name} delete pods --field-selector=status.phase=Failed",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def evicted_pods_accumulating(
    namespace: Namespace, pods: Lookup[Pod], settings: EvictedPodsAccumulatingSettings
) -> Answer:
    """A namespace has many pods that kubelets ended or refused, and that nobody cleared away.

    ## Meaning
    A pod that a kubelet evicts or refuses stays as a record in phase Failed. The garbage collector removes such records
    only when the whole cluster has 12,500 finished pods.

    ## Impact
    They use no CPU and no memory, but lists are long, dashboards show failed pods, and quotas of objects count them. So
    many of them mean that something evicts pods again and again.

    ## Diagnosis
    The records' messages tell what the nodes lacked or which limits were exceeded.

    ## Mitigation
    Mend what evicts the pods, then delete the records.

    ## Limitations
    Only namespaces with twenty or more such records (`pods`) are reported; a cluster with a few in each of many is not.

    ## References
    - `--terminated-pod-gc-threshold` of the controller manager, 12500 in all versions.
    - https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection
    """
    records = [pod for pod in pods.failed_in(namespace.name) if pod.status.reason in _RECORDS]
    if len(records) < settings.pods or namespace.deleted:
        return
    times = sorted(at for pod in records if (at := evicted_at(pod)))
    yield Finding(
        namespace,
        since=times[settings.pods - 1] if len(times) >= settings.pods else None,
        evidence=(field(records[0], "status.reason", records[0].status.reason, evicted_at(records[0])),),
        count=len(records),
        example=records[0].name,
    )
