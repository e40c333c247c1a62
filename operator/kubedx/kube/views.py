"""The views of all kinds that checks ask for, by API group.

Paths, field names and defaults: `staging/src/k8s.io/api` of Kubernetes 1.30 to 1.36.
"""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from kubedx.kube.meta import EMPTY, NO_PAIRS, Condition, Resource, Struct, View, find
from kubedx.kube.selectors import LabelSelector, Requirement
from kubedx.kube.slots import (
    Count,
    Few,
    ImageSizes,
    Labels,
    Message,
    NodeName,
    Quantities,
    ServiceNames,
    Single,
    Time,
    URLPath,
)
from kubedx.kube.text import Text

ZONE_LABELS = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")


# --- core/v1: nodes ---------------------------------------------------------------------------------------------------


class Taint(Struct, frozen=True):
    """A core/v1 Taint."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: Time | None = None


class NodeSpec(Struct, frozen=True):
    """The part of a Node's spec that checks read."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()


class NodeSwap(Struct, frozen=True):
    """A machine's swap, in bytes; reported since 1.33."""

    capacity: int = 0


class NodeInfo(Struct, frozen=True):
    """The part of what a kubelet tells about its machine that checks read."""

    kernel_version: Text = EMPTY
    swap: NodeSwap | None = None


class NodeStatus(Struct, frozen=True):
    """The part of a Node's status that checks read. Heartbeats are left out: they change nothing that is said.

    Of its images, of which the kubelet names the fifty largest, only the size of all is kept, in gibibytes.
    """

    conditions: tuple[Condition, ...] = ()
    capacity: Quantities = NO_PAIRS
    allocatable: Quantities = NO_PAIRS
    node_info: NodeInfo = NodeInfo()
    images: ImageSizes = 0


class Node(View, frozen=True):
    """A machine of the cluster."""

    resource: ClassVar[Resource] = Resource("", "v1", "nodes", "Node", namespaced=False)

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return find(self.status.conditions, kind)

    def taint(self, key: str) -> Taint | None:
        """The first taint with that key, or None."""
        return next((taint for taint in self.spec.taints if taint.key == key), None)

    @property
    def zone(self) -> str:
        """The zone that the node's labels name, empty where there is none."""
        labels = self.metadata.labels
        return next((labels[label] for label in ZONE_LABELS if labels.get(label)), "")


# --- core/v1: pods ----------------------------------------------------------------------------------------------------


class Toleration(Struct, frozen=True):
    """A core/v1 Toleration."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Whether the taint is tolerated (`k8s.io/component-helpers/scheduling/corev1/helpers.go`)."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or (bool(self.key) and self.value == taint.value)


class ClaimSource(Struct, frozen=True):
    """A volume's reference to a claim."""

    claim_name: Single = ""


class EphemeralSource(Struct, frozen=True):
    """A generic ephemeral volume; its claim is called ``<pod>-<volume>``."""


class FlexSource(Struct, frozen=True):
    """A volume of a FlexVolume driver."""

    driver: str = ""


class HostPathSource(Struct, frozen=True):
    """A volume that is a file or a directory of the node."""

    path: str = ""


class EmptyDirSource(Struct, frozen=True):
    """A volume that lives as long as its pod; in memory where the medium says so."""

    medium: str = ""
    size_limit: str | int | float = ""


class Volume(Struct, frozen=True):
    """A pod's volume, as far as it refers to a claim or a FlexVolume driver, or takes something from the node."""

    name: str = ""
    persistent_volume_claim: ClaimSource | None = None
    ephemeral: EphemeralSource | None = None
    flex_volume: FlexSource | None = None
    host_path: HostPathSource | None = None
    empty_dir: EmptyDirSource | None = None


class Amounts(Struct, frozen=True):
    """Amounts of resources, as quantities in text form."""

    cpu: str | int | float = ""
    memory: str | int | float = ""
    ephemeral_storage: str | int | float = msgspec.field(default="", name="ephemeral-storage")


class Resources(Struct, frozen=True):
    """The resources that a container asks for and may use."""

    requests: Amounts = Amounts()
    limits: Amounts = Amounts()


class SecurityContext(Struct, frozen=True):
    """What a container may do to its node."""

    privileged: bool = False


