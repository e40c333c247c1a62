"""From the bytes of an object to its view, whatever the bytes are."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedx.kube.decode import Decoder, UnreadableError
from kubedx.kube.meta import Resource, metadata_view
from kubedx.kube.text import Text
from kubedx.kube.views import KINDS, Event, Node, Pod

PODS = Decoder(Pod)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=5), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


def pod(**body: Any) -> Pod:
    return PODS.decode(json.dumps({"metadata": {"name": "a"}, **body}).encode()).whole


def test_a_bare_object_decodes_for_every_kind() -> None:
    for view in KINDS:
        assert Decoder(view).decode(b'{"metadata": {"name": "a"}}').whole.name == "a"


def test_null_fields_count_as_missing() -> None:
    found = pod(spec=None, status={"conditions": None, "phase": None, "containerStatuses": [None, {"name": None}]})

    assert found.status.conditions == ()
    assert found.status.phase == Pod().status.phase
    assert len(found.status.container_statuses) == 1


@pytest.mark.parametrize(("status", "phase"), [
    ({"phase": "Running", "conditions": "none"}, "Running"),
    ({"phase": "Running", "conditions": [{"type": 7}]}, "Running"),
    ({"phase": "Running", "startTime": "yesterday"}, "Running"),
    ({"phase": ["Running"]}, ""),
])  # fmt: skip
def test_a_field_of_a_wrong_type_is_left_out_and_the_rest_is_read(status: dict[str, Any], phase: str) -> None:
    found = pod(status=status, spec={"nodeName": "n1"})

    assert (found.status.phase, found.spec.node_name) == (phase, "n1")


@pytest.mark.parametrize(("raw", "why"), [
    (b"", "no readable JSON"),
    (b"{", "no readable JSON"),
    (b"[1]", "no Pod"),
    (b"null", "no Pod"),
    (b'"a"', "no Pod"),
    (b"{}", "a Pod without a metadata.name"),
    (b'{"metadata": null}', "a Pod without a metadata.name"),
    (b'{"metadata": "a"}', "a Pod without a metadata.name"),
    (b'{"metadata": {"name": "a", "labels": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_002, "no readable JSON"),
])  # fmt: skip
def test_what_no_view_can_be_made_of_says_why(raw: bytes, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        PODS.decode(raw)


def test_broken_utf_8_costs_its_characters_only() -> None:
    found = PODS.decode(b'{"metadata": {"name": "a"}, "status": {"message": "x \xff\xfe y"}}').whole

    assert found.status.message == "x \ufffd\ufffd y"


def test_texts_are_cleaned_where_they_are_decoded() -> None:
    found = Decoder(Event).decode(b'{"metadata": {"name": "e"}, "message": "\\u001b[2Jtoken=abcdefgh"}').whole

    assert isinstance(found.message, Text)
    assert found.message == r"\x1b[2Jtoken=***"


def test_a_name_that_no_api_server_would_take_is_cleaned_everywhere() -> None:
    raw = msgspec.json.encode({"metadata": {"name": "a\x1b[31m", "namespace": "x\u202e"}})
    framed = PODS.frame(b'{"type":"ADDED","object":' + raw + b"}")
    assert framed is not None

    for decoded in (PODS.decode(raw), framed[1]):
        namespace, name = decoded.whole.namespace, decoded.whole.name
        assert decoded.own.key == f"{namespace}/{name}"
        assert namespace.startswith("x")
        assert name.startswith("a")
        assert (namespace + name).isprintable()


def test_objects_decode_from_any_buffer() -> None:
    raw = b'{"metadata": {"name": "a"}}'

    assert PODS.decode(memoryview(raw)).whole == PODS.decode(msgspec.Raw(raw)).whole == PODS.decode(raw).whole


def test_only_the_metadata_of_a_kind_from_outside_is_read() -> None:
    view = metadata_view(Resource("cert-manager.io", "v1", "certificates", "Certificate.cert-manager.io"))
    found = Decoder(view).decode(b'{"metadata": {"name": "a", "finalizers": ["x"]}, "spec": {"secretName": "s"}}').whole

    assert found.metadata.finalizers == ("x",)
    assert not hasattr(found, "spec")


@pytest.mark.parametrize(
    ("said", "kept"), [(0, 0), (2, 2), (3, 3), (4, 3), (5, 5), (9, 5), (10, 10), (11, 10), (2**70, 10), (-1, 0)]
)
def test_restarts_are_counted_in_steps(said: int, kept: int) -> None:
    found = pod(status={"containerStatuses": [{"name": "c", "restartCount": said}]})

    assert found.status.container_statuses[0].restart_count == kept


@given(st.dictionaries(st.sampled_from(("spec", "status", "metadata", "kind")), VALUES), VALUES)
def test_no_object_does_worse_than_to_be_unreadable(body: dict[str, Any], conditions: object) -> None:
    body["metadata"] = {"name": "a", "labels": conditions, "ownerReferences": conditions}
    body.setdefault("status", {"conditions": conditions, "containerStatuses": conditions})
    for view in (Pod, Node, Event):
        try:
            assert Decoder(view).decode(json.dumps(body).encode()).whole.name == "a"
        except UnreadableError:
            continue
