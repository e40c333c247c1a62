"""From the bytes of one object to its form and its own values: fast, and forgiving where the object is odd.

A view declares with its types which values are an object's own, see `kubedx.kube.slots`.
"""

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import force_setattr

from kubedx.kube.addresses import service_names
from kubedx.kube.known import Known
from kubedx.kube.meta import View
from kubedx.kube.quantity import GIB
from kubedx.kube.references import may_refer, unresolved
from kubedx.kube.slots import (
    STEPS,
    CountSlot,
    Few,
    ImageSizes,
    Labels,
    MessageSlot,
    NameSlot,
    NodeSlot,
    Own,
    Pairs,
    Quantities,
    ServiceNames,
    Texts,
    TextSlot,
    TimeSlot,
    UidSlot,
    URLPath,
    VersionSlot,
    joined,
    key_of,
    packed,
    plan,
    whole,
)
from kubedx.kube.text import Text, clean
from kubedx.kube.views import Pod
from kubedx.kube.weight import LARGE, weight

V = TypeVar("V", bound=View)

_MAX_REPAIRS = 16
_PATH = re.compile(r"at `(?P<key>key in )?\$(?P<path>[^`]*)`")
_LONGEST_KNOWN = 256
"""Characters of the longest text that is remembered: of a reason or an image, and no message."""

_MOST_KNOWN = 1 << 13
"""Names of nodes, words of labels and short texts that are remembered, as most will come again."""

_MOST_LABELS = 1 << 12
"""Sets of labels that are remembered: those of as many workloads as the largest clusters have."""

_OBJECT_LINES = (b'{"type":"ADDED","object":{', b'{"type":"MODIFIED","object":{', b'{"type":"DELETED","object":{')
"""How the API server begins the lines of a watch that are about objects."""


_TIMES, _SINGLES, _NODES, _FEW = TimeSlot.pool, TextSlot.pool, NodeSlot.pool, len(TimeSlot.pool)
"""For the most frequent slots a look into the pool, as a call for each would take a tenth of the time of decoding."""


class UnreadableError(ValueError):
    """An object that no view can be made of; the message says why."""


class Decoded(msgspec.Struct, Generic[V], frozen=True, gc=False, eq=False):
    """One object as it was read.

    Attributes:
        form: The view, with a slot wherever a value is the object's own.
        own: What belongs into the slots.
        version: The object's resourceVersion.
    """

    form: V
    own: Own
    version: str

    @property
    def whole(self) -> V:
        """The view with its own values."""
        return whole(self.form, plan(self.form), self.own)