class HTTPGet(Struct, frozen=True):
    """An HTTP request that a probe sends; the port is a number or the name of one of the container's ports."""

    port: int | str = 0
    path: URLPath = EMPTY
    scheme: str = "HTTP"


class TCPSocket(Struct, frozen=True):
    """A connection that a probe opens."""

    port: int | str = 0


class GRPCAction(Struct, frozen=True):
    """A health question that a probe asks by gRPC."""

    port: int = 0


class ExecAction(Struct, frozen=True):
    """A command that a probe runs in the container; which one is not read, as keys may stand in it."""


class Probe(Struct, frozen=True):
    """How the kubelet asks a container whether it is well. The times are in seconds."""

    http_get: HTTPGet | None = None
    tcp_socket: TCPSocket | None = None
    grpc: GRPCAction | None = None
    exec: ExecAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    failure_threshold: int = 3

    @property
    def port(self) -> int | str | None:
        """The port that is asked, None for a command."""
        action = self.http_get or self.tcp_socket or self.grpc
        return action.port if action else None


class ContainerPort(Struct, frozen=True):
    """A port that a container declares, which needs none to be reached by number; and the node's that it takes.

    The API server fills in the node's for the host network.
    """

    name: str = ""
    container_port: int = 0
    host_port: int = 0
    host_ip: str = msgspec.field(default="", name="hostIP")
    protocol: str = "TCP"


class Container(Struct, frozen=True):
    """The part of a container that checks read."""

    name: str = ""
    ports: tuple[ContainerPort, ...] = ()
    restart_policy: str = ""
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    resources: Resources = Resources()
    security_context: SecurityContext | None = None


class LocalReference(Struct, frozen=True):
    """The name of an object in the same namespace."""

    name: str = ""


class NodeSelectorTerm(Struct, frozen=True):
    """Requirements on a node's labels and name, all of which must be met; one without any selects nothing."""

    match_expressions: tuple[Requirement, ...] = ()
    match_fields: tuple[Requirement, ...] = ()

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether a node of that name and with these labels is selected."""
        if not self.match_expressions and not self.match_fields:
            return False
        return all(one.matches(labels) for one in self.match_expressions) and all(
            one.matches({"metadata.name": name}) for one in self.match_fields
        )


class NodeSelector(Struct, frozen=True):
    """Terms of which one must select the node."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class NodeAffinity(Struct, frozen=True):
    """The part of a pod's node affinity that is a demand and no wish."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None


class Affinity(Struct, frozen=True):
    """The part of a pod's affinity that checks read."""

    node_affinity: NodeAffinity | None = None


class Unresolved(Struct, frozen=True):
    """A reference such as ``$(HOST)`` in a container's command, arguments or environment to what nothing sets."""

    container: str = ""
    where: str = ""
    variable: str = ""


class PodSpec(Struct, frozen=True):
    """The part of a Pod's spec that checks read."""

    node_name: NodeName = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_policy: str = "Always"
    tolerations: tuple[Toleration, ...] = ()
    node_selector: Labels = NO_PAIRS
    affinity: Affinity | None = None
    scheduler_name: str = "default-scheduler"
    overhead: Amounts = Amounts()
    image_pull_secrets: tuple[LocalReference, ...] = ()
    host_network: bool = False
    host_pid: bool = msgspec.field(default=False, name="hostPID")
    priority_class_name: str = ""
    unresolved: tuple[Unresolved, ...] = msgspec.field(default=(), name="(unresolved)")
    """Found by the decoder: no field of an object has this name."""

    def wants(self, node: str, labels: Mapping[str, str]) -> bool:
        """Whether node selector and required node affinity allow the node.

        From `k8s.io/component-helpers/scheduling/corev1/nodeaffinity`; the operators Gt and Lt match nothing here.
        """
        if not labels.items() >= self.node_selector.items():
            return False
        affinity = self.affinity and self.affinity.node_affinity
        required = affinity and affinity.required_during_scheduling_ignored_during_execution
        return not required or any(term.matches(node, labels) for term in required.node_selector_terms)


class Waiting(Struct, frozen=True):
    """Why a container waits."""

    reason: Text = EMPTY
    message: Message = EMPTY


class Running(Struct, frozen=True):
    """Since when a container runs."""

    started_at: Time | None = None


