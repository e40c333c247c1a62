"""PodCgroupProcsWriteFailed."""

import re

from kubedx.checks._support.sandboxes import stable
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Severity, Step
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod

_REASONS = ("FailedPostStartHook", "Unhealthy")
_WRITE = re.compile(
    r"adding pid \d{1,10} to cgroups|cgroup\.procs: (?:invalid argument|no such file|no such device)", re.IGNORECASE
)
_PID = re.compile(r"\b(pid|write) \d{1,10}\b")
_WINDOW = minutes(15)
_ENOUGH = 3


@check(
    title="Commands cannot be started in a container",
    message="On node {node} the container runtime cannot start commands in pod {name}, so its probes fail: {why}",
    severity=Severity.WARNING,
    layer=4,
    group=by.node,
    when=Bit.NOT_READY | Bit.TERMINATED,
    events=_REASONS,
    explains={"PodLivenessProbeFailing": join.itself, "PodReadinessProbeFailing": join.itself},
    steps=(
        Step("Read which probe fails.", "kubectl -n {namespace} describe pod {name}"),
        Step(
            "On the machine, see how old kernel and runtime are, and how many process ids are in use.",
            "uname -r; runc --version; ps -eL | wc -l; cat /proc/sys/kernel/pid_max",
        ),
        Step("Let the probe ask by HTTP, TCP or gRPC instead of running a command."),
        Step(
            "Move the work away and restart the machine, if many pods show it. This evicts every pod.",
            "kubectl drain {node} --ignore-daemonsets",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def pod_cgroup_procs_write_failed(pod: Pod, events: Events, now: Now) -> Answer:
    """A probe's command could not be put into the control group of its container.

    ## Meaning
    A probe with a command starts a process in the container. The runtime writes its id to `cgroup.procs`, and the
    kernel refuses: the container has just ended, the control group is being removed, process ids are short, or an old
    kernel or runtime has this mistake.

    ## Impact
    Probes fail although the program works, so containers are restarted or get no traffic.

    ## Diagnosis
    If several pods of one node show it, it is the machine's kernel, runtime or lack of process ids.

    ## Mitigation
    Update kernel and runtime. Probes by HTTP, TCP or gRPC start no process.

    ## Limitations
    Pods that are ready and were never restarted are not judged. It is reported from three such failures on, and counts
    as over 15 minutes after the last.

    ## References
    - runc: `adding pid … to cgroups caused "failed to write … to cgroup.procs: … invalid argument"`, up to 1.0-rc;
      since 1.0 `error adding pid … to cgroups: failed to write …: … cgroup.procs: …`.
    - `pkg/kubelet/prober/prober.go`: `Liveness probe failed: …`, `Readiness probe errored: …`, 1.18 to 1.36.
    """
    if pod.deleted or pod.finished:
        return
    said = [one for one in events.about(pod, *_REASONS) if _WRITE.search(one.message)]
    if sum(one.count for one in said) >= _ENOUGH and not now.older(said[0].last, _WINDOW):
        yield Finding(
            pod,
            since=min((one.first for one in said if one.first), default=None),
            evidence=(said[0].evidence,),
            node=pod.spec.node_name,
            why=_PID.sub(r"\1 …", stable(said[0].message)),
        )
