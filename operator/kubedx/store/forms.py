"""The forms of objects, each kept once: the pods of one template share almost everything."""

import sys
from collections.abc import Callable, Generator, Hashable, Iterator
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from msgspec.structs import force_setattr

from kubedx.kube.bits import Bit, bits
from kubedx.kube.decode import Decoded
from kubedx.kube.meta import View
from kubedx.kube.slots import Own, Plan, Slot, plan, whole
from kubedx.kube.views import Pod, PodSpec

V = TypeVar("V", bound=View)

_LOOKED_AT_ONCE = 500
"""Forms and parts that one step of a sweep looks at."""

_PARTS = (msgspec.Struct, tuple)


@cache
def _parts_of(view: type[View]) -> Callable[[View], tuple[Any, ...]]:
    """What gives all fields of a view at once."""
    return attrgetter(*view.__struct_fields__) if len(view.__struct_fields__) > 1 else lambda view: (view.metadata,)


def _leave_out_token(spec: PodSpec) -> None:
    """Leave out the volume that every pod has for its token: its random name would defeat sharing.

    So would those that build systems give to empty directories; one without medium and limit says nothing.
    """
    kept = [
        one
        for one in spec.volumes
        if one.persistent_volume_claim
        or one.host_path
        or one.ephemeral
        or one.flex_volume
        or ((scratch := one.empty_dir) and (scratch.medium or scratch.size_limit))
    ]
    force_setattr(spec, "volumes", tuple(kept))


class Shape:
    """What all objects of one form have in common.

    Attributes:
        form: The view with slots for what the objects do not have in common.
        plan: Where the slots are.
        bits: What can be seen of each of the objects at a glance.
        asks: Which checks have to look at each of the objects, as long as `asks_of` is who worked that out.
    """

    __slots__ = ("asks", "asks_of", "bits", "form", "plan")

    def __init__(self, form: View, where: Plan = ()) -> None:
        self.form = form
        self.plan = where
        self.bits: Bit = bits(form)
        self.asks: tuple[Any, ...] = ()
        self.asks_of: object = None


class Row(Own, frozen=True, gc=False, eq=False):
    """One object as it is kept: its shape and its own values."""

    shape: Shape

    @property
    def view(self) -> View:
        """The whole object, made anew each time."""
        return whole(self.shape.form, self.shape.plan, self)

    def is_as(self, other: "Row") -> bool:
        """Whether two rows of one key say the same."""
        return self.shape is other.shape and self.fixed == other.fixed and self.texts == other.texts


class Forms:
    """Remembers forms and their parts, so that equal ones become the same one, until a `sweep` forgets them."""

    def __init__(self) -> None:
        self._parts: dict[Hashable, Any] = {}
        self._shapes: dict[tuple[Hashable, ...], Shape] = {}
        self._plans: dict[Plan, Plan] = {}
        self._plans_of: dict[int, Plan] = {}
        self._last: dict[type[View], Shape] = {}

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._parts) + len(self._shapes)

    def row(self, decoded: Decoded[V], before: Row | None = None) -> Row:
        """Make the row of an object.

        Args:
            decoded: The object, freshly decoded: nobody else holds its parts yet.
            before: What the object was.

        Returns:
            The row.
        """
        form, own = decoded.form, decoded.own
        kind = type(form)
        if kind is Pod and form.spec.volumes:  # type: ignore[attr-defined]  # a Pod has
            _leave_out_token(form.spec)  # type: ignore[attr-defined]  # as above
        # Most of what changes keeps its form, and in lists the objects of a workload come one after the other: to
        # compare is cheaper than to look up.
        last = self._last.get(kind)
        if before is not None and before.shape.form == form:
            shape = before.shape
        elif last is not None and last.form == form:
            shape = last
        else:
            shape = self._last[kind] = self._shape(kind, form, last)
        return Row(own.key, own.fixed, own.texts, shape)

    def _shape(self, kind: type[View], form: View, last: Shape | None) -> Shape:
        """The shape of a form, which has some parts in common with the last one."""
        parts_of = _parts_of(kind)
        parts = parts_of(form)
        known_parts = parts_of(last.form) if last is not None else (None,) * len(parts)
        key: list[Hashable] = [kind]
        for part, known in zip(parts, known_parts, strict=True):
            if not isinstance(part, _PARTS):
                key.append(part)
            elif part == known:
                key.append(id(known))
            else:
                key.append(id(self._parts.get(part) or self._remember(part)))
        found = tuple(key)
        return self._shapes.get(found) or self._new_shape(form, found)

    def _new_shape(self, form: View, key: tuple[Hashable, ...]) -> Shape:
        for name in form.__struct_fields__:
            part = getattr(form, name)
            if isinstance(part, (msgspec.Struct, tuple)):
                force_setattr(form, name, self._parts[part])
        where = self._plan(form)
        shape = self._shapes[key] = Shape(form, self._plans.setdefault(where, where))
        return shape

    def _plan(self, form: View) -> Plan:
        """The plan of a form, put together from those of its parts, which most forms have in common with others."""
        found = []
        for name in form.__struct_fields__:
            part = getattr(form, name)
            if isinstance(part, msgspec.Struct):
                known = self._plans_of.get(id(part))
                if known is None:
                    known = plan(part)
                    known = self._plans_of[id(part)] = self._plans.setdefault(known, known)
                if known:
                    found.append((name, known))
            elif isinstance(part, Slot) or (isinstance(part, tuple) and part):
                return plan(form)
        return tuple(found)

    def _remember(self, part: Any) -> Any:  # noqa: ANN401 -- a part of a view, and the same or an equal one
        """Keep a part that is new, with its own parts shared."""
        if isinstance(part, tuple):
            part = tuple([self._shared(one) for one in part])
        else:
            for name in part.__struct_fields__:
                inner = getattr(part, name)
                if isinstance(inner, (msgspec.Struct, tuple)):
                    force_setattr(part, name, self._shared(inner))
        return self._parts.setdefault(part, part)

    def _shared(self, part: Any) -> Any:  # noqa: ANN401 -- as above
        if not isinstance(part, (msgspec.Struct, tuple)):
            return part
        known = self._parts.get(part)
        return self._remember(part) if known is None else known

    def sweep(self) -> Iterator[None]:
        """Forget what no object uses: shapes first, as they use the parts, and parts use others.

        Yields:
            After a fraction of a millisecond each, so that others may do something in between.
        """
        self._last.clear()
        self._shapes[()] = Shape(View())
        yield from _forget_unused(self._shapes)
        for parts in (self._parts, self._plans):
            removed = True
            while removed:
                _add_lonely(parts)
                removed = yield from _forget_unused(parts)
        alive = set(map(id, self._parts))
        self._plans_of = {part: where for part, where in self._plans_of.items() if part in alive}


def _add_lonely(parts: dict[Any, Any]) -> None:
    """Add what nothing refers to but the dict, in which it is key and value as a part is."""
    lonely = object()
    parts[lonely] = lonely


def _forget_unused(kept: dict[Any, Any]) -> Generator[None, None, bool]:
    """Remove what nothing else refers to, as nothing else refers to what was added last.

    Args:
        kept: What is kept.

    Yields:
        After some of it.

    Returns:
        Whether there was any.
    """
    # How many references there are to what nobody uses differs between versions of Python, hence the comparison.
    least = removed = 0
    for number, (key, value) in enumerate(reversed(list(kept.items())), 1):
        count = sys.getrefcount(value)
        least = least or count
        if count <= least:
            del kept[key]
            removed += 1
        if number % _LOOKED_AT_ONCE == 0:
            yield
    return removed > 1
