"""RancherFinalizersRemaining."""

from kubedx.checks._support.finalizers import of_rancher
from kubedx.core import by, join
from kubedx.core.check import Answer, check
from kubedx.core.finding import Evidence, Finding, Severity, Step, field
from kubedx.core.inputs import Lookup, Object, minutes
from kubedx.kube.bits import Bit
from kubedx.kube.meta import View
from kubedx.kube.views import Deployment, Namespace

NAMESPACE = "cattle-system"
AT_WORK = ("rancher", "cattle-cluster-agent")
"""The Deployments of Rancher: in its own cluster, and in those that it manages."""

_CONDITIONS = ("NamespaceFinalizersRemaining", "NamespaceContentRemaining")


@check(
    title="Rancher's finalizers keep a deleted object",
    message="{kind} {name} was deleted at {deleted} and waits for {finalizers}: {why}",
    severity=Severity.WARNING,
    layer=8,
    raise_after=minutes(10),
    clear_after=minutes(0),
    group=by.namespace,
    when=Bit.TERMINATING,
    explains={"NamespaceStuckTerminating": join.same_namespace},
    steps=(
        Step("See whether Rancher is there, and works.", "kubectl -n cattle-system get deployments"),
        Step(
            "List what has finalizers of Rancher in the namespace; here for role bindings, which have them most often.",
            "kubectl -n {within} get rolebindings,roles -o yaml | grep -A 20 cattle.io/",
        ),
        Step(
            "If Rancher was removed for good, let its own clean-up do the rest: it knows all kinds and finalizers. "
            "Read first what it deletes: everything that belongs to Rancher.",
            "kubectl create -f "
            "https://raw.githubusercontent.com/rancher/rancher-cleanup/main/deploy/rancher-cleanup.yaml",
            danger=True,
        ),
        Step(
            "Or drop the finalizers of this one object.",
            "kubectl -n {within} patch {kind} {name} --type=merge "
            """-p '{{"metadata":{{"finalizers":null}}}}'""",
            danger=True,
        ),
    ),
    since="0.1.0",
)
def rancher_finalizers_remaining(subject: Object, deployments: Lookup[Deployment] | None) -> Answer:
    """Somebody deleted an object that Rancher wanted to clean up first, and Rancher has not done so.

    ## Meaning
    Rancher puts finalizers such as `controller.cattle.io/namespace-auth` on namespaces and on what it makes in them.
    Once Rancher is gone, nobody takes them off again.

    ## Impact
    The object stays, and its namespace with it; nothing of the same name can be created anew.

    ## Diagnosis
    The message says whether Rancher, or the agent by which it manages this cluster, is there. A namespace's conditions
    count what is left in it by finalizer.

    ## Mitigation
    If Rancher should be there, bring it back and read its log: it takes its finalizers off. If it is gone for good, use
    its clean-up, which does so for all kinds. Do not delete whole API groups by hand: that deletes what you want to
    keep.

    ## Limitations
    Only kinds that kubedx watches are looked at, and what namespaces say about others in them. Finalizers of Fleet, of
    k3s and of RKE2, which have similar names, are left to ResourceFinalizerStuck.

    ## References
    - `pkg/controller/namespace/deletion/status_condition_utils.go`, 1.16 to 1.36: `Some content in the namespace has
      finalizers remaining: …`
    - https://github.com/rancher/rancher-cleanup
    """
    found, evidence = _found(subject)
    if not subject.deleted or not found:
        return
    yield Finding(
        subject,
        since=subject.deleted,
        evidence=evidence,
        deleted=subject.deleted,
        finalizers=", ".join(found[:5]),
        within=subject.namespace or subject.name,
        why=_why(deployments),
    )


def _found(subject: View) -> tuple[tuple[str, ...], tuple[Evidence, ...]]:
    own = tuple(one for finalizer in subject.metadata.finalizers for one in of_rancher(finalizer))
    if own:
        return own, (field(subject, "metadata.finalizers", ", ".join(own), subject.deleted),)
    if isinstance(subject, Namespace):
        for condition in subject.status.conditions:
            if (
                condition.type in _CONDITIONS
                and condition.status == "True"
                and (found := of_rancher(condition.message))
            ):
                return found, (field(subject, f"status.conditions[{condition.type}]", condition.reason),)
    return (), ()


def _why(deployments: Lookup[Deployment] | None) -> str:
    if deployments is None:
        return "Rancher has not taken them off"
    there = [one for one in (deployments.get(NAMESPACE, name) for name in AT_WORK) if one]
    if not there:
        return "there is no Rancher in this cluster any more, nor its agent, so nobody will take them off"
    if not any(one.status.available_replicas for one in there):
        return f"the Deployment {NAMESPACE}/{there[0].name}, which would take them off, has no available pod"
    return f"the Deployment {NAMESPACE}/{there[0].name} works, but has not taken them off; its log tells why"
