"""Which checks have to look at an object, told by its shape.

Most objects are well, and share their shape with others that are. A check that is silent about a shape whatever stands
in its slots, and whatever all other objects are, need not be asked about any object of that shape. That is found out by
asking it once about the shape with slots and lookups that cannot be touched.
"""

from collections.abc import Iterable, Iterator

from kubedx.core.check import Check, Input, Registry
from kubedx.core.inputs import Settings as CheckSettings
from kubedx.kube.meta import View
from kubedx.kube.slots import UNTOUCHABLE, untouchable
from kubedx.kube.views import Event
from kubedx.settings import Settings
from kubedx.store.forms import Shape
from kubedx.store.store import Store

_Circumstances = tuple[CheckSettings, tuple[str, ...], tuple[type[View], ...]]
"""The settings of a check, the inputs that it misses, and the kinds without which it answers in another way."""


class _Epoch:
    """A time in which what the checks are silent about does not change.

    Attributes:
        altered: The checks that may be silent about other shapes in the next one.
        next: The next one, None for the present.
    """

    __slots__ = ("altered", "next")

    def __init__(self) -> None:
        self.altered: frozenset[Check] = frozenset()
        self.next: _Epoch | None = None


class Asks:
    """Works out the checks to ask, shape by shape, and remembers them with the shape.

    Args:
        registry: The checks.
        store: The mirror of the cluster.
    """

    def __init__(self, registry: Registry, store: Store) -> None:
        self.missing: dict[Check, tuple[str, ...]] = {}
        self._registry = registry
        self._store = store
        self._circumstances: dict[Check, _Circumstances] = {}
        self._about: dict[type[View], tuple[Check, ...]] = {}
        self._candidates: dict[tuple[type[View], int], tuple[Check, ...]] = {}
        self._blanks: dict[Check, dict[str, object]] = {}
        self._epoch = _Epoch()
        self._altered_since: dict[object, frozenset[Check] | None] = {}

    def refresh(self, settings: Settings) -> set[Check]:
        """Look at the settings and at which kinds can be read.

        Args:
            settings: The settings.

        Returns:
            The checks for which either is another since the last time.
        """
        altered = set()
        for check in self._registry:
            self.missing[check] = missing = self._what_is_missing(check)
            unread = tuple(view for view in check.enriching if not self._store.readable(view))
            circumstances = (settings.check_settings(check), missing, unread)
            if self._circumstances.get(check) != circumstances:
                self._circumstances[check] = circumstances
                self._blanks[check] = {one.name: self._blank(circumstances, one) for one in check.inputs}
                altered.add(check)
        if altered:
            before, self._epoch = self._epoch, _Epoch()
            before.altered, before.next = frozenset(altered), self._epoch
            self._altered_since.clear()
        return altered

    def about(self, view: type[View]) -> tuple[Check, ...]:
        """The checks that are asked about objects of a kind."""
        found = self._about.get(view)
        if found is None:
            found = tuple([check for check in self._registry if check.any_kind or view in check.subjects])
            self._about[view] = found
        return found

    def knows(self, shape: Shape) -> bool:
        """Whether the checks to ask about a shape need not be worked out any more."""
        return shape.asks_of is self._epoch

    def of(self, shape: Shape) -> tuple[Check, ...]:
        """The checks that have to look at each object of a shape, the disabled ones among them."""
        if shape.asks_of is not self._epoch:
            shape.asks, shape.asks_of = self._renewed(shape), self._epoch
        return shape.asks

    def _renewed(self, shape: Shape) -> tuple[Check, ...]:
        candidates = self._candidates_for(shape)
        altered = self._altered(shape.asks_of)
        stay: list[Check] = []
        if altered is not None:
            stay = [check for check in shape.asks if check not in altered]
            candidates = tuple([check for check in candidates if check in altered])
        if candidates:
            stay += self._who_speaks(candidates, untouchable(shape.form, shape.plan))
        return tuple(stay)

    def _candidates_for(self, shape: Shape) -> tuple[Check, ...]:
        """The checks that are asked about objects that look at a glance like those of a shape."""
        place = (type(shape.form), int(shape.bits))
        found = self._candidates.get(place)
        if found is None:
            about = self.about(place[0])
            found = tuple([check for check in about if not check.when or check.when & shape.bits])
            self._candidates[place] = found
        return found

    def _altered(self, since: object) -> frozenset[Check] | None:
        """The checks that may be silent about other shapes than then; None for all, if that time was none of ours."""
        if since not in self._altered_since:
            found: frozenset[Check] = frozenset()
            epoch = since
            while isinstance(epoch, _Epoch) and epoch is not self._epoch:
                found |= epoch.altered
                epoch = epoch.next
            self._altered_since[since] = found if epoch is self._epoch else None
        return self._altered_since[since]

    def _who_speaks(self, checks: Iterable[Check], blank: View) -> Iterator[Check]:
        """The checks that may say something about a shape, for some values of its objects' own or some other objects.

        This is done for each new shape with each check that could care, so a call more or less for each of them counts.
        """
        missing, blanks = self.missing, self._blanks
        for check in checks:
            if missing[check]:
                yield check
                continue
            inputs = blanks[check]
            try:
                for _ in check.run(blank, **inputs):
                    yield check
                    break
            except Exception:  # noqa: BLE001 -- TouchedError, or whatever came of it: the check looks at more
                yield check

    def _blank(self, circumstances: _Circumstances, one: Input) -> object:
        """An input that may be had but not be used; the settings are the same for all objects."""
        settings, _, unread = circumstances
        if one.role == "settings":
            return settings
        if one.derived:
            return None if one.optional and any(view in unread for view in one.derived.kinds) else UNTOUCHABLE
        view = Event if one.role == "events" else one.view if one.role == "lookup" else None
        return None if view in unread else UNTOUCHABLE

    def _what_is_missing(self, check: Check) -> tuple[str, ...]:
        missing = [view.resource.kind for view in check.required if not self._store.readable(view)]
        if self._store.since is None and any(one.role == "history" for one in check.inputs):
            missing.append("history")
        return tuple(missing)
