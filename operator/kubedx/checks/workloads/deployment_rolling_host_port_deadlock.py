"""DeploymentRollingHostPortDeadlock."""

from kubedx.checks._support.ports import clashing, host_ports, shown_ports
from kubedx.checks._support.replicas import may_lack
from kubedx.checks._support.scheduling import misfit, unschedulable
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Step, field
from kubedx.core.inputs import Lookup, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Deployment, Pod, ReplicaSet


@check(
    title="A rollout waits for a port that its own old pods have",
    message="The rollout of {namespace}/{name} waits for itself: its new pod {pod} needs the host port {ports}, which "
    "its old pod {old} has, and none of the old pods may end before",
    layer=6,
    raise_after=minutes(1),
    when=Bit.UNSCHEDULED,
    explains={"DeploymentProgressDeadlineExceeded": join.same_owner},
    steps=(
        Step("See the old and the new pods and their nodes.", "kubectl -n {namespace} get pods -o wide"),
        Step(
            "Let the rollout end an old pod before it starts a new one.",
            "kubectl -n {namespace} patch deployment {name} --type=merge "
            """-p '{{"spec":{{"strategy":{{"rollingUpdate":{{"maxUnavailable":1,"maxSurge":0}}}}}}}}'""",
        ),
        Step("For good: do without the hostPort, or use a DaemonSet where each node needs a pod."),
    ),
    since="0.1.0",
)
def deployment_rolling_host_port_deadlock(
    pod: Pod, deployments: Lookup[Deployment], replica_sets: Lookup[ReplicaSet], pods: Lookup[Pod]
) -> Answer:
    """A rolling update wants to start new pods first, but the old ones have the port of the node.

    ## Meaning
    Each node can give its port to one pod. The Deployment's strategy allows no old pod to end before a new one is ready
    (`maxUnavailable` is 0, or a quarter of fewer than four replicas), and the new one finds no node without an old one.

    ## Impact
    The rollout never ends. The old pods go on.

    ## Diagnosis
    The new pod's condition says `didn't have free ports for the requested pod ports`.

    ## Mitigation
    Set `maxUnavailable: 1` and `maxSurge: 0`, or the strategy `Recreate`. Better, do without `hostPort`.

    ## Limitations
    It is told when a rollout is stuck, not before. One that may lack a pod goes on by itself and is not reported.

    ## References
    - A rule over the Deployment's strategy and the pods' ports; the numbers as `ResolveFenceposts` of
      `pkg/controller/deployment/util/deployment_util.go` reckons them, 1.8 to 1.36.
    - https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy
    """
    scheduled, owner = unschedulable(pod), pod.controller
    if scheduled is None or owner is None or owner.kind != "ReplicaSet" or not host_ports(pod):
        return
    if not misfit(scheduled.message).of("host port"):
        return
    own = replica_sets.get(pod.namespace, owner.name)
    above = own.controller if own else None
    deployment = deployments.get(pod.namespace, above.name) if above and above.kind == "Deployment" else None
    if own is None or deployment is None or deployment.deleted or may_lack(deployment):
        return
    old = _old_pod_with_the_port(pod, own, deployment, replica_sets, pods)
    if old:
        yield Finding(
            deployment,
            since=scheduled.last_transition_time,
            evidence=(
                field(pod, "status.conditions[PodScheduled]", scheduled.message, scheduled.last_transition_time),
                field(old, "spec.containers[].ports[].hostPort", shown_ports(old)),
            ),
            pod=pod.name,
            ports=shown_ports(pod),
            old=old.name,
        )


def _old_pod_with_the_port(
    pod: Pod, own: ReplicaSet, deployment: Deployment, replica_sets: Lookup[ReplicaSet], pods: Lookup[Pod]
) -> Pod | None:
    for other in replica_sets.owned_by(deployment):
        if other.name != own.name and other.status.replicas:
            for old in pods.owned_by(other):
                if old.spec.node_name and clashing(pod, old):
                    return old
    return None
