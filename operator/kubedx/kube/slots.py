"""Places in a view whose values differ from object to object.

The pods of one template differ in their names, their times and what their messages say, and in hardly anything else. So
an object is kept as a form, which it shares with all objects like it and which has a slot wherever a value is its own,
and beside it the values that belong into the slots. While an object is decoded its own values are put aside and slots
take their places; a check is shown the whole.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn, TypeAlias, TypeVar, get_args, get_type_hints

import msgspec
from msgspec.structs import force_setattr

from kubedx.kube.text import Text

S = TypeVar("S", bound=msgspec.Struct)

_Zoned = Annotated[datetime, msgspec.Meta(tz=True)]

Fixed = bytes | tuple[Any, ...]
"""A uid and times: the bytes of both, or the uid and the times where they are written in another way than usual."""

Texts = str | tuple[str, ...]


def key_of(namespace: str, name: str) -> str:
    """The key of an object in the table of its kind; the namespace is empty for cluster-scoped kinds."""
    return f"{namespace}/{name}"


class Own(msgspec.Struct, frozen=True, gc=False, eq=False):
    """The values of one object that belong into slots.

    Attributes:
        key: Its key, see `key_of`.
        fixed: Its uid and its times, see `packed`.
        texts: The texts, see `joined`.
    """

    key: str
    fixed: Fixed
    texts: Texts

    @property
    def uid(self) -> str:
        """The object's uid."""
        if isinstance(self.fixed, tuple):
            return str(self.fixed[0])
        digits = self.fixed[:_UID].hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Slot:
    """A place that an object fills with a value of its own. Slots of one class and index are the same object.

    Attributes:
        index: Which of the object's values belongs here.
    """

    __slots__ = ("index",)
    pool: ClassVar[list[Any]]

    def __init__(self, index: int) -> None:
        self.index = index

    def __init_subclass__(cls) -> None:
        """Give each class slots of its own."""
        cls.pool = [cls(index) for index in range(256)]

    @classmethod
    def at(cls, index: int) -> Any:  # noqa: ANN401 -- stands where a value of another type is declared
        """The slot for the value of that index."""
        try:
            return cls.pool[index]
        except IndexError:
            cls.pool += [cls(one) for one in range(len(cls.pool), index + 1)]
            return cls.pool[index]

    def value(self, own: Own) -> Any:  # noqa: ANN401 -- what belongs here differs
        """What an object has here."""
        raise NotImplementedError


class NameSlot(Slot):
    """The object's name."""

    __slots__ = ()

    def value(self, own: Own) -> str:
        """The name."""
        return own.key.partition("/")[2]


class UidSlot(Slot):
    """The object's uid."""

    __slots__ = ()

    def value(self, own: Own) -> str:
        """The uid."""
        return own.uid


class VersionSlot(Slot):
    """The object's resourceVersion. Two reads of an unchanged object differ in nothing else, and no check reads it."""

    __slots__ = ()

    def value(self, own: Own) -> str:  # noqa: ARG002 -- it is not kept
        """Nothing."""
        return ""


class TimeSlot(Slot):
    """A time."""

    __slots__ = ()

    def value(self, own: Own) -> datetime | None:
        """The time; None for a date that no calendar has."""
        return unpacked(own.fixed, self.index)


class TextSlot(Slot):
    """A text that hardly two objects have in common."""

    __slots__ = ()

    def value(self, own: Own) -> str:
        """The text."""
        texts = own.texts
        return texts.split(_BETWEEN)[self.index] if isinstance(texts, str) else texts[self.index]


class NodeSlot(TextSlot):
    """The name of a node: another one for most pods of a template, and yet the same for many pods."""

    __slots__ = ()


class MessageSlot(TextSlot):
    """A text for people, cleaned."""

    __slots__ = ()


class CountSlot(TextSlot):
    """A number that goes up while the object lasts, kept by its digits."""

    __slots__ = ()

    def value(self, own: Own) -> int:  # type: ignore[override]  # the one slot among the texts that shows another type
        """The number."""
        return int(super().value(own))


STEPS = (0, 1, 2, 3, 5, 10)
"""What is counted up to: a number between two of them is the lower one, and all above the last are that."""


class Pairs(dict[str, Any]):
    """A map in an object: nobody changes it, so it can be shared and be part of a key."""

    __slots__ = ("_hash",)

    def __hash__(self) -> int:  # type: ignore[override]  # a dict that never changes has a hash
        """Equal maps have equal hashes, whatever their order."""
        try:
            return self._hash
        except AttributeError:
            self._hash: int = hash(frozenset(self.items()))
            return self._hash


