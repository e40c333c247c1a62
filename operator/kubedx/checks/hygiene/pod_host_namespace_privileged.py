"""PodHostNamespacePrivileged."""

from typing import Annotated

from msgspec import Meta

from kubedx.core.check import Answer, check
from kubedx.core.finding import Finding, Profile, Step, field
from kubedx.core.inputs import Now, Settings, hours
from kubedx.kube.views import Pod


class PodHostNamespacePrivilegedSettings(Settings, frozen=True, rename="camel"):
    """Settings of PodHostNamespacePrivileged."""

    hours: Annotated[int, Meta(ge=1, le=720, description="Hours after which such a pod counts as forgotten.")] = 1


@check(
    title="A pod made by hand has all rights on its node",
    message="Pod {name} has all rights on node {node} ({why}), belongs to no workload and runs since {created}",
    profile=Profile.RISK,
    layer=0,
    steps=(
        Step("See who made it and what it runs.", "kubectl -n {namespace} describe pod {name}"),
        Step("If nobody works in it any more, remove it.", "kubectl -n {namespace} delete pod {name}", danger=True),
        Step(
            "Next time use a shell that ends with the session, and remove its pod.",
            "kubectl debug node/{node} -it --image=busybox --profile=sysadmin",
        ),
    ),
    since="0.1.0",
)
def pod_host_namespace_privileged(pod: Pod, now: Now, settings: PodHostNamespacePrivilegedSettings) -> Answer:
    """A pod that somebody made by hand, with all rights on its node, runs for more than an hour.

    ## Meaning
    The pod sees the processes or the network of its node, and is privileged or has the node's root directory: a shell
    on the node, from `kubectl debug node`, a plugin for node shells, or a manifest that was to be used once.

    ## Impact
    Whoever may `kubectl exec` into it is root on the node, and so can read the secrets of all pods there.

    ## Diagnosis
    `kubectl describe pod` shows when it was made and what it runs.

    ## Mitigation
    Remove it. Keep such pods out with Pod Security `baseline`, and give those who mend nodes a way of their own.

    ## Limitations
    Pods of workloads and static pods are left out: network plugins, storage drivers and agents need such rights, and
    whether one does is not for a rule to say. What the pod's program does is not known.

    ## References
    - https://kubernetes.io/docs/tasks/debug/debug-cluster/kubectl-node-debug/
    - https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    why = None if pod.metadata.owner_references or pod.deleted else _power(pod)
    if why and pod.status.phase == "Running" and now.older(pod.created, hours(settings.hours)):
        yield Finding(
            pod,
            since=pod.created,
            evidence=(field(pod, "spec", why),),
            node=pod.spec.node_name,
            why=why,
            created=pod.created or "an unknown time",
        )


def _power(pod: Pod) -> str | None:
    spec = pod.spec
    shared = [name for name, held in (("hostPID", spec.host_pid), ("hostNetwork", spec.host_network)) if held]
    privileged = any(one.security_context and one.security_context.privileged for one in spec.containers)
    has_root = any(volume.host_path and volume.host_path.path == "/" for volume in spec.volumes)
    if not shared or not (privileged or (has_root and spec.host_pid)):
        return None
    return ", ".join([*shared, *(["privileged"] if privileged else []), *(["hostPath /"] if has_root else [])])
