"""GRPCMessageTooLarge."""

import re
from datetime import datetime

from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.views import Node

_REASONS = ("ContainerGCFailed", "ImageGCFailed")
_TOO_LARGE = re.compile(
    r"(?:received|trying to send) message larger than max \((?P<size>\d{1,18}) vs\. (?P<most>\d{1,18})\)"
)
_QUIET = minutes(30)


@check(
    title="The answer of a node's container runtime is too large for the kubelet",
    message="On node {name} the container runtime has an answer of {size} bytes for the kubelet, which takes {most}",
    severity=Severity.INFO,
    layer=0,
    clear_after=minutes(5),
    events=_REASONS,
    explains={"NodePLEGUnhealthy": join.same_node},
    steps=(
        Step(
            "On node {name}, count the containers, those that ended included.",
            "ctr -n k8s.io containers list -q | wc -l",
        ),
        Step(
            "On the control plane, see which ended pods of the node are kept.",
            "kubectl get pods -A --field-selector spec.nodeName={name},status.phase!=Running",
        ),
        Step(
            "Remove the containers that ended, a namespace at a time: the list of all is too long. Their logs go too.",
            "crictl rm $(crictl ps -aq --state Exited --label io.kubernetes.pod.namespace=NAMESPACE)",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def grpc_message_too_large(node: Node, events: Events | None, now: Now) -> Answer:
    """A node has so many containers that the list of them no longer fits into one message of the container runtime.

    ## Meaning
    The kubelet asks the container runtime for all containers or images at once, and takes at most 16 MiB. The answer is
    larger: thousands of containers that ended were never removed.

    ## Impact
    The kubelet no longer sees its containers: it cleans up nothing, and the node becomes not ready with `PLEG is not
    healthy`.

    ## Diagnosis
    The event, or the node's condition Ready, names both sizes. `ctr` on the node still lists the containers; `crictl`
    may run into the same limit.

    ## Mitigation
    Remove containers and pods that ended, and find what makes so many: Jobs without a limit to their history, pods that
    are evicted again and again.

    ## Limitations
    Only what the kubelet says about its node is looked at; messages between volume drivers, device plugins and the
    kubelet are not. The Events count as over after half an hour without one.

    ## References
    - `grpc: received message larger than max (… vs. …)` from the one who asked, `grpc: trying to send message larger
      than max (… vs. …)` from the one who answers: google.golang.org/grpc, all versions. The kubelet's limit:
      `maxMsgSize` of `staging/src/k8s.io/cri-client/pkg/remote_runtime.go`, 16 MiB, 1.30 to 1.36.
    - https://github.com/kubernetes/kubernetes/issues/131407
    """
    found = _said(node, events, now)
    if found:
        match, since, evidence = found
        yield Finding(node, since=since, evidence=(evidence,), size=match["size"], most=match["most"])


def _said(node: Node, events: Events | None, now: Now) -> tuple[re.Match[str], datetime | None, Evidence] | None:
    ready = node.condition("Ready")
    if ready and ready.status != "True" and (match := _TOO_LARGE.search(ready.message)):
        return match, ready.last_transition_time, field(node, "status.conditions[Ready]", ready.message)
    for record in events.about(node, *_REASONS) if events else ():
        if (match := _TOO_LARGE.search(record.message)) and not now.older(record.last, _QUIET):
            return match, record.first, record.evidence
    return None
