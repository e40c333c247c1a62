"""How a cause and its symptoms find each other. The closed set of joins.

A join is a key function, never a function of pairs: a cause and a symptom belong together where their keys meet. So
5,000 causes and 5,000 symptoms cost 10,000 calls and not 25 million.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubedx.core.finding import Finding, Param, Ref
from kubedx.core.inputs import Reader
from kubedx.core.owners import OWNING_KINDS, owner_chain
from kubedx.kube.meta import View
from kubedx.kube.views import (
    APIService,
    EndpointSlice,
    HorizontalPodAutoscaler,
    Node,
    PersistentVolumeClaim,
    Pod,
    Service,
)

Keys = Callable[[Finding, Reader], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Join:
    """One way in which a cause and a symptom belong together.

    Attributes:
        name: What the join is called; two joins of one name have the same keys.
        keys: The keys of a finding, whether cause or symptom.
        kinds: The kinds that the key function reads.
        narrowing: Params that a symptom must carry for the join to hold.
        is_back: Whether the cause stands in a higher layer than the symptom, as a workload whose component it is does.
        exact: Whether meeting keys prove the relation, or only make it likely.
        description: How they belong together, in a sentence.
    """

    name: str
    keys: Keys
    kinds: tuple[type[View], ...] = ()
    narrowing: Mapping[str, Param] = field(default_factory=dict)
    is_back: bool = False
    exact: bool = True
    description: str = ""

    def where(self, **params: Param) -> "Join":
        """Narrow the join to symptoms whose findings carry these params."""
        return replace(self, narrowing=params)


def back(join: Join) -> Join:
    """Turn a join into one for a cause in a higher layer; it holds only if the cause began 30 s before the symptom."""
    return replace(join, is_back=True)


def _itself(finding: Finding, _: Reader) -> Iterator[str]:
    yield finding.ref.text


def _cluster(_: Finding, __: Reader) -> Iterator[str]:
    yield "*"


def _namespace(finding: Finding, _: Reader) -> Iterator[str]:
    found = finding.ref
    if found.kind == "Namespace":
        yield found.name
    elif found.namespace:
        yield found.namespace


def _slices(service: Ref, read: Reader) -> tuple[EndpointSlice, ...]:
    lookup = read.lookup(EndpointSlice)
    if lookup is None:
        return ()
    return lookup.selected_by({"kubernetes.io/service-name": service.name}, service.namespace)


def _service_of(finding: Finding) -> Ref | None:
    subject = finding.subject
    if isinstance(subject, Service):
        return finding.ref
    if isinstance(subject, APIService) and subject.spec.service:
        return Ref("Service", subject.spec.service.namespace, subject.spec.service.name)
    return None


def _node(finding: Finding, read: Reader) -> Iterator[str]:
    yield from finding.nodes
    subject = finding.subject
    if isinstance(subject, Node):
        yield subject.name
    elif isinstance(subject, Pod):
        if subject.spec.node_name:
            yield subject.spec.node_name
    elif (service := _service_of(finding)) is not None:
        for slice_ in _slices(service, read):
            yield from (endpoint.node_name for endpoint in slice_.endpoints if endpoint.node_name)


def _zone(finding: Finding, read: Reader) -> Iterator[str]:
    if finding.ref.kind == "Zone":
        yield finding.ref.name
        return
    nodes = read.lookup(Node)
    for name in _node(finding, read):
        node = nodes.get("", name) if nodes else None
        if node is not None:
            yield node.zone


def _owners(finding: Finding, read: Reader) -> Iterator[str]:
    if isinstance(finding.subject, Ref):
        yield finding.ref.text
    else:
        yield from (owner.text for owner in owner_chain(finding.subject, read))


def _scale_target(finding: Finding, read: Reader) -> Iterator[str]:
    subject = finding.subject
    if isinstance(subject, HorizontalPodAutoscaler):
        target = subject.spec.scale_target_ref
        yield Ref(target.kind, subject.namespace, target.name).text
    else:
        yield from _owners(finding, read)


def _service(finding: Finding, _: Reader) -> Iterator[str]:
    service = _service_of(finding)
    if service is not None:
        yield service.text


def _pods(finding: Finding, read: Reader) -> Iterator[str]:
    service = _service_of(finding)
    if isinstance(finding.subject, Pod):
        yield finding.ref.text
    elif service is not None:
        for slice_ in _slices(service, read):
            for endpoint in slice_.endpoints:
                if endpoint.target_ref and endpoint.target_ref.kind == "Pod":
                    yield Ref("Pod", service.namespace, endpoint.target_ref.name).text


def _claim(finding: Finding, _: Reader) -> Iterator[str]:
    subject = finding.subject
    if isinstance(subject, PersistentVolumeClaim):
        yield f"{subject.namespace}/{subject.name}"
    elif isinstance(subject, Pod):
        yield from (f"{subject.namespace}/{claim}" for claim in subject.claims)


DEFAULT_CLASS = "(default)"
"""What stands for the name of the class that claims get which name none; not a name that a class can have."""


def _storage_class(finding: Finding, _: Reader) -> Iterator[str]:
    if finding.ref.kind == "StorageClass":
        yield finding.ref.name
    elif isinstance(finding.subject, PersistentVolumeClaim):
        wanted = finding.subject.spec.storage_class_name
        if wanted is None:
            yield DEFAULT_CLASS
        elif wanted:
            yield wanted


CNI_DAEMON_SETS = (
    "antrea-agent",
    "aws-node",
    "azure-cni",
    "calico-node",
    "canal",
    "cilium",
    "kindnet",
    "kube-flannel",
    "kube-router",
    "ovnkube-node",
    "terway",
    "weave-net",
)
"""What the DaemonSets of the known network plugins are called."""


def _component(finding: Finding, read: Reader) -> Iterator[str]:
    subject = finding.subject
    if isinstance(subject, Pod):
        yield finding.ref.text
        controller = subject.controller
        if controller and controller.kind == "DaemonSet" and controller.name.startswith(CNI_DAEMON_SETS):
            yield f"network plugin/{subject.spec.node_name}"
    elif isinstance(subject, Node):
        yield f"network plugin/{subject.name}"
    else:
        yield from _pods(finding, read)


itself = Join("itself", _itself, description="Cause and symptom are about the same object.")

same_node = Join(
    "same_node",
    _node,
    (EndpointSlice,),
    description="They share a node: the node itself, a pod's node, the nodes behind a Service, "
    "the nodes that a finding names.",
)

zone = Join(
    "zone",
    _zone,
    (Node, EndpointSlice),
    description="They share a zone: the zone itself, a node's zone, the zone of a pod's node.",
)

same_owner = Join(
    "same_owner",
    _owners,
    OWNING_KINDS,
    description="One is above the other, or both are below the same workload: a pod, its ReplicaSet, its Deployment.",
)

same_namespace = Join(
    "same_namespace",
    _namespace,
    exact=False,
    description="They share a namespace: the namespace itself or an object in it.",
)

selected_pods = Join(
    "selected_pods",
    _pods,
    (EndpointSlice,),
    description="The cause is a pod, the symptom a Service (or an APIService behind one) that sends traffic to it.",
)

service_behind = Join(
    "service_behind",
    _service,
    description="The cause is a Service, the symptom an APIService that it serves.",
)

claim = Join("claim", _claim, description="One is a claim, the other a pod that uses it.")

storage_class = Join(
    "storage_class",
    _storage_class,
    description="The cause is a StorageClass, the symptom a claim of that class.",
)

scale_target = Join(
    "scale_target",
    _scale_target,
    OWNING_KINDS,
    description="The cause is a pod or workload, the symptom an autoscaler that scales it.",
)

component = Join(
    "component",
    _component,
    (EndpointSlice,),
    description="The cause is a pod of the component behind the symptom: an aggregated API's server, "
    "a node's network plugin.",
)

cluster = Join(
    "cluster",
    _cluster,
    description="One cause for the whole cluster: every symptom of the type belongs to it.",
)