class Terminated(Struct, frozen=True):
    """How a container ended; the message is what it left behind, if it left anything."""

    reason: Text = EMPTY
    message: Message = EMPTY
    exit_code: int = 0
    started_at: Time | None = None
    finished_at: Time | None = None


class ContainerState(Struct, frozen=True):
    """The state of a container: one of the three is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Struct, frozen=True):
    """What the kubelet says about a container.

    Restarts are counted in steps: of 7 it says 5, see `kubedx.kube.slots.STEPS`. Who asks for less than a step's
    difference would have each restart make another form of the pod.
    """

    name: str = ""
    image: Text = EMPTY
    ready: bool = False
    started: bool | None = None
    restart_count: Few = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Struct, frozen=True):
    """The part of a Pod's status that checks read."""

    phase: str = ""
    reason: Text = EMPTY
    message: Message = EMPTY
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    start_time: Time | None = None


class Pod(View, frozen=True):
    """A group of containers on one node."""

    resource: ClassVar[Resource] = Resource("", "v1", "pods", "Pod")

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return find(self.status.conditions, kind)

    @property
    def containers(self) -> tuple[ContainerStatus, ...]:
        """The statuses of the init containers, then of the containers."""
        return (*self.status.init_container_statuses, *self.status.container_statuses)

    @property
    def claims(self) -> tuple[str, ...]:
        """The names of the claims that the pod's volumes use, those of generic ephemeral volumes included."""
        return tuple(
            volume.persistent_volume_claim.claim_name
            if volume.persistent_volume_claim
            else f"{self.name}-{volume.name}"
            for volume in self.spec.volumes
            if volume.persistent_volume_claim or volume.ephemeral is not None
        )

    @property
    def finished(self) -> bool:
        """Whether all containers ended for good."""
        return self.status.phase in {"Succeeded", "Failed"}


# --- core/v1: the rest ------------------------------------------------------------------------------------------------


class ObjectReference(Struct, frozen=True):
    """What an Event is about."""

    kind: str = ""
    name: Single = ""
    uid: Single = ""
    field_path: str = ""


class EventSeries(Struct, frozen=True):
    """The repetition of an Event written through events.k8s.io."""

    count: Count = 0
    last_observed_time: Time | None = None


class EventSource(Struct, frozen=True):
    """Who wrote an Event, in its older form."""

    component: Text = EMPTY
    host: NodeName = ""


class Event(View, frozen=True):
    """What a component reported about an object. Read from core/v1, which serves both forms."""

    resource: ClassVar[Resource] = Resource("", "v1", "events", "Event")

    involved_object: ObjectReference = ObjectReference()
    reason: Text = EMPTY
    message: Message = EMPTY
    count: Count = 0
    first_timestamp: Time | None = None
    last_timestamp: Time | None = None
    event_time: Time | None = None
    series: EventSeries | None = None
    source: EventSource = EventSource()
    reporting_component: Text = EMPTY


class NamespaceSpec(Struct, frozen=True):
    """A namespace's own finalizers."""

    finalizers: tuple[str, ...] = ()


class NamespaceStatus(Struct, frozen=True):
    """A namespace's phase and what its deletion waits for."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()


class Namespace(View, frozen=True):
    """A namespace."""

    resource: ClassVar[Resource] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)

    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class ClaimResources(Struct, frozen=True):
    """How much storage a claim asks for, as quantities in text form."""

    requests: Quantities = NO_PAIRS


class ClaimSpec(Struct, frozen=True):
    """The part of a claim's spec that checks read. A class name of "" means: no class, a null one: the default."""

    storage_class_name: str | None = None
    volume_name: Single = ""
    access_modes: tuple[str, ...] = ()
    volume_mode: str = "Filesystem"
    resources: ClaimResources = ClaimResources()
    selector: LabelSelector | None = None


class ClaimStatus(Struct, frozen=True):
    """A claim's phase, how much it has, and how far it has got in growing."""

    phase: str = ""
    capacity: Quantities = NO_PAIRS
    conditions: tuple[Condition, ...] = ()
    allocated_resource_statuses: Labels = NO_PAIRS


class PersistentVolumeClaim(View, frozen=True):
    """A request for storage."""

    resource: ClassVar[Resource] = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")

    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class VolumeNodeAffinity(Struct, frozen=True):
    """From which nodes a volume can be used."""

    required: NodeSelector | None = None


