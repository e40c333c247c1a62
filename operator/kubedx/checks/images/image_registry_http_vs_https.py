"""ImageRegistryHTTPvsHTTPS."""

import re

from kubedx.checks._support.images import FAILED_REASON, waiting_pulls
from kubedx.checks._support.pods import containers_unready_since, severity_of_waiting
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step
from kubedx.core.inputs import Events, Now, seconds
from kubedx.kube.bits import Bit
from kubedx.kube.images import registry
from kubedx.kube.views import Pod

_REGISTRY_IS_PLAIN = re.compile(r"server gave HTTP response to HTTPS client", re.IGNORECASE)


@check(
    title="A node and an image registry do not agree on HTTP or HTTPS",
    message="Registry {name} {speaks}; node {node} needs {image} for pod {pod}: {why}",
    severity=Severity.WARNING,
    layer=4,
    raise_after=seconds(30),
    when=Bit.WAITING,
    events=(FAILED_REASON,),
    explains={"ImagePullFailed": join.image_registry.where(cause="plain HTTP")},
    steps=(
        Step("See what the registry speaks: HTTPS must answer.", "curl -sSI https://{name}/v2/"),
        Step("See how the container runtime of node {node} is told to speak to it.", "cat {hosts}"),
        Step("Best: give the registry a certificate, so that it speaks HTTPS."),
        Step(
            "Otherwise tell each node: containerd reads {hosts} (server = the URL of the registry, and config_path set "
            "in its own configuration), CRI-O reads registries.conf (insecure = true)."
        ),
    ),
    since="0.1.0",
)
def image_registry_http_vs_https(pod: Pod, events: Events | None, now: Now) -> Answer:
    """A node speaks HTTPS to an image registry that speaks plain HTTP, or the other way round.

    ## Meaning
    The registry answers, but in another protocol than the container runtime expects. Container runtimes speak HTTPS to
    every registry that they are not told to trust without it.

    ## Impact
    No image of this registry is pulled on nodes that are set up like this one. It is critical after ten minutes.

    ## Diagnosis
    `server gave HTTP response to HTTPS client` is a registry without TLS. `Client sent an HTTP request to an HTTPS
    server` or `malformed HTTP response` is a node that is told to use plain HTTP for a registry with TLS.

    ## Mitigation
    Give the registry TLS. Where that cannot be, configure plain HTTP for this host on every node, and have it done when
    nodes are made: containerd's `hosts.toml`, CRI-O's `registries.conf`, and `insecure-registries` in Docker's
    `daemon.json` for kubelets up to 1.23.

    ## Limitations
    Which nodes are set up wrongly is not known; the node of one pod is named. A mirror that stands in for a registry
    counts as the registry. Before 1.32 the reason is known only while its Event is kept, one hour by default.

    ## References
    - `http: server gave HTTP response to HTTPS client`, `malformed HTTP response`, `Client sent an HTTP request to an
      HTTPS server`: Go's `net/http`, through containerd, CRI-O and Docker.
    - https://github.com/containerd/containerd/blob/main/docs/hosts.md
    """
    if pod.deleted:
        return
    for waiting in waiting_pulls(pod, events):
        if waiting.failure and waiting.failure.kind == "plain HTTP":
            host = registry(waiting.container.image)
            is_plain = _REGISTRY_IS_PLAIN.search(waiting.failure.why)
            yield Finding(
                Ref("ImageRegistry", "", host),
                since=containers_unready_since(pod),
                severity=severity_of_waiting(pod, now),
                evidence=waiting.evidence,
                node=pod.spec.node_name,
                pod=f"{pod.namespace}/{pod.name}",
                image=waiting.container.image,
                hosts=f"/etc/containerd/certs.d/{host}/hosts.toml",
                speaks="speaks plain HTTP, and is asked with HTTPS"
                if is_plain
                else "speaks HTTPS, and is asked with plain HTTP",
                why=waiting.failure.why,
            )
            return
