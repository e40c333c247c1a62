"""The one place that logs in to an API server and talks HTTP with it.

`Login` says how to reach and convince a server; the sessions of both event loops share it, and it keeps
itself fresh. `Api` is a client of one loop. `kubernetes.config` finds the credentials, aiohttp carries the bytes.
"""

import asyncio
import ipaddress
import logging
import os
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import aiohttp
import msgspec
import yaml

from kubedx import __version__
from kubedx.watch.clock import Clock

logger = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts a pod's token and CA (kubernetes/plugin/pkg/admission/serviceaccount)."""

REREAD_AFTER = 60.0
"""Seconds after which files are read again. client-go re-reads a token file each minute (transport/token_source.go)."""

PLUGIN_REST = 10.0
"""Seconds that must pass between two runs of a credential plugin, however often the server refuses its token."""

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection, its TLS handshake included."""

STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
"""A stream has no end of its own; its reader decides when silence is too long."""

CLOSING_TIME = 0.1
"""Seconds that connections get to close in before their loop may end."""

READ_BUFFER = 1 << 18
"""Bytes of a stream that aiohttp aims to hold unread (it stops reading at twice as many): what is there is taken in one
turn of the loop, which must not last."""


class ConfigError(Exception):
    """This configuration cannot work; the message says what is wrong and what to change."""


class UnreachableError(ConfigError):
    """No answer came from the API server; the message names its address and the reason."""


class ApiError(Exception):
    """The API server refused a request.

    Args:
        request: What was asked, such as ``GET /api/v1/pods``.
        status: The HTTP status code.
        reason: The machine-readable reason of the Status object, such as ``AlreadyExists``; else HTTP's own phrase.
        message: What the server says about it, for people.
        retry_after: Seconds that the server asks to wait before the next try, None where it does not ask.
    """

    def __init__(self, request: str, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{request} was refused: {status} {reason}: {message}")
        self.request = request
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class WatchGapError(Exception):
    """A foreign watcher is about to miss changes, and must begin anew."""


@dataclass(frozen=True, slots=True)
class Response:
    """One whole answer.

    Attributes:
        status: The HTTP status code, below 400.
        body: The decoded JSON, or text where the server sent no JSON.
        headers: The response headers.
    """

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Credentials:
    """What one connection needs. Compared by identity: another object means that something was loaded again.

    Attributes:
        server: The base URL, without a slash at its end.
        authorization: The Authorization header, None where a client certificate or nothing identifies us.
        tls: The TLS context, False for plain HTTP.
        tls_parts: What `tls` was made of, to see whether it must be made again.
        proxy: The URL of the proxy to go through.
        plugin: Whether a program outside made these credentials, which is too dear to run each minute.
        expires: When the plugin's credentials end, in seconds since the epoch.
    """

    server: str
    authorization: str | None = field(repr=False)
    tls: ssl.SSLContext | bool
    tls_parts: tuple[object, ...] = field(repr=False)
    proxy: str | None
    plugin: bool = False
    expires: float | None = None


class Login:
    """How to reach and convince one API server; safe to share between threads.

    Inside a pod the mounted ServiceAccount is used, elsewhere a kubeconfig. Token and certificate files are read again
    each minute and whenever the server refuses them, so a rotation needs no restart.

    Args:
        kubeconfig: Path of the kubeconfig; None for the ServiceAccount of the pod, else ``$KUBECONFIG``, else
            ``~/.kube/config``.
        context: Name of the kubeconfig's context; None for its current one.
        service_account: The folder with the pod's token and CA.

    Raises:
        ConfigError: There is no usable configuration.
    """

    def __init__(
        self, kubeconfig: str | None = None, context: str | None = None, service_account: Path = SERVICE_ACCOUNT
    ) -> None:
        self.in_cluster = kubeconfig is None and context is None and _runs_in_pod(service_account)
        self._kubeconfig = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
        self._context = context
        self._service_account = service_account
        self._lock = threading.Lock()
        self._current = self._load(None)
        self._loaded_at = time.monotonic()
        self._due = self._next_due(self._current)

    @property
    def server(self) -> str:
        """The base URL of the API server."""
        return self._current.server

    @property
    def current(self) -> Credentials:
        """The credentials as they were last read."""
        return self._current

    async def credentials(self) -> Credentials:
        """The credentials to use now, read again if that is due."""
        if time.monotonic() < self._due:
            return self._current
        return await asyncio.to_thread(self._refresh)

    async def renew(self, refused: Credentials) -> Credentials:
        """Read the credentials again, because the server refused them or its certificate was not trusted.

        Args:
            refused: The credentials that did not work.

        Returns:
            Others than `refused` if there are any, else `refused` itself.
        """
        return await asyncio.to_thread(self._renew, refused)

    def _refresh(self) -> Credentials:
        with self._lock:
            if time.monotonic() >= self._due:
                self._reload()
            return self._current

    def _renew(self, refused: Credentials) -> Credentials:
        with self._lock:
            resting = refused.plugin and time.monotonic() - self._loaded_at < PLUGIN_REST
            if self._current is refused and not resting:
                self._reload()
            return self._current

    def _reload(self) -> None:
        self._loaded_at = time.monotonic()
        try:
            loaded = self._load(self._current)
        except ConfigError as error:
            # A file is replaced this very moment, or a plugin fails: what we have may still do.
            logger.warning("The credentials could not be read again: %s", error)
            self._due = self._loaded_at + PLUGIN_REST
            return
        if _differ(loaded, self._current):
            self._current = loaded
        self._due = self._next_due(self._current)

    def _next_due(self, credentials: Credentials) -> float:
        if not credentials.plugin:
            return self._loaded_at + REREAD_AFTER
        if credentials.expires is None:
            return float("inf")
        return self._loaded_at + max(credentials.expires - time.time() - REREAD_AFTER, PLUGIN_REST)

    def _load(self, before: Credentials | None) -> Credentials:
        if self.in_cluster:
            found = _load_service_account(self._service_account)
        else:
            found = _load_kubeconfig(self._kubeconfig, self._context)
        parts = _tls_parts(found)
        same_tls = before is not None and before.tls_parts == parts
        return Credentials(
            server=found.server,
            authorization=found.authorization,
            tls=before.tls if before is not None and same_tls else _tls_context(found),
            tls_parts=parts,
            proxy=_supported(found.proxy or environment_proxy(found.server)),
            plugin=found.plugin,
            expires=found.expires,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """What a configuration says."""

    server: str
    authorization: str | None = field(repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None
    plugin: bool = False
    expires: float | None = None


def _runs_in_pod(service_account: Path) -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (service_account / "token").is_file()


def _differ(one: Credentials, other: Credentials) -> bool:
    return (one.authorization, one.tls_parts, one.expires) != (other.authorization, other.tls_parts, other.expires)


def _load_service_account(folder: Path) -> _Found:
    """Read what the kubelet gives a pod, as `rest.InClusterConfig` of client-go does.

    Without the client library, which would take 25 MB of the pod's memory for it.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    token, why = "", "The environment variable KUBERNETES_SERVICE_PORT is empty." if not port else ""
    try:
        token = (folder / "token").read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = f"{error}."
    if not token:
        why = why or "Its token is empty."
    elif not (folder / "ca.crt").is_file():
        why = "It has no ca.crt."
    if why:
        raise ConfigError(
            f"The pod's ServiceAccount in {folder} cannot be used: {why} "
            "Look at automountServiceAccountToken and serviceAccountName of the pod."
        )
    address = f"[{host}]" if ":" in host else host
    return _Found(f"https://{address}:{port}", f"Bearer {token}", ca_file=str(folder / "ca.crt"))