class ClaimReference(Struct, frozen=True):
    """The claim that a volume belongs to or is kept for."""

    namespace: str = ""
    name: Single = ""


class VolumeSpec(Struct, frozen=True):
    """The part of a volume's spec that checks read."""

    storage_class_name: str = ""
    access_modes: tuple[str, ...] = ()
    volume_mode: str = "Filesystem"
    capacity: Quantities = NO_PAIRS
    claim_ref: ClaimReference | None = None
    node_affinity: VolumeNodeAffinity | None = None
    flex_volume: FlexSource | None = None


class VolumeStatus(Struct, frozen=True):
    """A volume's phase."""

    phase: str = ""


class PersistentVolume(View, frozen=True):
    """A piece of storage."""

    resource: ClassVar[Resource] = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)

    spec: VolumeSpec = VolumeSpec()
    status: VolumeStatus = VolumeStatus()


class ServicePort(Struct, frozen=True):
    """A port of a Service; the target is a number or the name of a container's port, and else the port itself."""

    name: str = ""
    protocol: str = "TCP"
    port: int = 0
    target_port: int | str = 0


class ServiceSpec(Struct, frozen=True):
    """The part of a Service's spec that checks read."""

    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    load_balancer_class: str = ""
    load_balancer_ip: str = msgspec.field(default="", name="loadBalancerIP")
    ports: tuple[ServicePort, ...] = ()
    selector: Labels = NO_PAIRS


class BalancerAddress(Struct, frozen=True):
    """An address of a load balancer; it has an IP or a host name."""

    ip: str = ""
    hostname: str = ""


class BalancerStatus(Struct, frozen=True):
    """The addresses of a load balancer, none until there is one."""

    ingress: tuple[BalancerAddress, ...] = ()


class ServiceStatus(Struct, frozen=True):
    """What controllers of load balancers say about a Service."""

    load_balancer: BalancerStatus = BalancerStatus()
    conditions: tuple[Condition, ...] = ()


class Service(View, frozen=True):
    """A name for a set of pods."""

    resource: ClassVar[Resource] = Resource("", "v1", "services", "Service")

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return find(self.status.conditions, kind)

    @property
    def is_headless(self) -> bool:
        """Whether its name stands for the addresses of its pods and for none of its own."""
        return self.spec.cluster_ip == "None"


class QuotaStatus(Struct, frozen=True):
    """What a quota allows, as quantities in text form."""

    hard: Quantities = NO_PAIRS


class ResourceQuota(View, frozen=True):
    """A limit on what a namespace may use."""

    resource: ClassVar[Resource] = Resource("", "v1", "resourcequotas", "ResourceQuota")

    status: QuotaStatus = QuotaStatus()


# --- networking.k8s.io/v1 ---------------------------------------------------------------------------------------------


class BackendPort(Struct, frozen=True):
    """A port of a Service, by its name or its number."""

    name: str = ""
    number: int = 0


class BackendService(Struct, frozen=True):
    """The Service that an Ingress sends to, in its own namespace."""

    name: str = ""
    port: BackendPort = BackendPort()


class Backend(Struct, frozen=True):
    """What an Ingress sends to: a Service, or something else that is not read."""

    service: BackendService | None = None


class HTTPPath(Struct, frozen=True):
    """A path of a host, and what answers there."""

    backend: Backend = Backend()


class HTTPPaths(Struct, frozen=True):
    """The paths of a host."""

    paths: tuple[HTTPPath, ...] = ()


class IngressRule(Struct, frozen=True):
    """A host."""

    http: HTTPPaths | None = None


class IngressSpec(Struct, frozen=True):
    """The part of an Ingress's spec that checks read."""

    default_backend: Backend | None = None
    rules: tuple[IngressRule, ...] = ()


class Ingress(View, frozen=True):
    """A way from outside to Services, by host and path."""

    resource: ClassVar[Resource] = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")

    spec: IngressSpec = IngressSpec()

    @property
    def backends(self) -> tuple[BackendService, ...]:
        """The Services that it sends to, each with its port once."""
        paths = [path.backend for rule in self.spec.rules if rule.http for path in rule.http.paths]
        found = (one.service for one in (self.spec.default_backend, *paths) if one and one.service)
        return tuple(dict.fromkeys(found))


