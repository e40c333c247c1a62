"""LegacyReplicationController."""

from kubedx.core import by
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Severity, Step, field
from kubedx.core.inputs import hours
from kubedx.kube.views import ReplicationController


@check(
    title="A ReplicationController runs pods",
    message="The ReplicationController {namespace}/{name} keeps {replicas} pods; a change of its template replaces "
    "none",
    profile=Profile.ADVICE,
    severity=Severity.INFO,
    layer=6,
    raise_after=hours(1),
    group=by.namespace,
    steps=(
        Step("Read it.", "kubectl -n {namespace} get replicationcontroller {name} -o yaml"),
        Step("Write a Deployment with the same pod template and labels of its own, and wait until its pods are ready."),
        Step(
            "Then remove the old one with its pods.",
            "kubectl -n {namespace} delete replicationcontroller {name}",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def legacy_replication_controller(controller: ReplicationController) -> Answer:
    """Pods are kept by a ReplicationController, the forerunner of ReplicaSets and Deployments.

    ## Meaning
    A ReplicationController keeps a number of pods and nothing more: it knows no rollout, and no way back. The command
    that once did it from outside, `kubectl rolling-update`, is gone since 1.18.

    ## Impact
    A new image or setting reaches only pods that are made later, so a change seems to do nothing, and shows up on the
    day on which a node is lost.

    ## Diagnosis
    Compare the image in its template with that of its pods.

    ## Mitigation
    Write a Deployment in its place.

    ## Limitations
    Those of OpenShift's DeploymentConfigs, and those with no replicas, are not reported.

    ## References
    - https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/
    """
    if controller.spec.replicas and not controller.controller and not controller.deleted:
        yield Finding(
            controller,
            since=controller.created,
            evidence=(field(controller, "spec.replicas", controller.spec.replicas),),
            replicas=controller.spec.replicas,
        )
