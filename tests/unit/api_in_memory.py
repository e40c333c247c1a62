"""An API server that is a dictionary: for tests of what is written."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from kubedx.api.diagnosis import RESOURCE


class RefusedError(Exception):
    """An answer of the API server other than 2xx."""

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.retry_after = retry_after


class Cluster:
    """Objects by name, with versions and preconditions as the API server has them."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.at: list[float] = []
        self.refuse: Callable[[str, str], None] = lambda *_: None
        self._version = 0

    async def request(
        self, method: str, path: str, *, body: object = None, content_type: str = "application/json"
    ) -> SimpleNamespace:
        assert isinstance(body, dict | None)
        name = path.removeprefix(f"{RESOURCE.path}").strip("/").removesuffix("/status")
        self.asked.append((method, name or (body or {})["metadata"]["name"]))
        self.at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        self.refuse(method, name)
        match method:
            case "POST":
                return self._created(body or {})
            case "PATCH":
                assert content_type == "application/merge-patch+json"
                assert path.endswith("/status")
                return self._patched(name, body or {})
            case "DELETE":
                return self._deleted(name, body or {})
        return SimpleNamespace(body=self._found(name))

    def put(self, name: str, **more: dict[str, Any]) -> dict[str, Any]:
        self._version += 1
        metadata = {"name": name, "uid": f"uid-{self._version}", "resourceVersion": str(self._version), "labels": {}}
        found: dict[str, Any] = {"metadata": metadata | more.pop("metadata", {}), **more}
        self.objects[name] = found
        return found

    def touch(self, name: str) -> dict[str, Any]:
        """Somebody else writes the object: its version grows."""
        self._version += 1
        found = self.objects[name]
        found["metadata"] = {**found["metadata"], "resourceVersion": str(self._version)}
        return found

    def states(self) -> dict[str, str]:
        return {one["status"]["subject"]["name"]: one["status"]["state"] for one in self.objects.values()}

    def writes(self, method: str) -> list[str]:
        return [name for asked, name in self.asked if asked == method]

    def _found(self, name: str) -> dict[str, Any]:
        if name not in self.objects:
            raise RefusedError(404)
        return self.objects[name]

    def _created(self, body: dict[str, Any]) -> SimpleNamespace:
        name = body["metadata"]["name"]
        if name in self.objects:
            raise RefusedError(409)
        assert "status" not in body
        return SimpleNamespace(body=dict(self.put(name, metadata=body["metadata"])))

    def _patched(self, name: str, body: dict[str, Any]) -> SimpleNamespace:
        found = self._found(name)
        if body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise RefusedError(409)
        merged = {**found.get("status", {}), **body["status"]}
        found["status"] = {key: value for key, value in merged.items() if value is not None}
        return SimpleNamespace(body=dict(self.touch(name)))

    def _deleted(self, name: str, body: dict[str, Any]) -> SimpleNamespace:
        found = self._found(name)
        if body["preconditions"]["uid"] != found["metadata"]["uid"]:
            raise RefusedError(409)
        del self.objects[name]
        return SimpleNamespace(body={})
