"""Kinds that are known only at run time: found through the API server's own discovery."""

from typing import TypeVar

import msgspec

from kubedx.kube.meta import Resource, View, metadata_view
from kubedx.watch.client import Api, ApiError

S = TypeVar("S", bound=msgspec.Struct)


class _Version(msgspec.Struct):
    version: str


class _Group(msgspec.Struct, rename="camel"):
    preferred_version: _Version


class _Served(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool = False


class _Resources(msgspec.Struct):
    resources: list[_Served] = []


async def metadata_kind(api: Api, name: str) -> type[View] | None:
    """Find a kind by the name that people give it, to watch nothing but its metadata.

    Args:
        api: The client.
        name: ``plural.group``, such as ``certificates.cert-manager.io``, or ``plural`` for the core group.

    Returns:
        A view of the kind's metadata, or None where the API server does not serve it now.

    Raises:
        ApiError: The server refused to tell, or its answer makes no sense.
        UnreachableError: No answer came.
    """
    plural, _, group = name.partition(".")
    try:
        version = (await _ask(api, f"/apis/{group}", _Group)).preferred_version.version if group else "v1"
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        found = await _ask(api, base, _Resources)
    except ApiError as error:
        if error.status == 404:  # noqa: PLR2004 -- HTTP Not Found
            return None
        raise
    for one in found.resources:
        if one.name == plural:
            kind = f"{one.kind}.{group}" if group else one.kind
            return metadata_view(Resource(group, version, plural, kind, one.namespaced))
    return None


async def _ask(api: Api, path: str, wanted: type[S]) -> S:
    answer = await api.request("GET", path)
    try:
        return msgspec.convert(answer.body, wanted)
    except msgspec.ValidationError as error:
        raise ApiError(f"GET {path}", answer.status, "BadAnswer", str(error)) from error
