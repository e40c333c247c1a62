"""NodeInotifyExhausted."""

from datetime import datetime

from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.checks._support.sandboxes import INOTIFY, SANDBOX_REASON, failing_sandbox, stable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Events, Lookup, Now, hours
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="A node has no inotify watches or instances left",
    message="Node {node} has no inotify watches or instances left; pod {namespace}/{name} says: {why}",
    severity=Severity.WARNING,
    layer=2,
    group=by.node,
    when=Bit.NOT_READY | Bit.WAITING | Bit.TERMINATED,
    events=(SANDBOX_REASON,),
    explains={"PodCrashLoopBackOff": join.itself, "PodSandboxCreateFailed": join.itself},
    steps=(
        Step(
            "On the machine, see the limits and who uses most of them.",
            "sysctl fs.inotify; find /proc/*/fd -lname anon_inode:inotify 2>/dev/null | cut -d/ -f3 | sort | uniq -c "
            "| sort -n | tail",
        ),
        Step(
            "On the machine, allow more. It works at once, and running programs are not disturbed.",
            "sysctl -w fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=8192",
        ),
        Step("Write the same two lines to a file below /etc/sysctl.d on every node, so that it survives a restart."),
    ),
    since="0.1.0",
)
def node_inotify_exhausted(pod: Pod, events: Events | None, pods: Lookup[Pod] | None, now: Now) -> Answer:
    """Programs on a node cannot watch files, as the kernel's limit for a user is reached.

    ## Meaning
    inotify is how programs learn that a file has changed. The kernel limits its watches and instances for each user,
    and on a node nearly everything runs as one: root. The error reads `no space left on device` or `too many open
    files`, and neither the disk nor the number of open files is to blame.

    ## Impact
    Log agents, reloaders and all that watches its configuration crash or miss changes; with some runtimes no new pod
    starts. `kubectl logs -f` ends with an error.

    ## Diagnosis
    `sysctl fs.inotify` on the machine; 8,192 watches and 128 instances are defaults from small machines.

    ## Mitigation
    Raise both limits on every node. Fewer pods on a node help as well.

    ## Limitations
    What programs write to their logs is not read: only what runtimes report and what a container leaves as its
    termination message (`terminationMessagePolicy: FallbackToLogsOnError`). One pod alone on its node is not reported.

    ## References
    - inotify_add_watch(2): ENOSPC; inotify_init(2): EMFILE; `github.com/fsnotify/fsnotify`: the same, in words.
    - https://github.com/kubernetes/kubernetes/issues/70324
    """
    found = _said(pod, events, now)
    on_node = pods.on_node(pod.spec.node_name) if found and pods else ()
    if found and any(other.uid != pod.uid and _said(other, events, now) for other in on_node):
        since, evidence, why = found
        yield Finding(pod, since=since, evidence=(evidence,), node=pod.spec.node_name, why=why)


def _said(pod: Pod, events: Events | None, now: Now) -> tuple[datetime | None, Evidence, str] | None:
    """Where it stands that the pod lacks inotify, and since when."""
    for container in pod.containers:
        path = status_path(pod, container)
        waiting = container.state.waiting
        if waiting and INOTIFY.search(waiting.message):
            return containers_unready_since(pod), field(pod, f"{path}.state.waiting", waiting.message), waiting.message
        for where, ended in (("state", container.state.terminated), ("lastState", container.last_state.terminated)):
            if ended and INOTIFY.search(ended.message) and not now.older(ended.finished_at, hours(1)):
                seen = field(pod, f"{path}.{where}.terminated.message", ended.message, ended.finished_at)
                return containers_unready_since(pod), seen, stable(ended.message)
    failing = failing_sandbox(pod, events, now, "inotify") if events else None
    return (failing.since, failing.record.evidence, failing.failure.why) if failing else None
