"""NodeKernelTooOld."""

import re

from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.kube.views import Node

_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})")
_UNUSABLE, _OLD = (3, 10), (4, 4)


@check(
    title="Kernel of a node is too old for Kubernetes",
    message="Node {name} has kernel {version}; Kubernetes needs {needed} at least",
    profile=Profile.RISK,
    layer=0,
    group=by.cluster,
    explains={
        "KubeletCgroupInitFailed": join.same_node,
        "NodeCgroupFsFull": join.same_node,
        "NodeCgroupV1": join.same_node,
        "NodeKernelProblem": join.same_node,
        "PodCgroupProcsWriteFailed": join.same_node,
    },
    steps=(
        Step("See the kernels of all nodes.", "kubectl get nodes -o wide"),
        Step("On the machine, see what the kernel offers.", "uname -r; cat /proc/cgroups; ls /boot"),
        Step("Upgrade the operating system, or replace the nodes by newer ones, pool by pool."),
    ),
    since="0.1.0",
)
def node_kernel_too_old(node: Node) -> Answer:
    """A node runs a Linux kernel that Kubernetes does not work well with.

    ## Meaning
    The kernel is older than 4.4. Control groups for process ids, control groups of version 2 and many repairs of the
    memory controller came later.

    ## Impact
    Limits of process ids do not work, control groups leak memory until no pod can start, and newer kubelets refuse to
    start. Below 3.10, which is critical, containers do not work at all.

    ## Diagnosis
    `kubectl get nodes -o wide` shows each node's kernel. `contrib/check-config.sh` of moby lists what a kernel lacks.

    ## Mitigation
    Upgrade the operating system pool by pool. Kubernetes is tested on kernels of 4.19 and newer.

    ## Limitations
    Distributions bring new features to old kernels: 3.10.0-957 and later of Red Hat do have the control group for
    process ids, and are reported all the same, as they lack control groups of version 2. Windows nodes are not
    reported.

    ## References
    - Node `status.nodeInfo.kernelVersion`, all versions.
    - https://kubernetes.io/docs/reference/node/kernel-version-requirements/
    """
    shown = node.status.node_info.kernel_version
    match = _VERSION.match(shown)
    version = (int(match[1]), int(match[2])) if match else _OLD
    if version < _OLD and not node.deleted:
        yield Finding(
            node,
            since=node.created,
            severity=Severity.CRITICAL if version < _UNUSABLE else Severity.WARNING,
            evidence=(field(node, "status.nodeInfo.kernelVersion", shown),),
            version=shown,
            needed=".".join(map(str, _OLD)),
        )
