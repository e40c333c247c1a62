"""WorkloadServiceMissing."""

from kubedx.checks._support.pods import containers_unready_since
from kubedx.checks._support.resolution import cannot_find
from kubedx.checks._support.selection import likest
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Confidence, Finding, Ref, Step, absent, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import DaemonSet, Deployment, Pod, Service, StatefulSet, Terminated


@check(
    title="A workload calls a Service that does not exist",
    message="{kind} {namespace}/{name} fails; its container {container} is told to use the Service {service}, "
    "which does not exist{instead}",
    layer=0,
    raise_after=minutes(2),
    when=Bit.NOT_READY,
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
    pod: Pod,
    services: Lookup[Service],
    deployments: Lookup[Deployment] | None,
    stateful_sets: Lookup[StatefulSet] | None,
    daemon_sets: Lookup[DaemonSet] | None,
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
    Only containers that ended with an error are looked at, and no variables that come from ConfigMaps and Secrets. Pods
    that nobody but a person made, and those of Jobs, are left out. Of an environment only the names of Services are
    kept. Where nothing but a similar name speaks for it, it is only probable.

    ## References
    - https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
    """
    workload = _made_by(pod, deployments, stateful_sets, daemon_sets)
    if workload is None or pod.deleted or pod.finished:
        return
    for container in workload.spec.template.spec.containers:
        ended = _ended(pod, container.name) if container.env else None
        for name in container.env if ended else ():
            service, _, where = name.partition(".")
            where = where or pod.namespace
            if services.get(where, service) is not None:
                continue
            instead = likest(service, (one.name for one in services.in_namespace(where)))
            is_told = ended is not None and cannot_find(ended.message, service)
            if instead or is_told:
                yield Finding(
                    workload,
                    since=containers_unready_since(pod),
                    confidence=None if is_told else Confidence.PROBABLE,
                    evidence=(
                        field(workload, f"spec.template.spec.containers[{container.name}].env", name),
                        absent(Ref("Service", where, service)),
                    ),
                    container=container.name,
                    service=f"{where}/{service}",
                    service_namespace=where,
                    instead=f"; there is {where}/{instead}" if instead else "",
                    pod=pod.name,
                )
                return


def _made_by(
    pod: Pod,
    deployments: Lookup[Deployment] | None,
    stateful_sets: Lookup[StatefulSet] | None,
    daemon_sets: Lookup[DaemonSet] | None,
) -> Deployment | StatefulSet | DaemonSet | None:
    owner = pod.controller
    if owner is None:
        return None
    if owner.kind == "ReplicaSet" and deployments:
        name = owner.name.removesuffix(f"-{pod.metadata.labels.get('pod-template-hash', '')}")
        return deployments.get(pod.namespace, name)
    if owner.kind == "StatefulSet" and stateful_sets:
        return stateful_sets.get(pod.namespace, owner.name)
    if owner.kind == "DaemonSet" and daemon_sets:
        return daemon_sets.get(pod.namespace, owner.name)
    return None


def _ended(pod: Pod, container: str) -> Terminated | None:
    """How the container ended, where it did so with an error of its own and is not ready."""
    for one in pod.status.container_statuses:
        ended = one.state.terminated or one.last_state.terminated
        if one.name == container and not one.ready and ended and ended.exit_code and ended.reason != "OOMKilled":
            return ended
    return None
