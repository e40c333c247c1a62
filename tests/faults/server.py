"""An API server on the loopback interface: right by itself, and wrong on demand in every way that real ones are.

`Server` serves a `Cluster`. `Server.fault` makes it misbehave with one of the functions of `tests.faults.actions`, for
one kind or all, some times or until it is lifted. What was asked, and what was written, it remembers.
"""

import asyncio
import contextlib
import email.utils
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import web

from kubedx.kube.meta import Resource
from kubedx.watch.reflector import INITIAL_EVENTS_END
from tests.faults.state import (
    OURS,
    RESOURCES,
    WITH_STATUS,
    Cluster,
    Entry,
    Key,
    Object,
    RefusedError,
    Selects,
    key_of,
    merge,
    resource_of,
    selection,
)

VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
WRITES = frozenset({"create", "update", "patch", "delete"})
TOKEN = "first-token"  # noqa: S105 -- of a server on the loopback interface that lives as long as a test

Do = Callable[["Exchange"], Awaitable[web.StreamResponse | None]]
"""What a fault does with an exchange: the answer, or None to let the server answer."""


@dataclass
class Exchange:
    """One request and what becomes of it.

    Attributes:
        request: The request.
        cluster: What answers it; a fault may put another one in its place.
        at: When it came, by the monotonic clock.
        verb: As RBAC calls it: list, watch, get, create, update, patch, delete; other for what is no kind's.
        resource: The kind, None where the path names none.
        namespace: The namespace of the path.
        name: The name of the path.
        subresource: The subresource of the path.
        status: The HTTP status that was answered, 0 for none.
        server: Who answers.
    """

    request: web.BaseRequest
    cluster: Cluster
    server: "Server"
    at: float = field(default_factory=time.monotonic)
    verb: str = "other"
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    status: int = 0
    body: bytes = b""

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the request."""
        return self.request.query

    @property
    def path(self) -> str:
        """The path of the request."""
        return self.request.path

    @property
    def key(self) -> Key:
        """Namespace and name of the path."""
        return self.namespace, self.name

    @property
    def kind(self) -> Resource:
        """The kind, which the path must name."""
        assert self.resource is not None
        return self.resource

    async def open(self) -> "Stream":
        """Send the headers of a stream."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        self.server.dress(response)
        self.status = response.status
        await response.prepare(self.request)
        return Stream(self, response)


