"""S1 to S9: what must not leave the cluster through kubedx; S9 is in test_text.py. The cases: docs/reliability.md."""

import copy
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.checks.cases import Case, decode
from tests.faults import actions
from tests.faults.looks import SOME, changed, each_story, logging_to, look_again, outputs
from tests.faults.operating import node, operating
from tests.faults.server import Server
from tests.faults.watching import pod, until

TOKEN = "0f1e2d3c4b5a69788796a5b4"  # noqa: S105 -- of a server that lives as long as a test
SECRET = "hunter22hunter22"  # noqa: S105 -- what must not be seen
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
SAID = (
    f"https://robot:{SECRET}@registry.example/v2/app https://bucket.example/layer?X-Amz-Signature={SECRET}",
    f"https://x.blob.example/layer?sv=2022&sig={SECRET} and https://auth.example/?token={SECRET}",
    f"password={SECRET} AWS AKIAIOSFODNN7EXAMPLE ghp_abcdefghijklmnopqrstuvwxyz {JWT}",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
    "token YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY3ODkwYWJj",
)
TOLD = (SECRET, "IOSFODNN7", "abcdefghijklm", "c2lnbmF0dXJl", "ZGVmZ2hp")


@each_story
@pytest.mark.parametrize("said", SAID, ids=["signed", "shared", "tokens", "pem", "base64"])
def test_S1_S2_S8_no_credential_that_a_message_holds_reaches_any_output(case: Case, said: str) -> None:
    objects = changed(copy.deepcopy(case.objects), ("message",), lambda message: f"{message} {said}")

    for where, shown in outputs(look_again(case, objects)):
        assert [secret for secret in TOLD if secret in shown] == [], where


def test_S1_where_an_image_is_pulled_from_is_still_told() -> None:
    case = next(one for one in SOME if one.check == "ImageRegistryUnreachable")
    url = f"https://robot:{SECRET}@registry.example/v2/app/manifests/1?ns=x"
    said = f'failed to pull: Head "{url}": dial tcp: lookup registry.example: no such host'
    objects = changed(copy.deepcopy(case.objects), ("message",), lambda _: said)
    (found,) = look_again(case, objects).diagnoses

    assert "https://***@registry.example/v2/app/manifests/1?***" in found.message


def keeper_of_secrets(one: dict[str, Any]) -> dict[str, Any]:
    """The object, with a secret wherever its author may have put one and no message would quote it."""
    spec = one.get("spec") or {}
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        container["env"] = [{"name": "DB_PASSWORD", "value": SECRET}]
        container["command"] = ["run", f"--key={SECRET}", SECRET]
        container["args"] = [SECRET]
        header = {"name": "X-Key", "value": SECRET}
        asked = {"httpGet": {"path": f"/health?key={SECRET}", "port": 80, "httpHeaders": [header]}}
        run = {"exec": {"command": ["check", SECRET]}}
        container["livenessProbe"] = container["startupProbe"] = asked
        container["readinessProbe"] = run
        container["lifecycle"] = {"preStop": {"exec": {"command": ["sh", "-c", SECRET]}}}
    one["metadata"].setdefault("annotations", {})["kubectl.kubernetes.io/last-applied-configuration"] = SECRET
    one["metadata"]["managedFields"] = [{"manager": SECRET}]
    return one


@each_story
def test_S3_S4_what_a_container_is_started_and_asked_with_is_not_even_read(case: Case) -> None:
    objects = [keeper_of_secrets(one) for one in copy.deepcopy(case.objects)]

    for one in objects:
        assert SECRET not in repr(decode(one))
    for where, shown in outputs(look_again(case, objects)):
        assert SECRET not in shown, where


async def test_S5_S6_S7_the_most_talkative_log_tells_no_token_and_no_object_and_no_secret_is_asked_for(
    server: Server, tmp_path: Path
) -> None:
    """While the server refuses, breaks off, sends rubbish and says in its answers what it was sent."""
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    server.tokens = {f"Bearer {TOKEN}"}
    server.kubeconfig(tmp_path, token_file)
    server.cluster.put(node("full", full=True))
    server.cluster.put(keeper_of_secrets({**pod("a"), "kind": "Pod"}))
    said = f"you sent Authorization: Bearer {TOKEN}, token={TOKEN}"
    log = io.StringIO()
    with logging_to(log, "json"):
        async with operating(server, tmp_path) as operator:
            await operator.ready()
            await operator.finds(full="Open")
            for code in (401, 403, 409, 410, 429, 500, 503):
                server.fault(actions.refuse(code, said), times=6)
                server.cut()
                server.cluster.put(node(f"full-{code}", full=True))
            await until(lambda: len(operator.diagnoses) == 8, f"{operator.diagnoses}", 60)
            await until(lambda: server.watching("pods"), "a watch of pods", 60)
            await server.inject("pods", *half_objects())
            await until(lambda: log.getvalue().count("could not be read") >= 2, "word of what is dropped")
            dropped = await operator.metric("kubedx_dropped_total")
    told = log.getvalue()
    records = [json.loads(line) for line in told.splitlines()]
    paths = {exchange.path for exchange in server.log}

    assert dropped >= 3
    assert {record["levelname"] for record in records} >= {"DEBUG", "INFO", "WARNING"}
    assert "refused" in told
    assert [secret for secret in (TOKEN, SECRET, "containers", "image") if secret in told] == []
    assert [path for path in paths if "secrets" in path or "configmaps" in path] == []


def half_objects() -> Iterator[bytes]:
    """Lines of a watch that cannot be read, each with something that nobody should."""
    body = json.dumps(keeper_of_secrets({**pod("b"), "kind": "Pod"}))
    yield b'{"type": "ADDED", "object": ' + body.encode()[:-20] + b"\n"
    yield b'{"type": "ADDED", "object": ' + body.replace('"name": "b"', '"name": 7').encode() + b"}\n"
    yield b'{"type": "ADDED", "object": ' + body.replace('"metadata"', '"metadat"').encode() + b"}\n"
    yield body.encode() + b"\n"


def test_S6_the_name_of_a_secret_that_is_missing_is_told() -> None:
    case = next(one for one in SOME if one.check == "PodConfigMissing")
    objects = changed(copy.deepcopy(case.objects), ("message",), lambda _: 'secret "credentials" not found')
    messages = [one.message for one in look_again(case, objects).diagnoses]

    assert any('secret "credentials" not found' in message for message in messages)
