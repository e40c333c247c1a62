"""Which finding is the cause and which the symptom.

Groups are folded under their causes along the relations that checks declare. A cause and a symptom belong together
where their join keys meet, so the cost grows with the number of findings and not with that of their pairs. Everything
is kept by difference: a change costs what it touches, however much else is open, and the outcome is the same as if all
groups had come at once.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import inf

from kubedx.core.check import Registry
from kubedx.core.finding import Param
from kubedx.core.join import Join
from kubedx.diagnosis.cycles import cuts, rings
from kubedx.diagnosis.group import LONG_AGO, Group, Member, Tally
from kubedx.diagnosis.keys import Causes, Symptoms, crowd, give_up, withdraw

CAUSE_MAY_LAG = timedelta(minutes=5)
"""How much later than its symptom a cause may have begun: different components notice at different speeds."""

NOTICED_TOGETHER = timedelta(minutes=1)
"""How far times may lie apart and still not tell which came first: a silent node, for one, is noticed after 50 s."""

BACK_LEAD = timedelta(seconds=30)
"""How much earlier than its symptom a cause in a higher layer must have begun."""

IN_PLAY = timedelta(minutes=15)
"""How long a cause still explains what began before it cleared."""


class _Relation:
    """How one check explains another."""

    __slots__ = ("causes", "exact", "is_back", "made", "narrowing", "suffices")

    def __init__(self, join: Join, made: "_Offer") -> None:
        self.made = made
        self.causes = made.causes
        self.narrowing: tuple[tuple[str, Param], ...] = tuple(join.narrowing.items())
        self.is_back = join.is_back
        self.exact = join.exact
        self.suffices = join.suffices

    def fits(self, params: Mapping[str, Param]) -> bool:
        """Whether a symptom with these params is one of those that the cause explains."""
        return all(params.get(name) == value for name, value in self.narrowing)


class _Offer:
    """The groups of one check as causes by one join, and where the symptoms wait that they may explain."""

    __slots__ = ("causes", "is_back", "name", "starts", "symptoms")

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_back = False
        self.causes: Causes = {}
        self.symptoms: list[Symptoms] = []
        self.starts: dict[Group, dict[str, datetime]] = {}

    def start(self, group: Group, key: str) -> datetime:
        """Since when a group's members with a key have the problem: a component is one of many, a node's each."""
        found = self.starts.get(group)
        if found is None:
            found = self.starts[group] = {}
            for member in group.members:
                since = member.finding.since or LONG_AGO
                for one in member.finding.keys.get(self.name, ()):
                    found[one] = min(since, found.get(one, since))
        return found[key]


class _Want:
    """The findings of one check as symptoms by one join, and the relations by which something may explain them."""

    __slots__ = ("is_broad", "name", "relations", "symptoms")

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_broad = False
        self.relations: list[_Relation] = []
        self.symptoms: Symptoms = {}

    def add(self, relation: _Relation) -> None:
        """Add a relation. One that is not narrowed fits all findings."""
        self.relations.append(relation)
        self.is_broad = self.is_broad or not relation.narrowing

    def fits(self, params: Mapping[str, Param]) -> bool:
        """Whether anything may explain a finding with these params."""
        return any(relation.fits(params) for relation in self.relations)


class Folding:
    """Who explains whom.

    A group folds when each of its members has a cause in play. Cycles are broken at their best-ranked group.

    Groups are entered with `change` and `place`, and taken out with `drop`; `settle` then brings the rest up to date.

    Args:
        registry: The checks with their relations.
    """

    def __init__(self, registry: Registry) -> None:
        self._offers: dict[str, list[_Offer]] = {check.id: [] for check in registry}
        self._wants: dict[str, list[_Want]] = {check.id: [] for check in registry}
        self._relate(registry)
        self._looping = _looping(registry)
        self._changed: dict[Group, None] = {}
        self._doubted: dict[Member, None] = {}
        self._touched: dict[tuple[_Offer, str], None] = {}
        self._round = 0
        self._relinked: dict[Group, None] = {}
        self._stirred: dict[Group, None] = {}
        self._to_tell: dict[tuple[Group, Group], None] = {}
        self._to_sum_again: dict[tuple[Group, str], None] = {}

    def _relate(self, registry: Registry) -> None:
        offers: dict[tuple[str, str], _Offer] = {}
        for check in registry:
            wants: dict[str, _Want] = {}
            for cause, join in registry.causes.get(check.id, ()):
                made = offers.get((cause.id, join.name))
                if made is None:
                    made = offers[cause.id, join.name] = _Offer(join.name)
                    self._offers[cause.id].append(made)
                want = wants.setdefault(join.name, _Want(join.name))
                made.is_back = made.is_back or join.is_back
                want.add(_Relation(join, made))
                if not any(symptoms is want.symptoms for symptoms in made.symptoms):
                    made.symptoms.append(want.symptoms)
            self._wants[check.id] = list(wants.values())

    # --- what comes in ---

    def change(self, group: Group, *, added: Iterable[Member] = (), removed: Iterable[Member] = ()) -> None:
        """Let members join or leave a group.

        Args:
            group: The group.
            added: Members that it does not have yet.
            removed: Members that it has.
        """
        for made in self._offers[group.identity[0]]:
            made.starts.pop(group, None)
        for member in removed:
            if group.is_in:
                self._take_out(member)
            group.leave(member)
        for member in added:
            group.join(member)
            if group.is_in:
                self._enter(member)
        self._changed[group] = None

    def place(self, group: Group, *, is_pending: bool = False, cleared_at: datetime | None = None) -> None:
        """Let a group take part, or change its state.

        Args:
            group: The group.
            is_pending: Whether it has not lasted long enough to be said.
            cleared_at: When it cleared; None while it is open. Whoever calls this drops it `IN_PLAY` later.
        """
        if group.is_in and group.is_pending == is_pending and group.cleared_at == cleared_at:
            return
        if group.is_in and group.cleared_at != cleared_at:
            self._touch(group)
        group.is_pending, group.cleared_at = is_pending, cleared_at
        if not group.is_in:
            group.is_in = True
            for member in group.members:
                self._enter(member)
        self._changed[group] = None

    def drop(self, group: Group) -> None:
        """Let a group take part no longer. Its members stay with it."""
        if not group.is_in:
            return
        for member in group.members:
            self._take_out(member)
        for made in self._offers[group.identity[0]]:
            made.starts.pop(group, None)
        group.is_in = False
        self._changed[group] = None

    def silence(self, group: Group, *, is_silenced: bool) -> None:
        """Let a group count as silenced, or no longer, in what its causes explain."""
        if group.is_silenced != is_silenced:
            group.is_silenced = is_silenced
            if group.is_folded:
                for cause in group.causes:
                    self._tell(group, cause, 0)

    # Each finding comes by in these two, so what is nearly always so is done without a call.

    def _enter(self, member: Member) -> None:
        """Enter a member as a symptom, and its group as a cause."""
        group, keys = member.group, member.finding.keys
        group.unlinked += 1
        if self._wants[group.identity[0]]:
            self._doubted[member] = None
            self._wait(member)
        for made in self._offers[group.identity[0]]:
            found = keys.get(made.name)
            if found:
                causes, is_awaited = made.causes, any(made.symptoms)
                for key in found:
                    if key not in causes:
                        causes[key] = group
                    elif not crowd(causes, key, group) and not made.is_back:
                        continue
                    if is_awaited:
                        self._touched[made, key] = None

    def _wait(self, member: Member) -> None:
        """Enter a member where it is found when something comes that explains it."""
        keys = member.finding.keys
        for want in self._wants[member.group.identity[0]]:
            found = keys.get(want.name)
            if found and (want.is_broad or want.fits(member.finding.own_params)):
                for key in found:
                    waiting = want.symptoms.get(key)
                    if waiting is None:
                        want.symptoms[key] = member
                    elif isinstance(waiting, Member):
                        want.symptoms[key] = {waiting: None, member: None}
                    else:
                        waiting[member] = None

    def _take_out(self, member: Member) -> None:
        group, keys = member.group, member.finding.keys
        for made in self._offers[group.identity[0]]:
            found = keys.get(made.name)
            if found:
                is_awaited = any(made.symptoms)
                for key in found:
                    if (withdraw(made.causes, key, group) or made.is_back) and is_awaited:
                        self._touched[made, key] = None
        for want in self._wants[group.identity[0]]:
            found = keys.get(want.name)
            if found and (want.is_broad or want.fits(member.finding.own_params)):
                for key in found:
                    give_up(want.symptoms, key, member)
        self._doubted.pop(member, None)
        self._unlink(member)
        group.unlinked -= 1

    def _touch(self, group: Group) -> None:
        """Look again at all that a group explains or might explain."""
        for made in self._offers[group.identity[0]]:
            if any(made.symptoms):
                for member in group.members:
                    for key in member.finding.keys.get(made.name, ()):
                        self._touched[made, key] = None

    # --- what follows ---

    def settle(self) -> list[Group]:
        """Bring everything up to date after changes.

        Returns:
            The groups of which something may be different: whether they are roots, or what they explain.
        """
        self._round += 1
        for group in self._changed:
            if group.sum_up() and group.is_in:
                self._touch(group)
            self._relinked[group] = None
        self._changed.clear()
        for made, key in self._touched:
            for symptoms in made.symptoms:
                found = symptoms.get(key)
                if isinstance(found, Member):
                    self._doubted[found] = None
                elif found:
                    self._doubted.update(found)
        self._touched.clear()
        for member in self._doubted:
            self._link(member, *self._best(member))
        self._doubted.clear()
        self._cut_cycles()
        self._replant()
        stirred = list(self._stirred)
        self._stirred.clear()
        return stirred

    def _best(self, member: Member) -> tuple[Group | None, bool]:
        group, finding = member.group, member.finding
        best, exact = None, True
        for want in self._wants[group.identity[0]]:
            keys = finding.keys.get(want.name, ())
            for relation in want.relations:
                if not relation.causes or (relation.narrowing and not relation.fits(finding.own_params)):
                    continue
                for key in keys:
                    found = relation.causes.get(key)
                    if found is None:
                        continue
                    for cause in (found,) if isinstance(found, Group) else found.ranked(self._round):
                        if best is not None and best.rank <= cause.rank:
                            break
                        start = relation.made.start(cause, key) if relation.is_back else None
                        if cause is not group and _may_explain(cause, member, start, suffices=relation.suffices):
                            best, exact = cause, relation.exact and _is_in_order(cause, member)
                            break
        return best, exact

    def _link(self, member: Member, cause: Group | None, exact: bool) -> None:  # noqa: FBT001 -- what `_best` found
        if member.cause is cause and member.exact == exact:
            return
        self._unlink(member)
        group = member.group
        member.cause, member.exact = cause, exact
        self._relinked[group] = None
        if cause is None:
            return
        group.unlinked -= 1
        theirs = group.causes.get(cause)
        if theirs is None:
            theirs = group.causes[cause] = {}
            if group.is_folded:
                _tie(group, cause)
        theirs[member] = None
        if group.is_folded:
            self._tell(group, cause, int(group.is_counted))

    def _unlink(self, member: Member) -> None:
        group, cause = member.group, member.cause
        if cause is None:
            return
        member.cause = None
        group.unlinked += 1
        theirs = group.causes[cause]
        del theirs[member]
        if not theirs:
            del group.causes[cause]
            if group.is_folded:
                _untie(group, cause)
        if group.is_folded:
            self._tell(group, cause, -int(group.is_counted))

    def _tell(self, group: Group, cause: Group, count: int) -> None:
        """Take note that a cause explains more or fewer members of a group."""
        self._to_tell[group, cause] = None
        self._lift(cause, count)

    def _lift(self, group: Group, count: int) -> None:
        """Add to the weight of a group and of all above it."""
        group.weight += count
        while group.parent is not None:
            group = group.parent
            group.weight += count
        self._stirred[group] = None

    def _cut_cycles(self) -> None:
        """Look again at the rings of what changed. Only checks that may explain each other can have any."""
        changed = [group for group in self._relinked if group.identity[0] in self._looping]
        if not changed:
            return
        region = dict.fromkeys(changed) | dict.fromkeys(one for group in changed for one in group.ring)
        found = [ring for ring in rings(region, self._causes) if any(group in region for group in ring)]
        roots: set[Group] = set()
        for group in region:
            group.ring = ()
        for ring in found:
            roots |= cuts(ring)
            for group in ring:
                group.ring = tuple(ring)
                region[group] = None
        for group in region:
            if group.is_cut != (group in roots):
                group.is_cut = group in roots
                self._relinked[group] = None

    def _causes(self, group: Group) -> list[Group]:
        if group.unlinked or not group.is_in or group.identity[0] not in self._looping:
            return []
        return [cause for cause in group.causes if cause.identity[0] in self._looping]

    def _replant(self) -> None:
        """Give each group that changed its place in the forest. All are cut off before any is planted."""
        planted = []
        for group in self._relinked:
            is_folded = group.is_in and bool(group.members) and not group.unlinked and not group.is_cut
            is_counted = is_folded and not group.is_pending and group.cleared_at is None
            parent = group.worst.cause if is_folded else None
            if group.parent is not None and group.parent is not parent:
                self._uproot(group)
            if group.is_folded and (not is_folded or is_counted != group.is_counted):
                self._unfold(group)
            self._stirred[group] = None
            if is_folded:
                planted.append((group, is_counted, parent))
        self._relinked.clear()
        for group, is_counted, parent in planted:
            if not group.is_folded:
                self._fold(group, is_counted=is_counted)
            if parent is not None and group.parent is None:
                self._plant(group, parent)

    def _fold(self, group: Group, *, is_counted: bool) -> None:
        group.is_folded, group.is_counted = True, is_counted
        for cause, members in group.causes.items():
            _tie(group, cause)
            self._tell(group, cause, len(members) * is_counted)

    def _unfold(self, group: Group) -> None:
        for cause, members in group.causes.items():
            _untie(group, cause)
            self._tell(group, cause, -len(members) * group.is_counted)
        group.is_folded = False

    def _plant(self, group: Group, parent: Group) -> None:
        group.parent = parent
        if group.symptoms:
            parent.inner[group] = None
        self._lift(parent, group.weight)

    def _uproot(self, group: Group) -> None:
        if group.parent is not None:
            parent, group.parent = group.parent, None
            parent.inner.pop(group, None)
            self._lift(parent, -group.weight)

    # --- what there is to tell ---

    def explained(self, root: Group) -> tuple[dict[str, Tally], tuple[str, ...]]:
        """Sum up what a root explains, directly or not.

        Args:
            root: The root.

        Returns:
            By check what it explains, and the longest chain of checks that begins here; empty where it explains
            nothing.
        """
        self.tell_some(inf)
        found: dict[str, Tally] = {}
        chains: set[tuple[str, ...]] = set()
        ahead: list[tuple[Group, tuple[str, ...]]] = [(root, (root.identity[0],))]
        while ahead:
            cause, chain = ahead.pop()
            for check, explained in cause.explained.items():
                found.setdefault(check, Tally()).add(explained)
                chains.add((*chain, check))
            ahead += [(group, (*chain, group.identity[0])) for group in cause.inner]
        return found, min(chains, key=lambda chain: (-len(chain), chain), default=())

    def tell_some(self, most: float) -> bool:
        """Go on bringing `Group.explained` up to date.

        Args:
            most: How many groups to look at.

        Returns:
            Whether there is more to do.
        """
        while most > 0 and (self._to_tell or self._to_sum_again):
            if self._to_tell:
                (group, cause), _ = self._to_tell.popitem()
                self._tell_of(group, cause)
                most -= 1
            else:
                (cause, check), _ = self._to_sum_again.popitem()
                self._sum_again(cause, check)
                most -= len(cause.told)
        return bool(self._to_tell or self._to_sum_again)

    def _tell_of(self, group: Group, cause: Group) -> None:
        """Add what a cause explains of a group to what it explains of all groups of that check."""
        check = group.identity[0]
        before = cause.told.pop(group, None)
        if before is not None and not cause.explained[check].subtract(before):
            self._to_sum_again[cause, check] = None
        members = group.causes.get(cause) if group.is_folded and group.is_counted else None
        if members:
            now = cause.told[group] = Tally.of(members)
            cause.explained.setdefault(check, Tally()).add(now)
        elif before is not None and not cause.explained[check].count:
            del cause.explained[check]
            self._to_sum_again.pop((cause, check), None)

    def _sum_again(self, cause: Group, check: str) -> None:
        cause.explained[check] = Tally()
        for group, told in cause.told.items():
            if group.identity[0] == check:
                cause.explained[check].add(told)


def _tie(group: Group, cause: Group) -> None:
    if not cause.symptoms and cause.parent is not None:
        cause.parent.inner[cause] = None
    cause.symptoms[group] = None


def _untie(group: Group, cause: Group) -> None:
    del cause.symptoms[group]
    if not cause.symptoms and cause.parent is not None:
        cause.parent.inner.pop(cause, None)


def _may_explain(cause: Group, member: Member, start: datetime | None, *, suffices: bool) -> bool:
    """Whether a group may explain a member with which it shares a key; `start` is that of a component behind it."""
    inside, there = cause.identity[1].namespace, member.finding.subject.namespace
    if inside and there and inside != there:
        return False  # Only nodes, zones and the cluster reach across namespaces.
    since = member.finding.since
    if cause.cleared_at is not None and (since is None or since > cause.cleared_at):
        return False
    if since is None:
        return True
    if start is not None:
        return start + BACK_LEAD <= since
    # What is not said yet must be older than its symptom to be said for its sake: the lag is for what is certain.
    if cause.is_pending:
        return cause.since <= since
    return suffices or cause.since <= since + CAUSE_MAY_LAG


def _is_in_order(cause: Group, member: Member) -> bool:
    """Whether nothing contradicts that a cause was there before its symptom; it is only likely where something does."""
    since = member.finding.since
    return since is None or cause.since <= since + NOTICED_TOGETHER


def _looping(registry: Registry) -> frozenset[str]:
    """Name the checks that may explain each other, or themselves, along whatever way."""

    def causes(check: str) -> list[str]:
        return [cause.id for cause, _ in registry.causes.get(check, ())]

    alone = {check for check in registry.by_id if check in causes(check)}
    return frozenset(alone.union(*rings(registry.by_id, causes)))
