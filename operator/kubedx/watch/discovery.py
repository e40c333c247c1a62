"""Kinds that are known only at run time: found through the API server's own discovery."""

from kubedx.kube.meta import Resource, View, metadata_view
from kubedx.watch.client import Api, ApiError


async def metadata_kind(api: Api, name: str) -> type[View] | None:
    """Find a kind by the name that people give it, to watch nothing but its metadata.

    Args:
        api: The client.
        name: ``plural.group``, such as ``certificates.cert-manager.io``, or ``plural`` for the core group.

    Returns:
        A view of the kind's metadata, or None where the API server does not serve it now.

    Raises:
        ApiError: The server refused to tell.
        UnreachableError: No answer came.
    """
    plural, _, group = name.partition(".")
    try:
        version = await _version(api, group)
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        found = (await api.request("GET", base)).body
    except ApiError as error:
        if error.status == 404:  # noqa: PLR2004 -- HTTP Not Found
            return None
        raise
    for one in found.get("resources") or ():
        if one.get("name") == plural:
            kind = f"{one['kind']}.{group}" if group else str(one["kind"])
            return metadata_view(Resource(group, version, plural, kind, bool(one.get("namespaced"))))
    return None


async def _version(api: Api, group: str) -> str:
    if not group:
        return "v1"
    body = (await api.request("GET", f"/apis/{group}")).body
    return str(body["preferredVersion"]["version"])