if TYPE_CHECKING:
    Name: TypeAlias = str
    Uid: TypeAlias = str
    Version: TypeAlias = str
    Single: TypeAlias = str
    NodeName: TypeAlias = str
    Time: TypeAlias = datetime
    Message: TypeAlias = Text
    Labels = Mapping[str, str]
    Quantities = Mapping[str, str | int | float]
    Few: TypeAlias = int
    ImageSizes: TypeAlias = int
    ServiceNames: TypeAlias = tuple[str, ...]
    URLPath: TypeAlias = Text
    Count: TypeAlias = int
else:
    # What a field is declared as is what the decoder meets; what a check sees in it stands above.
    Name, Uid, Version, Single, NodeName = NameSlot, UidSlot, VersionSlot, TextSlot, NodeSlot
    Time, Message, Count = TimeSlot, MessageSlot, CountSlot

    class Labels(Pairs):
        """Labels, or another map of texts."""

        __slots__ = ()

    class Quantities(Pairs):
        """Amounts of resources by their names."""

        __slots__ = ()

    class Few(int):
        """A number that is counted in `STEPS`, as nobody asks for more."""

        __slots__ = ()

    class ImageSizes(int):
        """What the images of a node add up to, in whole gibibytes, so that it seldom changes."""

        __slots__ = ()

    class ServiceNames(tuple):
        """The Services that an environment names, see `kubedx.kube.addresses`."""

        __slots__ = ()

    class URLPath(Text):
        """The path of a request, without the query, in which a key may stand."""

        __slots__ = ()


FIRST_YEAR, LAST_YEAR = 2000, 2199
"""Years in which something may happen in a cluster. What says another one was never set (Go writes the year 1), comes
from a clock that was not set (1970), or would be beyond what can be reckoned with (9999)."""

_PLAIN = len("2026-01-01T00:00:00Z")
_DIGITS = 14
_UID, _TIME = 16, 7
"""Bytes of a uid and of a time."""

_UUID = len("00000000-0000-0000-0000-000000000000")


def packed(uid: str, times: list[str]) -> Fixed:
    """Keep a uid and times in as little memory as they allow.

    Args:
        uid: The uid.
        times: Times as RFC 3339 writes them, with their zones.

    Returns:
        Nothing but their digits where all are as almost everywhere: a UUID, and whole seconds in UTC.

    Raises:
        msgspec.ValidationError: One of the times is none.
    """
    try:
        written = "".join(times).encode()
    except TypeError as error:
        raise msgspec.ValidationError(str(error)) from error
    digits = written.translate(None, b"-:TZ")
    if (len(written) == _PLAIN * len(times) and len(digits) == _DIGITS * len(times) and digits.isdigit()) or not times:
        try:
            if len(uid) == _UUID and uid[8] == uid[13] == uid[18] == uid[23] == "-" and uid == uid.lower():
                return bytes.fromhex(uid.replace("-", "") + digits.decode())
        except ValueError:
            pass  # The uid of something that is no Kubernetes.
    return (uid, *msgspec.convert(times, list[_Zoned]))


def unpacked(fixed: Fixed, index: int) -> datetime | None:
    """Give one of the times that `packed` keeps.

    Args:
        fixed: What it returned.
        index: Which time.

    Returns:
        The time; None where it says a date that no calendar has, or a year in which there is no cluster.
    """
    if isinstance(fixed, tuple):
        time: datetime = fixed[1 + index]  # After the uid all are times.
    else:
        at = _UID + _TIME * index
        digits = fixed[at : at + _TIME].hex()
        try:
            time = datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}+00:00")
        except ValueError:
            return None
    return time if FIRST_YEAR <= time.year <= LAST_YEAR else None


_BETWEEN = "\0"
_MANY = 5


def joined(texts: list[str]) -> Texts:
    """Keep texts in little memory: many of them, such as the names behind a Service, as one.

    Args:
        texts: The texts.

    Returns:
        The texts, joined where that saves memory.
    """
    if len(texts) >= _MANY:
        whole = _BETWEEN.join(texts)
        if whole.count(_BETWEEN) == len(texts) - 1:  # None of them has one itself.
            return whole
    return tuple(texts)


# --- from the form to the whole ---------------------------------------------------------------------------------------

Plan = tuple[tuple[str, Any], ...]
"""For each field of a struct with slots in it: a slot, a struct's plan, or `Items` for the items of a tuple."""


