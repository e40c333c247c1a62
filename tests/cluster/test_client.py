"""The login and the client against a real API server."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubedx.watch.client import Api, ApiError, ConfigError, Login, UnreachableError
from tests.cluster.harness import Cluster, free_ports


def changed(cluster: Cluster, folder: Path, *, user: dict[str, str] | None = None, **fields: object) -> str:
    """A copy of the kubeconfig with another user, or with other fields of its cluster; None takes one away."""
    config: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text())
    if user is not None:
        config["users"][0]["user"] = user
    for name, value in fields.items():
        entry = config["clusters"][0]["cluster"]
        entry.pop(name, None)
        if value is not None:
            entry[name] = value
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return str(folder / "kubeconfig")


async def check(path: str) -> str:
    async with Api(Login(path)) as api:
        return await api.check()


async def test_logs_in_with_the_client_certificate_of_a_kubeconfig(cluster: Cluster) -> None:
    assert re.fullmatch(r"v1\.\d+\.\d+.*", await check(str(cluster.kubeconfig)))


async def test_a_server_that_is_gone_is_unreachable(cluster: Cluster, tmp_path: Path) -> None:
    server = f"https://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(UnreachableError, match=rf"The API server {server} cannot be reached: .*errno"):
        await check(changed(cluster, tmp_path, server=server))


async def test_a_ca_that_did_not_sign_the_server_is_explained(cluster: Cluster, tmp_path: Path) -> None:
    without = dict.fromkeys(("certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"))
    with pytest.raises(ConfigError, match="is not trusted"):
        await check(changed(cluster, tmp_path, **without))


async def test_a_token_that_nobody_issued_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"refuses these credentials \(401\): Unauthorized"):
        await check(changed(cluster, tmp_path, user={"token": "nobody"}))


async def test_writes_read_back_and_are_refused_in_the_servers_own_words(cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    async with Api(Login(str(cluster.kubeconfig))) as api:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
        created = await api.request("POST", path, body=body)
        assert created.status == 201
        patch = {"metadata": {"resourceVersion": created.body["metadata"]["resourceVersion"]}, "data": {"a": "2"}}
        merge = "application/merge-patch+json"
        patched = await api.request("PATCH", f"{path}/settings", body=patch, content_type=merge)
        assert patched.body["data"] == {"a": "2"}
        with pytest.raises(ApiError) as conflict:
            await api.request("PATCH", f"{path}/settings", body=patch, content_type=merge)
        assert (conflict.value.status, conflict.value.reason) == (409, "Conflict")
        assert "the object has been modified" in conflict.value.message
        with pytest.raises(ApiError) as twice:
            await api.request("POST", path, body=body)
        assert (twice.value.status, twice.value.reason) == (409, "AlreadyExists")
        with pytest.raises(ApiError) as missing:
            await api.request("GET", f"{path}/none")
        assert (missing.value.status, missing.value.reason) == (404, "NotFound")


async def test_a_watch_streams_changes(cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    async with Api(Login(str(cluster.kubeconfig))) as api:
        since = (await api.request("GET", path)).body["metadata"]["resourceVersion"]
        async with api.stream(path, {"watch": "true", "resourceVersion": since}) as response:
            await api.request("POST", path, body={"metadata": {"name": "seen"}})
            line = await response.content.readline()
    assert b'"type":"ADDED"' in line
    assert b'"seen"' in line
