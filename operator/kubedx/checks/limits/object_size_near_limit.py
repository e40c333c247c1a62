"""ObjectSizeNearLimit."""

from kubedx.checks._support.creation import CONTROLLERS_REASON, newest, too_large
from kubedx.checks._support.replicas import pods_wanting
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Events, Now, Object, minutes
from kubedx.kube.quantity import shown_bytes
from kubedx.kube.views import DaemonSet, Job, ReplicaSet, StatefulSet
from kubedx.kube.weight import MOST_OBJECT

_INFO, _WARNING = 80, 95
_QUIET = minutes(30)


@check(
    title="An object is near the size that etcd takes",
    message="{kind} {name} {what}",
    profile=Profile.RISK,
    severity=Severity.INFO,
    layer=0,
    group=by.owner,
    events=(CONTROLLERS_REASON,),
    explains={"WorkloadPodCreateFailed": join.itself.where(cause="too large")},
    steps=(
        Step("See how large it is, in bytes.", "kubectl -n {namespace} get {kind} {name} -o json | wc -c"),
        Step(
            "See which parts are large.",
            "kubectl -n {namespace} get {kind} {name} -o json | jq 'map_values(tojson | length)'",
        ),
        Step("Move large values into ConfigMaps or volumes, and apply from the server's side, which keeps no copy."),
    ),
    since="0.1.0",
)
def object_size_near_limit(subject: Object, events: Events | None, now: Now) -> Answer:
    """An object takes four fifths of what etcd takes in one request, or pods of a workload are refused as too large.

    ## Meaning
    etcd takes 1.5 MiB in one request, and so in one object. Objects grow by generated environment variables, by copies
    of themselves in annotations, by long lists in their status.

    ## Impact
    None yet; the change that passes the limit is refused, also one of the status, so that the controller gets stuck.
    Each read of the object costs memory in the API server and in all that watch it. It is a warning from 95 % on, and
    where pods are already refused.

    ## Diagnosis
    The first two steps show the size, and which part is large.

    ## Mitigation
    Move what is large out of the object: ConfigMaps hold up to 1 MiB each, volumes as much as they are made for.

    ## Limitations
    Only kinds that kubedx watches are looked at. ConfigMaps and Secrets, such as those in which Helm keeps releases,
    are not read at all, so the most frequent case is not seen. The size is that of the object as JSON in steps of five
    percent of the limit; etcd keeps built-in kinds in a denser form, so the limit may be farther away than it looks.
    One object is never taken as the cause of a full etcd.

    ## References
    - `etcdserver: request is too large`: etcd, `--max-request-bytes`, 1.5 MiB; `Request entity too large: limit is
      3145728`: `staging/src/k8s.io/apiserver/pkg/server/config.go`, 1.30 to 1.36.
    - https://etcd.io/docs/latest/dev-guide/limit/
    - https://github.com/kubernetes/kubernetes/issues/19781
    """
    if isinstance(subject, ReplicaSet | StatefulSet | DaemonSet | Job) and events and pods_wanting(subject):
        refused = newest(too_large, subject, events, now, _QUIET)
        if refused:
            yield Finding(
                subject,
                since=refused.since,
                severity=Severity.WARNING,
                evidence=(refused.record.evidence,),
                what=f"makes pods that are too large: {refused.what}",
            )
            return
    weight = subject.metadata.weight
    if weight and weight.whole >= _INFO:
        yield Finding(
            subject,
            severity=Severity.WARNING if weight.whole >= _WARNING else Severity.INFO,
            evidence=(field(subject, "size", f"{weight.whole} % of {MOST_OBJECT} bytes"),),
            what=f"takes {weight.whole} % or a little more of {shown_bytes(MOST_OBJECT)}, the most that etcd takes",
        )
