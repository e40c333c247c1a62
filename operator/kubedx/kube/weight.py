"""How heavy a large object is. The object itself is not kept, so it is weighed while it is read."""

import msgspec

from kubedx.kube.meta import Weight
from kubedx.kube.text import Text, clean

LARGE = 200 << 10
"""Bytes of JSON from which on an object is weighed. A smaller one has less than four fifths of what is allowed."""

MOST_ANNOTATIONS = 256 << 10
"""Bytes that the annotations of an object may have together (`apimachinery/pkg/api/validation/objectmeta.go`)."""

MOST_OBJECT = 3 << 19
"""Bytes that etcd takes in one request, 1.5 MiB (`--max-request-bytes`)."""

_STEP = 5
"""Shares are kept in steps of so many percent, so that an object that grows is seldom another one."""


class _Metadata(msgspec.Struct, frozen=True):
    annotations: dict[str, str] = {}


class _Object(msgspec.Struct, frozen=True):
    metadata: _Metadata = _Metadata()


class _Read(_Object, frozen=True):
    """An object, or a line of a watch with one in it."""

    object: _Object = _Object()


_read = msgspec.json.Decoder(_Read).decode


def weight(raw: bytes | memoryview | msgspec.Raw) -> Weight:
    """Weigh an object.

    Args:
        raw: The object as JSON, or a line of a watch with it.

    Returns:
        Its weight; without that of its annotations where they are not readable.
    """
    size = memoryview(raw).nbytes
    try:
        read = _read(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Weight(whole=_share(size, MOST_OBJECT))
    sizes = {
        name: len(name.encode()) + len(value.encode())
        for name, value in (read.metadata.annotations or read.object.metadata.annotations).items()
    }
    largest = clean(max(sizes, key=lambda name: sizes[name])) if sizes else Text()
    annotations = _share(sum(sizes.values()), MOST_ANNOTATIONS)
    return Weight(whole=_share(size, MOST_OBJECT), annotations=annotations, largest_annotation=largest)


def _share(size: int, most: int) -> int:
    return min(100, 100 * size // most // _STEP * _STEP)