class Items(tuple[Plan, ...]):
    """The plans of the items of a tuple."""

    __slots__ = ()


@cache
def _fields_with_slots(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that may hold slots, themselves or further down."""
    hints = get_type_hints(struct)
    return tuple(name for name in struct.__struct_fields__ if _may_hold_slots(hints[name]))


def _may_hold_slots(hint: Any) -> bool:  # noqa: ANN401 -- a type hint of any shape
    if isinstance(hint, type) and not get_args(hint):
        if issubclass(hint, msgspec.Struct):
            return bool(_fields_with_slots(hint))
        return issubclass(hint, Slot)
    return any(_may_hold_slots(part) for part in get_args(hint))


def plan(form: msgspec.Struct) -> Plan:
    """Find the slots of a form.

    Args:
        form: A struct whose parts may be slots.

    Returns:
        Where they are, for `filled`.
    """
    found: list[tuple[str, Any]] = []
    for name in _fields_with_slots(type(form)):
        part = getattr(form, name)
        if isinstance(part, Slot):
            found.append((name, part))
        elif isinstance(part, tuple):
            items = Items(plan(item) for item in part)
            if any(items):
                found.append((name, items))
        elif isinstance(part, msgspec.Struct) and (inner := plan(part)):
            found.append((name, inner))
    return tuple(found)


_FEW = 8


class Lazy(Sequence[Any]):
    """The items of a long tuple, each filled when it is looked at: of a thousand endpoints one may tell enough."""

    __slots__ = ("_items", "_plans", "_value")

    def __init__(self, items: tuple[Any, ...], plans: Items, value: Callable[[Slot], object]) -> None:
        self._items = items
        self._plans = plans
        self._value = value

    def __len__(self) -> int:
        """Count the items."""
        return len(self._items)

    def __getitem__(self, at: Any) -> Any:  # noqa: ANN401 -- an index or a slice, as of any sequence
        """The item, or the items, there."""
        if isinstance(at, slice):
            return tuple(self)[at]
        item, where = self._items[at], self._plans[at]
        return filled(item, where, self._value) if where else item

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of equal items."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        """As the tuple that it stands for."""
        return hash(tuple(self))


def filled(form: S, where: Plan, value: Callable[[Slot], object]) -> S:
    """Fill the slots of a form.

    Args:
        form: The form.
        where: Its plan.
        value: Gives what belongs into a slot.

    Returns:
        The whole; parts without slots are the form's own.
    """
    whole: S = form.__copy__()  # type: ignore[attr-defined]  # which msgspec does not declare
    for name, part in where:
        if isinstance(part, Slot):
            force_setattr(whole, name, value(part))
        elif isinstance(part, Items):
            items = getattr(form, name)
            if len(part) > _FEW:
                force_setattr(whole, name, Lazy(items, part, value))
            else:
                both = zip(items, part, strict=True)
                force_setattr(whole, name, tuple([filled(one, its, value) if its else one for one, its in both]))
        else:
            force_setattr(whole, name, filled(getattr(form, name), part, value))
    return whole


def whole(form: S, where: Plan, own: Own) -> S:
    """Fill a form with what is an object's own.

    Args:
        form: The form.
        where: Its plan.
        own: The object's own values.

    Returns:
        The whole object.
    """
    if isinstance(own.texts, str):
        own = Own(own.key, own.fixed, tuple(own.texts.split(_BETWEEN)))
    return filled(form, where, lambda slot: slot.value(own))


class TouchedError(Exception):
    """A value was looked at that not all objects of a form have in common."""


class _Untouchable:
    """Stands in a slot where nothing may depend on its value."""

    __slots__ = ()

    def _refuse(self, *_: object) -> NoReturn:
        raise TouchedError

    __bool__ = __str__ = __repr__ = __format__ = __len__ = __iter__ = __contains__ = __getitem__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __call__ = __add__ = __radd__ = __sub__ = __rsub__ = __mod__ = __rmod__ = _refuse
    __getattr__ = _refuse


UNTOUCHABLE = _Untouchable()
"""What may be there, or not be None, and nothing else."""


def untouchable(form: S, where: Plan) -> S:
    """Fill a form so that whoever looks at anything else than what all its objects have in common, fails.

    Args:
        form: The form.
        where: Its plan.

    Returns:
        A whole whose slots raise `TouchedError` when they are used in any way but a comparison with None.
    """
    return filled(form, where, lambda _: UNTOUCHABLE)
