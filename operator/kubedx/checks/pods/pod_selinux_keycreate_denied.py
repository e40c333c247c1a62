"""PodSELinuxKeycreateDenied."""

from datetime import datetime

from kubedx.checks._support.pods import containers_unready_since, status_path
from kubedx.checks._support.sandboxes import SANDBOX_REASON, SELINUX, failing_sandbox, stable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Events, Now
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_STARTING = frozenset({"CreateContainerError", "RunContainerError"})


@check(
    title="SELinux denies the container runtime",
    message="SELinux on node {node} keeps pod {name} from starting: {why}",
    severity=Severity.WARNING,
    layer=4,
    group=by.node,
    when=Bit.NOT_READY,
    events=(SANDBOX_REASON,),
    explains={"PodSandboxCreateFailed": join.itself},
    steps=(
        Step("On the machine, read what SELinux denied.", "ausearch -m avc -ts recent"),
        Step(
            "On the machine, see how old the policy for containers and the runtime are, and update both.",
            "rpm -q container-selinux runc containerd.io; getenforce",
        ),
        Step(
            "To see whether SELinux alone is to blame, let it only report until the next restart of the machine. "
            "Containers are less isolated from the machine meanwhile; do not disable it for good.",
            "setenforce 0",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_selinux_keycreate_denied(pod: Pod, events: Events | None, now: Now) -> Answer:
    """SELinux denies the container runtime what it needs to start a container.

    ## Meaning
    The runtime must write the label of the container's keyring to `/proc/self/attr/keycreate`, or relabel a file, and
    the policy of the machine forbids it: `container-selinux` is older than the runtime.

    ## Impact
    Pods do not start on this machine, nor on others with the same packages.

    ## Diagnosis
    `ausearch -m avc -ts recent` on the machine names what was denied.

    ## Mitigation
    Update `container-selinux` and the runtime together. Turning SELinux off takes the isolation of every container
    with it: `setenforce 0` is for a short look only.

    ## Limitations
    Only what the runtime says is seen; denials inside of containers are not.

    ## References
    - runc: `write /proc/self/attr/keycreate: permission denied`, since 1.0.0-rc8 of 2019.
    - https://github.com/moby/moby/issues/39109
    """
    found = _denied(pod, events, now)
    if found:
        since, evidence, said = found
        yield Finding(pod, since=since, evidence=(evidence,), node=pod.spec.node_name, why=said)


def _denied(pod: Pod, events: Events | None, now: Now) -> tuple[datetime | None, Evidence, str] | None:
    if pod.deleted or pod.finished:
        return None
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting and waiting.reason in _STARTING and SELINUX.search(waiting.message):
            seen = field(pod, f"{status_path(pod, container)}.state.waiting", f"{waiting.reason}: {waiting.message}")
            return containers_unready_since(pod), seen, stable(waiting.message)
    failing = failing_sandbox(pod, events, now, "security label") if events else None
    if failing:
        return failing.since, failing.record.evidence, failing.failure.why
    return None
