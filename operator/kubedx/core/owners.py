"""Who owns whom: from a pod up to the workload that a person wrote."""

from collections.abc import Iterator

from kubedx.core.finding import Ref, harmless, ref
from kubedx.core.inputs import Reader
from kubedx.kube.meta import View
from kubedx.kube.views import BY_KIND, Job, ReplicaSet

OWNING_KINDS: tuple[type[View], ...] = (ReplicaSet, Job)
"""The kinds between a pod and its top controller that are themselves owned."""


def owner_chain(view: View, read: Reader) -> tuple[Ref, ...]:
    """Walk from an object up its controllers.

    A static pod's Node does not count as its owner: nodes own no workloads. Where a ReplicaSet cannot be read, has not
    been heard of yet or is gone before its pods, the Deployment is known by the hash that its controller puts into
    names and labels alike (`pkg/controller/deployment/sync.go`). So neither a missing right nor the order in which
    objects come changes a diagnosis's name.

    Args:
        view: The object to begin with.
        read: Access to the kinds of `OWNING_KINDS`; where one cannot be read the chain ends with its name.

    Returns:
        The object itself, then its controller, that one's controller and so on.
    """
    known = read.memo.get((owner_chain, id(view)))
    if known is None:
        # The view is kept along, so that its id is nobody else's meanwhile.
        known = read.memo[owner_chain, id(view)] = (view, tuple(_walk(view, read)))
    chain: tuple[Ref, ...] = known[1]
    return chain


def _walk(view: View, read: Reader) -> Iterator[Ref]:
    yield ref(view)
    current: View | None = view
    for _ in range(4):
        owner = current.controller if current else None
        if current is None or owner is None or owner.kind == "Node":
            return
        found = Ref(owner.kind, current.namespace, owner.name)
        yield harmless(found)
        kind = BY_KIND.get(owner.kind)
        lookup = read.lookup(kind) if kind in OWNING_KINDS else None
        known = lookup.get(found.namespace, found.name) if lookup else None
        hashed = current.metadata.labels.get("pod-template-hash")
        if known is None and owner.kind == "ReplicaSet" and hashed and owner.name.endswith(f"-{hashed}"):
            yield Ref("Deployment", current.namespace, owner.name.removesuffix(f"-{hashed}"))
            return
        current = known


def top_owner(view: View, read: Reader) -> Ref:
    """Name the object at the end of the owner chain.

    Args:
        view: The object to begin with.
        read: Access to the kinds of `OWNING_KINDS`.

    Returns:
        The top controller, or the object itself where nothing controls it.
    """
    return owner_chain(view, read)[-1]
