"""NodeContainerGCFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.reports import reports
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step
from kubedx.core.inputs import Events, Now, Settings, minutes
from kubedx.kube.views import Node


class NodeContainerGCFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of NodeContainerGCFailed."""

    quiet_minutes: Annotated[
        int, Meta(ge=10, le=1440, description="Minutes without another failure after which it counts as over.")
    ] = 30
    times: Annotated[int, Meta(ge=2, le=100, description="Failures within ten minutes that are worth a word.")] = 5


@check(
    title="Kubelet cannot remove dead containers",
    message="The kubelet of node {name} fails to remove dead containers: {detail}",
    layer=2,
    events=("ContainerGCFailed",),
    steps=(
        Step("Read what fails, and whether the node is ready.", "kubectl describe node {name}"),
        Step("On the machine, see whether the runtime answers, and count its containers.", "time crictl ps -a | wc -l"),
        Step("On the machine, read the log of the runtime.", "journalctl -u containerd -u crio -n 200"),
        Step(
            "If it hangs, restart the runtime, then the kubelet. Containers keep running.",
            "systemctl restart containerd && systemctl restart kubelet",
        ),
    ),
    since="0.1.0",
)
def node_container_gc_failed(node: Node, events: Events, now: Now, settings: NodeContainerGCFailedSettings) -> Answer:
    """The garbage collection of containers on a node fails each minute.

    ## Meaning
    Every minute the kubelet asks the container runtime for dead containers and removes them. That keeps failing, mostly
    with `DeadlineExceeded`: the runtime is slow or hangs.

    ## Impact
    Dead containers and their logs pile up. What makes the runtime slow here will soon make the node not ready.

    ## Diagnosis
    On the machine, `crictl ps -a` is slow or hangs; the runtime's log tells why. Often it is a single container that
    hangs in the kernel, or a disk that is too slow.

    ## Mitigation
    As for NodeContainerRuntimeDown: look at disk and kernel, then restart the runtime.

    ## Limitations
    Fewer than five failures, or rarer ones, are not reported. It is known from Events: nothing tells when it works
    again, so it counts as over after half an hour without one.

    ## References
    - `pkg/kubelet/kubelet.go` (StartGarbageCollection), reason `ContainerGCFailed`, 1.8 to 1.36.
    - https://github.com/kubernetes/kubernetes/issues/45419
    """
    found = reports(
        lambda one: one.message or "no reason is given",
        node, events, ("ContainerGCFailed",), now, minutes(settings.quiet_minutes),
    )  # fmt: skip
    if found and found.often(settings.times, minutes(10)):
        yield Finding(node, since=found.first, evidence=(found.record.evidence,), detail=found.what)