@dataclass(eq=False)
class Stream:
    """A watch that is open.

    Attributes:
        exchange: The request.
        response: The answer.
        muted: Whether nothing more is sent, as if the network had gone.
        version: Up to which version everything was sent.
        changed: Set when there is something to do.
    """

    exchange: Exchange
    response: web.StreamResponse
    muted: bool = False
    version: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def transport(self) -> asyncio.Transport:
        """The connection."""
        found = self.exchange.request.transport
        assert isinstance(found, asyncio.Transport)
        return found

    async def send(self, *lines: bytes) -> None:
        """Send lines, or what is none; nothing is added."""
        if not self.muted:
            await self.response.write(b"".join(lines))

    def error(self, refused: RefusedError) -> bytes:
        """The line that tells of an error within a stream."""
        return line("ERROR", refused.status)

    def bookmark(self, *, ends: bool = False) -> bytes:
        """The line of a bookmark at the version of the stream."""
        annotations = {"annotations": {INITIAL_EVENTS_END: "true"}} if ends else {}
        kind = self.exchange.kind
        metadata = {"resourceVersion": str(self.version), "creationTimestamp": None, **annotations}
        return line("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})


@dataclass(eq=False)
class Fault:
    """Something that goes wrong.

    Attributes:
        do: What happens.
        verbs: With which verbs.
        resource: With which kind, None for all.
        left: How many times more.
        hits: With what it happened so far.
    """

    do: Do
    verbs: frozenset[str]
    resource: Resource | None
    left: float
    hits: list[Exchange] = field(default_factory=list)

    def lift(self) -> None:
        """End it."""
        self.left = 0

    def takes(self, exchange: Exchange) -> bool:
        """Whether it happens to an exchange."""
        same = self.resource is None or self.resource == exchange.resource
        return self.left > 0 and same and (not self.verbs or exchange.verb in self.verbs)


class Server:
    """Serves a cluster over HTTP. Use it as an async context manager.

    Attributes:
        cluster: What it serves.
        log: Every exchange, oldest first.
        streams: The watches that are open.
        streams_lists: Whether it has WatchList.
        bookmark_every: Seconds between two bookmarks of a quiet watch.
        tokens: The Authorization headers that it accepts, None for any.
        tls: How it encrypts, None for not at all. Takes effect at the next start.
        version: Which Kubernetes it is.
        port: Where it listens; stays the same over restarts.
    """

    def __init__(self, cluster: Cluster | None = None) -> None:
        self.cluster = cluster or Cluster()
        self.log: list[Exchange] = []
        self.streams: list[Stream] = []
        self.streams_lists = True
        self.bookmark_every = 60.0
        self.tokens: set[str] | None = None
        self.tls: ssl.SSLContext | None = None
        self.version = "v1.36.3"
        self.port = 0
        self._faults: list[Fault] = []
        self._absent: set[Resource] = set()
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before; if it does already, that is fine."""
        if self._runner is not None:
            return
        http = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(http, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and break every connection, as a server that is killed does."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self.cut(how="abort")
        await runner.cleanup()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self, folder: Path, token_file: Path | None = None, **cluster: Any) -> str:
        """Write a kubeconfig for it.

        Args:
            folder: Where to.
            token_file: A file with the bearer token.
            cluster: Further fields of the cluster, such as `certificate-authority`.

        Returns:
            The path of the kubeconfig.
        """
        user = {"tokenFile": str(token_file)} if token_file else {}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": self.url} | cluster}],
            "users": [{"name": "me", "user": user}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return str(path)

    # --- going wrong ---

    def fault(self, do: Do, *, on: str = "", kind: str = "", times: float = float("inf")) -> Fault:
        """Misbehave. Of several faults that match, the latest happens.

        Args:
            do: How, see `tests.faults.actions`.
            on: With which verbs, separated by blanks: list, watch, get, create, update, patch, delete, `write` for the
                last four; empty for all.
            kind: With which kind, by its name or plural; empty for all.
            times: How many times.

        Returns:
            The fault, which can be lifted.
        """
        verbs = set(on.split())
        if "write" in verbs:
            verbs |= WRITES
        found = Fault(do, frozenset(verbs), resource_of(kind) if kind else None, times)
        self._faults.insert(0, found)
        return found

    def heal(self) -> None:
        """Lift every fault, serve every kind, and let muted streams speak no more: what is muted stays so."""
        self._faults.clear()
        self._absent.clear()

    def unserve(self, kind: str) -> None:
        """Serve a kind no more: 404 for its paths, no word of it in discovery."""
        self._absent.add(resource_of(kind))
        for stream in [one for one in self.streams if one.exchange.resource == resource_of(kind)]:
            stream.transport.abort()

    def serve(self, kind: str) -> None:
        """Serve a kind again."""
        self._absent.discard(resource_of(kind))

    def watching(self, kind: str = "") -> list[Stream]:
        """The open watches of a kind, or of all kinds."""
        return [one for one in self.streams if not kind or one.exchange.resource == resource_of(kind)]

    async def inject(self, kind: str, *lines: bytes) -> None:
        """Send bytes into every open watch of a kind."""
        for stream in self.watching(kind):
            await stream.send(*lines)

    def mute(self, kind: str = "") -> None:
        """Send nothing more into open watches, and leave their connections as they are: a half-open TCP connection."""
        for stream in self.watching(kind):
            stream.muted = True

    def stop_telling(self, kind: str = "") -> None:
        """Tell open watches nothing more of the cluster; what is injected still comes through."""
        for stream in self.watching(kind):
            stream.exchange.cluster.unlisten(stream.exchange.kind, stream.changed)

    def cut(self, kind: str = "", how: str = "end") -> None:
        """End open watches.

        Args:
            kind: Of which kind, empty for all.
            how: ``end`` as HTTP asks for, ``close`` the connection in the middle, or ``abort`` it with a RST.
        """
        for stream in self.watching(kind):
            if how == "end":
                self.streams.remove(stream)
                stream.changed.set()
            elif how == "close":
                stream.transport.close()
            else:
                stream.transport.abort()

    # --- what happened ---

    def asked(self, verb: str = "", kind: str = "") -> list[Exchange]:
        """The exchanges with a verb and a kind, oldest first."""
        resource = resource_of(kind) if kind else None
        return [
            one for one in self.log
            if (not verb or one.verb in verb.split()) and (resource is None or one.resource == resource)
        ]  # fmt: skip

    @property
    def writes(self) -> list[Exchange]:
        """Every write that was asked for, allowed or not."""
        return [one for one in self.log if one.verb in WRITES or one.request.method not in {"GET", "HEAD"}]

    @property
    def strange_writes(self) -> list[str]:
        """The writes to anything that is not kubedx's own (H7)."""
        return [f"{one.request.method} {one.path}" for one in self.writes if one.resource not in OURS]

    # --- answering ---

    def dress(self, response: web.StreamResponse) -> None:
        """Put the cluster's time into the headers of an answer."""
        at = time.time() + self.cluster.skew.total_seconds()
        response.headers["Date"] = email.utils.formatdate(at, usegmt=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = Exchange(request, self.cluster, self)
        _parse(exchange)
        self.log.append(exchange)
        try:
            exchange.body = await request.read()
            answer = await self._answer(exchange)
        except RefusedError as refused:
            answer = refusal(refused)
        except ConnectionError:  # The client went away before the answer began.
            answer = web.Response()
        if not answer.prepared:
            self.dress(answer)
        exchange.status = exchange.status or answer.status
        return answer

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        for fault in self._faults:
            if fault.takes(exchange):
                fault.left -= 1
                fault.hits.append(exchange)
                answer = await fault.do(exchange)
                if answer is not None:
                    return answer
                break
        given = exchange.request.headers.get("Authorization")
        if self.tokens is not None and given not in self.tokens:
            raise RefusedError(401, "Unauthorized", "Unauthorized")
        if exchange.resource in self._absent:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        if exchange.resource is None:
            return self._discovery(exchange)
        match exchange.verb:
            case "watch":
                return await self._watch(exchange)
            case "list":
                return self._list(exchange)
            case _:
                return self._one(exchange)

    def _discovery(self, exchange: Exchange) -> web.Response:
        served = [resource for resource in RESOURCES if resource not in self._absent]
        groups = sorted({(one.group, one.version) for one in served if one.group})
        found: Object | None = None
        match exchange.path.strip("/").split("/"):
            case ["version"]:
                found = {"gitVersion": self.version, "major": "1", "minor": "36"}
            case ["api"]:
                found = {"kind": "APIVersions", "versions": ["v1"]}
            case ["apis"]:
                found = {"kind": "APIGroupList", "groups": [_group(*one) for one in groups]}
            case ["apis", group] if group in dict(groups):
                found = {"kind": "APIGroup", **_group(group, dict(groups)[group])}
            case ["api", "v1"]:
                found = _resources("", "v1", served)
            case ["apis", group, version] if (group, version) in groups:
                found = _resources(group, version, served)
        if found is None:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        return web.json_response(found)

    # --- lists ---

    def _list(self, exchange: Exchange) -> web.Response:
        cluster, query = exchange.cluster, exchange.query
        _check_version(cluster, query)
        limit = int(query.get("limit") or 0)
        if token := query.get("continue"):
            version, found, more = cluster.next_page(token, limit)
        else:
            wanted = selection(query, exchange.namespace)
            everything = [obj for obj in cluster.objects(exchange.kind.kind) if wanted(obj)]
            # As real ones do: a list from the cache knows no limit.
            found, more = cluster.page(everything, 0 if query.get("resourceVersion") == "0" else limit)
            version = cluster.version
        kind, api_version, shown = f"{exchange.kind.kind}List", exchange.kind.api_version, found
        if _metadata_only(exchange):
            kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            shown = [_partial(obj) for obj in found]
        metadata = {"resourceVersion": str(version), **({"continue": more} if more else {})}
        return web.json_response({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": shown})

    # --- watches ---

    async def _watch(self, exchange: Exchange) -> web.StreamResponse:
        cluster, query = exchange.cluster, exchange.query
        initial = query.get("sendInitialEvents") == "true"
        if "sendInitialEvents" in query and not self.streams_lists:
            raise RefusedError(
                422, "Invalid",
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature "
                "gate is enabled",
            )  # fmt: skip
        if initial and query.get("resourceVersionMatch") != "NotOlderThan":
            raise RefusedError(
                422, "Invalid", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
        wanted = selection(query, exchange.namespace)
        if initial:
            _check_version(cluster, query)
        stream = await exchange.open()
        self.streams.append(stream)
        try:
            with contextlib.suppress(ConnectionError):
                await self._tell(stream, wanted, initial=initial)
        finally:
            if stream in self.streams:
                self.streams.remove(stream)
        return stream.response

    async def _tell(self, stream: Stream, wanted: Selects, *, initial: bool) -> None:
        exchange = stream.exchange
        cluster, query, resource = exchange.cluster, exchange.query, exchange.kind
        ends = time.monotonic() + float(query.get("timeoutSeconds") or 1800)
        cluster.listen(resource, stream.changed)
        try:
            begin = query.get("resourceVersion", "")
            stream.version = cluster.version if initial or begin in {"", "0"} else int(begin)
            if initial or begin in {"", "0"}:
                found = [obj for obj in cluster.objects(resource.kind) if wanted(obj)]
                for first in range(0, len(found), 500):
                    await stream.send(*(line("ADDED", _shown(exchange, obj)) for obj in found[first : first + 500]))
            if initial:
                await stream.send(stream.bookmark(ends=True))
            while (left := ends - time.monotonic()) > 0 and stream in self.streams:
                stream.changed.clear()
                entries = cluster.since(resource, stream.version)
                if entries:
                    await stream.send(*filter(None, (_event(exchange, entry, wanted) for entry in entries)))
                    stream.version = entries[-1].version
                await self._rest(stream, left)
        except RefusedError as refused:
            await stream.send(stream.error(refused))
        finally:
            cluster.unlisten(resource, stream.changed)

    async def _rest(self, stream: Stream, left: float) -> None:
        try:
            async with asyncio.timeout(min(left, self.bookmark_every)):
                await stream.changed.wait()
        except TimeoutError:
            # Whoever asked for a version of the future hears nothing, as from real ones.
            has_reached = stream.exchange.cluster.version >= stream.version
            if stream.exchange.query.get("allowWatchBookmarks") == "true" and stream in self.streams and has_reached:
                # The cache has seen everything up to now, of whatever kind.
                stream.version = stream.exchange.cluster.version
                await stream.send(stream.bookmark())

    # --- single objects ---

    def _one(self, exchange: Exchange) -> web.Response:
        cluster, resource = exchange.cluster, exchange.kind
        if exchange.verb == "create":
            return self._create(exchange)
        old = cluster.get(resource, exchange.key)
        if exchange.verb == "get":
            return web.json_response(_shown(exchange, old))
        body = json.loads(exchange.body or b"{}")
        if exchange.verb == "delete":
            wanted = body.get("preconditions", {}).get("uid")
            if wanted and wanted != old["metadata"]["uid"]:
                raise RefusedError(409, "Conflict", f"the UID in the precondition ({wanted}) is not the object's")
            return web.json_response(cluster.delete(resource.kind, exchange.name, exchange.namespace))
        asked = merge(old, body) if exchange.verb == "patch" else body
        return web.json_response(cluster.replace(resource, old, _isolated(exchange, old, asked)))

    def _create(self, exchange: Exchange) -> web.Response:
        cluster, resource = exchange.cluster, exchange.kind
        body = json.loads(exchange.body)
        metadata = body["metadata"]
        if resource.namespaced:
            metadata.setdefault("namespace", exchange.namespace)
        if cluster.has(resource, key_of(body)):
            raise RefusedError(409, "AlreadyExists", f'{resource.plural} "{metadata["name"]}" already exists')
        if resource in WITH_STATUS:
            body.pop("status", None)
            metadata["generation"] = 1
        return web.json_response(cluster.put({**body, "kind": resource.kind}), status=201)


def refusal(refused: RefusedError, **headers: str) -> web.Response:
    """The answer to a request that is refused."""
    return web.json_response(refused.status, status=refused.code, headers=headers)


def line(kind: str, obj: object) -> bytes:
    """A line of a watch, as real servers write it."""
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), json.dumps(obj, separators=(",", ":")).encode())


def _event(exchange: Exchange, entry: Entry, wanted: Selects) -> bytes:
    """What a watch tells of a change: what leaves the selection is deleted, what enters it is added."""
    before = entry.old is not None and wanted(entry.old)
    now = entry.new is not None and wanted(entry.new)
    if now:
        return line("MODIFIED" if before else "ADDED", _shown(exchange, entry.new or {}))
    if not before:
        return b""
    last = json.loads(json.dumps(entry.old))
    last["metadata"]["resourceVersion"] = str(entry.version)
    return line("DELETED", _shown(exchange, last))


def _isolated(exchange: Exchange, old: Object, new: Object) -> Object:
    """Keep of a write what its path may write: the status through its own path, all else through the other."""
    resource = exchange.kind
    found = {**new, "metadata": {**new["metadata"]}}
    if resource not in WITH_STATUS:
        return found
    if exchange.subresource == "status":
        version = new["metadata"].get("resourceVersion", "")
        return {**old, "metadata": {**old["metadata"], "resourceVersion": version}, "status": new.get("status")}
    found.pop("status", None)
    if "status" in old:
        found["status"] = old["status"]
    if found.get("spec") != old.get("spec"):
        found["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
    return found


def _check_version(cluster: Cluster, query: Mapping[str, str]) -> None:
    version = query.get("resourceVersion") or "0"
    if query.get("resourceVersionMatch") and not query.get("resourceVersion") and "watch" not in query:
        raise RefusedError(400, "BadRequest", "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if int(version) > cluster.version:
        raise RefusedError(
            504, "Timeout", f"Too large resource version: {version}, current: {cluster.version}",
            details={"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge"}]},
        )  # fmt: skip


def _metadata_only(exchange: Exchange) -> bool:
    return "as=PartialObjectMetadata" in exchange.request.headers.get("Accept", "")


def _partial(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _shown(exchange: Exchange, obj: Object) -> Object:
    return _partial(obj) if _metadata_only(exchange) else obj


def _group(group: str, version: str) -> Object:
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def _resources(group: str, version: str, served: list[Resource]) -> Object:
    api_version = f"{group}/{version}" if group else version
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    found = []
    for one in (one for one in served if one.api_version == api_version):
        common = {"singularName": one.kind.lower(), "namespaced": one.namespaced, "kind": one.kind}
        found.append({"name": one.plural, "verbs": verbs, **common})
        if one in WITH_STATUS:
            found.append({"name": f"{one.plural}/status", "verbs": ["get", "patch", "update"], **common})
    return {"kind": "APIResourceList", "groupVersion": api_version, "resources": found}


_BY_PATH = {(one.api_version, one.plural): one for one in RESOURCES}


def _parse(exchange: Exchange) -> None:
    match exchange.path.strip("/").split("/"):
        case ["api", version, *rest] if rest:
            api_version = version
        case ["apis", group, version, *rest] if rest:
            api_version = f"{group}/{version}"
        case _:
            return
    if rest[0] == "namespaces" and len(rest) > 2:
        exchange.namespace = rest[1]
        rest = rest[2:]
    exchange.resource = _BY_PATH.get((api_version, rest[0]))
    if exchange.resource is None:
        return
    exchange.name = rest[1] if len(rest) > 1 else ""
    exchange.subresource = rest[2] if len(rest) > 2 else ""
    exchange.verb = VERBS.get(exchange.request.method, "other")
    if exchange.verb == "get" and not exchange.name:
        exchange.verb = "watch" if exchange.query.get("watch") in {"1", "true"} else "list"


@contextlib.asynccontextmanager
async def serving(cluster: Cluster | None = None) -> AsyncIterator[Server]:
    """A server that runs, and that nobody wrote to but as kubedx may (H7)."""
    async with Server(cluster) as server:
        yield server
    assert server.strange_writes == [], "kubedx writes nothing but its own kinds and its Lease"
