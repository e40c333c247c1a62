"""NodeCgroupV1."""

import re

from kubedx.checks._support.reports import reports
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Step
from kubedx.core.inputs import EventRecord, Events, Now, hours
from kubedx.kube.views import Node

_MESSAGE = re.compile(r"cgroup v1\b", re.IGNORECASE)


@check(
    title="Node uses control groups of version 1",
    message="Node {name} uses control groups of version 1; kubelets from 1.35 on do not start there by default",
    profile=Profile.RISK,
    layer=2,
    group=by.cluster,
    events=("CgroupV1",),
    explains={"KubeletCgroupInitFailed": join.same_node, "NodeCgroupFsFull": join.same_node},
    steps=(
        Step("See kernels and kubelets of all nodes.", "kubectl get nodes -o wide"),
        Step("On the machine, cgroup2fs means version 2, tmpfs means version 1.", "stat -fc %T /sys/fs/cgroup"),
        Step(
            "Use an operating system that has version 2, or boot this one with systemd.unified_cgroup_hierarchy=1. "
            "Drain the node first."
        ),
        Step("Until then, keep the kubelet at 1.34, or set failCgroupV1: false in its configuration from 1.35 on."),
    ),
    since="0.1.0",
)
def node_cgroup_v1(node: Node, events: Events, now: Now) -> Answer:
    """A node's kernel offers control groups of version 1, which Kubernetes gives up.

    ## Meaning
    Version 1 has been in maintenance since Kubernetes 1.31 and is deprecated since 1.35. The kubelet said so as it
    started.

    ## Impact
    None today. After an upgrade to 1.35 the kubelet refuses to start unless `failCgroupV1` is set to false, so that the
    node is lost; later versions will not run there at all.

    ## Diagnosis
    `stat -fc %T /sys/fs/cgroup` on the machine answers `tmpfs`.

    ## Mitigation
    Move the nodes, pool by pool, to an operating system with version 2, and let kubelet and runtime use the systemd
    driver. Do so before you upgrade to 1.35.

    ## Limitations
    The kubelet says it once, as it starts, in an Event, which is kept for an hour; later nothing in the API tells. So
    this is seen only for an hour after the kubelet's start.

    ## References
    - `pkg/kubelet/kubelet.go`, reason `CgroupV1`: `Cgroup v1 support is in maintenance mode, please migrate to Cgroup
      v2` from 1.31 to 1.34, `cgroup v1 detected. cgroup v1 support is deprecated` since 1.35.
    - https://kubernetes.io/docs/concepts/architecture/cgroups/
    """
    found = reports(_is_v1, node, events, ("CgroupV1",), now, hours(24))
    if found:
        yield Finding(node, since=found.first, evidence=(found.record.evidence,))


def _is_v1(record: EventRecord) -> str | None:
    return record.message if _MESSAGE.search(record.message) else None
