"""Large objects are weighed while they are read, and nothing of them is kept for it."""

import json
from typing import Any

import msgspec
import pytest

from kubedx.kube.bits import Bit, bits
from kubedx.kube.decode import Decoder
from kubedx.kube.meta import Weight
from kubedx.kube.views import Service
from kubedx.kube.weight import LARGE, MOST_ANNOTATIONS, MOST_OBJECT, weight

DECODER = Decoder(Service)
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def service(annotations: Any, **body: Any) -> bytes:
    return json.dumps({"metadata": {"name": "a", "annotations": annotations}, **body}).encode()


def test_ordinary_objects_have_no_weight() -> None:
    found = DECODER.decode(service({APPLIED: "x" * 1000})).form

    assert found.metadata.weight is None
    assert Bit.LARGE not in bits(found)


@pytest.mark.parametrize(("size", "share"), [(0.799, 75), (0.8, 80), (0.849, 80), (0.95, 95), (1, 100), (1.5, 100)])
def test_annotations_are_weighed_in_steps_of_five_percent(size: float, share: int) -> None:
    value = "x" * (round(size * MOST_ANNOTATIONS + 0.5) - len(APPLIED))
    found = DECODER.decode(service({"a": "", APPLIED: value})).form

    assert found.metadata.weight is not None
    assert (found.metadata.weight.annotations, found.metadata.weight.largest_annotation) == (share, APPLIED)
    assert Bit.LARGE in bits(found)


def test_bytes_count_and_not_characters() -> None:
    assert weight(service({"a": "\u00fc" * (MOST_ANNOTATIONS // 2)})).annotations == 100


def test_the_whole_object_is_weighed_too() -> None:
    assert weight(service({}, status={"x": "y" * MOST_OBJECT})).whole == 100
    assert weight(service({}, status={"x": "y" * (MOST_OBJECT // 2)})).whole == 50


def test_a_line_of_a_watch_weighs_what_its_object_weighs() -> None:
    raw = service({APPLIED: "x" * MOST_ANNOTATIONS})
    line = b'{"type":"ADDED","object":' + raw + b"}"
    frame = DECODER.frame(line)

    assert frame is not None
    assert frame[1].form.metadata.weight == DECODER.decode(msgspec.Raw(raw)).form.metadata.weight == weight(raw)


@pytest.mark.parametrize("annotations", [None, "none", {"a": 7}, ["x"]])
def test_odd_annotations_weigh_nothing(annotations: Any) -> None:
    found = DECODER.decode(service(annotations, status={"x": "y" * LARGE})).form

    assert found.metadata.weight == Weight(whole=10)


def test_no_object_can_tell_its_own_weight() -> None:
    assert DECODER.decode(b'{"metadata": {"name": "a", "weight": {"whole": 90}}}').form.metadata.weight is None
