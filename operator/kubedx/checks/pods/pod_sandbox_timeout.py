"""PodSandboxTimeout."""

from kubedx.checks._support.sandboxes import SANDBOX_REASON, failing_sandbox
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="The container runtime does not finish a pod's sandbox in time",
    message="The container runtime of node {node} does not finish the sandbox of pod {name} in time: {why}",
    severity=Severity.WARNING,
    layer=4,
    group=by.node,
    when=Bit.NOT_READY,
    events=(SANDBOX_REASON,),
    explains={"PodSandboxCreateFailed": join.itself},
    steps=(
        Step(
            "See whether other pods of this node start.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
        ),
        Step(
            "On the machine, see whether the runtime answers and whether the disk is busy.",
            "crictl info; iostat -dx 1 3; journalctl -u containerd -u crio --since -30min",
        ),
        Step(
            "Restart the runtime, then the kubelet. Containers keep running.",
            "systemctl restart containerd && systemctl restart kubelet",
        ),
        Step(
            "If that does not help, move the work away, then restart the machine. This evicts every pod of the node.",
            "kubectl drain {node} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_sandbox_timeout(pod: Pod, events: Events, now: Now) -> Answer:
    """The kubelet asked the container runtime for a pod's sandbox and gave up waiting, at least twice.

    ## Meaning
    The runtime hangs or is slow: a busy or broken disk, an overloaded machine, a network plugin that does not answer.
    The kubelet waits for four minutes (twice its `runtimeRequestTimeout`).

    ## Impact
    The pod does not start, and likely no other new pod of the node.

    ## Diagnosis
    On the machine, `crictl info` tells whether the runtime answers, `iostat -dx 1` whether the disk is busy, the
    runtime's log what it waits for.

    ## Mitigation
    Restart the runtime, then the kubelet. A machine that stays stuck is drained and restarted.

    ## Limitations
    A timeout says what waited and not for what. If the network plugin is to blame and says so, PodSandboxCNIError
    reports it. It counts as over twelve minutes after the last such Event.

    ## References
    - `pkg/kubelet/kuberuntime/kuberuntime_sandbox.go`, gRPC: `code = DeadlineExceeded desc = context deadline
      exceeded`, 1.20 to 1.36; dockershim, up to 1.23: `operation timeout: context deadline exceeded`.
    - `pkg/kubelet/apis/config/v1beta1/defaults.go`: RuntimeRequestTimeout, 2 min.
    """
    failing = failing_sandbox(pod, events, now, "timeout")
    if failing and failing.lasting and not failing_sandbox(pod, events, now, "network"):
        yield Finding(
            pod,
            since=failing.since,
            evidence=failing.evidence,
            node=pod.spec.node_name,
            why=failing.failure.why,
        )
