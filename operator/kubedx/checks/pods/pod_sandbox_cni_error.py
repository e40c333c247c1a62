"""PodSandboxCNIError."""

import re

from kubedx.checks._support.sandboxes import SANDBOX_REASON, failing_sandbox
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step, ref
from kubedx.core.inputs import Events, Lookup, Now
from kubedx.core.join import CNI_DAEMON_SETS
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_SORTS = (
    ("missing program", re.compile(r"failed to find plugin \"")),
    (
        "no address",
        re.compile(
            r"no IP addresses available|InsufficientFreeAddressesInSubnet|no (?:more )?(?:free |available )?IPs?\b"
            r"|no (?:more |free )?addresses|address pool exhausted|failed to assign an IP address",
            re.IGNORECASE,
        ),
    ),
    (
        "agent",
        re.compile(
            r"/var/lib/calico/nodename|/run/flannel/subnet\.env|\.sock\b|cni plugin not initialized|127\.0\.0\.1"
            r"|localhost|unable to create endpoint",
            re.IGNORECASE,
        ),
    ),
    ("API", re.compile(r"Unauthorized|forbidden|error getting ClusterInformation|x509: |i/o timeout|dial tcp")),
)
_ADVICE = {
    "missing program": "Put the program back that the message names: see CNIPluginBinaryMissing.",
    "no address": "No address is left: widen the range, the pool or the subnet, or free addresses that nobody uses (on "
    "the machine, see /var/lib/cni/networks).",
    "agent": "The plugin's own pod on this node does not answer: read its log and mend or restart it.",
    "API": "The plugin does not reach the API server or is refused there: restart its pod on this node, which renews "
    "its token, and look at its rights.",
    "other": "Read the log of the plugin's own pod on this node.",
}


@check(
    title="The network plugin cannot connect a pod",
    message="The network plugin of node {name} cannot connect pod {pod}: {why}; {agent}",
    severity=Severity.CRITICAL,
    layer=5,
    when=Bit.NOT_READY,
    events=(SANDBOX_REASON,),
    explains={"PodSandboxCreateFailed": join.same_node.where(cause="network")},
    steps=(
        Step(
            "Find the pod of the network plugin on this node, and see whether it runs.",
            "kubectl get pods -A -o wide --field-selector spec.nodeName={name}",
        ),
        Step("{advice}"),
        Step("On the machine, see its configuration and its programs.", "ls -l /etc/cni/net.d /opt/cni/bin"),
        Step("Keep new pods away from the node until it works.", "kubectl cordon {name}"),
    ),
    since="0.1.0",
)
def pod_sandbox_cni_error(pod: Pod, events: Events, pods: Lookup[Pod] | None, now: Now) -> Answer:
    """The network plugin (CNI) fails while it connects a new pod to the network.

    ## Meaning
    The container runtime called the network plugin for the pod's sandbox, and the plugin answered with an error: its
    program is missing, its agent on the node does not run, no address is left, or it does not reach the API server.

    ## Impact
    Pods with a network of their own do not start on the node. Pods that run go on.

    ## Diagnosis
    The message has the plugin's words and says how its own pod on the node is. If all nodes show this, look at what
    they share: the API server, the address pool, a new version of the plugin.

    ## Mitigation
    Mend what the message names; the steps say what that is where the words are known. The kubelet tries again on its
    own.

    ## Limitations
    It is known only from Events, and counts as over five minutes after the last one (twelve where they are many). One
    failure, or several within a minute, are not reported. The pod of a plugin whose DaemonSet has an unusual name is
    not found.

    ## References
    - containerd `internal/cri/server/sandbox_run.go`: `failed to setup network for sandbox "…"`, since 1.3; CRI-O:
      `failed to create pod network sandbox`; dockershim, up to 1.23: `networkPlugin cni failed to set up pod`.
    - https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/network-plugins/
    """
    failing = failing_sandbox(pod, events, now, "network")
    if failing is None or not failing.lasting:
        return
    agent = _agent(pod, pods)
    cause = next((cause for cause, pattern in _SORTS if pattern.search(failing.failure.why)), "other")
    yield Finding(
        Ref("Node", "", pod.spec.node_name),
        since=failing.since,
        evidence=failing.evidence,
        nodes=(pod.spec.node_name,),
        pod=f"{pod.namespace}/{pod.name}",
        why=failing.failure.why,
        backends=_to_blame(agent, cause),
        agent=_shown(agent),
        cause=cause,
        advice=_ADVICE[cause],
    )


def _agent(pod: Pod, pods: Lookup[Pod] | None) -> Pod | None:
    """The network plugin's own pod on the node."""
    for one in pods.on_node(pod.spec.node_name) if pods else ():
        owner = one.controller
        if owner and owner.kind == "DaemonSet" and owner.name.startswith(CNI_DAEMON_SETS):
            return one
    return None


def _is_ready(agent: Pod) -> bool:
    ready = agent.condition("Ready")
    return ready is not None and ready.status == "True"


def _to_blame(agent: Pod | None, cause: str) -> tuple[Ref, ...]:
    """The agent, where it is not ready and the error is not one that even a ready one would give."""
    blamed = agent and cause not in {"missing program", "no address"} and not _is_ready(agent)
    return (ref(agent),) if agent and blamed else ()


def _shown(agent: Pod | None) -> str:
    if agent is None:
        return "no pod of a known network plugin is on this node"
    how = "is ready" if _is_ready(agent) else "is not ready"
    return f"the plugin's own pod there, {agent.namespace}/{agent.name}, {how}"