def _load_kubeconfig(path: str, context: str | None) -> _Found:
    # The import takes a second, and neither a pod nor a scan of a dump needs it.
    from kubernetes.client import Configuration  # noqa: PLC0415
    from kubernetes.config import ConfigException  # noqa: PLC0415 -- see Login._load
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger  # noqa: PLC0415

    found = Configuration()
    try:
        merged = KubeConfigMerger(path).config
        if merged is None:
            raise ConfigError(
                f"There is no kubeconfig at {path}. Name one with --kubeconfig or the environment variable KUBECONFIG, "
                "or run kubedx inside the cluster."
            )
        _check_context(merged.value, path, context)
        loader = KubeConfigLoader(config_dict=merged, active_context=context, config_base_path=None)
        with _root_errors() as errors:
            loader.load_and_set(found)
    except (ConfigException, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"The kubeconfig {path} cannot be used: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"The kubeconfig {path} is not valid YAML: {error}") from error
    if errors:
        raise ConfigError(f"The credential plugin of the kubeconfig {path} failed: {'; '.join(errors)}")
    made = vars(loader)
    expires: datetime | None = made.get("expiry")
    user = made.get("_user") or {}
    return _Found(
        server=found.host.rstrip("/"),
        authorization=found.api_key.get("BearerToken", "").strip() or None,
        ca_file=found.ssl_ca_cert,
        cert_file=found.cert_file,
        key_file=found.key_file,
        verify=found.verify_ssl,
        server_name=found.tls_server_name,
        proxy=made.get("proxy"),
        plugin="exec" in user or "auth-provider" in user,
        expires=expires.replace(tzinfo=expires.tzinfo or UTC).timestamp() if expires else None,
    )


def _check_context(config: Mapping[str, Any], path: str, context: str | None) -> None:
    known = [str(entry["name"]) for entry in config.get("contexts") or () if "name" in entry]
    wanted = context or config.get("current-context")
    names = ", ".join(known) or "none"
    if not wanted:
        raise ConfigError(f"The kubeconfig {path} has no current context. Name one with --context; it knows: {names}.")
    if wanted not in known:
        raise ConfigError(f"The kubeconfig {path} has no context {wanted!r}. It knows: {names}.")


@contextmanager
def _root_errors() -> Iterator[list[str]]:
    """Catch what `kubernetes.config` only logs: that a credential plugin failed."""
    messages: list[str] = []

    class Catcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    catcher = Catcher(logging.ERROR)
    catcher.addFilter(lambda record: "kube_config" in record.pathname)
    logging.getLogger().addHandler(catcher)
    try:
        yield messages
    finally:
        logging.getLogger().removeHandler(catcher)


def _supported(proxy: str | None) -> str | None:
    if proxy is not None and not proxy.startswith(("http://", "https://")):
        raise ConfigError(f"The proxy {proxy} cannot be used: only http:// and https:// proxies are supported.")
    return proxy


def environment_proxy(server: str) -> str | None:
    """The proxy that the environment names for a server, as kubectl reads HTTPS_PROXY, HTTP_PROXY and NO_PROXY.

    Args:
        server: The base URL of the server.

    Returns:
        The URL of the proxy, None to connect directly. Like Go's ``httpproxy``, NO_PROXY may hold address ranges.
    """
    parts = urllib.parse.urlsplit(server)
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(parts.scheme)
    host = parts.hostname or ""
    if not proxy or urllib.request.proxy_bypass(parts.netloc) or host == "localhost":
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return proxy
    inside = any(address in network for network in _networks(proxies.get("no", "")))
    return None if inside or address.is_loopback else proxy


def _networks(no_proxy: str) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for entry in no_proxy.split(","):
        try:
            yield ipaddress.ip_network(entry.strip(), strict=False)
        except ValueError:
            continue


class _NamedContext(ssl.SSLContext):
    """A TLS context that expects the certificate of one given name, for ``tls-server-name``."""

    name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 -- the signature of ssl.SSLContext
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.name or server_hostname, session)


