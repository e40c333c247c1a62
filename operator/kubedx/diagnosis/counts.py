"""How many there are of what, by namespace."""

from collections.abc import Mapping

Labels = tuple[str, ...]
"""What is counted apart within a namespace. For findings: check, severity, kind and role, ``cause`` or ``symptom``."""

Tables = Mapping[str, Mapping[Labels, int]]
"""Counts by namespace and labels."""


class Counts:
    """Counts that are kept by difference, and handed out without being copied.

    The table of a namespace is never changed after it was handed out. So whoever made something of it knows that it
    still holds as long as the table is the same object.
    """

    def __init__(self) -> None:
        self._by_namespace: dict[str, dict[Labels, int]] = {}
        self._shown: set[str] = set()

    def add(self, namespace: str, labels: Labels, count: int) -> None:
        """Add to a count, or take away from it."""
        table = self._by_namespace.get(namespace)
        if table is None:
            table = self._by_namespace[namespace] = {}
        elif namespace in self._shown:
            table = self._by_namespace[namespace] = table.copy()
        self._shown.discard(namespace)
        total = table.get(labels, 0) + count
        if total:
            table[labels] = total
        else:
            del table[labels]
            if not table:
                del self._by_namespace[namespace]

    def show(self) -> Tables:
        """Give all counts that are not zero, by namespace."""
        self._shown = set(self._by_namespace)
        return self._by_namespace.copy()