class Decoder(Generic[V]):
    """Decodes objects of one kind. Making one is slow, decoding is fast; make one a kind.

    Args:
        view: The view type to decode into.
    """

    def __init__(self, view: type[V]) -> None:
        self._view = view
        self._aside = _Aside()
        self._object = msgspec.json.Decoder(view, dec_hook=self._aside.put).decode
        frame = msgspec.defstruct("Frame", [("type", str), ("object", view)], gc=False)
        self._frame = msgspec.json.Decoder(frame, dec_hook=self._aside.put).decode

    def frame(self, line: bytes) -> tuple[str, Decoded[V]] | None:
        """Decode one line of a watch, in one go.

        Args:
            line: The line.

        Returns:
            The type of the event and the object; None where it must be looked at more closely.
        """
        if not line.startswith(_OBJECT_LINES):
            return None
        self._aside.clear()
        try:
            frame: Any = self._frame(line)
            return frame.type, self._decoded(frame.object, line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, UnreadableError):
            return None

    def decode(self, raw: bytes | memoryview | msgspec.Raw) -> Decoded[V]:
        """Decode one object.

        Null fields count as missing, and a field of a wrong type is left out, as the rest of the object may still be
        worth reading.

        Args:
            raw: The object as JSON.

        Returns:
            The object.

        Raises:
            UnreadableError: It is no JSON object, nested too deeply, or has no name.
        """
        self._aside.clear()
        try:
            return self._decoded(self._object(raw), raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._decoded(self._repair(raw), raw)

    def _decoded(self, form: V, raw: bytes | memoryview | msgspec.Raw) -> Decoded[V]:
        aside = self._aside
        if not aside.name:
            raise UnreadableError(f"a {self._view.resource.kind} without a metadata.name")
        name, namespace = aside.name, form.metadata.namespace
        if not (name.isprintable() and namespace.isprintable()):  # Which the API server prevents, and a dump does not.
            name, namespace = clean(name), clean(namespace)
            force_setattr(form.metadata, "namespace", namespace)
        if memoryview(raw).nbytes >= LARGE:
            force_setattr(form.metadata, "weight", weight(raw))
        if isinstance(form, Pod) and form.spec.containers and may_refer(raw) and (found := unresolved(raw)):
            force_setattr(form.spec, "unresolved", found)
        key = key_of(namespace, name)
        own = Own(key, packed(aside.uid, aside.times), aside.take_texts())
        return Decoded(form, own, aside.version)

    def _repair(self, raw: bytes | memoryview | msgspec.Raw) -> V:
        try:
            body = _without_nulls(msgspec.json.decode(bytes(raw).decode("utf-8", "replace")))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableError(f"no readable JSON: {error}") from error
        for _ in range(_MAX_REPAIRS):
            self._aside.clear()
            try:
                return msgspec.convert(body, self._view, dec_hook=self._aside.put_checked)
            except msgspec.ValidationError as error:
                if not _drop(body, str(error)):
                    raise UnreadableError(f"no {self._view.resource.kind}: {error}") from error
        raise UnreadableError(f"more than {_MAX_REPAIRS} fields have wrong types")


class _Aside:
    """Where the values of an object's own go while the object is decoded."""

    def __init__(self) -> None:
        self.name = self.uid = self.version = ""
        self.times: list[str] = []
        self._texts: list[str] = []
        self._nodes: Known[object, tuple[str]] = Known(_MOST_KNOWN)
        self._cleaned: Known[object, Text] = Known(_MOST_KNOWN)
        self._words: Known[str, str] = Known(_MOST_KNOWN)
        self._labels: Known[tuple[tuple[str, object], ...], Pairs] = Known(_MOST_LABELS)
        self._put: dict[type, Callable[[Any], object]] = {
            NameSlot: self._put_name, UidSlot: self._put_uid, VersionSlot: self._put_version,
            TextSlot: self._put_text, NodeSlot: self._put_node, MessageSlot: self._put_message,
            CountSlot: self._put_count, Labels: self._put_labels, Quantities: _quantities, Few: _few,
            ImageSizes: _image_sizes,
            ServiceNames: _service_names, URLPath: _url_path,
        }  # fmt: skip

    def clear(self) -> None:
        """Forget the object before."""
        self.name = self.uid = self.version = ""
        self.times.clear()
        self._texts.clear()

    def put(self, wanted: type, value: Any) -> object:  # noqa: ANN401 -- JSON of any shape
        """Put a value aside, or make it a shared one; returns what stands in its place.

        Raises:
            ValueError: The value has a wrong type; what times say is looked at later, all at once.
        """
        if wanted is TimeSlot:
            times = self.times
            times.append(value)
            index = len(times) - 1
            return _TIMES[index] if index < _FEW else TimeSlot.at(index)
        if wanted is Text:
            return self._cleaned.get(value) or self._put_clean(value)
        if wanted is Few and value.__class__ is int and 0 <= value <= STEPS[-1]:
            return _COUNTS[value]
        return self._put[wanted](value)

    def put_checked(self, wanted: type, value: Any) -> object:  # noqa: ANN401 -- JSON of any shape
        """The same, and times are looked at one by one."""
        if wanted is TimeSlot:
            try:
                packed("", [value])
            except msgspec.ValidationError as error:
                raise ValueError("no time") from error
        return self.put(wanted, value)

    def take_texts(self) -> Texts:
        """The texts of the object; where that is nothing but its node, the same tuple for all of that node."""
        texts = self._texts
        if len(texts) == 1 and texts[0] in self._nodes:
            return self._nodes[texts[0]]
        return joined(texts)

    def _put_name(self, value: object) -> object:
        self.name = _string(value)
        return NameSlot.pool[0]

    def _put_uid(self, value: object) -> object:
        self.uid = _string(value)
        return UidSlot.pool[0]

    def _put_version(self, value: object) -> object:
        self.version = _string(value)
        return VersionSlot.pool[0]

    def _put_text(self, value: object) -> object:
        texts = self._texts
        index = len(texts)
        texts.append(value if value.__class__ is str else _string(value))
        return _SINGLES[index] if index < _FEW else TextSlot.at(index)

    def _put_message(self, value: object) -> object:
        self._texts.append(_clean(value))
        return MessageSlot.at(len(self._texts) - 1)

    def _put_count(self, value: object) -> object:
        self._texts.append(str(_integer(value)))
        return CountSlot.at(len(self._texts) - 1)

    def _put_node(self, value: object) -> object:
        texts = self._texts
        index = len(texts)
        known = self._nodes.get(value) or self._nodes.keep(value, (_string(value),))
        texts.append(known[0])
        return _NODES[index] if index < _FEW else NodeSlot.at(index)

    def _put_clean(self, value: object) -> Text:
        text = _clean(value)
        # Else whoever may create Events could have any amount of text kept.
        is_short = not isinstance(value, str) or len(value) <= _LONGEST_KNOWN
        return self._cleaned.keep(value, text) if is_short else text

    def _put_labels(self, value: Any) -> Pairs:  # noqa: ANN401 -- JSON of any shape
        known = self._labels.get(tuple(value.items())) if isinstance(value, dict) else None
        if known is None:
            words, shared = _pairs(dict, value, str), self._words.shared
            known = _pairs(Labels, {shared(name): shared(word) for name, word in words.items()}, str)
            self._labels.keep(tuple(value.items()), known)
        return known


def _pairs(kind: Any, value: Any, values: type | tuple[type, ...]) -> Pairs:  # noqa: ANN401 -- JSON of any shape
    if not isinstance(value, dict):
        raise ValueError(f"Expected `object`, got `{type(value).__name__}`")  # noqa: TRY004 -- what msgspec reports
    for name, item in value.items():
        if not isinstance(item, values):
            raise ValueError(f"The value of {name!r} is a `{type(item).__name__}`")  # noqa: TRY004 -- as above
    found: Pairs = kind(value)
    return found


_COUNTS = [Few(max(step for step in STEPS if step <= number)) for number in range(STEPS[-1] + 1)]


def _few(value: object) -> object:
    return _COUNTS[max(0, min(_integer(value), STEPS[-1]))]


def _image_sizes(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError(f"Expected `array`, got `{type(value).__name__}`")  # noqa: TRY004 -- what msgspec reports
    sizes = [one.get("sizeBytes") for one in value if isinstance(one, dict)]
    return ImageSizes(sum(size for size in sizes if isinstance(size, int) and size > 0) // GIB)


def _service_names(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError(f"Expected `array`, got `{type(value).__name__}`")  # noqa: TRY004 -- what msgspec reports
    return ServiceNames(service_names(value))


def _url_path(value: object) -> object:
    return URLPath(_clean(_string(value).partition("?")[0]))


def _quantities(value: object) -> Pairs:
    return _pairs(Quantities, value, (str, int, float))


def _clean(value: object) -> Text:
    return clean(value if isinstance(value, str) else str(value))


def _integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"Expected `int`, got `{type(value).__name__}`")


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 -- JSON of any shape
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def _drop(body: Any, error: str) -> bool:  # noqa: ANN401 -- JSON of any shape
    """Remove the field that a validation error names, or the whole list or map that holds it."""
    match = _PATH.search(error)
    if match is None or not isinstance(body, dict):
        return False
    keys = match["path"].partition("[")[0].strip(".").split(".")
    for key in keys[:-1]:
        body = body.get(key)
        if not isinstance(body, dict):
            return False
    return body.pop(keys[-1], None) is not None
