"""CloudControllerManagerDown."""

from kubedx.checks._support.components import cloud_controller_label, is_ready, last_turned, state_of
from kubedx.checks._support.services import living
from kubedx.core import join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Ref, Severity, Step, field, ref
from kubedx.core.inputs import Lookup, Now, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.views import Pod


@check(
    title="The cloud controller manager is down",
    message="No pod of {name} is ready ({count} of them); {pod}: {why}",
    severity=Severity.CRITICAL,
    layer=1,
    raise_after=minutes(1),
    when=Bit.NOT_READY,
    explains={
        "LoadBalancerPending": join.cluster,
        "LoadBalancerSyncFailed": join.cluster,
        "NodeNetworkUnavailable": join.cluster.where(reason="NoRouteCreated"),
        "NodeRouteCreationFailed": join.cluster,
        "NodeUninitialized": join.cluster,
        "PodNotReady": join.component,
        "ResourceFinalizerStuck": join.cluster.where(keeper="cloud"),
    },
    steps=(
        Step("Read why its pod is not ready.", "kubectl -n kube-system describe pod {pod}"),
        Step("Read what it wrote before it ended.", "kubectl -n kube-system logs {pod} --previous --tail=100"),
        Step("See who leads, and since when.", "kubectl -n kube-system get leases | grep -i cloud"),
    ),
    since="0.1.0",
)
def cloud_controller_manager_down(pod: Pod, pods: Lookup[Pod], now: Now) -> Answer:
    """All pods of the cloud controller manager have not been ready for a minute.

    ## Meaning
    The cloud controller manager tells the cluster about the cloud and the cloud about the cluster: it initialises new
    nodes, makes load balancers and routes, and removes nodes whose machine is gone. None of its pods is ready.

    ## Impact
    What runs goes on. New nodes keep the taint `node.cloudprovider.kubernetes.io/uninitialized` and take no pods, new
    load balancers get no address, deleted ones stay, nodes get no routes.

    ## Diagnosis
    Read the log of its pod. Expired credentials of the cloud are the most frequent reason.

    ## Mitigation
    Mend its credentials, its configuration or its image. If it hangs, delete the pod that leads: another takes over.

    ## Limitations
    It is known by labels in kube-system whose value ends in `cloud-controller-manager`. One that runs outside the
    cluster, as in managed clusters, or within another process is not seen, and neither is one that runs and hangs.

    ## References
    - `staging/src/k8s.io/cloud-provider`; labels as in the manifests of the providers of AWS, Azure, OpenStack,
      vSphere, Hetzner, DigitalOcean and Alibaba.
    - https://kubernetes.io/docs/concepts/architecture/cloud-controller/
    """
    label = None if pod.deleted or pod.finished else cloud_controller_label(pod)
    if label is None or not now.older(pod.created, minutes(2)):
        return
    all_of_it = living(pods.selected_by(dict([label]), pod.namespace))
    if any(map(is_ready, all_of_it)):
        return
    since = last_turned(all_of_it)
    yield Finding(
        Ref("CloudControllerManager", "", label[1]),
        since=since,
        backends=(ref(pod),),
        nodes=tuple(filter(None, (pod.spec.node_name,))),
        evidence=(field(pod, "status.conditions[Ready]", "False", since),),
        count=len(all_of_it),
        pod=pod.name,
        why=state_of(pod),
    )
