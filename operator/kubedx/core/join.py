"""How a cause and its symptoms find each other. The closed set of joins.

A join is a key function, never a function of pairs: a cause and a symptom belong together where their keys meet. So
5,000 causes and 5,000 symptoms cost 10,000 calls and not 25 million.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubedx.core.finding import Finding, Param, Ref
from kubedx.core.inputs import Reader
from kubedx.core.owners import OWNING_KINDS, owner_chain
from kubedx.kube.images import registry
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
        suffices: Whether the cause, while it lasts, is enough for the symptom, however late it began: pods, claims and
            what stands on them are replaced, and their time begins anew.
        description: How they belong together, in a sentence.
    """

    name: str
    keys: Keys
    kinds: tuple[type[View], ...] = ()
    narrowing: Mapping[str, Param] = field(default_factory=dict)
    is_back: bool = False
    exact: bool = True
    suffices: bool = False
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


def _backends(finding: Finding) -> Iterator[Ref]:
    yield from finding.backends
    subject = finding.subject
    if isinstance(subject, Service):
        yield finding.ref
    elif isinstance(subject, APIService) and subject.spec.service:
        yield Ref("Service", subject.spec.service.namespace, subject.spec.service.name)


def _slices(finding: Finding, read: Reader) -> Iterator[EndpointSlice]:
    for one in _backends(finding):
        lookup = read.lookup(EndpointSlice) if one.kind == "Service" else None
        if lookup is not None:
            yield from lookup.selected_by({"kubernetes.io/service-name": one.name}, one.namespace)


def _node(finding: Finding, read: Reader) -> Iterator[str]:
    yield from finding.nodes
    subject = finding.subject
    if isinstance(subject, Node):
        yield subject.name
    elif isinstance(subject, Pod):
        if subject.spec.node_name:
            yield subject.spec.node_name
    else:
        for slice_ in _slices(finding, read):
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
    yield from (backend.text for backend in _backends(finding))


def _pods(finding: Finding, read: Reader) -> Iterator[str]:
    if isinstance(finding.subject, Pod):
        yield finding.ref.text
        return
    yield from (backend.text for backend in finding.backends if backend.kind == "Pod")
    for slice_ in _slices(finding, read):
        for endpoint in slice_.endpoints:
            if endpoint.target_ref and endpoint.target_ref.kind == "Pod":
                yield Ref("Pod", slice_.namespace, endpoint.target_ref.name).text


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


def _image_registry(finding: Finding, _: Reader) -> Iterator[str]:
    if finding.ref.kind == "ImageRegistry":
        yield finding.ref.name
    elif isinstance(finding.subject, Pod):
        yield from (registry(one.image) for one in finding.subject.containers if one.state.waiting)


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
        if subject.namespace == "kube-system" and subject.metadata.labels.get("tier") == "control-plane":
            yield f"control plane/{subject.metadata.labels.get('component', '')}"
        controller = subject.controller
        if controller and controller.kind == "DaemonSet" and controller.name.startswith(CNI_DAEMON_SETS):
            yield f"network plugin/{subject.spec.node_name}"
    elif isinstance(subject, Node):
        yield f"network plugin/{subject.name}"
    elif finding.ref.kind == "Component":
        yield f"control plane/{finding.ref.name}"
    else:
        yield from _pods(finding, read)


DEVICE_PLUGIN = "device-plugin"
"""What the names of DaemonSets have in common that offer the devices of nodes."""


def _device_plugin(finding: Finding, _: Reader) -> Iterator[str]:
    subject = finding.subject
    if isinstance(subject, Node):
        yield subject.name
    elif isinstance(subject, Pod):
        controller = subject.controller
        if controller and controller.kind == "DaemonSet" and DEVICE_PLUGIN in controller.name:
            yield subject.spec.node_name


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
    suffices=True,
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
    description="The cause is a pod, the symptom a Service that sends traffic to it, or an APIService or a webhook "
    "behind which there is one.",
)

service_behind = Join(
    "service_behind",
    _service,
    suffices=True,
    description="They have the same Service, or the same host, behind them: a Service, an APIService, a webhook, what "
    "a webhook keeps from happening.",
)

claim = Join("claim", _claim, suffices=True, description="One is a claim, the other a pod that uses it.")

storage_class = Join(
    "storage_class",
    _storage_class,
    description="The cause is a StorageClass, the symptom a claim of that class.",
)

image_registry = Join(
    "image_registry",
    _image_registry,
    description="The cause is an image registry, the symptom a pod with a container that waits and whose image comes "
    "from it.",
)

scale_target = Join(
    "scale_target",
    _scale_target,
    OWNING_KINDS,
    suffices=True,
    description="The cause is a pod or workload, the symptom an autoscaler that scales it.",
)

component = Join(
    "component",
    _component,
    (EndpointSlice,),
    description="The cause is a pod of the component behind the symptom: an aggregated API's server, "
    "a node's network plugin, a part of the control plane.",
)

device_plugin = Join(
    "device_plugin",
    _device_plugin,
    description="The cause is the pod of a device plugin, the symptom a node that misses its devices.",
)

cluster = Join(
    "cluster",
    _cluster,
    suffices=True,
    description="One cause for the whole cluster: every symptom of the type belongs to it.",
)