# --- discovery.k8s.io/v1 ----------------------------------------------------------------------------------------------


class EndpointConditions(Struct, frozen=True):
    """An endpoint's state; `ready` is true or unknown where it is null."""

    ready: bool | None = None


class Target(Struct, frozen=True):
    """What an endpoint is an address of, in the namespace of its slice."""

    kind: str = ""
    name: Single = ""


class Endpoint(Struct, frozen=True):
    """One address behind a Service."""

    conditions: EndpointConditions = EndpointConditions()
    target_ref: Target | None = None
    node_name: NodeName = ""


class EndpointPort(Struct, frozen=True):
    """A port of an EndpointSlice: that there is one tells enough."""


class EndpointSlice(View, frozen=True):
    """Some of the addresses behind a Service."""

    resource: ClassVar[Resource] = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")

    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def service(self) -> str:
        """The name of the Service that the slice belongs to."""
        return self.metadata.labels.get("kubernetes.io/service-name", "")


# --- apps/v1 and batch/v1 ---------------------------------------------------------------------------------------------


class TemplateMeta(Struct, frozen=True):
    """The labels that a workload gives to its pods."""

    labels: Labels = NO_PAIRS


class TemplateContainer(Struct, frozen=True):
    """A container of a pod template, and the Services that its environment names."""

    name: str = ""
    env: ServiceNames = ()


class TemplateSpec(Struct, frozen=True):
    """What a workload makes its pods of."""

    containers: tuple[TemplateContainer, ...] = ()


class PodTemplate(Struct, frozen=True):
    """The part of a workload's pod template that checks read."""

    metadata: TemplateMeta = TemplateMeta()
    spec: TemplateSpec = TemplateSpec()


class WorkloadSpec(Struct, frozen=True):
    """What a workload asks for."""

    replicas: int = 1


class WorkloadStatus(Struct, frozen=True):
    """What a workload has."""

    replicas: int = 0
    available_replicas: int = 0
    updated_replicas: int = 0
    conditions: tuple[Condition, ...] = ()


class Workload(View, frozen=True):
    """What Deployment, ReplicaSet and StatefulSet have in common."""

    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return find(self.status.conditions, kind)


class RollingUpdate(Struct, frozen=True):
    """How many pods a rollout may lack and have too many, as numbers or percentages; null for a quarter."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class Strategy(Struct, frozen=True):
    """How a Deployment replaces its pods."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(WorkloadSpec, frozen=True):
    """The part of a Deployment's spec that checks read."""

    strategy: Strategy = Strategy()
    template: PodTemplate = PodTemplate()


class Deployment(Workload, frozen=True):
    """A rollout of pods through ReplicaSets."""

    resource: ClassVar[Resource] = Resource("apps", "v1", "deployments", "Deployment")

    spec: DeploymentSpec = DeploymentSpec()


class ReplicaSet(Workload, frozen=True):
    """A number of equal pods."""

    resource: ClassVar[Resource] = Resource("apps", "v1", "replicasets", "ReplicaSet")


class Ordinals(Struct, frozen=True):
    """The number that a StatefulSet's first pod has."""

    start: int = 0


class OrderedUpdate(Struct, frozen=True):
    """Which of its pods a StatefulSet replaces: those whose number is not below the partition."""

    partition: int = 0


class UpdateStrategy(Struct, frozen=True):
    """Whether a StatefulSet replaces its pods by itself, and which."""

    type: str = "RollingUpdate"
    rolling_update: OrderedUpdate = OrderedUpdate()


class StatefulSetSpec(WorkloadSpec, frozen=True):
    """What a StatefulSet asks for."""

    ordinals: Ordinals = Ordinals()
    template: PodTemplate = PodTemplate()
    update_strategy: UpdateStrategy = UpdateStrategy()


class StatefulSetStatus(WorkloadStatus, frozen=True):
    """What a StatefulSet has."""

    update_revision: Single = ""


class StatefulSet(Workload, frozen=True):
    """A number of pods with names and storage of their own."""

    resource: ClassVar[Resource] = Resource("apps", "v1", "statefulsets", "StatefulSet")

    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class ReplicationController(View, frozen=True):
    """A number of equal pods, from before there were ReplicaSets."""

    resource: ClassVar[Resource] = Resource("", "v1", "replicationcontrollers", "ReplicationController")

    spec: WorkloadSpec = WorkloadSpec()


