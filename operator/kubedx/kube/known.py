"""What was made of the values that came lately: a bounded memory."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Known(dict[K, V]):
    """Remembers up to a number of values. When it is full it begins anew, which only costs making them again.

    Attributes:
        most: How many values at most.
    """

    __slots__ = ("most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def keep(self, key: K, value: V) -> V:
        """Remember a value; returns it."""
        if len(self) >= self.most:
            self.clear()
        self[key] = value
        return value

    def shared(self: "Known[V, V]", value: V) -> V:
        """The same value for all who have an equal one, as long as it is remembered."""
        return self.get(value) or self.keep(value, value)
