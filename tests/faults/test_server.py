"""The API server of these tests does what real ones do; without faults it is right."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from kubedx.watch.client import Api, ApiError, Login
from tests.faults import actions
from tests.faults.server import Server, serving

PODS = "/api/v1/pods"
DIAGNOSES = "/apis/kubedx.dev/v1alpha1/clusterdiagnoses"
MERGE = "application/merge-patch+json"


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "x", "labels": labels}}


async def lines(api: Api, count: int, path: str = PODS, **params: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with api.stream(path, {"watch": "1", **params}) as response, asyncio.timeout(5):
        while len(found) < count:
            if not (raw := await response.content.readline()):
                break
            found.append(json.loads(raw))
    return found


def told(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["type"], one["object"]["metadata"].get("name", "")) for one in found]


async def test_a_list_in_pages_is_of_one_moment(server: Server, api: Api) -> None:
    for name in "abc":
        server.cluster.put(pod(name))
    first = (await api.request("GET", PODS, params={"limit": "2"})).body
    server.cluster.delete("Pod", "c", "x")
    more = first["metadata"]["continue"]
    second = (await api.request("GET", PODS, params={"limit": "2", "continue": more})).body

    assert [one["metadata"]["name"] for one in first["items"] + second["items"]] == ["a", "b", "c"]
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


async def test_a_list_expires_and_a_watch_from_before_a_compaction_is_told_so(server: Server, api: Api) -> None:
    for name in "abc":
        server.cluster.put(pod(name))
    page = (await api.request("GET", PODS, params={"limit": "2"})).body["metadata"]
    server.cluster.put(pod("d"))
    server.cluster.compact()

    with pytest.raises(ApiError, match="410"):
        await api.request("GET", PODS, params={"limit": "2", "continue": page["continue"]})
    (told_so,) = await lines(api, 9, resourceVersion=page["resourceVersion"])
    assert (told_so["type"], told_so["object"]["code"]) == ("ERROR", 410)


async def test_a_watch_tells_what_happened_since_a_version_and_what_leaves_a_selection(
    server: Server, api: Api
) -> None:
    version = server.cluster.version
    server.cluster.put(pod("a", app="web"))
    server.cluster.put(pod("b", app="db"))
    server.cluster.put(pod("a", app="db"))
    server.cluster.delete("Pod", "b", "x")

    everything = await lines(api, 4, resourceVersion=str(version))
    selected = await lines(api, 2, resourceVersion=str(version), labelSelector="app in (web),app")
    assert told(everything) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert told(selected) == [("ADDED", "a"), ("DELETED", "a")]


async def test_a_streamed_list_ends_with_its_bookmark(server: Server, api: Api) -> None:
    server.cluster.put(pod("a"))
    wish = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    added, end = await lines(api, 2, **wish)

    assert (added["type"], end["type"]) == ("ADDED", "BOOKMARK")
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    server.streams_lists = False
    with pytest.raises(ApiError, match="422"):
        await lines(api, 1, **wish)


async def test_only_who_saw_the_latest_version_may_write(server: Server, api: Api) -> None:
    body = {"kind": "ClusterDiagnosis", "metadata": {"name": "one"}, "status": {"state": "Open"}}
    created = (await api.request("POST", DIAGNOSES, body=body)).body
    version = created["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "spec": {"a": 1}, "status": {"state": "Open"}}
    patched = (await api.request("PATCH", f"{DIAGNOSES}/one/status", body=patch, content_type=MERGE)).body

    assert "status" not in created, "a new object has no status yet"
    assert ("spec" in patched, patched["status"]) == (False, {"state": "Open"})
    for path, expected in ((f"{DIAGNOSES}/one/status", 409), (f"{DIAGNOSES}/none/status", 404)):
        with pytest.raises(ApiError) as refused:
            await api.request("PATCH", path, body=patch, content_type=MERGE)
        assert refused.value.status == expected
    with pytest.raises(ApiError, match="AlreadyExists"):
        await api.request("POST", DIAGNOSES, body=body)


async def test_fields_select(server: Server, api: Api) -> None:
    for name, node in (("a", "n1"), ("b", "n2")):
        server.cluster.put({**pod(name), "spec": {"nodeName": node}})

    for selector, expected in (("spec.nodeName=n1", ["a"]), ("metadata.name!=a", ["b"]), ("spec.nodeName=", [])):
        body = (await api.request("GET", PODS, params={"fieldSelector": selector})).body
        assert [one["metadata"]["name"] for one in body["items"]] == expected


async def test_a_fault_happens_where_and_as_often_as_it_is_asked_for(server: Server, api: Api) -> None:
    fault = server.fault(actions.refuse(503), on="list", kind="pods", times=1)

    with pytest.raises(ApiError, match="503"):
        await api.request("GET", PODS)
    assert (await api.request("GET", "/api/v1/nodes")).status == 200
    assert (await api.request("GET", PODS)).status == 200
    assert (len(fault.hits), len(server.asked("list", "pods"))) == (1, 2)


async def test_H7_a_write_to_what_is_not_kubedxs_own_is_noticed_in_every_test(tmp_path: Path) -> None:
    noticed = pytest.raises(AssertionError, match="writes nothing but its own")
    with noticed:
        async with serving() as server, Api(Login(server.kubeconfig(tmp_path))) as api:
            server.cluster.put(pod("a"))
            patch = {"metadata": {"annotations": {"a": "b"}}}
            await api.request("PATCH", "/api/v1/namespaces/x/pods/a", body=patch, content_type=MERGE)


async def test_a_kind_that_is_not_served_is_not_there(server: Server, api: Api) -> None:
    server.unserve("pods")

    with pytest.raises(ApiError, match="404"):
        await api.request("GET", PODS)
    resources = (await api.request("GET", "/api/v1")).body["resources"]
    assert "pods" not in {one["name"] for one in resources}
