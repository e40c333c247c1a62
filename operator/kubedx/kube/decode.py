"""From the bytes of one object to its view: fast where the object is as the API says, forgiving where it is not."""

import re
from typing import Any, Generic, TypeVar

import msgspec

from kubedx.kube.meta import View
from kubedx.kube.text import Text, clean

V = TypeVar("V", bound=View)

_MAX_REPAIRS = 16
_PATH = re.compile(r"at `(?P<key>key in )?\$(?P<path>[^`]*)`")


class UnreadableError(ValueError):
    """An object that no view can be made of; the message says why."""


class Decoder(Generic[V]):
    """Decodes objects of one kind. Making one is slow, decoding is fast; make one a kind.

    Args:
        view: The view type to decode into.
    """

    def __init__(self, view: type[V]) -> None:
        self._view = view
        self._fast = msgspec.json.Decoder(view, dec_hook=_clean_text)

    def decode(self, raw: bytes | memoryview | msgspec.Raw) -> V:
        """Decode one object.

        Null fields count as missing, and a field of a wrong type is left out, as the rest of the object may still be
        worth reading.

        Args:
            raw: The object as JSON.

        Returns:
            The object's view.

        Raises:
            UnreadableError: It is no JSON object, nested too deeply, or has no name.
        """
        try:
            view = self._fast.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AttributeError):
            view = self._repair(raw)
        if not view.metadata.name:
            raise UnreadableError(f"a {self._view.resource.kind} without a metadata.name")
        return view

    def _repair(self, raw: bytes | memoryview | msgspec.Raw) -> V:
        try:
            body = _without_nulls(msgspec.json.decode(bytes(raw).decode("utf-8", "replace")))
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableError(f"no readable JSON: {error}") from error
        for _ in range(_MAX_REPAIRS):
            try:
                return msgspec.convert(body, self._view, dec_hook=_clean_text)
            except msgspec.ValidationError as error:
                if not _drop(body, str(error)):
                    raise UnreadableError(f"no {self._view.resource.kind}: {error}") from error
        raise UnreadableError(f"more than {_MAX_REPAIRS} fields have wrong types")


def _clean_text(wanted: type, value: object) -> object:
    if wanted is Text:
        return clean(value if isinstance(value, str) else str(value))
    raise NotImplementedError(f"no decoding of {wanted}")


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
