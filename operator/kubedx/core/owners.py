"""Who owns whom: from a pod up to the workload that a person wrote."""

from collections.abc import Iterator

from kubedx.core.finding import Ref, ref
from kubedx.core.inputs import Reader
from kubedx.kube.meta import View
from kubedx.kube.views import BY_KIND, Job, ReplicaSet

OWNING_KINDS: tuple[type[View], ...] = (ReplicaSet, Job)
"""The kinds between a pod and its top controller that are themselves owned."""


def owner_chain(view: View, read: Reader) -> Iterator[Ref]:
    """Walk from an object up its controllers.

    A static pod's Node does not count as its owner: nodes own no workloads.

    Args:
        view: The object to begin with.
        read: Access to the kinds of `OWNING_KINDS`; where one cannot be read the chain ends with its name.

    Yields:
        The object itself, then its controller, that one's controller and so on.
    """
    yield ref(view)
    current: View | None = view
    for _ in range(4):
        owner = current.controller if current else None
        if current is None or owner is None or owner.kind == "Node":
            return
        found = Ref(owner.kind, current.namespace, owner.name)
        yield found
        kind = BY_KIND.get(owner.kind)
        lookup = read.lookup(kind) if kind in OWNING_KINDS else None
        current = lookup.get(found.namespace, found.name) if lookup else None


def top_owner(view: View, read: Reader) -> Ref:
    """Name the object at the end of the owner chain.

    Args:
        view: The object to begin with.
        read: Access to the kinds of `OWNING_KINDS`.

    Returns:
        The top controller, or the object itself where nothing controls it.
    """
    *_, top = owner_chain(view, read)
    return top
