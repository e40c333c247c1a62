"""NodeFilesystemReadOnly."""

from kubedx.checks._support.nodes import condition_evidence, true_condition
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.kube.views import Node

CONDITION = "ReadonlyFilesystem"


@check(
    title="A filesystem of a node has become read-only",
    message="A filesystem of node {name} has become read-only: {detail}",
    severity=Severity.CRITICAL,
    layer=0,
    explains={
        "KubeletSetupFailed": join.same_node,
        "NodeContainerRuntimeDown": join.same_node,
        "NodeImageGCFailed": join.same_node.where(cause="deletion"),
    },
    steps=(
        Step("Read what the kernel reported.", "kubectl describe node {name}"),
        Step("On the machine, see which filesystem and which disk.", "grep ' ro,' /proc/mounts; dmesg -T | tail -50"),
        Step("Keep new pods away.", "kubectl cordon {name}"),
        Step(
            "Move the work away, then check the filesystem or replace the disk. This evicts every pod of the node.",
            "kubectl drain {name} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def node_filesystem_read_only(node: Node) -> Answer:
    """The kernel of a node has mounted a filesystem read-only after errors.

    ## Meaning
    The kernel found errors on a disk or in a filesystem and protects the data by not writing any more. A disk that
    fails, a cloud disk that was cut off, and a damaged filesystem are the usual reasons.

    ## Impact
    If it is the disk of the container runtime or the kubelet, no container starts or is removed any more. Programs that
    write there fail.

    ## Diagnosis
    The message is the kernel's line. On the machine, `dmesg` shows what came before it.

    ## Mitigation
    Move the pods away, check the filesystem (`fsck`) while it is not mounted, replace the disk or the node.

    ## Limitations
    Only node-problem-detector reports this, where it is installed. It keeps the condition until it is restarted, also
    after a repair. Which filesystem it is, only the kernel's log says.

    ## References
    - node-problem-detector, `config/readonly-monitor.json`: condition `ReadonlyFilesystem`, reason
      `FilesystemIsReadOnly`.
    - https://github.com/kubernetes/node-problem-detector
    """
    condition = true_condition(node, CONDITION)
    if condition:
        yield Finding(
            node,
            since=condition.last_transition_time,
            evidence=(condition_evidence(node, condition),),
            detail=condition.message or condition.reason,
        )
