"""What folding means, in as few words as possible and at any price: every group is held against every other."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kubedx.core.check import Check, Registry
from kubedx.core.finding import Ref
from kubedx.core.join import Join
from kubedx.diagnosis.folding import BACK_LEAD, CAUSE_MAY_LAG, NOTICED_TOGETHER
from kubedx.engine.verdict import RawFinding

Identity = tuple[str, Ref]
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """A group for folding."""

    identity: Identity
    check: Check
    members: tuple[RawFinding, ...]
    cleared_at: datetime | None = None
    is_pending: bool = False

    @property
    def since(self) -> datetime:
        return min(one.since or LONG_AGO for one in self.members)

    @property
    def rank(self) -> tuple[object, ...]:
        severity = max(one.severity for one in self.members)
        return (self.cleared_at is not None, self.is_pending, self.check.layer, self.since, -severity, *self.identity)

    @property
    def worst(self) -> RawFinding:
        far = datetime.max.replace(tzinfo=UTC)
        return min(self.members, key=lambda one: (-one.severity, one.since or far, one.subject, one.member))


Explained = dict[str, tuple[int, tuple[Ref, ...], datetime | None, bool]]
"""By check: how many subjects, the first five, since when, and whether it is proved."""


@dataclass
class Folded:
    """Who explains whom, by identity."""

    parent: dict[Identity, Identity]
    explained: dict[Identity, tuple[Explained, tuple[str, ...]]]
    proved: set[Identity]


def fold(groups: Iterable[Told], registry: Registry) -> Folded:
    found = {group.identity: group for group in groups if group.members}
    causes: dict[Identity, list[tuple[RawFinding, Identity, bool]]] = {}
    for group in found.values():
        links = [(one, _cause(one, group, found.values(), registry)) for one in group.members]
        if all(cause for _, cause in links):
            causes[group.identity] = [(one, *cause) for one, cause in links if cause]
    for cut in _cuts({symptom: {cause for _, cause, _ in links} for symptom, links in causes.items()}, found):
        del causes[cut]
    parent = {
        symptom: next(cause for one, cause, _ in links if one is found[symptom].worst)
        for symptom, links in causes.items()
    }
    return _tell(found, causes, parent)


def _cause(one: RawFinding, group: Told, others: Iterable[Told], registry: Registry) -> tuple[Identity, bool] | None:
    found = []
    for cause in others:
        join = cause.check.explains.get(group.check.id)
        if join is None or cause is group or group.check.id not in registry.by_id:
            continue
        keys = set(one.keys.get(join.name, ()))
        near = [member.since or LONG_AGO for member in cause.members if keys & set(member.keys.get(join.name, ()))]
        fits = all(one.params.get(name) == value for name, value in join.narrowing.items())
        if fits and near and _in_time(cause, one, join, min(near)):
            in_order = one.since is None or cause.since <= one.since + NOTICED_TOGETHER
            found.append((cause.rank, cause.identity, join.exact and in_order))
    return min(found)[1:] if found else None


def _in_time(cause: Told, one: RawFinding, join: Join, component: datetime) -> bool:
    here, there = cause.identity[1].namespace, one.subject.namespace
    if here and there and here != there:
        return False
    if cause.cleared_at is not None and (one.since is None or one.since > cause.cleared_at):
        return False
    if one.since is None:
        return True
    if join.is_back:
        return component + BACK_LEAD <= one.since
    if join.suffices and not cause.is_pending:
        return True
    return cause.since <= one.since + (timedelta(0) if cause.is_pending else CAUSE_MAY_LAG)


def _cuts(causes: Mapping[Identity, set[Identity]], found: Mapping[Identity, Told]) -> set[Identity]:
    """In each set of groups that explain each other, the best-ranked is a root, and so on; pairs come first."""
    left = {one: set(its) for one, its in causes.items()}
    cuts = set()
    for one in sorted(left, key=lambda one: found[one].rank):
        if any(one in left.get(cause, ()) for cause in left[one]):
            left[one] = set()
            cuts.add(one)
    while True:
        above = {one: _above(one, left) for one in left}
        looping = [one for one in left if one in above[one]]
        if not looping:
            return cuts
        # One for each ring: the best of those that lie above each other.
        for one in {min((b for b in looping if b in above[a] and a in above[b]), key=lambda b: found[b].rank)
                    for a in looping}:  # fmt: skip
            left[one] = set()
            cuts.add(one)


def _above(one: Identity, causes: Mapping[Identity, set[Identity]]) -> set[Identity]:
    seen: set[Identity] = set()
    ahead = list(causes.get(one, ()))
    while ahead:
        at = ahead.pop()
        if at not in seen:
            seen.add(at)
            ahead += causes.get(at, ())
    return seen


def _tell(
    found: Mapping[Identity, Told],
    causes: Mapping[Identity, list[tuple[RawFinding, Identity, bool]]],
    parent: dict[Identity, Identity],
) -> Folded:
    def chain(one: Identity) -> list[Identity]:
        path = [one]
        while path[-1] in parent:
            path.append(parent[path[-1]])
        return path

    subjects: dict[tuple[Identity, str, Identity], set[Ref]] = defaultdict(set)
    since: dict[tuple[Identity, str], list[datetime]] = defaultdict(list)
    exact: dict[tuple[Identity, str], list[bool]] = defaultdict(list)
    chains: dict[Identity, set[tuple[str, ...]]] = defaultdict(set)
    for symptom, links in causes.items():
        if found[symptom].is_pending or found[symptom].cleared_at is not None:
            continue
        for one, cause, is_exact in links:
            # A group that two causes of one root explain counts with each; that its subjects differ is likely.
            path = chain(cause)
            subjects[path[-1], symptom[0], (symptom, cause)].add(one.subject)  # type: ignore[index]
            since[path[-1], symptom[0]] += [one.since] if one.since else []
            exact[path[-1], symptom[0]].append(is_exact)
            chains[path[-1]].add((*(check for check, _ in reversed(path)), symptom[0]))
    explained: dict[Identity, tuple[Explained, tuple[str, ...]]] = {}
    for root, check, _ in subjects:
        sets = [its for (its_root, its_check, _), its in subjects.items() if (its_root, its_check) == (root, check)]
        samples = tuple(sorted(ref for its in sets for ref in its)[:5])
        told = explained.setdefault(root, ({}, min(chains[root], key=lambda one: (-len(one), one))))
        times = since[root, check]
        told[0][check] = (sum(map(len, sets)), samples, min(times) if times else None, all(exact[root, check]))
    proved = {root for root in explained if found[root].is_pending}
    return Folded(parent, explained, proved)
