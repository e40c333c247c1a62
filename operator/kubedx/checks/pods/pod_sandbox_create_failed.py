"""PodSandboxCreateFailed."""

from typing import Annotated

from msgspec import Meta

from kubedx.checks._support.sandboxes import SANDBOX_REASON, failing_sandbox, widespread
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Lookup, Now, Settings, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


class PodSandboxCreateFailedSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodSandboxCreateFailed."""

    failures: Annotated[
        int, Meta(ge=2, le=50, description="Failed attempts to create a pod's sandbox from which it is reported.")
    ] = 3


@check(
    title="The sandbox of a pod cannot be created",
    message="The sandbox of pod {name} cannot be created on node {node}: {why}",
    severity=Severity.WARNING,
    layer=5,
    group=by.node,
    when=Bit.NOT_READY,
    events=(SANDBOX_REASON,),
    explains={"PodContainerCreatingStuck": join.itself, "WorkloadUnavailable": join.same_owner},
    steps=(
        Step("Read the newest event of the pod.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "See whether other pods of this node start. Trouble on one node is the machine's; trouble on all nodes is "
            "the network plugin's or that of the pause image's registry.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
        ),
        Step(
            "On the machine, read what the runtime logged.",
            "crictl info; journalctl -u containerd -u crio --since -30min",
        ),
        Step("Keep new pods away from the node while you look into it.", "kubectl cordon {node}"),
    ),
    since="0.1.0",
)
def pod_sandbox_create_failed(
    pod: Pod, events: Events, pods: Lookup[Pod] | None, now: Now, settings: PodSandboxCreateFailedSettings
) -> Answer:
    """The kubelet tries again and again to create the sandbox of a pod, the shell that its containers start in.

    ## Meaning
    Before its containers a pod gets a sandbox: a pause container, control groups and a network of its own. The
    container runtime cannot create it.

    ## Impact
    No container of the pod starts. Where three pods of a node are without a sandbox the node is at fault, and it is
    critical.

    ## Diagnosis
    The `FailedCreatePodSandBox` events carry the runtime's words. What kubedx recognises in them is reported by a name
    of its own, such as PodSandboxCNIError or PodSandboxTimeout, and this finding stands below it.

    ## Mitigation
    Mend what the message names. The kubelet tries again by itself every ten seconds or so.

    ## Limitations
    It is known only from Events: five minutes after the last one, or twelve where attempts take long or are many, it
    counts as over. Failures that end within a minute are not reported, as a network plugin that starts causes them.
    A pod that is young while its image is pulled looks as if it had no sandbox.

    ## References
    - `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (SyncPod): `Failed to create pod sandbox: …`, 1.20 to 1.36.
    - The condition `PodReadyToStartContainers`, by default since 1.29.
    - https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/
    """
    failing = failing_sandbox(pod, events, now)
    if failing and failing.lasting and (failing.count >= settings.failures or now.older(failing.since, minutes(3))):
        yield Finding(
            pod,
            since=failing.since,
            severity=Severity.CRITICAL if widespread(pod, pods, events) else Severity.WARNING,
            evidence=failing.evidence,
            node=pod.spec.node_name,
            why=failing.failure.why,
            cause=failing.failure.kind,
        )
