"""References to variables, and what the kubelet makes of them."""

import json
from typing import Any

import pytest

from kubedx.kube.decode import Decoder
from kubedx.kube.references import unresolved
from kubedx.kube.views import Pod, PodSpec

DECODER = Decoder(Pod)


def found(**container: Any) -> list[tuple[str, str]]:
    body = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", **container}]}}
    return [(one.where, one.variable) for one in unresolved(json.dumps(body).encode())]


@pytest.mark.parametrize(("container", "expected"), [
    ({"args": ["--host=$(HOST)"]}, [("args", "HOST")]),
    ({"command": ["serve", "$(HOST):$(PORT)"]}, [("command", "HOST"), ("command", "PORT")]),
    ({"args": ["$(HOST)"], "env": [{"name": "HOST", "value": "x"}]}, []),
    ({"args": ["$(HOST)"], "env": [{"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}, []),
    ({"env": [{"name": "URL", "value": "http://$(HOST)/"}, {"name": "HOST", "value": "x"}]}, [("env[URL]", "HOST")]),
    ({"env": [{"name": "HOST", "value": "x"}, {"name": "URL", "value": "http://$(HOST)/"}]}, []),
    ({"args": ["$(HOST)", "$(HOST)"]}, [("args", "HOST")]),
    ({"args": ["$(HOST)"], "envFrom": [{"configMapRef": {"name": "web"}}]}, []),
    ({"args": ["$(REDIS_SERVICE_HOST):$(REDIS_SERVICE_PORT)", "$(REDIS_PORT_6379_TCP_ADDR)", "$(REDIS_PORT)"]}, []),
    ({"args": ["$$(HOST)", "$$$$(HOST)"]}, []),
    ({"args": ["$$$(HOST)"]}, [("args", "HOST")]),
    ({"command": ["sh", "-c", "echo $(date) $((1 + 1)) $(params.name) $HOST ${HOST} $(HOST"]}, []),
    ({"args": None}, []),
    ({}, []),
])  # fmt: skip
def test_a_reference_to_what_nothing_sets_is_found(container: Any, expected: list[tuple[str, str]]) -> None:
    assert found(**container) == expected


def test_the_decoder_keeps_such_names_and_nothing_else_of_an_environment() -> None:
    env = [{"name": "URL", "value": "hidden://$(HOST)"}]
    raw = json.dumps({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "env": env}]}}).encode()
    frame = DECODER.frame(b'{"type":"ADDED","object":' + raw + b"}")

    assert frame is not None
    for form in (DECODER.decode(raw).form, frame[1].form):
        (one,) = form.spec.unresolved
        assert (one.container, one.where, one.variable) == ("c", "env[URL]", "HOST")
        assert "hidden" not in repr(form)


def test_pods_without_a_spec_are_let_alone() -> None:
    found = DECODER.decode(b'{"metadata": {"name": "a", "labels": {"a": "$(HOST)"}}}').form

    assert found.spec.unresolved == PodSpec().unresolved == ()
