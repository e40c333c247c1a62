"""PodProbesMissing."""

from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Lookup
from kubedx.kube.views import Container, Pod, Service, ServicePort


@check(
    title="A Service sends traffic to a container without a readiness probe",
    message="Service {service} sends traffic to container {container} of pod {name} as soon as it runs, as it has no "
    "readinessProbe",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=0,
    group=by.namespace,
    explains={"ServiceBackendsNotGated": join.selected_pods},
    steps=(
        Step("See how the container's ports and probes are declared.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "Add a readinessProbe to container {container} in the pod template that asks the port the Service sends "
            "to. Add a "
            "livenessProbe only where a restart helps."
        ),
    ),
    since="0.1.0",
)
def pod_probes_missing(pod: Pod, services: Lookup[Service]) -> Answer:
    """A container behind a Service has no readiness probe.

    ## Meaning
    The Service selects the pod, and the container with the port it sends to declares no readinessProbe. So the pod
    counts as ready as soon as its containers run.

    ## Impact
    With each rollout and restart requests reach a program that does not listen yet, and later one that hangs.

    ## Diagnosis
    `kubectl describe pod` shows no `Readiness:` line for the container.

    ## Mitigation
    Add a readinessProbe that asks what the Service's clients need.

    ## Limitations
    Pods without a Service are not judged, nor are missing liveness probes, as those do harm where a restart does not
    help. Readiness that a program reports through a readiness gate of its own counts as none. Where several containers
    declare no port, nobody can tell which of them is meant, and nothing is said.

    ## References
    - Rule over API fields; all versions.
    - https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
    """
    naked = [one for one in pod.spec.containers if one.readiness_probe is None]
    if not naked or pod.status.phase != "Running" or not pod.metadata.labels:
        return
    if pod.deleted or (pod.controller and pod.controller.kind == "Job"):
        return
    for service in services.in_namespace(pod.namespace):
        if not service.spec.selector or not pod.metadata.labels.items() >= service.spec.selector.items():
            continue
        for port in service.spec.ports:
            target = _target(pod, port)
            if target is not None and target in naked:
                yield Finding(
                    pod,
                    since=pod.created,
                    evidence=(field(pod, f"spec.containers[{target.name}].readinessProbe", "none"),),
                    container=target.name,
                    service=service.name,
                )
                return


def _target(pod: Pod, port: ServicePort) -> Container | None:
    """The container that a Service's port leads to; the only one, where there is just one."""
    containers = pod.spec.containers
    if len(containers) == 1:
        return containers[0]
    wanted = port.target_port or port.port
    for one in containers:
        if any(wanted in {declared.name, declared.container_port} for declared in one.ports):
            return one
    return None
