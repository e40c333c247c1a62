"""NameLengthRisk."""

from kubedx.checks._support.creation import CONTROLLERS_REASON, name_too_long, newest
from kubedx.checks._support.replicas import pods_wanting
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Events, Now, minutes
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, StatefulSet

_LONGEST_LABEL = 63
_HASH = 11
"""Characters that a StatefulSet appends to its name for the label of its revision: a dash and up to ten digits."""

_QUIET = minutes(30)


@check(
    title="The name of a workload is too long for its pods",
    message="{kind} {name} has a name of {length} characters, {what}",
    profile=Profile.RISK,
    layer=0,
    events=(CONTROLLERS_REASON,),
    explains={"WorkloadPodCreateFailed": join.itself.where(cause="name")},
    steps=(
        Step("Read why pods are refused.", "kubectl -n {namespace} describe {kind} {name}"),
        Step(
            "Make it again with a name of at most {longest} characters, as names cannot be changed; in a chart that is "
            "fullnameOverride or a shorter name of the release."
        ),
    ),
    since="0.1.0",
)
def name_length_risk(workload: StatefulSet | ReplicaSet | DaemonSet | Job, events: Events | None, now: Now) -> Answer:
    """A workload's name leaves no room for what Kubernetes appends to it for pods and their labels.

    ## Meaning
    Labels and host names hold 63 characters. A StatefulSet writes its name, a dash and up to ten digits into the label
    `controller-revision-hash` of each pod, so that a name of more than 52 characters works for some revisions and not
    for others. Where the API server already refuses pods for the length of a name, the refusal is given.

    ## Impact
    None while the pods are there, which is good to know. When the next revision gets a longer number, its pods cannot
    be created: it is a warning while that is so.

    ## Diagnosis
    The `FailedCreate` event holds the API server's words, `must be no more than 63 characters` or `bytes`.

    ## Mitigation
    A shorter name. The claims of a StatefulSet carry its name too: plan to move the data.

    ## Limitations
    Names that the API server refuses for the workload itself, such as those of CronJobs with more than 52 characters,
    do not exist in the cluster. Deployments cut the names of their pods and are well. Refusals are known only from
    Events, and count as over after half an hour without one.

    ## References
    - `apimachinery/pkg/util/validation/validation.go` (MaxLenError): `must be no more than … characters`, in newer
      versions `bytes`; `Too long: may not be more than … bytes` since 1.32, `must have at most … bytes` before.
    - `pkg/controller/history/controller_history.go` (ControllerRevisionName); kubernetes/kubernetes#64023.
    """
    length, longest = len(workload.name), _LONGEST_LABEL - _HASH
    refused = newest(name_too_long, workload, events, now, _QUIET) if events and pods_wanting(workload) else None
    if refused:
        yield Finding(
            workload,
            since=refused.since,
            evidence=(refused.record.evidence,),
            length=length,
            longest=longest,
            what=f"and its pods are refused: {refused.what}",
        )
    elif isinstance(workload, StatefulSet) and length > longest and not workload.deleted:
        yield Finding(
            workload,
            since=workload.created,
            severity=Severity.INFO,
            evidence=(field(workload, "metadata.name", workload.name),),
            length=length,
            longest=longest,
            what="which leaves no room for its revisions' numbers in the labels of pods: a later one may be refused",
        )