def _tls_parts(found: _Found) -> tuple[object, ...]:
    files = (found.ca_file, found.cert_file, found.key_file)
    return (found.verify, found.server_name, *(_file_mark(path) for path in files))


def _file_mark(path: str | None) -> tuple[object, ...]:
    if not path:
        return ()
    try:
        seen = Path(path).stat()
    except OSError:
        return (path,)
    return (path, seen.st_mtime_ns, seen.st_size, seen.st_ino)


def _tls_context(found: _Found) -> ssl.SSLContext | bool:
    if not found.server.startswith("https:"):
        return False
    # Not ssl.create_default_context: from Python 3.13 on it is strict about fields that many cluster CAs leave out.
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = found.server_name
    if not found.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if found.ca_file:
            context.load_verify_locations(cafile=found.ca_file)
        else:
            context.load_default_certs()
    except (OSError, ValueError) as error:
        # What stands in the kubeconfig itself was put into a temporary file, whose name tells nobody anything.
        raise ConfigError(
            f"The CA certificate {found.ca_file} cannot be used: {error}. "
            "Check certificate-authority(-data) of this cluster in the kubeconfig."
        ) from error
    try:
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file or None)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The client certificate {found.cert_file} cannot be used: {error}. "
            "Check client-certificate(-data) and client-key(-data) of this user in the kubeconfig."
        ) from error
    return context


