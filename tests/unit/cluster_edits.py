"""Random small clusters and random edits of them, for laws that must hold whatever happens."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from kubedx.kube.decode import Decoded, Decoder
from kubedx.kube.slots import key_of
from kubedx.kube.views import BY_KIND
from kubedx.store.store import Change, Store

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "b")
DECODERS: dict[str, Decoder[Any]] = {kind: Decoder(view) for kind, view in BY_KIND.items()}


@dataclass(frozen=True)
class Put:
    """An object appears or changes."""

    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Remove:
    """An object goes."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Pass:
    """Time passes."""

    seconds: int


@dataclass(frozen=True)
class Relist:
    """A complete list shows only these names of a kind."""

    kind: str
    kept: frozenset[str]


Edit = Put | Remove | Pass | Relist


def decode(kind: str, body: Mapping[str, Any]) -> Decoded[Any]:
    return DECODERS[kind].decode(msgspec.json.encode({"kind": kind, **body}))


def apply(store: Store, edit: Edit) -> list[Change]:
    """What an edit changes in a store."""
    match edit:
        case Put(kind, body):
            change = store.put(decode(kind, body))
        case Remove(kind, namespace, name):
            change = store.remove(BY_KIND[kind], key_of(namespace, name))
        case Relist(kind, kept):
            view = BY_KIND[kind]
            gone = [key for key in store.tables[view].rows if key.partition("/")[2] not in kept]
            return [change for key in gone if (change := store.remove(view, key))]
        case _:
            change = None
    return [change] if change else []


