"""How findings of one check are put together into groups. The closed set of groupings."""

from collections.abc import Callable
from dataclasses import dataclass

from kubedx.core.finding import Finding, Ref, harmless
from kubedx.core.inputs import Reader
from kubedx.core.owners import OWNING_KINDS, top_owner
from kubedx.kube.meta import View
from kubedx.kube.views import Pod


@dataclass(frozen=True, slots=True)
class Grouping:
    """A way of naming the group that a finding belongs to.

    Attributes:
        name: What the grouping is called.
        key: Gives the name of the group.
        kinds: The kinds that the key function reads.
        description: What stands together, in a sentence.
    """

    name: str
    key: Callable[[Finding, Reader], Ref]
    kinds: tuple[type[View], ...] = ()
    description: str = ""


def _owner(finding: Finding, read: Reader) -> Ref:
    return finding.ref if isinstance(finding.subject, Ref) else top_owner(finding.subject, read)


def _node(finding: Finding, _: Reader) -> Ref:
    node = finding.subject.spec.node_name if isinstance(finding.subject, Pod) else ""
    return harmless(Ref("Node", "", node)) if node else finding.ref


def _namespace(finding: Finding, _: Reader) -> Ref:
    return Ref("Namespace", "", finding.ref.namespace) if finding.ref.namespace else finding.ref


itself = Grouping("itself", lambda finding, _: finding.ref, description="Each subject stands for itself.")

owner = Grouping(
    "owner",
    _owner,
    OWNING_KINDS,
    description="Pods stand together under their top controller: 500 pods of a Deployment are one group.",
)

node = Grouping("node", _node, description="Pods stand together under the node that they are bound to.")

namespace = Grouping("namespace", _namespace, description="Namespaced subjects stand together under their namespace.")

cluster = Grouping("cluster", lambda _, __: Ref("Cluster"), description="All subjects are one group.")
