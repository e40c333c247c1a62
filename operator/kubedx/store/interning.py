"""Equal parts of objects are kept once: the pods of one template share almost everything."""

import sys
from collections.abc import Hashable
from typing import TypeVar

import msgspec

from kubedx.kube.meta import View
from kubedx.kube.views import Pod

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder(order="deterministic", enc_hook=str).encode
_set = msgspec.structs.force_setattr


class Interner:
    """Remembers parts of objects, so that equal parts become the same part.

    Parts that no object uses any more are forgotten whenever their number has doubled.
    """

    def __init__(self) -> None:
        self._parts: dict[Hashable, object] = {}
        self._limit = 4096

    def __len__(self) -> int:
        """Count the parts that are remembered."""
        return len(self._parts)

    def share(self, view: View) -> None:
        """Replace the parts of a freshly decoded object by equal ones that are there already.

        Args:
            view: An object that nobody else holds yet.
        """
        metadata = view.metadata
        _set(metadata, "namespace", sys.intern(metadata.namespace))
        _set(metadata, "labels", self._part(metadata.labels))
        _set(metadata, "owner_references", self._part(metadata.owner_references))
        if isinstance(view, Pod):
            # The volume that every pod has for its token carries a random name, which would defeat sharing.
            claims = tuple(one for one in view.spec.volumes if one.persistent_volume_claim or one.ephemeral is not None)
            _set(view.spec, "volumes", claims)
            _set(view.spec, "node_name", sys.intern(view.spec.node_name))
            _set(view, "spec", self._part(view.spec))
        if len(self._parts) > self._limit:
            self._sweep()

    def _part(self, part: T) -> T:
        if not part:
            return part
        return self._parts.setdefault((type(part), _encode(part)), part)  # type: ignore[return-value]

    def _sweep(self) -> None:
        # How many references a part has that nobody uses differs between versions of Python, so one that certainly
        # nobody uses is counted along.
        self._parts[self] = object()
        counts = {key: sys.getrefcount(part) for key, part in self._parts.items()}
        for key, count in counts.items():
            if count <= counts[self]:
                del self._parts[key]
        self._limit = max(4096, 2 * len(self._parts))