def times(most_minutes: int = 90) -> st.SearchStrategy[str]:
    return st.integers(-most_minutes, 20).map(lambda m: (START + timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:%SZ"))


def _condition(kind: str, reasons: tuple[str, ...], messages: tuple[str, ...] = ("",)) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({
        "type": st.just(kind),
        "status": st.sampled_from(("False", "True", "Unknown")),
        "reason": st.sampled_from(reasons),
        "message": st.sampled_from(messages),
        "lastTransitionTime": times(),
    })  # fmt: skip


def _some(*conditions: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(*(st.one_of(one, one, one, st.none()) for one in conditions)).map(
        lambda found: [one for one in found if one]
    )


def _metadata(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    lives = st.fixed_dictionaries({
        "name": st.sampled_from(NAMES),
        "creationTimestamp": times(),
        "labels": st.sampled_from(({"app": "a"}, {}, {"app": "b", "topology.kubernetes.io/zone": "z1"})),
        **more,
    })  # fmt: skip
    dies = st.fixed_dictionaries({
        "deletionTimestamp": times(),
        "finalizers": st.sampled_from((["example.com/hold"], ["kubernetes.io/pvc-protection"])),
    })  # fmt: skip
    return st.builds(lambda one, end: {**one, **end}, lives, st.one_of(*[st.just({})] * 5, dies))


def _identified(kind: str, namespaced: bool, body: dict[str, Any]) -> dict[str, Any]:  # noqa: FBT001
    metadata = body["metadata"]
    namespace = metadata.setdefault("namespace", "x") if namespaced else ""
    return {**body, "metadata": {**metadata, "uid": f"{kind}-{namespace}-{metadata['name']}"}}


def _owned(kind: str) -> st.SearchStrategy[Any]:
    owner = st.sampled_from(NAMES).map(
        lambda name: [{"kind": kind, "name": name, "uid": f"{kind}-x-{name}", "controller": True}]
    )
    return st.just([]) | owner


PULL = 'rpc error: failed to resolve reference "r.example/x:1": dial tcp: lookup r.example: no such host'
FIT = "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s). preemption: none"
CREATE = 'Error creating: pods "a-1" is forbidden: exceeded quota: a, requested: pods=1, used: pods=2, limited: pods=2'
NO_METRICS = "unable to get metrics: the server could not find the requested resource (get pods.metrics.k8s.io)"
PLEG = "[container runtime is down, PLEG is not healthy: pleg was last seen active 5m2s ago; threshold is 3m0s]"


def _container() -> st.SearchStrategy[Any]:
    ended = st.fixed_dictionaries({
        "reason": st.sampled_from(("OOMKilled", "Error", "Completed")),
        "exitCode": st.sampled_from((0, 1, 137)), "finishedAt": times(), "startedAt": times(),
    })  # fmt: skip
    waiting = st.sampled_from((
        {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container=c pod=a_x(u)"},
        {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "r.example/x:1": ErrImagePull: {PULL}'},
        {"reason": "CreateContainerConfigError", "message": 'configmap "missing" not found'},
        {"reason": "ContainerCreating"},
    ))  # fmt: skip
    state = st.one_of(
        waiting.map(lambda one: {"waiting": one}), ended.map(lambda one: {"terminated": one}),
        times().map(lambda at: {"running": {"startedAt": at}}),
    )  # fmt: skip
    return st.fixed_dictionaries({
        "name": st.just("c"), "ready": st.booleans(), "restartCount": st.integers(0, 9), "state": state,
        "lastState": st.just({}) | ended.map(lambda one: {"terminated": one}),
        "image": st.just("r.example/x:1"), "imageID": st.just(""),
    })  # fmt: skip


def _bodies() -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    pressure = tuple(
        _condition(f"{kind}Pressure", (f"KubeletHas{kind}Pressure",)) for kind in ("Disk", "Memory", "PID")
    )
    taint = st.fixed_dictionaries({
        "key": st.sampled_from(("node.kubernetes.io/unreachable", "node.kubernetes.io/disk-pressure", "other")),
        "effect": st.sampled_from(("NoSchedule", "NoExecute")),
    })  # fmt: skip
    ready_node = _condition("Ready", ("KubeletReady", "KubeletNotReady", "NodeStatusUnknown"), ("", PLEG))
    pod_conditions = _some(
        _condition("Ready", ("ContainersNotReady",)), _condition("PodScheduled", ("Unschedulable",), (FIT,)),
        _condition("DisruptionTarget", ("DeletionByTaintManager", "TerminationByKubelet")),
    )  # fmt: skip
    return {
        "Node": st.fixed_dictionaries({
            "metadata": _metadata(),
            "spec": st.fixed_dictionaries({"unschedulable": st.booleans(), "taints": st.lists(taint, max_size=2)}),
            "status": st.fixed_dictionaries({"conditions": _some(ready_node, *pressure)}),
        }),
        "Pod": st.fixed_dictionaries({
            "metadata": _metadata(ownerReferences=_owned("ReplicaSet")),
            "spec": st.fixed_dictionaries({
                "nodeName": st.sampled_from(("", *NAMES)),
                "volumes": st.just([]) | st.sampled_from(NAMES).map(
                    lambda name: [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]
                ),
            }),
            "status": st.fixed_dictionaries({
                "phase": st.sampled_from(("Pending", "Running", "Failed", "Succeeded")),
                "conditions": pod_conditions, "containerStatuses": st.lists(_container(), max_size=1),
                "reason": st.sampled_from(("", "Evicted")), "startTime": times(),
                "message": st.sampled_from(("", "The node was low on resource: memory. Container c was using 1Gi.")),
            }),
        }),
        "ReplicaSet": st.fixed_dictionaries({
            "metadata": _metadata(ownerReferences=_owned("Deployment")),
            "spec": st.fixed_dictionaries({"replicas": st.integers(0, 3)}),
            "status": st.fixed_dictionaries({"replicas": st.integers(0, 3)}),
        }),
        "Deployment": st.fixed_dictionaries({
            "metadata": _metadata(),
            "status": st.fixed_dictionaries({
                "conditions": _some(_condition("Progressing", ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"))),
            }),
        }),
        "PersistentVolumeClaim": st.fixed_dictionaries({
            "metadata": _metadata(),
            "spec": st.fixed_dictionaries({"storageClassName": st.sampled_from((None, "", "a", "b"))}),
            "status": st.fixed_dictionaries({"phase": st.sampled_from(("Pending", "Bound", "Lost"))}),
        }),
        "StorageClass": st.fixed_dictionaries({"metadata": _metadata(), "provisioner": st.just("p")}),
        "Service": st.fixed_dictionaries({
            "metadata": _metadata(),
            "spec": st.fixed_dictionaries({"selector": st.sampled_from(({}, {"app": "a"}))}),
        }),
        "EndpointSlice": st.fixed_dictionaries({
            "metadata": _metadata(labels=st.sampled_from(NAMES).map(lambda name: {"kubernetes.io/service-name": name})),
            "endpoints": st.lists(st.fixed_dictionaries({
                "conditions": st.fixed_dictionaries({"ready": st.booleans()}), "nodeName": st.sampled_from(NAMES),
                "targetRef": st.sampled_from(NAMES).map(lambda name: {"kind": "Pod", "namespace": "x", "name": name}),
            }), max_size=2),
            "ports": st.just([{"name": "http", "port": 80}]),
        }),
        "HorizontalPodAutoscaler": st.fixed_dictionaries({
            "metadata": _metadata(),
            "spec": st.fixed_dictionaries({
                "scaleTargetRef": st.sampled_from(NAMES).map(lambda name: {"kind": "Deployment", "name": name}),
                "metrics": st.sampled_from(([], [{"type": "Resource"}])),
            }),
            "status": st.fixed_dictionaries({
                "conditions": _some(_condition("ScalingActive", ("FailedGetResourceMetric",), (NO_METRICS,))),
            }),
        }),
        "APIService": st.fixed_dictionaries({
            "metadata": _metadata(name=st.sampled_from(("v1beta1.metrics.k8s.io", "v1.example.com"))),
            "spec": st.fixed_dictionaries({"service": st.sampled_from((None, {"namespace": "x", "name": "a"}))}),
            "status": st.fixed_dictionaries({
                "conditions": _some(_condition("Available", ("ServiceNotFound", "MissingEndpoints"), ("broken",))),
            }),
        }),
        "ResourceQuota": st.fixed_dictionaries({"metadata": _metadata()}),
        "Namespace": st.fixed_dictionaries({
            "metadata": _metadata(name=st.sampled_from(("x", "y"))),
            "status": st.fixed_dictionaries({
                "phase": st.sampled_from(("Active", "Terminating")),
                "conditions": _some(_condition("NamespaceContentRemaining", ("SomeResourcesRemain",), ("pods. 1",))),
            }),
        }),
        "Event": st.fixed_dictionaries({
            "metadata": _metadata(),
            "involvedObject": st.tuples(st.sampled_from(("ReplicaSet", "Pod", "PersistentVolumeClaim")),
                                        st.sampled_from(NAMES)).map(
                lambda one: {"kind": one[0], "namespace": "x", "name": one[1], "uid": f"{one[0]}-x-{one[1]}"}),
            "reason": st.sampled_from(("FailedCreate", "Failed", "FailedScheduling", "ProvisioningFailed")),
            "message": st.sampled_from((CREATE, f'Failed to pull image "r.example/x:1": {PULL}', FIT)),
            "count": st.integers(1, 9), "firstTimestamp": times(), "lastTimestamp": times(),
        }),
    }  # fmt: skip


BODIES = _bodies()


def puts() -> st.SearchStrategy[Put]:
    def made(kind: str) -> st.SearchStrategy[Put]:
        namespaced = BY_KIND[kind].resource.namespaced
        return BODIES[kind].map(lambda body: Put(kind, _identified(kind, namespaced, body)))

    return st.sampled_from(sorted(BODIES)).flatmap(made)


def removes() -> st.SearchStrategy[Remove]:
    def gone(kind: str, name: str) -> Remove:
        return Remove(kind, "x" if BY_KIND[kind].resource.namespaced else "", name)

    return st.builds(gone, st.sampled_from(sorted(BODIES)), st.sampled_from(NAMES))


def edits() -> st.SearchStrategy[list[Edit]]:
    relists = st.builds(Relist, st.sampled_from(sorted(BODIES)), st.frozensets(st.sampled_from(NAMES)))
    waits = st.builds(Pass, st.sampled_from((1, 59, 60, 300, 301, 3600)))
    changes = st.one_of(*[puts()] * 8, removes(), waits, relists)
    return st.lists(changes, min_size=10, max_size=50)
