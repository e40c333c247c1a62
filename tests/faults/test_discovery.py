"""Kinds that a user names: found through the API server's discovery, and watched by their metadata alone."""

import pytest

from kubedx.store.store import State
from kubedx.watch.client import Api, ApiError
from kubedx.watch.discovery import metadata_kind
from tests.faults import actions
from tests.faults.server import Server
from tests.faults.watching import watching


async def test_a_kind_is_found_by_its_plural_and_its_group(api: Api) -> None:
    leases = await metadata_kind(api, "leases.coordination.k8s.io")
    nodes = await metadata_kind(api, "nodes")

    assert leases is not None
    assert nodes is not None
    assert (leases.resource.kind, leases.resource.path) == (
        "Lease.coordination.k8s.io", "/apis/coordination.k8s.io/v1/leases"
    )  # fmt: skip
    assert (nodes.resource.kind, nodes.resource.path, nodes.resource.namespaced) == ("Node", "/api/v1/nodes", False)


@pytest.mark.parametrize("name", ["certificates.cert-manager.io", "surprises", "surprises.apps"])
async def test_a_kind_that_is_not_served_is_not_found(api: Api, name: str) -> None:
    assert await metadata_kind(api, name) is None


@pytest.mark.parametrize("body", ["<html>Log in</html>", '{"preferredVersion": null}', "[]", '"text"'])
async def test_an_answer_that_makes_no_sense_is_an_error_that_can_be_outlived(
    server: Server, api: Api, body: str
) -> None:
    content_type = "text/html" if "html" in body else "application/json"
    server.fault(actions.answer(body, content_type=content_type))

    with pytest.raises(ApiError, match="BadAnswer"):
        await metadata_kind(api, "leases.coordination.k8s.io")


async def test_only_the_metadata_of_such_a_kind_travels(server: Server, api: Api) -> None:
    kind = await metadata_kind(api, "leases.coordination.k8s.io")
    assert kind is not None
    lease = {"kind": "Lease", "metadata": {"name": "one", "finalizers": ["keep.me/please"]}, "spec": {"a": 1}}
    server.cluster.put(lease)
    async with watching(api, kind) as leases:
        await leases.turns(State.SYNCED)

        assert leases.one("one").metadata.finalizers == ("keep.me/please",)
        asked = server.asked("watch", "leases")[0].request.headers["Accept"]
        assert "as=PartialObjectMetadata;" in asked
