"""ImageRegistryUnreachable."""

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, severity_of_waiting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="A node cannot reach an image registry",
    message="Node {node} cannot reach the registry of image {image} for pod {name}: {why}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=minutes(1),
    group=by.owner,
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={"ImagePullBackOff": join.itself, "ImagePullFailed": join.itself},
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
    """The container runtime of a node gets no connection to the image's registry.

    ## Meaning
    The registry's name does not resolve on the node, or the connection is refused, times out or breaks: DNS of the
    host, routing, a firewall, a proxy, or a registry that is down.

    ## Impact
    Containers whose images are not on the node already do not start there. It is critical after ten minutes.

    ## Diagnosis
    The message says how far it came: `no such host` is DNS, `connection refused` a registry that is down or a wrong
    port, `i/o timeout` a firewall or a route, `proxyconnect tcp` the proxy.

    ## Mitigation
    Mend DNS, route, firewall or proxy of the node, or the registry. A mirror in the cluster keeps pods starting while a
    registry is away.

    ## Limitations
    Whether the fault is the node's or the registry's is not said; pods of other nodes tell. Before 1.32 the reason is
    known only while its Event is kept, one hour by default.

    ## References
    - `RegistryUnavailable`: `pkg/kubelet/images/image_manager.go` (evalCRIPullErr), 1.30 to 1.36.
    - `no such host`, `connection refused`, `i/o timeout`: Go's `net` package, through containerd and CRI-O.
    """
    if pod.deleted:
        return
    for waiting in waiting_pulls(pod, events):
        if waiting.failure and waiting.failure.kind == "unreachable":
            yield Finding(
                pod,
                since=containers_unready_since(pod),
                severity=severity_of_waiting(pod, now),
                evidence=waiting.evidence,
                node=pod.spec.node_name,
                image=waiting.container.image,
                why=waiting.failure.why,
            )
            return
