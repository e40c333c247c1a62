"""Which finding is the cause and which the symptom.

Groups are folded under their causes along the relations that checks declare. A cause and a symptom belong together
where their join keys meet, so the cost grows with the number of findings and not with that of their pairs.
"""

import graphlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from kubedx.core.check import Check, Registry
from kubedx.core.finding import Ref, Severity
from kubedx.core.join import Join
from kubedx.engine.verdict import RawFinding

Identity = tuple[str, Ref]
"""What names a group: the check's id and whom the group is about."""

CAUSE_MAY_LAG = timedelta(minutes=5)
"""How much later than its symptom a cause may have begun: different components notice at different speeds."""

BACK_LEAD = timedelta(seconds=30)
"""How much earlier than its symptom a cause in a higher layer must have begun."""

IN_PLAY = timedelta(minutes=15)
"""How long a cause still explains what began before it cleared."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Group:
    """The findings of one check that are said together.

    Attributes:
        identity: The check's id and whom the group is about.
        check: The check.
        members: The findings that have lasted long enough, the worst first.
        cleared_at: When it cleared, for a cause that still explains its symptoms; None while it is open.
        is_pending: Whether it has not lasted long enough to be said. It may still be a link in a chain, and as the root
            of what is said it has proved to be no noise.
    """

    identity: Identity
    check: Check
    members: tuple[RawFinding, ...]
    cleared_at: datetime | None = None
    is_pending: bool = False

    @cached_property
    def since(self) -> datetime:
        """Since when the first member has the problem; long ago where the cluster does not tell."""
        return min((member.since or _LONG_AGO for member in self.members), default=_LONG_AGO)

    @cached_property
    def severity(self) -> Severity:
        """The severity of the worst member."""
        return max((member.severity for member in self.members), default=Severity.INFO)

    @cached_property
    def rank(self) -> tuple[bool, bool, int, datetime, int, str, Ref]:
        """How groups are preferred as a cause: open ones, then lower layers, earlier, more severe, by id."""
        is_over = self.cleared_at is not None
        return (is_over, self.is_pending, self.check.layer, self.since, -self.severity, *self.identity)


@dataclass(frozen=True, slots=True)
class Folding:
    """Who explains whom.

    Attributes:
        cause: For each folded group the direct cause of its worst member.
        root: For each group the group at the beginning of its chain; itself where nothing explains it.
        symptoms: For each root the members that it explains, as (symptom's group, member).
        exact: Whether the keys that joined a folded group to its cause prove the relation.
        promoted: Pending groups that are the root of something that is said, and so are to be said themselves.
    """

    cause: Mapping[Identity, Identity]
    root: Mapping[Identity, Identity]
    symptoms: Mapping[Identity, tuple[tuple[Identity, RawFinding], ...]]
    exact: Mapping[Identity, bool]
    promoted: frozenset[Identity] = frozenset()

    def chain(self, identity: Identity) -> list[str]:
        """The ids of the checks from the root to a group."""
        path = [identity]
        while path[-1] in self.cause:
            path.append(self.cause[path[-1]])
        return [check for check, _ in reversed(path)]


@dataclass(frozen=True, slots=True)
class _Link:
    cause: Identity
    exact: bool


def fold(groups: Iterable[Group], registry: Registry, now: datetime) -> Folding:
    """Fold symptoms under their causes.

    A group folds when each of its members has a cause in play. Cycles are broken at their best-ranked group.

    Args:
        groups: All groups that are open, those that cleared within `IN_PLAY`, and those that are pending.
        registry: The checks with their relations.
        now: The time.

    Returns:
        Who explains whom.
    """
    by_identity = {group.identity: group for group in sorted(groups, key=lambda group: group.rank)}
    index = _index(by_identity.values(), registry)
    links: dict[Identity, list[_Link]] = {}
    for group in by_identity.values():
        # What cleared folds as well: it may be the link between a cause and what is still there.
        if group.identity[0] in registry.causes:
            found = [_best_cause(member, group, index, by_identity, now, registry) for member in group.members]
            if found and all(found):
                links[group.identity] = [link for link in found if link]
    _break_cycles(links, by_identity)
    return _unfold(links, by_identity)


Index = Mapping[tuple[str, str], Mapping[str, list[Identity]]]


def _index(groups: Iterable[Group], registry: Registry) -> Index:
    """By (cause check, join) and key the groups of causes, in the order of their rank."""
    index: dict[tuple[str, str], dict[str, list[Identity]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        joins = {join.name for symptom, join in group.check.explains.items() if symptom in registry.by_id}
        for name in joins:
            place = index[group.check.id, name]
            for key in sorted({key for member in group.members for key in member.keys.get(name, ())}):
                place[key].append(group.identity)
    return index


def _best_cause(
    member: RawFinding,
    group: Group,
    index: Index,
    by_identity: Mapping[Identity, Group],
    now: datetime,
    registry: Registry,
) -> _Link | None:
    candidates = [
        (by_identity[identity].rank, _Link(identity, join.exact))
        for check, join in registry.causes[group.check.id]
        if all(member.params.get(name) == value for name, value in join.narrowing.items())
        for identity in _meeting(index.get((check.id, join.name), {}), member.keys.get(join.name, frozenset()))
        if identity != group.identity and _may_explain(by_identity[identity], member, join, now)
    ]
    return min(candidates, key=lambda candidate: candidate[0])[1] if candidates else None


def _meeting(place: Mapping[str, list[Identity]], keys: frozenset[str]) -> Iterator[Identity]:
    for key in keys:
        yield from place.get(key, ())


def _may_explain(cause: Group, symptom: RawFinding, join: Join, now: datetime) -> bool:
    inside, there = cause.identity[1].namespace, symptom.subject.namespace
    if inside and there and inside != there:
        return False  # Only nodes, zones and the cluster reach across namespaces.
    if cause.cleared_at is not None and not (
        now - cause.cleared_at < IN_PLAY and symptom.since is not None and symptom.since <= cause.cleared_at
    ):
        return False
    if symptom.since is None:
        return True
    if join.is_back:
        return cause.since + BACK_LEAD <= symptom.since
    # What is not said yet must be older than its symptom to be said for its sake: the lag is for what is certain.
    return cause.since <= symptom.since + (timedelta(0) if cause.is_pending else CAUSE_MAY_LAG)


def _break_cycles(links: dict[Identity, list[_Link]], by_identity: Mapping[Identity, Group]) -> None:
    _break_pairs(links, by_identity)
    while True:
        # In the order of their rank: which of several cycles is found first then depends on nothing else.
        graph = {symptom: dict.fromkeys(link.cause for link in causes) for symptom, causes in links.items()}
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            cycle: list[Identity] = error.args[1]
            del links[min(cycle, key=lambda identity: by_identity[identity].rank)]
        else:
            return


def _break_pairs(links: dict[Identity, list[_Link]], ranked: Iterable[Identity]) -> None:
    """Break the shortest cycles, two that explain each other: one for each node, say, so they are not searched for."""
    causes = {symptom: {link.cause for link in found} for symptom, found in links.items()}
    for identity in ranked:
        if any(identity in causes.get(cause, ()) for cause in causes.get(identity, ())):
            del links[identity], causes[identity]


def _unfold(links: Mapping[Identity, list[_Link]], by_identity: Mapping[Identity, Group]) -> Folding:
    cause = {symptom: causes[0].cause for symptom, causes in links.items()}
    exact = {symptom: all(link.exact for link in causes) for symptom, causes in links.items()}
    root: dict[Identity, Identity] = {}
    for identity in by_identity:
        at = identity
        while at in cause:
            at = cause[at]
        root[identity] = at
    symptoms: dict[Identity, list[tuple[Identity, RawFinding]]] = defaultdict(list)
    for symptom, causes in links.items():
        if not by_identity[symptom].is_pending and by_identity[symptom].cleared_at is None:
            for member, link in zip(by_identity[symptom].members, causes, strict=True):
                symptoms[root[link.cause]].append((symptom, member))
    promoted = frozenset(identity for identity in symptoms if by_identity[identity].is_pending)
    return Folding(cause, root, {identity: tuple(found) for identity, found in symptoms.items()}, exact, promoted)
