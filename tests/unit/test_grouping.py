"""Grouping: whom findings that are said together are about."""

from typing import Any

import pytest

from kubedx.core import by
from kubedx.core.finding import Finding, Ref
from kubedx.kube.views import KINDS
from kubedx.store.lookups import Desk
from kubedx.store.store import State, Store
from tests.unit.cluster_edits import START, decode


def made(kind: str, name: str, **metadata: Any) -> Any:
    return decode(kind, {"metadata": {"name": name, "namespace": "x", "uid": f"{kind}-{name}", **metadata},
                         "spec": {"nodeName": "n1"} if kind == "Pod" else {}})  # fmt: skip


def owner(kind: str, name: str, *, controls: bool = True) -> dict[str, Any]:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": f"{kind}-{name}", "controller": controls}]}


def group(grouping: by.Grouping, subject: Any, *objects: Any, forbidden: tuple[str, ...] = ()) -> str:
    store = Store(KINDS)
    for view, table in store.tables.items():
        table.state = State.FORBIDDEN if view.resource.kind in forbidden else State.SYNCED
    for one in (subject, *objects):
        if not isinstance(one, Ref):
            store.put(one)
    about = subject if isinstance(subject, Ref) else subject.whole
    return grouping.key(Finding(about), Desk(store, START)).text


@pytest.mark.parametrize(("grouping", "expected"), [
    (by.itself, "Pod/x/web-1-a"), (by.owner, "Pod/x/web-1-a"), (by.node, "Node/n1"), (by.namespace, "Namespace/x"),
    (by.cluster, "Cluster"),
])  # fmt: skip
def test_a_lonely_pod_is_grouped_by(grouping: by.Grouping, expected: str) -> None:
    assert group(grouping, made("Pod", "web-1-a")) == expected


def test_a_pod_belongs_to_the_workload_that_a_person_wrote() -> None:
    pod = made("Pod", "web-1-a", **owner("ReplicaSet", "web-1"))
    replica_set = made("ReplicaSet", "web-1", **owner("Deployment", "web"))

    assert group(by.owner, pod, replica_set) == "Deployment/x/web"


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job", "Rollout"])
def test_a_controller_of_any_kind_is_an_owner(kind: str) -> None:
    assert group(by.owner, made("Pod", "a", **owner(kind, "web"))) == f"{kind}/x/web"


def test_a_cron_job_stands_above_its_jobs() -> None:
    job = made("Job", "nightly-1", **owner("CronJob", "nightly"))

    assert group(by.owner, made("Pod", "a", **owner("Job", "nightly-1")), job) == "CronJob/x/nightly"


def test_a_static_pod_belongs_to_itself_and_an_owner_that_does_not_control_to_nobody() -> None:
    assert group(by.owner, made("Pod", "a", **owner("Node", "n1"))) == "Pod/x/a"
    assert group(by.owner, made("Pod", "a", **owner("Thing", "t", controls=False))) == "Pod/x/a"


def test_a_right_that_is_missing_changes_no_group() -> None:
    pod = made("Pod", "web-6d4b75cb6d-a", labels={"pod-template-hash": "6d4b75cb6d"},
               **owner("ReplicaSet", "web-6d4b75cb6d"))  # fmt: skip
    replica_set = made("ReplicaSet", "web-6d4b75cb6d", **owner("Deployment", "web"))

    assert group(by.owner, pod, replica_set) == group(by.owner, pod, forbidden=("ReplicaSet",)) == "Deployment/x/web"


def test_pods_whose_replica_set_is_gone_or_has_not_been_heard_of_still_belong_to_their_deployment() -> None:
    pod = made("Pod", "web-6d4b75cb6d-a", labels={"pod-template-hash": "6d4b75cb6d"},
               **owner("ReplicaSet", "web-6d4b75cb6d"))  # fmt: skip

    assert group(by.owner, pod) == "Deployment/x/web"


def test_owners_in_a_circle_end() -> None:
    one, other = (
        made("ReplicaSet", "a", **owner("ReplicaSet", "b")),
        made("ReplicaSet", "b", **owner("ReplicaSet", "a")),
    )

    assert group(by.owner, one, other).startswith("ReplicaSet/x/")


def test_what_does_not_exist_belongs_to_itself() -> None:
    for grouping in (by.itself, by.owner, by.node, by.namespace):
        assert group(grouping, Ref("StorageClass", "", "fast")) == "StorageClass/fast"
