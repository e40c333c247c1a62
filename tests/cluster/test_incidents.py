"""Incidents in a cluster of a thousand pods: each names its root, folds what follows from it, and writes little."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.cluster.footprint import Request, diagnosis_writes, requests, settle
from tests.cluster.harness import Cluster, Manifest, wait_for
from tests.cluster.installation import Operator, Promise, at_work, diagnoses, impatient

HOLD = timedelta(seconds=3)
"""The longest time that the policy of these tests holds anything back."""

PODS = 1000
LOST, DARK = "lost-zone-a-0", "zone-c"
ZONES = {"zone-a": 14, "zone-b": 14, DARK: 4}
"""Nodes that the thousand pods are spread over, by zone; two of each of the first two zones are there anyway."""

TO_APPEAR = 120.0
"""Seconds that the slowest incident may take: the node monitor grace period, eviction, and the hold time of each step,
on a machine that has something else to do as well."""


@pytest.fixture(scope="module")
def flags() -> dict[str, dict[str, str]]:
    """Controllers may ask more often than twenty times a second, so that a thousand pods are there soon."""
    hasty = {"kube-api-qps": "400", "kube-api-burst": "800"}
    return {"kube-controller-manager": hasty, "kube-scheduler": hasty}


@pytest.fixture(scope="module")
def large(own_cluster: Cluster) -> Iterator[Operator]:
    """An operator that has seen a thousand healthy pods, and said nothing."""
    for zone, count in ZONES.items():
        own_cluster.add_nodes(count, prefix="work", zone=zone)
    own_cluster.apply([namespace("shop"), *(deployment("shop", f"web-{number}", 25) for number in range(PODS // 25))])
    wait_for(lambda: ready(own_cluster, "shop") == PODS, timeout=180, what=f"{PODS} pods that are ready", every=1)
    with at_work(own_cluster, {"checks": impatient(HOLD)}) as running:
        settle(own_cluster)
        assert diagnoses(own_cluster) == {}
        yield running


def ready(cluster: Cluster, where: str) -> int:
    """How many pods of a namespace are ready."""
    return sum(one.get("status", {}).get("readyReplicas", 0) for one in cluster.get("replicasets", "-n", where))


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def deployment(where: str, name: str, replicas: int) -> Manifest:
    return workload("Deployment", where, name, pod={}, replicas=replicas)


def workload(
    kind: str, where: str, name: str, *, pod: Manifest, image: str = "registry.example/app:1",
    notes: Manifest | None = None, **spec: object,
) -> Manifest:  # fmt: skip
    """A workload of pods with one container, labelled with its name."""
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels, "annotations": notes or {}},
        "spec": {"containers": [{"name": "main", "image": image, "ports": [{"containerPort": 8080}]}], **pod},
    }
    return {
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": where},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }  # fmt: skip


def service(where: str, name: str) -> Manifest:
    ports = [{"port": 80, "targetPort": 8080}]
    meta = {"name": name, "namespace": where}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"selector": {"app": name}, "ports": ports},
    }


@dataclass(frozen=True)
class Incident:
    """What became of an incident.

    Attributes:
        status: The status of each open diagnosis, as `diagnoses` calls it, once nothing more was written.
        symptoms: How many findings of each check had a cause then.
        writes: What was written about it until then.
        left: What was open once it was mended.
        ending: What was written while it was mended.
    """

    status: dict[str, Manifest]
    symptoms: Counter[str]
    writes: list[Request]
    left: set[str]
    ending: list[Request]

    def explains(self, key: str) -> set[str]:
        """The checks whose findings a diagnosis explains."""
        return {one["check"] for one in self.status[key].get("explains", [])}


def live(
    running: Operator,
    make: Callable[[], object],
    roots: tuple[Promise, ...],
    mend: Callable[[], object],
    *,
    least: Mapping[str, int],
) -> Incident:
    """Makes an incident, waits until its roots are named and nothing more is written, and mends it.

    Args:
        running: The operator.
        make: Makes it.
        roots: What has to be named.
        mend: Mends it.
        least: How many symptoms of each check there have to be before it is looked at.

    Returns:
        What became of it.
    """
    cluster = running.cluster
    before = len(requests(cluster))
    make()

    def lacking() -> list[str]:
        found = diagnoses(cluster)
        return [lack for one in roots if (lack := one.lacks(found))]

    def is_complete() -> bool:
        found = findings(running, role="symptom")
        assert all(found[check] >= count for check, count in least.items()), found
        return True

    wait_for(lambda: not lacking(), timeout=TO_APPEAR, what="root of each incident")
    wait_for(is_complete, timeout=TO_APPEAR, what="complete incident")
    settle(cluster)
    status = {key: one for key, one in diagnoses(cluster).items() if one["state"] == "Open"}
    symptoms = findings(running, role="symptom")
    writes = diagnosis_writes(requests(cluster, after=before))
    asked = len(requests(cluster))
    mend()
    wait_for(lambda: is_over(running), timeout=TO_APPEAR, what="end of each incident")
    settle(cluster)
    return Incident(status, symptoms, writes, still_open(cluster), diagnosis_writes(requests(cluster, after=asked)))


def findings(running: Operator, **labels: str) -> Counter[str]:
    """How many findings there are of each check."""
    found: Counter[str] = Counter()
    for one in running.series("kubedx_findings", **labels):
        found[one.labels["check"]] += int(one.value)
    return found


def is_over(running: Operator) -> bool:
    """Whether nothing is found any more, which is more than that no diagnosis is open: a symptom has none."""
    assert not findings(running)
    return True


def created(writes: list[Request]) -> list[str]:
    """The names of the objects that were made, in their order."""
    return [one.name for one in writes if one.verb == "create"]


def still_open(cluster: Cluster) -> set[str]:
    return {key for key, one in diagnoses(cluster).items() if one["state"] != "Resolved"}


# --- a node ---


def on_the_lost_node() -> Iterator[Manifest]:
    """Thirty pods of twelve owners, that go nowhere else; nobody confirms the end of those that are driven away."""
    leaves = [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
        for key in ("unreachable", "not-ready")
    ]
    here = {"key": "pool", "operator": "Exists"}
    pod = {"nodeSelector": {"pool": "lost"}, "terminationGracePeriodSeconds": 5, "tolerations": [here, *leaves]}
    stays = {**pod, "tolerations": [{"operator": "Exists"}]}
    notes = {"example.com/end": "unconfirmed"}
    yield namespace("payments")
    for number in range(10):
        replicas = 3 if number < 6 else 2
        yield workload("Deployment", "payments", f"ledger-{number}", pod=pod, notes=notes, replicas=replicas)
        yield service("payments", f"ledger-{number}")
    parallel = {"serviceName": "journal", "podManagementPolicy": "Parallel"}
    yield workload("StatefulSet", "payments", "journal", pod=pod, notes=notes, replicas=3, **parallel)
    yield workload("DaemonSet", "payments", "agent", pod=stays, notes=notes)


@pytest.fixture(scope="module")
def node_lost(large: Operator) -> Incident:
    cluster = large.cluster
    taints = [{"key": "pool", "value": "lost", "effect": "NoSchedule"}]
    cluster.add_nodes(1, prefix="lost", zone="zone-a", labels={"pool": "lost"})
    cluster.kubectl("patch", "node", LOST, f"--patch={json.dumps({'spec': {'taints': taints}})}")
    cluster.apply(list(on_the_lost_node()))
    wait_for(lambda: len(running_pods(cluster)) == 30, timeout=60, what="30 pods on the node")

    def mend() -> None:
        found_again(cluster, [LOST])
        cluster.kubectl("annotate", "pods", "--namespace=payments", "--all", "example.com/end-")
        # No kubelet tells that a pod is ready again which the node controller had marked: it is replaced.
        cluster.kubectl("delete", "pods", "--namespace=payments", "--selector=app=agent", "--wait=false")

    root = Promise("NodeUnreachable", f"Node/{LOST}", ("PodNotReady", "PodStuckTerminating"))
    least = {"PodNotReady": 1, "PodStuckTerminating": 29}
    return live(large, lambda: cluster.stop_heartbeats(LOST), (root,), mend, least=least)


def found_again(cluster: Cluster, nodes: list[str]) -> None:
    """Lets lost nodes report again, and waits until the node controller took note.

    Until its next look, every five seconds, it marks each new pod of such a node as not ready, which only a kubelet
    would take back (`pkg/controller/nodelifecycle`, `processPod`). It takes its taints away in that very look.
    """
    for node in nodes:
        cluster.resume_heartbeats(node)

    def untainted() -> bool:
        here = [one for one in cluster.get("nodes") if one["metadata"]["name"] in nodes]
        taints = [taint["key"] for one in here for taint in one["spec"].get("taints", [])]
        assert not [key for key in taints if key.startswith("node.kubernetes.io/")], taints
        return True

    wait_for(untainted, timeout=TO_APPEAR, what="node without a taint")


def running_pods(cluster: Cluster) -> list[Manifest]:
    return cluster.get("pods", "--namespace=payments", "--field-selector=status.phase=Running")


def test_a_lost_node_is_the_one_diagnosis_of_all_that_it_breaks(node_lost: Incident) -> None:
    assert node_lost.status.keys() == {f"NodeUnreachable Node/{LOST}"}
    assert node_lost.explains(f"NodeUnreachable Node/{LOST}") == set(node_lost.symptoms)
    assert node_lost.symptoms["PodNotReady"] + node_lost.symptoms["PodStuckTerminating"] == 30


def test_a_lost_node_with_thirty_pods_of_twelve_owners_creates_one_object_and_at_most_three_more(
    node_lost: Incident,
) -> None:
    assert len(created(node_lost.writes)) <= 4, created(node_lost.writes)
    assert len(node_lost.writes) <= 20, "it grew by steps of two, and not pod by pod"


# --- what no node has to do with ---


def autoscaled() -> Iterator[Manifest]:
    """Autoscalers by CPU where nothing measures CPU."""
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    for number in range(20):
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"web-{number}"}
        yield {
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": f"web-{number}", "namespace": "shop"},
            "spec": {
                "scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 50,
                "metrics": [{"type": "Resource", "resource": resource}],
            },
        }  # fmt: skip


def stored() -> Iterator[Manifest]:
    """Twenty pods of two owners, each with a claim for a class of storage that is not there."""
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "storageClassName": "fast", "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }  # fmt: skip
    yield namespace("orders")
    for name in ("orders-db", "orders-log"):
        parallel = {"serviceName": name, "podManagementPolicy": "Parallel", "volumeClaimTemplates": [claim]}
        yield workload("StatefulSet", "orders", name, pod={}, replicas=10, **parallel)


def volumes() -> Iterator[Manifest]:
    """The class that was missing, and a volume for each claim."""
    meta = {"name": "fast"}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kubernetes.io/no-provisioner"}
    yield {**kind, "metadata": meta, "volumeBindingMode": "Immediate"}
    for number in range(20):
        spec = {
            "storageClassName": "fast", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": f"/var/lib/fast-{number}"},
        }  # fmt: skip
        yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"fast-{number}"}, "spec": spec}


def limited() -> Iterator[Manifest]:
    """Eight Deployments that want three pods each, in a namespace that may hold none."""
    yield namespace("team-blue")
    meta = {"name": "small", "namespace": "team-blue"}
    yield {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"pods": "0"}}}
    for number in range(8):
        yield deployment("team-blue", f"blue-{number}", 3)


PULLERS = (("caching", "cache"), ("search", "index"))
PULLING = tuple((where, f"{name}-{number}") for where, name in PULLERS for number in range(10))


def pulling() -> Iterator[Manifest]:
    """Twenty pods of two owners whose images are in a registry that cannot be reached."""
    for where, name in PULLERS:
        yield namespace(where)
        more = {"serviceName": name, "podManagementPolicy": "Parallel", "replicas": 10}
        notes = {"example.com/status": "by-hand"}
        yield workload("StatefulSet", where, name, pod={}, image=f"registry.invalid/{name}:1", notes=notes, **more)


def cannot_pull(where: str, name: str) -> Manifest:
    """The status of a pod of `pulling`, in the words of a kubelet."""
    app = name.partition("-")[0]
    image = f"registry.invalid/{app}:1"
    message = (
        f'Back-off pulling image "{image}": ErrImagePull: failed to pull and unpack image "{image}": '
        f'failed to resolve reference "{image}": failed to do request: '
        f'Head "https://registry.invalid/v2/{app}/manifests/1": dial tcp: lookup registry.invalid: no such host'
    )
    main = {
        "name": "main", "image": image, "imageID": "", "ready": False, "started": False, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": message}},
    }  # fmt: skip
    return told(where, name, ready=False, phase="Pending", containerStatuses=[main])


def told(where: str, name: str, *, ready: bool, **more: object) -> Manifest:
    """What a kubelet tells of a pod: since five minutes ago that it is not ready, or now that it is; and more."""
    at = datetime.now(UTC) - timedelta(minutes=0 if ready else 5)
    condition = {
        "status": str(ready), "lastTransitionTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        **({} if ready else {"reason": "ContainersNotReady"}),
    }  # fmt: skip
    conditions = [{"type": kind, **condition} for kind in ("Ready", "ContainersReady")]
    meta = {"name": name, "namespace": where}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"conditions": conditions, **more}}


def guarded() -> Iterator[Manifest]:
    """A webhook that admits pods, and a Deployment that needs it."""
    yield namespace("admission")
    yield deployment("admission", "gate", 2)
    yield service("admission", "gate")
    yield {**namespace("guarded"), "metadata": {"name": "guarded", "labels": {"gate": "here"}}}


def webhook() -> Manifest:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {
        "name": "gate.example.com", "rules": [rule], "failurePolicy": "Fail", "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "namespaceSelector": {"matchLabels": {"gate": "here"}}, "timeoutSeconds": 5,
        "clientConfig": {"service": {"namespace": "admission", "name": "gate", "port": 80}},
    }  # fmt: skip
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": "gate"}, "webhooks": [hook]}


def tell(cluster: Cluster, pods: list[Manifest]) -> None:
    """Writes statuses of pods, as their kubelets do."""
    how = ("apply", "--server-side", "--force-conflicts", "--subresource=status", "-f", "-")
    cluster.kubectl(*how, stdin=yaml.safe_dump_all(pods))


METRICS = Promise("MetricsServerMissing", "APIService/v1beta1.metrics.k8s.io", ("HPAFailedGetResourceMetric",))
STORAGE = Promise("StorageClassMissing", "StorageClass/fast", ("PVCPending", "PodUnboundPVC", "PodUnschedulable"))
IN_TEAM_BLUE = ("WorkloadPodCreateForbidden", "DeploymentMinimumReplicasUnavailable")
QUOTA = Promise("QuotaExceeded", "ResourceQuota/team-blue/small", IN_TEAM_BLUE)
PULLS = ("ImagePullFailed", "ImagePullBackOff")
REGISTRY = Promise("ImageRegistryUnreachable", "ImageRegistry/registry.invalid", PULLS)
BEHIND_THE_GATE = (
    "ServiceNoReadyEndpoints", "AdmissionWebhookUnreachable", "WorkloadPodCreateFailed",
    "DeploymentProgressDeadlineExceeded", "DeploymentMinimumReplicasUnavailable",
)  # fmt: skip
GATE = Promise("PodNotReady", "Deployment/admission/gate", BEHIND_THE_GATE)
ROOTS = (METRICS, STORAGE, QUOTA, REGISTRY, GATE)
SYMPTOMS = {
    "HPAFailedGetResourceMetric": 20, "PVCPending": 20, "PodUnboundPVC": 20, "PodUnschedulable": 20,
    "WorkloadPodCreateForbidden": 8, **dict.fromkeys(PULLS, 20), **dict.fromkeys(BEHIND_THE_GATE, 1),
    "DeploymentMinimumReplicasUnavailable": 8 + 2,  # Those of team-blue; the gate, and what is behind it.
}  # fmt: skip


@pytest.fixture(scope="module")
def many_at_once(large: Operator, node_lost: Incident) -> Incident:
    """Incidents that have nothing to do with one another, and begin within seconds."""
    assert not node_lost.left
    cluster = large.cluster
    cluster.apply([*guarded(), *pulling()])
    wait_for(lambda: ready(cluster, "admission") == 2, timeout=60, what="webhook")
    for where, name in PULLING:
        cluster.kubectl("wait", "--namespace", where, "--for=create", f"pod/{name}", "--timeout=60s")
    gates = [one["metadata"]["name"] for one in cluster.get("pods", "--namespace=admission")]

    def make() -> None:
        tell(cluster, [told("admission", one, ready=False) for one in gates] + [cannot_pull(*one) for one in PULLING])
        needs_it = workload("Deployment", "guarded", "web", pod={}, replicas=3, progressDeadlineSeconds=5)
        cluster.apply([webhook(), needs_it, *autoscaled(), *stored(), *limited()])

    def mend() -> None:
        tell(cluster, [told("admission", one, ready=True) for one in gates])
        cluster.kubectl("delete", "validatingwebhookconfiguration", "gate")
        cluster.kubectl("delete", "hpa", "--namespace=shop", "--all")
        cluster.apply(list(volumes()))
        for where, _ in PULLERS:  # Their kubelets can pull, and KWOK is their kubelet.
            cluster.kubectl("annotate", "pods", "--namespace", where, "--all", "example.com/status-")
        plenty = '--patch={"spec":{"hard":{"pods":"100"}}}'
        cluster.kubectl("patch", "resourcequota", "small", "--namespace=team-blue", "--type=merge", plenty)
        for where in ("team-blue", "guarded"):  # A controller that was refused tries again ever more rarely.
            cluster.kubectl("annotate", "deployments", "--namespace", where, "--all", "example.com/try=again")

    return live(large, make, ROOTS, mend, least=SYMPTOMS)


def test_of_incidents_at_once_each_root_is_named_and_nothing_else(many_at_once: Incident) -> None:
    assert many_at_once.status.keys() == {one.key for one in ROOTS}


def test_each_root_explains_all_that_follows_from_it(many_at_once: Incident) -> None:
    assert {one.key: many_at_once.explains(one.key) for one in ROOTS} == {one.key: set(one.explains) for one in ROOTS}
    assert many_at_once.symptoms == SYMPTOMS


def test_incidents_at_once_create_little_more_than_their_roots(many_at_once: Incident) -> None:
    assert len(created(many_at_once.writes)) <= 2 * len(ROOTS), created(many_at_once.writes)
    assert len(many_at_once.writes) <= 10 * len(ROOTS)


# --- a zone ---


@pytest.fixture(scope="module")
def zone_lost(large: Operator, many_at_once: Incident) -> Incident:
    assert not many_at_once.left
    cluster = large.cluster
    nodes = [f"work-{DARK}-{number}" for number in range(ZONES[DARK])]

    def make() -> None:
        for node in nodes:
            cluster.stop_heartbeats(node)

    def mend() -> None:
        found_again(cluster, nodes)
        # As above; one request a namespace and node, for a hundred pods.
        for where in {one["metadata"]["namespace"] for one in cluster.get("replicasets,statefulsets", "-A")}:
            for node in nodes:
                on_it = f"/api/v1/namespaces/{where}/pods?fieldSelector=spec.nodeName%3D{node}"
                cluster.kubectl("delete", "--raw", on_it)

    root = Promise("ZoneDisruption", f"Zone/{DARK}", ("NodeUnreachable",))
    return live(large, make, (root,), mend, least={"NodeUnreachable": len(nodes)})


def test_a_zone_that_goes_dark_is_the_one_diagnosis_of_all_that_it_breaks(zone_lost: Incident) -> None:
    assert zone_lost.status.keys() == {f"ZoneDisruption Zone/{DARK}"}
    assert zone_lost.explains(f"ZoneDisruption Zone/{DARK}") == set(zone_lost.symptoms)
    assert zone_lost.symptoms["NodeUnreachable"] == ZONES[DARK]


def test_a_zone_that_goes_dark_creates_one_object_and_at_most_three_more(zone_lost: Incident) -> None:
    assert len(created(zone_lost.writes)) <= 4, created(zone_lost.writes)


@pytest.mark.parametrize("incident", ["node_lost", "many_at_once", "zone_lost"])
def test_what_is_mended_leaves_nothing_behind_and_brings_nothing_new(
    incident: str, request: pytest.FixtureRequest
) -> None:
    lived: Incident = request.getfixturevalue(incident)
    assert lived.left == set()
    assert created(lived.ending) == []
