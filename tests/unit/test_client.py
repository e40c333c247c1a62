"""The login and the client, against a small server on the loopback interface."""

import asyncio
import base64
import errno
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from aiohttp import web

import kubedx
from kubedx.watch import client
from kubedx.watch.client import (
    Api,
    ApiError,
    ConfigError,
    Login,
    UnreachableError,
    WatchGapError,
    environment_proxy,
)

EXEC_VERSION = "client.authentication.k8s.io/v1"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def other_ca() -> trustme.CA:
    return trustme.CA()


class Server:
    """Answers as the test says, and remembers what was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.tokens: set[str] | None = None
        self.answer: Handler = self.version
        self.runner: web.ServerRunner | None = None
        self.port = 0

    async def version(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({"gitVersion": "v1.36.3"})

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.BaseRequest)
        self.requests.append(request)  # type: ignore[arg-type]
        if self.tokens is not None and request.headers.get("Authorization") not in self.tokens:
            return web.json_response(
                {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"}, status=401
            )
        return await self.answer(request)  # type: ignore[arg-type]

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self.runner = web.ServerRunner(web.Server(self.handle))
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port, ssl_context=tls)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    await server.start(tls)
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


def server_tls(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*names or ("127.0.0.1",)).configure_cert(context)
    return context


def kubeconfig(folder: Path, server: str, *, user: dict[str, Any] | None = None, **cluster: object) -> str:
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "there", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.write_text(yaml.safe_dump(config))
    return str(path)


def plain(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def client_of(folder: Path, server: Server) -> Api:
    return Api(Login(kubeconfig(folder, plain(server))))


def secure(server: Server) -> str:
    return f"https://127.0.0.1:{server.port}"


class TestConfiguration:
    def test_a_missing_kubeconfig_says_where_one_could_be_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"There is no kubeconfig at .*/none\. Name one with --kubeconfig or"):
            Login(str(tmp_path / "none"))

    def test_an_unknown_context_lists_the_known_ones(self, tmp_path: Path) -> None:
        path = kubeconfig(tmp_path, "http://127.0.0.1:1")
        with pytest.raises(ConfigError, match=r"has no context 'nowhere'\. It knows: here, there\."):
            Login(path, "nowhere")

    def test_no_current_context_asks_for_one(self, tmp_path: Path) -> None:
        path = Path(kubeconfig(tmp_path, "http://127.0.0.1:1"))
        path.write_text(path.read_text().replace("current-context: here", "current-context: ''"))
        with pytest.raises(ConfigError, match=r"has no current context\. Name one .*; it knows: here, there"):
            Login(str(path))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "is empty|cannot be used"),
            ("a: [", "is not valid YAML"),
            ("just text", "cannot be used"),
            ("contexts: 7", "cannot be used"),
            ("current-context: a\ncontexts: [{name: a}]", "cannot be used"),
        ],
    )
    def test_a_broken_kubeconfig_is_named(self, tmp_path: Path, content: str, message: str) -> None:
        (tmp_path / "config").write_text(content)
        with pytest.raises(ConfigError, match=message) as caught:
            Login(str(tmp_path / "config"))
        assert str(tmp_path / "config") in str(caught.value)

    def test_the_environment_names_the_kubeconfig(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, "http://127.0.0.1:7/"))
        assert Login().server == "http://127.0.0.1:7"

    def test_a_ca_that_is_no_certificate_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ca.crt").write_text("no certificate")
        path = kubeconfig(tmp_path, "https://127.0.0.1:1", **{"certificate-authority": "ca.crt"})
        with pytest.raises(ConfigError, match=r"The CA certificate .*ca\.crt cannot be used"):
            Login(path)

    def test_a_failing_credential_plugin_is_quoted(self, tmp_path: Path) -> None:
        script = plugin(tmp_path, "echo token expired >&2; exit 3")
        path = kubeconfig(tmp_path, "http://127.0.0.1:1", user=exec_user(script))
        with pytest.raises(ConfigError, match=r"credential plugin .* failed: exec: process returned 3\. token expired"):
            Login(path)

    def test_a_socks_proxy_is_refused_by_name(self, tmp_path: Path) -> None:
        path = kubeconfig(tmp_path, "http://127.0.0.1:1", **{"proxy-url": "socks5://127.0.0.1:1"})
        with pytest.raises(ConfigError, match=r"The proxy socks5://127\.0\.0\.1:1 cannot be used"):
            Login(path)


def plugin(folder: Path, body: str) -> Path:
    script = folder / "plugin"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def exec_user(script: Path) -> dict[str, Any]:
    return {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "interactiveMode": "Never"}
    }


class TestCheck:
    async def test_answers_with_the_version(self, tmp_path: Path, server: Server) -> None:
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            assert await api.check() == "v1.36.3"
        assert server.requests[0].headers["User-Agent"] == f"kubedx/{kubedx.__version__}"

    async def test_an_unreachable_server_is_named_with_the_error_number(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            async with Api(Login(kubeconfig(tmp_path, url))) as api:
                with pytest.raises(
                    UnreachableError, match=rf"{url} cannot be reached: .*\(errno {errno.ECONNREFUSED}\)"
                ):
                    await api.check()

    async def test_an_unknown_name_is_unreachable(self, tmp_path: Path) -> None:
        async with Api(Login(kubeconfig(tmp_path, "http://nowhere.invalid:1"))) as api:
            with pytest.raises(UnreachableError, match=r"nowhere\.invalid:1 cannot be reached"):
                await api.check()

    async def test_a_server_that_never_answers_is_given_up(
        self, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(3)
            return await server.version(request)

        server.answer = never
        monkeypatch.setattr(client, "CONNECT_TIMEOUT", 0.2)
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            with pytest.raises(UnreachableError, match="no answer in time"):
                await api.check()

    async def test_refused_credentials_say_how_to_look(self, tmp_path: Path, server: Server) -> None:
        server.tokens = {"Bearer right"}
        async with Api(Login(kubeconfig(tmp_path, plain(server), user={"token": "wrong"}))) as api:
            with pytest.raises(ConfigError, match=r"refuses these credentials \(401\)") as caught:
                await api.check()
        assert not isinstance(caught.value, UnreachableError)

    async def test_something_else_on_the_port_is_no_api_server(self, tmp_path: Path, server: Server) -> None:
        async def page(_: web.Request) -> web.StreamResponse:
            return web.Response(text="<html>", content_type="text/html")

        server.answer = page
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            with pytest.raises(UnreachableError, match="not as a Kubernetes API server does"):
                await api.check()


class TestTls:
    async def test_a_certificate_of_another_ca_is_explained(
        self, tmp_path: Path, ca: trustme.CA, other_ca: trustme.CA
    ) -> None:
        async with serving(server_tls(ca)) as server:
            with pytest.raises(ConfigError, match=r"The certificate of https://.* is not trusted: .*Check cert"):
                await check(kubeconfig(tmp_path, secure(server), **ca_data(other_ca)))

    async def test_a_certificate_for_another_name_is_explained(self, tmp_path: Path, ca: trustme.CA) -> None:
        async with serving(server_tls(ca, "kubernetes.default")) as server:
            with pytest.raises(ConfigError, match="not trusted: IP address mismatch"):
                await check(kubeconfig(tmp_path, secure(server), **ca_data(ca)))

    async def test_tls_server_name_says_which_name_to_expect(self, tmp_path: Path, ca: trustme.CA) -> None:
        async with serving(server_tls(ca, "kubernetes.default")) as server:
            named = {"tls-server-name": "kubernetes.default", **ca_data(ca)}
            assert await check(kubeconfig(tmp_path, secure(server), **named)) == "v1.36.3"

    async def test_insecure_skip_tls_verify_trusts_anything(self, tmp_path: Path, ca: trustme.CA) -> None:
        async with serving(server_tls(ca, "elsewhere")) as server:
            assert await check(kubeconfig(tmp_path, secure(server), **{"insecure-skip-tls-verify": True})) == "v1.36.3"

    async def test_a_client_certificate_identifies_us(self, tmp_path: Path, ca: trustme.CA) -> None:
        context = server_tls(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        ca.configure_trust(context)
        mine = ca.issue_cert("me@example.com")
        mine.cert_chain_pems[0].write_to_path(tmp_path / "me.crt")
        mine.private_key_pem.write_to_path(tmp_path / "me.key")
        user = {"client-certificate": "me.crt", "client-key": "me.key"}
        async with serving(context) as server:
            assert await check(kubeconfig(tmp_path, secure(server), user=user, **ca_data(ca))) == "v1.36.3"

    async def test_plain_http_where_tls_was_expected_is_unreachable(
        self, tmp_path: Path, server: Server, ca: trustme.CA
    ) -> None:
        with pytest.raises(UnreachableError, match="cannot be reached"):
            await check(kubeconfig(tmp_path, secure(server), **ca_data(ca)))

    async def test_a_rotated_ca_file_is_read_again_without_a_restart(
        self, tmp_path: Path, ca: trustme.CA, other_ca: trustme.CA
    ) -> None:
        ca.cert_pem.write_to_path(tmp_path / "ca.crt")
        path = kubeconfig(tmp_path, "https://127.0.0.1:0", **{"certificate-authority": "ca.crt"})
        async with serving(server_tls(ca)) as server:
            path = kubeconfig(tmp_path, secure(server), **{"certificate-authority": "ca.crt"})
            async with Api(Login(path)) as api:
                await api.check()
                await server.stop()
                await server.start(server_tls(other_ca))
                with pytest.raises(ConfigError, match="not trusted"):
                    await api.check()
                other_ca.cert_pem.write_to_path(tmp_path / "ca.crt")
                assert await api.check() == "v1.36.3"


async def check(path: str) -> str:
    async with Api(Login(path)) as api:
        return await api.check()


def ca_data(ca: trustme.CA) -> dict[str, Any]:
    return {"certificate-authority-data": base64.b64encode(ca.cert_pem.bytes()).decode()}


class TestTokens:
    async def test_a_rotated_token_file_costs_no_failed_request(self, tmp_path: Path, server: Server) -> None:
        (tmp_path / "token").write_text("one\n")
        server.tokens = {"Bearer one"}
        path = kubeconfig(tmp_path, plain(server), user={"tokenFile": str(tmp_path / "token")})
        async with Api(Login(path)) as api:
            await api.check()
            server.tokens = {"Bearer two"}
            (tmp_path / "token").write_text("two\n")
            assert await api.check() == "v1.36.3"
        assert [request.headers["Authorization"] for request in server.requests] == [
            "Bearer one",
            "Bearer one",
            "Bearer two",
        ]

    async def test_a_token_file_is_read_again_each_minute(
        self, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "REREAD_AFTER", 0.05)
        (tmp_path / "token").write_text("one")
        path = kubeconfig(tmp_path, plain(server), user={"tokenFile": str(tmp_path / "token")})
        async with Api(Login(path)) as api:
            await api.check()
            (tmp_path / "token").write_text("two")
            await asyncio.sleep(0.1)
            await api.check()
        assert server.requests[-1].headers["Authorization"] == "Bearer two"

    async def test_a_token_file_that_vanishes_for_a_moment_costs_nothing(
        self, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(client, "REREAD_AFTER", 0.0)
        (tmp_path / "token").write_text("one")
        server.tokens = {"Bearer one"}
        path = kubeconfig(tmp_path, plain(server), user={"tokenFile": str(tmp_path / "token")})
        async with Api(Login(path)) as api:
            (tmp_path / "token").unlink()
            assert await api.check() == "v1.36.3"
        assert "could not be read again" in caplog.text

    async def test_a_pod_uses_its_service_account(
        self, tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ca.cert_pem.write_to_path(tmp_path / "ca.crt")
        (tmp_path / "token").write_text("mounted")
        async with serving(server_tls(ca)) as server:
            server.tokens = {"Bearer mounted"}
            monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
            async with Api(Login(service_account=tmp_path)) as api:
                assert await api.check() == "v1.36.3"
                server.tokens = {"Bearer rotated"}
                (tmp_path / "token").write_text("rotated")
                assert await api.check() == "v1.36.3"
            assert server.requests[0].headers["Accept-Encoding"] == "identity"

    def test_a_named_kubeconfig_goes_before_the_service_account(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "token").write_text("mounted")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        assert Login(kubeconfig(tmp_path, "http://127.0.0.1:9"), service_account=tmp_path).server.endswith(":9")

    def test_an_empty_token_in_a_pod_is_explained(
        self, tmp_path: Path, ca: trustme.CA, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ca.cert_pem.write_to_path(tmp_path / "ca.crt")
        (tmp_path / "token").write_text("")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
        with pytest.raises(ConfigError, match=r"The pod's ServiceAccount in .* cannot be used"):
            Login(service_account=tmp_path)

    async def test_a_credential_plugin_runs_again_when_its_token_is_refused(
        self, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "PLUGIN_REST", 0.0)
        answer = '{"apiVersion":"' + EXEC_VERSION + '","kind":"ExecCredential","status":{"token":"%s"}}'
        (tmp_path / "answer").write_text(answer % "one")
        script = plugin(tmp_path, f"echo run >> {tmp_path}/runs; cat {tmp_path}/answer")
        server.tokens = {"Bearer one"}
        async with Api(Login(kubeconfig(tmp_path, plain(server), user=exec_user(script)))) as api:
            await api.check()
            await api.check()
            assert (tmp_path / "runs").read_text() == "run\n"
            server.tokens = {"Bearer two"}
            (tmp_path / "answer").write_text(answer % "two")
            await api.check()
        assert (tmp_path / "runs").read_text() == "run\nrun\n"

    async def test_a_credential_plugin_runs_again_before_its_token_expires(
        self, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "PLUGIN_REST", 0.1)
        soon = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {"token": "t", "expirationTimestamp": soon}
        answer = {"apiVersion": EXEC_VERSION, "kind": "ExecCredential", "status": status}
        script = plugin(tmp_path, f"echo run >> {tmp_path}/runs; echo '{json.dumps(answer)}'")
        async with Api(Login(kubeconfig(tmp_path, plain(server), user=exec_user(script)))) as api:
            await asyncio.sleep(0.2)
            await api.check()
        assert (tmp_path / "runs").read_text() == "run\nrun\n"


class TestRequests:
    async def test_a_body_goes_out_as_json_of_the_given_type(self, tmp_path: Path, server: Server) -> None:
        async def echo(request: web.Request) -> web.StreamResponse:
            body = {"type": request.content_type, "query": dict(request.query), "body": await request.json()}
            return web.json_response(body, status=201)

        server.answer = echo
        async with Api(Login(kubeconfig(tmp_path, plain(server) + "/prefix"))) as api:
            response = await api.request(
                "PATCH", "/apis/x", params={"a": "b"}, body={"c": 1}, content_type="application/merge-patch+json"
            )
        assert response.status == 201
        assert response.body == {"type": "application/merge-patch+json", "query": {"a": "b"}, "body": {"c": 1}}
        assert server.requests[0].path == "/prefix/apis/x"

    async def test_a_refusal_carries_what_the_status_object_says(self, tmp_path: Path, server: Server) -> None:
        async def busy(_: web.Request) -> web.StreamResponse:
            status = {
                "kind": "Status",
                "reason": "TooManyRequests",
                "message": "please wait",
                "details": {"retryAfterSeconds": 3},
            }
            return web.json_response(status, status=429)

        server.answer = busy
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            with pytest.raises(ApiError, match="GET /x was refused: 429 TooManyRequests: please wait") as caught:
                await api.request("GET", "/x")
        error = caught.value
        assert (error.status, error.reason, error.message, error.retry_after) == (
            429, "TooManyRequests", "please wait", 3.0,
        )  # fmt: skip

    async def test_a_refusal_without_a_status_object_still_reads_well(self, tmp_path: Path, server: Server) -> None:
        async def gateway(_: web.Request) -> web.StreamResponse:
            return web.Response(text="upstream", status=502, headers={"Retry-After": "7"})

        server.answer = gateway
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            with pytest.raises(ApiError, match="502 Bad Gateway: upstream") as caught:
                await api.request("GET", "/x")
        assert caught.value.retry_after == 7.0

    async def test_an_answer_that_is_no_json_is_an_error(self, tmp_path: Path, server: Server) -> None:
        async def broken(_: web.Request) -> web.StreamResponse:
            return web.Response(text='{"kind": ', content_type="application/json")

        server.answer = broken
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            with pytest.raises(ApiError, match="no readable JSON"):
                await api.request("GET", "/x")

    async def test_a_connection_that_breaks_in_the_middle_is_unreachable(self, tmp_path: Path, server: Server) -> None:
        async def cut(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"x")
            assert request.transport is not None
            request.transport.abort()
            return response

        server.answer = cut
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            with pytest.raises(UnreachableError):
                await api.request("GET", "/x")

    async def test_a_stream_is_read_piece_by_piece(self, tmp_path: Path, server: Server) -> None:
        gate = asyncio.Event()

        async def lines(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"one\n")
            await gate.wait()
            await response.write(b"two\n")
            return response

        server.answer = lines
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            async with api.stream("/watch", {"watch": "true"}, {"Accept": "application/json"}) as response:
                assert await response.content.readline() == b"one\n"
                gate.set()
                assert await response.content.readline() == b"two\n"
            async with api.stream("/watch") as response:
                pass  # Left unread: the connection is dropped, and the next request gets a new one.
            async with api.stream("/watch") as response:
                assert await response.content.readline() == b"one\n"

    async def test_a_refused_stream_raises_before_it_is_read(self, tmp_path: Path, server: Server) -> None:
        async def gone(_: web.Request) -> web.StreamResponse:
            return web.json_response({"reason": "Expired", "message": "too old"}, status=410)

        server.answer = gone
        async with Api(Login(kubeconfig(tmp_path, plain(server)))) as api:
            with pytest.raises(ApiError, match="410 Expired: too old"):
                async with api.stream("/watch"):
                    pass


class TestProxy:
    @pytest.mark.parametrize(
        ("server", "no_proxy", "proxy"),
        [
            ("https://api.example.com:6443", "", "http://p:1"),
            ("https://api.example.com:6443", "other.com", "http://p:1"),
            ("https://api.example.com:6443", ".example.com", None),
            ("https://10.96.0.1:443", "10.96.0.0/12,localhost", None),
            ("https://10.128.0.1:443", "10.96.0.0/12", "http://p:1"),
            ("https://[fd00::1]:443", "fd00::/8", None),
            ("https://127.0.0.1:6443", "", None),
            ("https://localhost:6443", "", None),
            ("http://api.example.com", "", None),
        ],
    )
    def test_the_environment_is_read_as_kubectl_reads_it(
        self, monkeypatch: pytest.MonkeyPatch, server: str, no_proxy: str, proxy: str | None
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert environment_proxy(server) == proxy

    async def test_proxy_url_of_the_kubeconfig_is_used(self, tmp_path: Path, server: Server) -> None:
        path = kubeconfig(tmp_path, "http://api.invalid", **{"proxy-url": plain(server)})
        async with Api(Login(path)) as api:
            assert await api.check() == "v1.36.3"
        assert str(server.requests[0].raw_path) == "http://api.invalid/version"


class TestWatchGuard:
    async def test_a_second_list_is_refused_because_nobody_compares_it_with_the_first(
        self, tmp_path: Path, server: Server
    ) -> None:
        async with (
            Api(Login(kubeconfig(tmp_path, plain(server)))) as api,
            api.make_session(watch_guard=True) as session,
        ):
            async with session.get(f"{api.server}/things") as answer:
                assert answer.status == 200
            async with session.get(f"{api.server}/others"):
                pass
            with pytest.raises(WatchGapError, match="/things would be listed a second time"):
                await session.get(f"{api.server}/things")

    async def test_a_list_that_failed_may_be_repeated(self, tmp_path: Path, server: Server) -> None:
        server.tokens = set()
        async with (
            Api(Login(kubeconfig(tmp_path, plain(server)))) as api,
            api.make_session(watch_guard=True) as session,
        ):
            assert (await session.get(f"{api.server}/things")).status == 401
            server.tokens = None
            assert (await session.get(f"{api.server}/things")).status == 200

    async def test_a_watch_that_ends_at_once_again_and_again_is_refused(self, tmp_path: Path, server: Server) -> None:
        async with (
            Api(Login(kubeconfig(tmp_path, plain(server)))) as api,
            api.make_session(watch_guard=True) as session,
        ):
            with pytest.raises(WatchGapError, match="ends as soon as it begins"):
                for _ in range(20):
                    await session.get(f"{api.server}/things?watch=true")
        assert len(server.requests) < 10

    async def test_changed_certificates_need_a_new_session(self, tmp_path: Path, ca: trustme.CA) -> None:
        ca.cert_pem.write_to_path(tmp_path / "ca.crt")
        async with serving(server_tls(ca)) as server:
            login = Login(kubeconfig(tmp_path, secure(server), **{"certificate-authority": "ca.crt"}))
            async with Api(login) as api, api.make_session(watch_guard=True) as session:
                os.utime(tmp_path / "ca.crt", (1, 1))
                await login.renew(await login.credentials())
                with pytest.raises(WatchGapError, match="the certificates have changed"):
                    await session.get(f"{api.server}/things")


def test_importing_the_client_does_not_import_the_kubernetes_client() -> None:
    code = "import sys, kubedx.watch.client; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
