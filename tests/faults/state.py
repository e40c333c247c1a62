"""What an API server knows: objects, their versions, and what happened to them, as etcd and the watch cache keep it."""

import asyncio
import bisect
import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kubedx.api import diagnosis, policy
from kubedx.kube.meta import Resource
from kubedx.kube.views import KINDS

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name."""

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
OURS = (diagnosis.RESOURCE, policy.RESOURCE, LEASES)
"""All that kubedx may write to."""

RESOURCES = (*(view.resource for view in KINDS), *OURS)

WITH_STATUS = {diagnosis.RESOURCE, policy.RESOURCE}
"""The kinds whose status is written through a path of its own; the tests put all others as a whole."""

LONGEST_OBJECT = 3 << 19
"""Bytes of the largest request that etcd takes (1.5 MiB)."""


class RefusedError(Exception):
    """A request that cannot be answered as asked.

    Args:
        code: The HTTP status.
        reason: The machine-readable reason.
        message: The reason for people.
        more: Further fields of the Status, such as `details`.
    """

    def __init__(self, code: int, reason: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status: Object = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "message": message, "metadata": {}, **more,
        }  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One change: an object as it was and as it is, either of them None where there was or is none."""

    version: int
    old: Object | None
    new: Object | None


class Cluster:
    """The objects of one cluster, with one counter of versions for all of them.

    Attributes:
        version: The version of the last change.
        skew: How far the cluster's clock is ahead of this machine's.
        keep: How many changes of a kind are kept; older ones are compacted away.
    """

    def __init__(self) -> None:
        self.version = 1000
        self.skew = timedelta()
        self.keep = 20_000
        self._objects: dict[Resource, dict[Key, Object]] = {resource: {} for resource in RESOURCES}
        self._log: dict[Resource, list[Entry]] = {resource: [] for resource in RESOURCES}
        self._compacted: dict[Resource, int] = dict.fromkeys(RESOURCES, 0)
        self._pages: dict[str, tuple[int, list[Object]]] = {}
        self._tokens = itertools.count()
        self._waiting: dict[Resource, set[asyncio.Event]] = {resource: set() for resource in RESOURCES}

    # --- changing ---

    def put(self, obj: Object) -> Object:
        """Create or replace an object, as whoever may do everything.

        Args:
            obj: The object, with `kind`. Uid, version and the time of its creation are filled in where they lack.

        Returns:
            The object as it is kept. Do not change it.
        """
        resource = resource_of(obj["kind"])
        new = json.loads(json.dumps(obj))
        metadata = new.setdefault("metadata", {})
        if resource.namespaced:
            metadata.setdefault("namespace", "default")
        old = self._objects[resource].get(key_of(new))
        metadata.setdefault("uid", old["metadata"]["uid"] if old else str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", old["metadata"]["creationTimestamp"] if old else self.time())
        return self._commit(resource, old, {"apiVersion": resource.api_version, **new})

    def delete(self, kind: str, name: str, namespace: str = "") -> Object:
        """Remove an object at once.

        Args:
            kind: Its kind.
            name: Its name.
            namespace: Its namespace, ``default`` if none is given for a kind that has some.

        Returns:
            What it was at last.

        Raises:
            RefusedError: There is no such object.
        """
        resource = resource_of(kind)
        old = self.get(resource, (namespace or ("default" if resource.namespaced else ""), name))
        self._commit(resource, old, None)
        return old

    def replace(self, resource: Resource, old: Object, new: Object) -> Object:
        """Write an object as a client does: `old` must be what is there, and what is equal is not written.

        Args:
            resource: The kind.
            old: The object as the client's request found it.
            new: What it shall be. Where it carries a version, that must be the old one's.

        Returns:
            The object as it is kept.

        Raises:
            RefusedError: It was written in between, or has become too large.
        """
        wanted = new["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            name = old["metadata"]["name"]
            raise RefusedError(
                409, "Conflict",
                f'Operation cannot be fulfilled on {resource.plural} "{name}": the object has been modified; '
                "please apply your changes to the latest version and try again",
            )  # fmt: skip
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if new == old:
            return old
        if len(json.dumps(new)) > LONGEST_OBJECT:
            raise RefusedError(413, "RequestEntityTooLarge", "etcdserver: request is too large")
        return self._commit(resource, old, new)

    def compact(self, kind: str = "") -> None:
        """Forget the changes up to now, of one kind or of all, and the lists that are being read."""
        for resource in [resource_of(kind)] if kind else list(RESOURCES):
            self._compacted[resource] = self.version
            self._log[resource].clear()
        self.expire_pages()

    def expire_pages(self) -> None:
        """Forget the lists that are being read page by page."""
        self._pages.clear()

    def copy(self) -> "Cluster":
        """A second cluster that stays as this one is now, such as an API server that lags behind."""
        other = Cluster()
        other.version = self.version
        for resource in RESOURCES:
            other._objects[resource] = dict(self._objects[resource])
            other._compacted[resource] = self.version
        return other

    def _commit(self, resource: Resource, old: Object | None, new: Object | None) -> Object:
        self.version += 1
        found = new if new is not None else json.loads(json.dumps(old))
        found["metadata"]["resourceVersion"] = str(self.version)
        if new is None:
            self._objects[resource].pop(key_of(found))
        else:
            self._objects[resource][key_of(new)] = new
        log = self._log[resource]
        log.append(Entry(self.version, old, new) if new is not None else Entry(self.version, found, None))
        if len(log) > self.keep:
            self._compacted[resource] = log[self.keep // 2].version
            del log[: self.keep // 2 + 1]
        for event in self._waiting[resource]:
            event.set()
        return found

    # --- reading ---

    def time(self) -> str:
        """The time by the cluster's clock, as objects carry it."""
        return (datetime.now(UTC) + self.skew).strftime("%Y-%m-%dT%H:%M:%SZ")

    def get(self, resource: Resource, key: Key) -> Object:
        """One object.

        Raises:
            RefusedError: There is none.
        """
        found = self._objects[resource].get(key)
        if found is None:
            raise RefusedError(404, "NotFound", f'{resource.plural} "{key[1]}" not found')
        return found

    def has(self, resource: Resource, key: Key) -> bool:
        """Whether there is such an object."""
        return key in self._objects[resource]

    def objects(self, kind: str) -> list[Object]:
        """All objects of a kind, in the order of namespace and name."""
        found = self._objects[resource_of(kind)]
        return [found[key] for key in sorted(found)]

    def since(self, resource: Resource, version: int) -> list[Entry]:
        """All changes of a kind after a version.

        Raises:
            RefusedError: They are not kept any more.
        """
        if version < self._compacted[resource]:
            raise RefusedError(
                410, "Expired", f"too old resource version: {version} ({self._compacted[resource]})"
            )  # fmt: skip
        log = self._log[resource]
        return log[bisect.bisect_right(log, version, key=lambda entry: entry.version) :]

    def page(self, found: list[Object], limit: int) -> tuple[list[Object], str]:
        """The first page of a list, and the token to go on with, empty where it is the last."""
        return self._cut(self.version, found, limit)[1:]

    def next_page(self, token: str, limit: int) -> tuple[int, list[Object], str]:
        """The version of a list that is being read, its next page, and the token to go on with.

        Raises:
            RefusedError: The token has expired. As real ones do, it offers to go on with what is there now.
        """
        if token not in self._pages:
            raise RefusedError(
                410, "Expired", "The provided continue parameter is too old to display a consistent list"
            )
        return self._cut(*self._pages.pop(token), limit)

    def _cut(self, version: int, found: list[Object], limit: int) -> tuple[int, list[Object], str]:
        if not limit or len(found) <= limit:
            return version, found, ""
        token = f"page-{next(self._tokens)}"
        self._pages[token] = (version, found[limit:])
        return version, found[:limit], token

    def listen(self, resource: Resource, event: asyncio.Event) -> None:
        """Have an event set with each change of a kind."""
        self._waiting[resource].add(event)

    def unlisten(self, resource: Resource, event: asyncio.Event) -> None:
        """End what `listen` began."""
        self._waiting[resource].discard(event)


_BY_KIND = {resource.kind: resource for resource in RESOURCES}
_BY_PLURAL = {resource.plural: resource for resource in RESOURCES}


def resource_of(kind: str) -> Resource:
    """How a kind is served, by its name or its plural."""
    return _BY_KIND.get(kind) or _BY_PLURAL[kind]


def key_of(obj: Object) -> Key:
    """An object's namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merge(found.get(name), value)
    return found


Selects = Callable[[Object], bool]


def selection(query: Mapping[str, str], namespace: str) -> Selects:
    """What a request asks for by namespace, label selector and field selector."""
    tests = [*_label_tests(query.get("labelSelector", "")), *_field_tests(query.get("fieldSelector", ""))]
    if namespace:
        tests.append(lambda obj: obj["metadata"].get("namespace") == namespace)
    return lambda obj: all(test(obj) for test in tests)


_IN = re.compile(r"(?P<key>[^ ,!=]+)\s+(?P<how>in|notin)\s+\((?P<values>[^)]*)\)")
_EQUAL = re.compile(r"(?P<key>[^,!=]+?)\s*(?P<how>==|!=|=)\s*(?P<value>[^,]*)")


def _label_tests(selector: str) -> Iterator[Selects]:
    for found in _IN.finditer(selector):
        values = {value.strip() for value in found["values"].split(",")}
        yield _has_label(found["key"], values, negated=found["how"] == "notin")
    for term in filter(None, (part.strip() for part in _IN.sub("", selector).split(","))):
        if found := _EQUAL.fullmatch(term):
            yield _has_label(found["key"], {found["value"]}, negated=found["how"] == "!=")
        else:
            name = term.lstrip("!")
            yield _has_label(name, None, negated=term.startswith("!"))


def _has_label(name: str, values: set[str] | None, *, negated: bool) -> Selects:
    def test(obj: Object) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return (name in labels and (values is None or labels[name] in values)) is not negated

    return test


def _field_tests(selector: str) -> Iterator[Selects]:
    for term in filter(None, selector.split(",")):
        found = _EQUAL.fullmatch(term)
        if found is None:
            raise RefusedError(400, "BadRequest", f"invalid field selector {term!r}")
        yield _has_field(found["key"].split("."), found["value"], negated=found["how"] == "!=")


def _has_field(path: list[str], value: str, *, negated: bool) -> Selects:
    def test(obj: Object) -> bool:
        at: Any = obj
        for name in path:
            at = at.get(name) if isinstance(at, dict) else None
        return (str(at if at is not None else "") == value) is not negated

    return test
