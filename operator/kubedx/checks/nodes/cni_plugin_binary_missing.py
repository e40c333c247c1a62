"""CNIPluginBinaryMissing."""

from datetime import datetime
from typing import NamedTuple

from kubedx.checks._support.readiness import reported
from kubedx.checks._support.sandboxes import MISSING_PROGRAM, SANDBOX_REASON, failing_sandbox
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Ref, Severity, Step, field
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Node, Pod

_ADVICE = {
    "flannel": "The package containernetworking/plugins has no flannel since its version 1.0. Install a kube-flannel "
    "whose DaemonSet has the init container install-cni-plugin, or the program of github.com/flannel-io/cni-plugin.",
}
_USUAL = (
    "Restart the network plugin's own pod on this node, as its init container copies its program; bridge, host-local, "
    "loopback and portmap come with the package containernetworking-plugins."
)


@check(
    title="A program of the network plugin is missing on a node",
    message="Node {name} has no program {plugin} in {path}: the network plugin needs it to connect pods",
    severity=Severity.CRITICAL,
    layer=0,
    raise_after=minutes(1),
    when=Bit.NOT_READY,
    events=(SANDBOX_REASON,),
    explains={
        "NodeCNINotReady": join.same_node,
        "PodSandboxCNIError": join.same_node.where(cause="missing program"),
    },
    steps=(
        Step("On the machine, see which programs there are.", "ls -l {path}"),
        Step("{advice}"),
        Step(
            "Find the pod of the network plugin on this node, and look at its init containers.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={name}",
        ),
        Step("Keep new pods away from the node until the program is there.", "kubectl cordon {name}"),
    ),
    since="0.1.0",
)
def cni_plugin_binary_missing(thing: Pod | Node, events: Events, now: Now) -> Answer:
    """The configuration of a node's network names a plugin whose program is not on the node.

    ## Meaning
    What lies below `/etc/cni/net.d` names a plugin, and the container runtime finds no program of that name in its
    folder, usually `/opt/cni/bin`. A package was changed, a folder was emptied, or another program was expected to
    bring it.

    ## Impact
    No pod with a network of its own starts on the node. Pods that run go on.

    ## Diagnosis
    The message names the program and the folders in which it was looked for. Other nodes of the same image most likely
    lack it as well.

    ## Mitigation
    Install the program, or restart the network plugin's pod if its init container does so. If it is `flannel`, the
    cause is the upgrade of containernetworking-plugins to 1.0 or newer, which no longer has it.

    ## Limitations
    A node on which no pod is started does not show what it lacks.

    ## References
    - `github.com/containernetworking/cni/pkg/invoke/find.go`: `failed to find plugin "…" in path […]`, all versions.
    - https://github.com/containernetworking/plugins/issues/655
    - https://github.com/flannel-io/cni-plugin
    """
    found = _said(thing, events, now)
    missing = found and MISSING_PROGRAM.search(found.text)
    if found and missing:
        yield Finding(
            Ref("Node", "", found.node),
            since=found.since,
            evidence=(found.evidence,),
            nodes=(found.node,),
            plugin=missing["plugin"],
            path=missing["path"],
            advice=_ADVICE.get(missing["plugin"], _USUAL),
        )


class _Said(NamedTuple):
    node: str
    text: str
    since: datetime | None
    evidence: Evidence


def _said(thing: Pod | Node, events: Events, now: Now) -> _Said | None:
    """What the kubelet says about the network of a node, of itself or because of a pod."""
    if isinstance(thing, Node):
        found = reported(thing, "network")
        if found is None:
            return None
        error, since = found
        return _Said(thing.name, error.text, since, field(thing, "status.conditions[Ready].message", error.text, since))
    failing = failing_sandbox(thing, events, now, "network")
    if failing is None:
        return None
    return _Said(thing.spec.node_name, failing.record.message, failing.since, failing.record.evidence)
