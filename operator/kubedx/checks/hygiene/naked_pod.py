"""NakedPod."""

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import Now, hours
from kubedx.kube.views import Pod


@check(
    title="A pod has no controller that replaces it",
    message="Pod {name} belongs to no workload: if it ends or its node goes, nothing replaces it",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=6,
    group=by.namespace,
    steps=(
        Step("See who made it and what it runs.", "kubectl -n {namespace} describe pod {name}"),
        Step("If it serves: make it a Deployment or a StatefulSet. If it does something once: make it a Job."),
        Step("If nobody needs it any more, remove it.", "kubectl -n {namespace} delete pod {name}", danger=True),
    ),
    since="0.1.0",
)
def naked_pod(pod: Pod, now: Now) -> Answer:
    """A pod that runs for more than an hour was made by hand, and by no Deployment, StatefulSet, DaemonSet or Job.

    ## Meaning
    The pod has no owner. The kubelet restarts its containers, but nobody makes a new pod.

    ## Impact
    None while it runs. When its node is drained, lost or short of something, the pod is gone for good; `kubectl drain`
    refuses to go on because of it, and the cluster autoscaler does not remove its node.

    ## Diagnosis
    `kubectl describe pod` shows no `Controlled By`.

    ## Mitigation
    Put the pod's spec into the template of a Deployment or a Job.

    ## Limitations
    Pods of operators that set no owner count as made by hand. Static pods, whose owner is their node, are left out, and
    so is what has run for less than an hour. Findings stand together by namespace.

    ## References
    - https://kubernetes.io/docs/concepts/configuration/overview/#naked-pods-vs-replicasets-deployments-and-jobs
    """
    is_alone = pod.status.phase == "Running" and not pod.metadata.owner_references and not pod.deleted
    if is_alone and now.older(pod.created, hours(1)):
        yield Finding(pod, since=pod.created, evidence=(field(pod, "metadata.ownerReferences", "none"),))