class DaemonSetSpec(Struct, frozen=True):
    """What a DaemonSet asks for."""

    template: PodTemplate = PodTemplate()


class DaemonSetStatus(Struct, frozen=True):
    """How many nodes a DaemonSet should run on and does."""

    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    number_available: int = 0


class DaemonSet(View, frozen=True):
    """A pod for each node."""

    resource: ClassVar[Resource] = Resource("apps", "v1", "daemonsets", "DaemonSet")

    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class JobSpec(Struct, frozen=True):
    """What a Job asks for."""

    parallelism: int = 1
    completions: int | None = None
    suspend: bool = False
    ttl_seconds_after_finished: int | None = None


class JobStatus(Struct, frozen=True):
    """What a Job has."""

    active: int = 0
    succeeded: int = 0
    conditions: tuple[Condition, ...] = ()


class Job(View, frozen=True):
    """A task that ends."""

    resource: ClassVar[Resource] = Resource("batch", "v1", "jobs", "Job")

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


# --- autoscaling/v2, storage.k8s.io/v1, apiregistration.k8s.io/v1 -----------------------------------------------------


class ScaleTarget(Struct, frozen=True):
    """What an autoscaler scales."""

    kind: str = ""
    name: str = ""


class MetricSpec(Struct, frozen=True):
    """The type of a metric that an autoscaler reads."""

    type: str = ""


class HPASpec(Struct, frozen=True):
    """The part of an autoscaler's spec that checks read."""

    scale_target_ref: ScaleTarget = ScaleTarget()
    metrics: tuple[MetricSpec, ...] = ()


class HPAStatus(Struct, frozen=True):
    """An autoscaler's conditions."""

    conditions: tuple[Condition, ...] = ()


class HorizontalPodAutoscaler(View, frozen=True):
    """An autoscaler of a workload's replicas."""

    resource: ClassVar[Resource] = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")

    spec: HPASpec = HPASpec()
    status: HPAStatus = HPAStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return find(self.status.conditions, kind)


class StorageClass(View, frozen=True):
    """A way of providing storage."""

    resource: ClassVar[Resource] = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)

    provisioner: str = ""
    volume_binding_mode: str = "Immediate"

    @property
    def is_default(self) -> bool:
        """Whether claims without a class get this one (`pkg/volume/util/storageclass.go`)."""
        annotations = self.metadata.annotations
        return "true" in {annotations.default_class, annotations.beta_default_class}


class CSIDriver(View, frozen=True):
    """A CSI driver that is installed in the cluster."""

    resource: ClassVar[Resource] = Resource("storage.k8s.io", "v1", "csidrivers", "CSIDriver", namespaced=False)


class ServiceReference(Struct, frozen=True):
    """The Service behind an aggregated API."""

    namespace: str = ""
    name: str = ""


class APIServiceSpec(Struct, frozen=True):
    """The part of an APIService's spec that checks read."""

    group: str = ""
    service: ServiceReference | None = None


class APIServiceStatus(Struct, frozen=True):
    """An APIService's conditions."""

    conditions: tuple[Condition, ...] = ()


class APIService(View, frozen=True):
    """A group and version that the API server serves, itself or through a Service."""

    resource: ClassVar[Resource] = Resource(
        "apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False
    )

    spec: APIServiceSpec = APIServiceSpec()
    status: APIServiceStatus = APIServiceStatus()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return find(self.status.conditions, kind)


KINDS: tuple[type[View], ...] = (
    Node,
    Pod,
    Event,
    Namespace,
    PersistentVolumeClaim,
    PersistentVolume,
    Service,
    ResourceQuota,
    Ingress,
    EndpointSlice,
    Deployment,
    ReplicaSet,
    StatefulSet,
    ReplicationController,
    DaemonSet,
    Job,
    HorizontalPodAutoscaler,
    StorageClass,
    CSIDriver,
    APIService,
)
"""All built-in kinds that there are views of."""

BY_KIND: dict[str, type[View]] = {view.resource.kind: view for view in KINDS}
"""The built-in views by the name of their kind."""
