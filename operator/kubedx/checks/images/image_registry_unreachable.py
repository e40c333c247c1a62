"""ImageRegistryUnreachable."""

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, severity_of_waiting
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.images import registry
from kubedx.kube.views import Pod


@check(
    title="An image registry cannot be reached",
    message="Node {node} cannot reach the registry {name} for pod {pod}: {why}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=minutes(1),
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={
        "ImagePullBackOff": join.image_registry.where(cause="unreachable"),
        "ImagePullFailed": join.image_registry.where(cause="unreachable"),
    },
    steps=(
        Step(
            "See whether one node is concerned or many.",
            "kubectl get pods -A -o wide | grep -E 'ErrImagePull|ImagePullBackOff'",
        ),
        Step("Try the same pull on node {node}.", "crictl pull {image}"),
        Step(
            "On the node check DNS, routes and the proxy. Nodes ask the DNS of the host, not that of the cluster.",
            "cat /etc/resolv.conf; systemctl show containerd --property=Environment",
        ),
    ),
    since="0.1.0",
)
def image_registry_unreachable(pod: Pod, events: Events | None, now: Now) -> Answer:
    """Container runtimes get no connection to a registry of images.

    ## Meaning
    Pods wait for images of this registry, and the nodes that shall run them do not get through to it. Its name does not
    resolve there, or the connection is refused, times out or breaks: DNS of the host, routing, a firewall, a proxy, or
    a registry that is down.

    ## Impact
    Containers whose images are not on the node already do not start there, whatever they belong to. It is critical
    after ten minutes.

    ## Diagnosis
    The message says how far it came: `no such host` is DNS, `connection refused` a registry that is down or a wrong
    port, `i/o timeout` a firewall or a route, `proxyconnect tcp` the proxy.

    ## Mitigation
    Mend DNS, route, firewall or proxy of the node, or the registry. A mirror in the cluster keeps pods starting while a
    registry is away.

    ## Limitations
    Whether the fault is the registry's or that of a single node is not said; the first step tells. Names without a
    registry count as those of docker.io, and a mirror that stands in for a registry counts as the registry. Before
    1.32 the reason is known only while its Event is kept, one hour by default.

    ## References
    - `RegistryUnavailable`: `pkg/kubelet/images/image_manager.go` (evalCRIPullErr), 1.30 to 1.36.
    - `no such host`, `connection refused`, `i/o timeout`: Go's `net` package, through containerd and CRI-O.
    """
    if pod.deleted:
        return
    for waiting in waiting_pulls(pod, events):
        if waiting.failure and waiting.failure.kind == "unreachable":
            yield Finding(
                Ref("ImageRegistry", "", registry(waiting.container.image)),
                since=containers_unready_since(pod),
                severity=severity_of_waiting(pod, now),
                evidence=waiting.evidence,
                node=pod.spec.node_name,
                pod=f"{pod.namespace}/{pod.name}",
                image=waiting.container.image,
                why=waiting.failure.why,
            )
            return
