"""WorkloadServiceMissing."""

from collections.abc import Iterable

from kubedx.checks._support.pods import containers_unready_since
from kubedx.checks._support.replicas import pods_of
from kubedx.checks._support.resolution import cannot_find
from kubedx.checks._support.selection import likest
from kubedx.checks._support.services import living
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Confidence, Finding, Ref, Step, absent, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.views import DaemonSet, Deployment, Pod, Service, StatefulSet


@check(
    title="A workload calls a Service that does not exist",
    message="{kind} {namespace}/{name} fails; its container {container} is told to use the Service {service}, "
    "which does not exist{instead}",
    layer=0,
    raise_after=minutes(2),
    explains={
        "PodCrashLoopBackOff": join.same_owner,
        "PodNotReady": join.same_owner,
    },
    steps=(
        Step("See which Services there are.", "kubectl -n {service_namespace} get services"),
        Step("Read what the container says.", "kubectl -n {namespace} logs {pod} -c {container} --tail=50"),
        Step(
            "Correct the name in the environment, or make the Service.",
            "kubectl -n {namespace} set env {kind}/{name} --containers={container} --list",
        ),
    ),
    since="0.1.0",
)
def workload_service_missing(
    workload: Deployment | StatefulSet | DaemonSet, services: Lookup[Service], pods: Lookup[Pod]
) -> Answer:
    """The pods of a workload fail, and their environment names a Service that does not exist.

    ## Meaning
    A variable in the pod template holds the address of a Service, and there is no Service of that name. Either the last
    words of the container say that this name does not exist, or there is a Service with nearly the same name.

    ## Impact
    The program does not find what it depends on, and ends or does not become ready.

    ## Diagnosis
    Compare the variable with `kubectl get services`. A Service of another namespace is called `name.namespace`.

    ## Mitigation
    Correct the variable, or make the Service.

    ## Limitations
    Workloads whose pods are all well are not looked at, and neither are variables that come from ConfigMaps and
    Secrets. Of an environment only the names of Services are kept. Where nothing but a similar name speaks for it, it
    is only probable.

    ## References
    - https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
    """
    named = [(one.name, name) for one in workload.spec.template.spec.containers for name in one.env]
    if not named or workload.deleted or not _lacks(workload):
        return
    labels, namespace = workload.spec.template.metadata.labels, workload.namespace
    for container, name in named:
        service, _, where = name.partition(".")
        where = where or namespace
        if services.get(where, service) is not None:
            continue
        failing = _failing(pods.selected_by(labels, namespace), container) if labels else None
        instead = likest(service, (one.name for one in services.in_namespace(where))) if failing else ""
        is_told = failing is not None and cannot_find(_last_words(failing, container), service)
        if failing and (instead or is_told):
            yield Finding(
                workload,
                since=containers_unready_since(failing),
                confidence=None if is_told else Confidence.PROBABLE,
                evidence=(
                    field(workload, f"spec.template.spec.containers[{container}].env", name),
                    absent(Ref("Service", where, service)),
                ),
                container=container,
                service=f"{where}/{service}",
                service_namespace=where,
                instead=f"; there is {where}/{instead}" if instead else "",
                pod=failing.name,
            )
            return


def _lacks(workload: Deployment | StatefulSet | DaemonSet) -> bool:
    if isinstance(workload, DaemonSet):
        return True
    return workload.status.available_replicas < pods_of(workload)[0]


def _failing(pods: Iterable[Pod], container: str) -> Pod | None:
    """The first pod whose container of that name ended with an error and is not ready."""
    for pod in living(pods):
        for one in pod.status.container_statuses:
            ended = one.state.terminated or one.last_state.terminated
            if one.name == container and not one.ready and ended and ended.exit_code and ended.reason != "OOMKilled":
                return pod
    return None


def _last_words(pod: Pod, container: str) -> str:
    for one in pod.status.container_statuses:
        ended = one.state.terminated or one.last_state.terminated
        if one.name == container and ended:
            return ended.message
    return ""
