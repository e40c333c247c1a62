"""Joins: the keys by which causes and symptoms find each other."""

from typing import Any

import pytest

from kubedx.core import join
from kubedx.core.finding import Finding, Ref
from kubedx.core.join import Join
from kubedx.kube.images import registry
from kubedx.kube.views import KINDS
from kubedx.store.lookups import Desk
from kubedx.store.store import State, Store
from tests.unit.cluster_edits import START, decode


def made(kind: str, name: str, namespace: str = "x", **body: Any) -> Any:
    metadata = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}", **body.pop("metadata", {})}
    return decode(kind, {"metadata": metadata, **body})


def owned(kind: str, name: str) -> dict[str, Any]:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": True}]}


NODE = made("Node", "n1", "", metadata={"labels": {"topology.kubernetes.io/zone": "z1"}})
POD = made("Pod", "web-1-a", metadata=owned("ReplicaSet", "web-1"),
           spec={"nodeName": "n1", "volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]})  # fmt: skip
REPLICA_SET = made("ReplicaSet", "web-1", metadata=owned("Deployment", "web"))
DEPLOYMENT = made("Deployment", "web")
SERVICE = made("Service", "web")
SLICE = made("EndpointSlice", "web-abc", metadata={"labels": {"kubernetes.io/service-name": "web"}}, endpoints=[
    {"nodeName": "n1", "targetRef": {"kind": "Pod", "namespace": "x", "name": "web-1-a"}},
])  # fmt: skip
API = made("APIService", "v1beta1.metrics.k8s.io", "", spec={"service": {"namespace": "x", "name": "web"}})
CLAIM = made("PersistentVolumeClaim", "data", spec={"storageClassName": "fast"})
HPA = made("HorizontalPodAutoscaler", "web", spec={"scaleTargetRef": {"kind": "Deployment", "name": "web"}})
PLUGIN = made("Pod", "cilium-1", "kube-system", metadata=owned("DaemonSet", "cilium"), spec={"nodeName": "n1"})
DEVICES = made("Pod", "gpu-1", "gpu", metadata=owned("DaemonSet", "x-device-plugin"), spec={"nodeName": "n1"})
PULLING = made("Pod", "pulling", spec={"nodeName": "n1"}, status={"containerStatuses": [
    {"name": "proxy", "image": "proxy:1", "state": {"running": {}}},
    {"name": "web", "image": "registry.example:5000/web:1", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
]})  # fmt: skip
REGISTRY = Ref("ImageRegistry", "", "registry.example:5000")
WEBHOOK = Finding(Ref("AdmissionWebhook", "", "v.example.com"), backends=(Ref("Service", "x", "web"),))
HOST = Ref("Host", "", "hooks.example.com")
CLASS, ZONE = Ref("StorageClass", "", "fast"), Ref("Zone", "", "z1")
NAMESPACE = made("Namespace", "x", "")


def desk(*forbidden: str) -> Desk:
    store = Store(KINDS)
    for view, table in store.tables.items():
        table.state = State.FORBIDDEN if view.resource.kind in forbidden else State.SYNCED
    for one in (NODE, POD, REPLICA_SET, DEPLOYMENT, SERVICE, SLICE, API, CLAIM, HPA, PLUGIN, NAMESPACE):
        store.put(one)
    return Desk(store, START)


def about(subject: Any) -> Finding:
    if isinstance(subject, Finding):
        return subject
    return Finding(subject if isinstance(subject, Ref) else subject.whole)


def meet(one: Join, cause: object, symptom: object, *forbidden: str) -> bool:
    keys = [set(one.keys(about(subject), desk(*forbidden))) for subject in (cause, symptom)]
    return bool(keys[0] & keys[1])


MEETING = [
    (join.itself, POD, POD),
    (join.same_node, NODE, POD),
    (join.same_node, NODE, SERVICE),
    (join.same_node, NODE, API),
    (join.same_node, POD, PLUGIN),
    (join.zone, ZONE, NODE),
    (join.zone, ZONE, POD),
    (join.same_owner, POD, DEPLOYMENT),
    (join.same_owner, REPLICA_SET, POD),
    (join.same_namespace, NAMESPACE, POD),
    (join.same_namespace, SERVICE, POD),
    (join.selected_pods, POD, SERVICE),
    (join.selected_pods, POD, API),
    (join.service_behind, SERVICE, API),
    (join.service_behind, SERVICE, WEBHOOK),
    (join.service_behind, Finding(CLASS, backends=(HOST,)), Finding(ZONE, backends=(HOST,))),
    (join.selected_pods, POD, WEBHOOK),
    (join.same_node, NODE, WEBHOOK),
    (join.claim, CLAIM, POD),
    (join.storage_class, CLASS, CLAIM),
    (join.image_registry, REGISTRY, PULLING),
    (join.scale_target, POD, HPA),
    (join.scale_target, DEPLOYMENT, HPA),
    (join.component, POD, API),
    (join.component, PLUGIN, NODE),
    (join.device_plugin, DEVICES, NODE),
    (join.cluster, API, HPA),
]


@pytest.mark.parametrize(("one", "cause", "symptom"), MEETING)
def test_cause_and_symptom_meet(one: Join, cause: object, symptom: object) -> None:
    assert meet(one, cause, symptom)


OTHER_POD = made("Pod", "other", spec={"nodeName": "n2"})


STRANGERS = [
    (join.itself, POD, OTHER_POD),
    (join.same_node, NODE, OTHER_POD),
    (join.same_node, NODE, made("Pod", "unbound")),
    (join.same_owner, DEPLOYMENT, OTHER_POD),
    (join.same_owner, DEPLOYMENT, made("Deployment", "web", "y")),
    (join.same_namespace, NAMESPACE, made("Pod", "a", "y")),
    (join.selected_pods, OTHER_POD, SERVICE),
    (join.service_behind, made("Service", "web", "y"), API),
    (join.service_behind, made("Service", "web", "y"), WEBHOOK),
    (join.service_behind, SERVICE, Finding(ZONE, backends=(HOST,))),
    (join.claim, CLAIM, made("Pod", "a", "y", spec={"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]})),
    (join.storage_class, CLASS, made("PersistentVolumeClaim", "a", spec={"storageClassName": ""})),
    (join.storage_class, CLASS, made("PersistentVolumeClaim", "a")),
    (join.image_registry, Ref("ImageRegistry", "", "registry.example"), PULLING),
    (join.image_registry, Ref("ImageRegistry", "", "docker.io"), PULLING),
    (join.scale_target, OTHER_POD, HPA),
    (join.selected_pods, POD, made("Service", "web", "y")),
    (join.zone, ZONE, OTHER_POD),
    (join.itself, POD, made("Pod", "web-1-a", "y")),
    (join.component, POD, NODE),
    (join.component, PLUGIN, made("Node", "n2", "")),
    (join.device_plugin, DEVICES, made("Node", "n2", "")),
    (join.device_plugin, PLUGIN, NODE),
]


@pytest.mark.parametrize(("one", "cause", "symptom"), STRANGERS)
def test_cause_and_symptom_do_not_meet(one: Join, cause: object, symptom: object) -> None:
    assert not meet(one, cause, symptom)


@pytest.mark.parametrize(("image", "host"), [
    ("web:1.7", "docker.io"),
    ("team/web:1.7", "docker.io"),
    ("docker.io/library/web", "docker.io"),
    ("registry.example/team/web@sha256:0", "registry.example"),
    ("registry:5000/web", "registry:5000"),
    ("localhost/web", "localhost"),
    ("", "docker.io"),
])  # fmt: skip
def test_an_image_comes_from_the_registry_that_its_name_tells(image: str, host: str) -> None:
    assert registry(image) == host


def test_each_join_is_tried_on_those_that_belong_together_and_on_others() -> None:
    joins = {one.name for one in vars(join).values() if isinstance(one, Join)}

    assert {one.name for one, _, _ in MEETING} == joins
    assert {one.name for one, _, _ in STRANGERS} == joins - {"cluster"}


def test_a_claim_that_names_no_class_meets_the_missing_default() -> None:
    assert meet(join.storage_class, Ref("StorageClass", "", join.DEFAULT_CLASS), made("PersistentVolumeClaim", "a"))


def test_nodes_that_a_finding_names_join_it_to_them() -> None:
    keys = join.same_node.keys(Finding(DEPLOYMENT.whole, nodes=("n1", "n7")), desk())

    assert set(keys) == {"n1", "n7"}


@pytest.mark.parametrize("one", [join.same_node, join.zone, join.same_owner, join.selected_pods, join.scale_target])
def test_what_a_join_may_not_read_makes_it_find_less_and_never_break(one: Join) -> None:
    kinds = [view.resource.kind for view in one.kinds]
    for subject in (NODE, POD, SERVICE, API, DEPLOYMENT, HPA, CLASS):
        some, everything = (set(one.keys(about(subject), desk(*forbidden))) for forbidden in (kinds, ()))
        assert some <= everything


def test_narrowing_and_turning_back_leave_the_keys_as_they_are() -> None:
    narrow, turned = join.same_node.where(binding="cpu"), join.back(join.same_node)

    assert (narrow.keys, turned.keys) == (join.same_node.keys,) * 2
    assert (narrow.narrowing, turned.is_back, join.same_node.is_back) == ({"binding": "cpu"}, True, False)
