"""The scale server of the benchmarks behaves as an API server does, and its objects are such as Kubernetes accepts."""

import http.client
import json
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from bench import machine
from bench.scale import Server, Size, get, server_program, serving
from kubedx.kube.meta import View
from kubedx.kube.views import KINDS, Pod

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="Go, which builds the scale server, is missing")

Json = dict[str, Any]
SMALL = Size(300, broken=0.2)
PODS = Pod.resource.path


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(SMALL) as running:
        yield running


def paged(server: Server, path: str, limit: int) -> list[Json]:
    token, found = "", []
    while True:
        page = server.ask(f"{path}?limit={limit}" + (f"&continue={token}" if token else ""))
        found += page["items"]
        token = page["metadata"].get("continue", "")
        if not token:
            return found


def watched(server: Server, path: str, query: str, count: int | None = None) -> list[Json]:
    """The frames of a watch: so many, or those up to the bookmark that ends a streamed list."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=10)
    connection.request("GET", f"{path}?watch=1&{query}")
    answer = connection.getresponse()
    frames: list[Json] = []
    try:
        while line := answer.readline():
            frames.append(json.loads(line))
            if ends_list(frames[-1]) if count is None else len(frames) == count:
                break
        return frames
    finally:
        connection.close()


def ends_list(frame: Json) -> bool:
    return frame["object"]["metadata"].get("annotations", {}).get("k8s.io/initial-events-end") == "true"


@pytest.mark.parametrize("view", KINDS, ids=lambda view: view.resource.plural)
def test_pages_and_stream_give_the_same_objects(server: Server, view: type[View]) -> None:
    pages = paged(server, view.resource.path, 37)
    stream = watched(server, view.resource.path, "sendInitialEvents=true")[:-1]
    assert {frame["type"] for frame in stream} <= {"ADDED"}
    objects = [frame["object"] for frame in stream]
    assert all(
        (one.pop("kind"), one.pop("apiVersion")) == (view.resource.kind, view.resource.api_version) for one in objects
    )
    assert objects == pages


def shape(found: Json) -> tuple[object, ...]:
    """What tells the objects of one template from those of another."""
    containers = found.get("status", {}).get("containerStatuses") or [{}]
    waits = containers[0].get("state", {}).get("waiting", {}).get("reason")
    ended = containers[0].get("lastState", {}).get("terminated", {}).get("reason")
    return (len(containers), waits, ended, found.get("status", {}).get("phase"), found.get("reason"))


@pytest.mark.parametrize("view", KINDS, ids=lambda view: view.resource.plural)
def test_kubernetes_accepts_the_objects(server: Server, view: type[View]) -> None:
    items = server.ask(view.resource.path)["items"]
    for one in {shape(one): one for one in items}.values():
        named = {"apiVersion": view.resource.api_version, "kind": view.resource.kind, **one}
        kubernetes_validate.validate(named, "1.36", strict=True)


def test_every_identity_differs(server: Server) -> None:
    pods = paged(server, PODS, 500)
    assert len(pods) == SMALL.pods
    for read in (
        lambda pod: pod["metadata"]["uid"],
        lambda pod: (pod["metadata"]["namespace"], pod["metadata"]["name"]),
        lambda pod: pod["metadata"]["resourceVersion"],
        lambda pod: next(v["name"] for v in pod["spec"]["volumes"] if v["name"].startswith("kube-api-access-")),
    ):
        assert len(set(map(read, pods))) == len(pods)


def test_no_two_statuses_are_equal_in_the_adversarial_cluster() -> None:
    with serving(Size(300, adversarial=True)) as server:
        pods = paged(server, PODS, 500)
    for pod in pods:  # What differs anyway is put aside.
        for field in ("podIP", "podIPs", "hostIP", "hostIPs"):
            pod["status"].pop(field, None)
        for one in pod["status"].get("containerStatuses", ()):
            one.pop("containerID", None)
    stripped = [json.dumps(pod["status"]) for pod in pods if pod["spec"].get("nodeName")]
    assert len(set(stripped)) == len(stripped)


def test_a_watch_goes_on_from_a_version_without_a_gap(server: Server) -> None:
    version = server.ask(f"{PODS}?limit=1")["metadata"]["resourceVersion"]
    server.emit("flips", 50)
    frames = watched(server, PODS, f"resourceVersion={version}", 50)
    versions = [int(frame["object"]["metadata"]["resourceVersion"]) for frame in frames]
    assert len(versions) == 50
    assert versions == sorted(set(versions))
    assert versions[0] > int(version)


def test_a_version_that_was_forgotten_is_gone(server: Server) -> None:
    (frame,) = watched(server, PODS, "resourceVersion=5", 1)
    assert (frame["type"], frame["object"]["code"], frame["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_page_of_a_list_is_as_old_as_its_first() -> None:
    with serving(SMALL) as server:
        first = server.ask(f"{PODS}?limit=150")
        server.emit("storm", SMALL.pods)
        second = server.ask(f"{PODS}?limit=150&continue={first['metadata']['continue']}")
    newest = int(first["metadata"]["resourceVersion"])
    assert all(int(pod["metadata"]["resourceVersion"]) <= newest for pod in second["items"])


def test_created_pods_can_be_deleted_again() -> None:
    with serving(SMALL) as server:
        version = server.ask(f"{PODS}?limit=1")["metadata"]["resourceVersion"]
        server.emit("create", 3)
        server.emit("delete", 3)
        frames = watched(server, PODS, f"resourceVersion={version}", 6)
        assert [frame["type"] for frame in frames] == ["ADDED"] * 3 + ["DELETED"] * 3
        assert server.stats()["world"]["kinds"]["Pod"] == SMALL.pods


def test_a_write_with_an_old_version_is_refused(server: Server) -> None:
    path = "/apis/kubedx.dev/v1alpha1/clusterdiagnoses"
    made = json.loads(get(server.url, path, "POST", {"metadata": {"name": "one"}}))
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": {"state": "Open"}}
    patch = (f"{path}/one/status", "PATCH", stale, "application/merge-patch+json")
    assert json.loads(get(server.url, *patch))["status"] == {"state": "Open"}
    with pytest.raises(machine.BenchError, match="409"):
        get(server.url, *patch)


def test_marks_are_counted_in_the_order_of_their_times(server: Server) -> None:
    emission = server.emit("marks", 20)
    told = server.ask(f"/ctl/emission?id={emission['id']}")
    assert told["done"]
    assert told["made"] == len(told["marks"]) == 20
    assert told["marks"] == sorted(told["marks"])


def test_a_dump_holds_every_object(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    assert machine.run([str(server_program()), *SMALL.flags, "-dump", str(path)]).code == 0
    items = json.loads(path.read_text())["items"]
    counts = server.stats()["world"]["kinds"]
    assert len(items) == sum(counts.values())
