"""KubeletRestartLoop."""

from datetime import datetime

from kubedx.checks._support.nodes import condition_evidence, eased, new, true_condition
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.views import Node

_REASON = "Starting"
_DETECTED = "FrequentKubeletRestart"
"""The condition that node-problem-detector sets."""

_NEW = minutes(15)
_WINDOW = minutes(30)
_FEW, _FEW_APART = 3, minutes(15)
_MANY, _MANY_APART = 6, minutes(12)


@check(
    title="The kubelet of a node restarts again and again",
    message="The kubelet of node {name} restarts again and again: {what}",
    severity=Severity.WARNING,
    layer=2,
    events=(_REASON,),
    explains={"NodeNotReady": join.same_node, "NodeReadyFlapping": join.same_node},
    steps=(
        Step(
            "See when it started and what it said each time.",
            "kubectl get events -A --field-selector involvedObject.kind=Node,involvedObject.name={name}",
        ),
        Step("On the machine, read why it ended.", "systemctl status kubelet; journalctl -u kubelet -p err -n 100"),
        Step("After an upgrade, look for flags and settings that the new version does not have any more."),
        Step("Keep new pods away while you look into it.", "kubectl cordon {name}"),
    ),
    since="0.1.0",
)
def kubelet_restart_loop(node: Node, events: Events | None, now: Now) -> Answer:
    """The kubelet of a node is started again and again.

    ## Meaning
    systemd starts a kubelet again that has ended. It crashes, is killed for want of memory, is ended by its watchdog,
    or somebody restarts it.

    ## Impact
    While the kubelet is away, no pod is started, stopped or probed; the node may become not ready each time. Containers
    keep running.

    ## Diagnosis
    `journalctl -u kubelet -p err` has its last words. `status=1` is an error of its own, `status=9` a kill, most likely
    for want of memory.

    ## Mitigation
    Mend what the log names: a setting that the version does not have, certificates, memory that is reserved for nobody.

    ## Limitations
    It goes by `Starting` Events: three, on the average at most 15 minutes apart, or six at most twelve minutes apart,
    which is critical; the last within half an hour. Nodes younger than 15 minutes are left out, as their kubelets are
    restarted while they are set up. A kubelet that ends before it reaches the API server is not seen.

    ## References
    - `pkg/kubelet/kubelet.go` (BirthCry): `Starting`, `Starting kubelet.`, 1.4 to 1.36; kube-proxy's Events of that
      reason have other messages.
    - node-problem-detector, `config/systemd-monitor.json` and `config/kernel-monitor-counter.json`: the condition
      `FrequentKubeletRestart`.
    """
    if node.deleted or new(node, now, _NEW):
        return
    found = _counted(node, events, now) or _detected(node)
    if found:
        since, severity, evidence, what = found
        yield Finding(node, since=since, severity=eased(severity, node, now), evidence=(evidence,), what=what)


_Loop = tuple[datetime | None, Severity, Evidence, str]


def _counted(node: Node, events: Events | None, now: Now) -> _Loop | None:
    records = events.about(node, _REASON) if events else ()
    started = next((one for one in records if one.message.startswith("Starting kubelet")), None)
    if started is None or started.first is None or started.last is None or now.older(started.last, _WINDOW):
        return None
    apart = (started.last - started.first) / max(1, started.count - 1)
    if started.count < _FEW or apart > _FEW_APART:
        return None
    severity = Severity.CRITICAL if started.count >= _MANY and apart <= _MANY_APART else Severity.WARNING
    what = f"it was started {started.count} times, first at {_shown(started.first)}, last at {_shown(started.last)}"
    return started.first, severity, started.evidence, what


def _detected(node: Node) -> _Loop | None:
    condition = true_condition(node, _DETECTED)
    if condition is None:
        return None
    what = condition.message or condition.reason
    return condition.last_transition_time, Severity.WARNING, condition_evidence(node, condition), what


def _shown(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