class Api:
    """A client of one API server, for one event loop. Use it as an async context manager.

    Args:
        login: How to log in.

    Attributes:
        clock: The server's time, as its answers tell it.
    """

    def __init__(self, login: Login) -> None:
        self.clock = Clock()
        self._login = login
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the session, without connecting yet."""
        self._session = self.make_session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            # TLS connections take a few more turns of the loop to close; ended before, it leaves sockets behind.
            await asyncio.sleep(CLOSING_TIME)

    @property
    def server(self) -> str:
        """The base URL of the API server."""
        return self._login.server

    def make_session(self, *, watch_guard: bool = False) -> aiohttp.ClientSession:
        """A session of its own that uses the same login, for the calling thread's running loop.

        Args:
            watch_guard: Make requests fail where a watcher that is not ours would go blind or spin, see `_guarded`.

        Returns:
            The session. Whoever asked for it closes it. It keeps its TLS context: where the CA or the client
            certificate changes, a guarded session fails and is to be replaced.
        """
        now = self._login.current
        middlewares = [_authorized(self._login)]
        if watch_guard:
            middlewares.insert(0, _guarded(self._login, now))
        headers = {"User-Agent": f"kubedx/{__version__}"}
        if self._login.in_cluster:
            # On a cluster's own network compressing costs both sides more than the bytes do.
            headers["Accept-Encoding"] = "identity"
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=now.tls),
            headers=headers,
            middlewares=middlewares,
            proxy=now.proxy,
            read_bufsize=READ_BUFFER,
            timeout=STREAM_TIMEOUT,
        )

    async def check(self) -> str:
        """Ask the server for its version, to find at start what would fail later.

        Returns:
            The version, such as ``v1.36.3``.

        Raises:
            UnreachableError: No answer came.
            ConfigError: The certificate is not trusted, or the credentials are refused.
        """
        try:
            answer = await self.request("GET", "/version", timeout=CONNECT_TIMEOUT)
        except ApiError as error:
            if error.status == 401:  # noqa: PLR2004 -- HTTP Unauthorized
                raise ConfigError(
                    f"The API server {self.server} refuses these credentials (401): {error.message}. "
                    "Log in again, or look with: kubectl auth whoami"
                ) from error
            raise UnreachableError(f"The API server {self.server} does not work: {error}") from error
        version = answer.body.get("gitVersion") if isinstance(answer.body, dict) else None
        if not isinstance(version, str):
            raise UnreachableError(f"{self.server} answers, but not as a Kubernetes API server does.")
        return version

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,  # noqa: ASYNC109 -- the limit of one exchange, handed to aiohttp
    ) -> Response:
        """Send one request and read the whole answer.

        Args:
            method: The HTTP method.
            path: The path below the server's base URL, such as ``/api/v1/pods``.
            params: Query parameters.
            body: What to send: bytes as they are, anything else as JSON.
            content_type: The type of `body`, such as ``application/merge-patch+json``.
            headers: Further headers.
            timeout: Seconds for the whole exchange.

        Returns:
            The answer.

        Raises:
            ApiError: The server refused.
            UnreachableError: No answer came.
            ConfigError: The server's certificate is not trusted.
        """
        sent = dict(headers or {})
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else msgspec.json.encode(body)
            sent["Content-Type"] = content_type
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)
        async with self._answer(method, path, params=params, headers=sent, data=data, timeout=limit) as answer:
            try:
                raw = await answer.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                _explain(self.server, error)
            return Response(answer.status, _decode(answer, raw), answer.headers)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        patience: float = 60.0,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open an answer that is read piece by piece; how long that may take is for its reader to decide.

        Args:
            path: The path below the server's base URL.
            params: Query parameters.
            headers: Further headers.
            patience: Seconds until the answer must have begun.

        Yields:
            The response, its headers read and its status below 400.

        Raises:
            ApiError: The server refused.
            UnreachableError: No answer came.
            ConfigError: The server's certificate is not trusted.
        """
        given = dict(headers or {})
        async with self._answer("GET", path, params=params, headers=given, patience=patience) as answer:
            yield answer

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout: aiohttp.ClientTimeout = STREAM_TIMEOUT,  # noqa: ASYNC109 -- aiohttp's own
        patience: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with asyncio.timeout(patience):
                answer = await self._open(method, path, params=params, headers=headers, data=data, timeout=timeout)
        except TimeoutError as error:
            _explain(self.server, error)
        try:
            if answer.status >= 400:  # noqa: PLR2004 -- HTTP's errors
                raise _refusal(f"{method} {path}", answer, await answer.read())
            yield answer
        finally:
            # Closing, not releasing: a stream that was left in the middle must not go back into the pool. A body read
            # to its end has given its connection back by then.
            answer.close()

    async def _open(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        params: Mapping[str, str] | None,
        data: bytes | None,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- aiohttp's own
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("The client is used outside its context: async with Api(login) as api.")

        async def once(used: Credentials) -> aiohttp.ClientResponse:
            asked = time.monotonic()
            answer = await session.request(
                method, self.server + path, params=params, headers=headers, data=data, ssl=used.tls, timeout=timeout
            )
            if answer.ok:
                self.clock.observe(answer.headers.get("Date"), asked, time.monotonic())
            return answer

        session = self._session
        used = await self._login.credentials()
        try:
            return await once(used)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            # The CA may have been replaced less than a minute ago.
            renewed = await self._login.renew(used)
            if renewed is used:
                _explain(self.server, error)
        except (aiohttp.ClientError, TimeoutError) as error:
            _explain(self.server, error)
        try:
            return await once(renewed)
        except (aiohttp.ClientError, TimeoutError) as error:
            _explain(self.server, error)


_Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
_Middleware = Callable[[aiohttp.ClientRequest, _Handler], Awaitable[aiohttp.ClientResponse]]


def _authorized(login: Login) -> _Middleware:
    """Set the Authorization header of each request, and try once more with what a refusal makes us read again."""

    async def authorize(request: aiohttp.ClientRequest, handler: _Handler) -> aiohttp.ClientResponse:
        used = await login.credentials()
        _set_authorization(request, used)
        answer = await handler(request)
        if answer.status != 401:  # noqa: PLR2004 -- HTTP Unauthorized
            return answer
        renewed = await login.renew(used)
        if renewed.authorization == used.authorization:
            return answer
        answer.close()
        _set_authorization(request, renewed)
        return await handler(request)

    return authorize


def _set_authorization(request: aiohttp.ClientRequest, used: Credentials) -> None:
    if used.authorization is not None:
        request.headers["Authorization"] = used.authorization


SPIN_STREAMS = 6
"""So many streams of one path within `SPIN_SECONDS` are no reconnects any more."""

SPIN_SECONDS = 5.0


def _guarded(login: Login, made_with: Credentials) -> _Middleware:
    """Fail where kopf's own watching (1.45) would go on with what it no longer knows.

    It never compares a second list with the first, so what was deleted in between would live on; and it opens a watch
    anew without a pause where a server closes it at once, as some do for an old resourceVersion
    (kubernetes/kubernetes#104171). Either ends the run, and the next one begins with a fresh list.
    """
    listed: set[str] = set()
    opened: dict[str, deque[float]] = {}

    async def guard(request: aiohttp.ClientRequest, handler: _Handler) -> aiohttp.ClientResponse:
        if (await login.credentials()).tls is not made_with.tls:
            raise WatchGapError("the certificates have changed")
        path = request.url.path
        watching = request.url.query.get("watch") in {"true", "1"}
        if watching:
            times = opened.setdefault(path, deque(maxlen=SPIN_STREAMS))
            if len(times) == SPIN_STREAMS and time.monotonic() - times[0] < SPIN_SECONDS:
                raise WatchGapError(f"the watch of {path} ends as soon as it begins")
        elif path in listed:
            raise WatchGapError(f"{path} would be listed a second time")
        answer = await handler(request)
        if answer.ok and watching:
            opened[path].append(time.monotonic())
        elif answer.ok and request.method == "GET":
            listed.add(path)
        return answer

    return guard


def _decode(answer: aiohttp.ClientResponse, raw: bytes) -> object:
    if "json" in answer.headers.get("Content-Type", ""):
        try:
            return msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ApiError(
                f"{answer.method} {answer.url.path}", answer.status, "BadAnswer", f"no readable JSON: {error}"
            ) from error
    return raw.decode("utf-8", "replace")


class _StatusDetails(msgspec.Struct, rename="camel"):
    retry_after_seconds: float | None = None


class Status(msgspec.Struct):
    """The parts of metav1.Status that explain a refusal, as an answer or within a stream; any may be missing or null.

    Attributes:
        code: The HTTP status.
        reason: Why, in one word for programs.
        message: Why, for people.
        details: What is said beside it; see `retry_after`.
    """

    code: int | None = None
    reason: str | None = None
    message: str | None = None
    details: _StatusDetails | None = None

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again, if it says so."""
        return self.details.retry_after_seconds if self.details else None


def _refusal(request: str, answer: aiohttp.ClientResponse, raw: bytes) -> ApiError:
    try:
        status = msgspec.json.decode(raw, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        status = Status(message=raw[:500].decode("utf-8", "replace").strip())
    wait = answer.headers.get("Retry-After", "")
    after = float(wait) if wait.isdecimal() else status.retry_after
    phrase = answer.reason or "unknown"
    return ApiError(request, answer.status, status.reason or phrase, status.message or phrase, after)


def _explain(server: str, error: Exception) -> NoReturn:
    """Turn what aiohttp says into what a person can act on."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            why = getattr(cause, "verify_message", "") or str(cause)
            raise ConfigError(
                f"The certificate of {server} is not trusted: {why}. Check certificate-authority (and tls-server-name) "
                "of this cluster in the kubeconfig."
            ) from error
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            number = f" (errno {cause.errno})" if cause.errno else ""
            why = f"{cause.strerror or cause}{number}"
        case TimeoutError():
            why = "no answer in time"
        case _:
            why = str(error) or type(error).__name__
    raise UnreachableError(
        f"The API server {server} cannot be reached: {why}. Check the address and the network, "
        "or look with: kubectl cluster-info"
    ) from error
