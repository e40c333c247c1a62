"""The settings that the operator runs with: the chart's defaults, overridden field by field by the DiagnosisPolicy.

A wrong entry never stops anything. It falls back to what it would have overridden, is named with its path and what to
write instead, and the rest is in force.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TypeVar, get_args

import msgspec
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from kubedx.api.complaint import advice, place
from kubedx.api.model import Model, between, show_time
from kubedx.api.policy import (
    CheckPolicy,
    LimitsPolicy,
    NamespacesPolicy,
    PolicySpec,
    SuppressionPolicy,
)
from kubedx.core import inputs
from kubedx.core.check import CLEAR_AFTER, LONGEST_HOLD, RAISE_AFTER, Check
from kubedx.core.finding import Ref, Severity
from kubedx.kube.text import clean, cut

_HOLDS = (RAISE_AFTER, CLEAR_AFTER)

MOST_SUPPRESSIONS = 100

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry that cannot be followed.

    Attributes:
        field: The entry's path: from ``spec`` in the policy, from ``values.policy`` in the chart's values.
        message: What is wrong with it, and what to write instead.
    """

    field: str
    message: str

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How one check is run.

    Attributes:
        enabled: Whether it is run.
        severity: The most severe that its findings may be.
        raise_after: How long a problem must have lasted before it is said.
        clear_after: How long it must have been gone before it is withdrawn.
        values: The check's own settings.
    """

    enabled: bool
    severity: Severity
    raise_after: timedelta
    clear_after: timedelta
    values: inputs.Settings


@dataclass(frozen=True, slots=True)
class Suppression:
    """Diagnoses that are silenced by pattern.

    Attributes:
        field: Where it stands, such as ``spec.suppressions[2]``.
        policy: What it matches, why, and until when.
    """

    field: str
    policy: SuppressionPolicy

    @property
    def reason(self) -> str:
        """Why it silences."""
        return clean(self.policy.reason)

    @property
    def until(self) -> datetime | None:
        """When it ends; None where it does not."""
        return self.policy.until

    @property
    def pattern(self) -> str:
        """What it matches, in a line that stays the same wherever it stands in its list."""
        given = ((name, getattr(self.policy, name)) for name in ("check", "kind", "namespace", "name"))
        labels = ((f"label:{name}", value) for name, value in sorted((self.policy.labels or {}).items()))
        return clean(" ".join(f"{name}={value}" for name, value in (*given, *labels) if value is not None))

    def active(self, now: datetime) -> bool:
        """Whether it has not ended yet."""
        return self.policy.until is None or now < self.policy.until

    def matches(self, check: Check, subject: Ref, labels: Mapping[str, str]) -> bool:
        """Whether it silences what a check says about a subject with these labels: all fields given must fit."""
        given = (
            (self.policy.check, check.id),
            (self.policy.kind, subject.kind),
            (self.policy.namespace, subject.namespace),
            (self.policy.name, subject.name),
        )
        return all(pattern is None or fnmatchcase(value, pattern) for pattern, value in given) and all(
            labels.get(key) == value for key, value in (self.policy.labels or {}).items()
        )


@dataclass(frozen=True)
class Settings:
    """Everything that can be set, as it is in force. Two are equal where nothing differs.

    Attributes:
        checks: How each known check is run, by id.
        namespaces: Which namespaces are looked at.
        suppressions: What is silenced by pattern, the expired ones included.
        retention: How long resolved diagnoses stay.
        limits: How much is written at most.
        problems: The entries that cannot be followed.
    """

    checks: Mapping[str, CheckSettings]
    namespaces: NamespacesPolicy
    suppressions: tuple[Suppression, ...]
    retention: timedelta
    limits: LimitsPolicy
    problems: tuple[Problem, ...]

    def enabled(self, check: Check) -> bool:
        """Whether a check is run: its own switch decides, else its profile."""
        return self.checks[check.id].enabled

    def severity(self, check: Check) -> Severity:
        """The most severe that findings of a check may be."""
        return self.checks[check.id].severity

    def raise_after(self, check: Check) -> timedelta:
        """How long a problem must have lasted before a check says it."""
        return self.checks[check.id].raise_after

    def clear_after(self, check: Check) -> timedelta:
        """How long a problem must have been gone before a check withdraws it."""
        return self.checks[check.id].clear_after

    def check_settings(self, check: Check) -> inputs.Settings:
        """The settings of a check's own, an instance of its `settings_type`."""
        return self.checks[check.id].values

    def looks_at(self, namespace: str) -> bool:
        """Whether objects of a namespace are looked at; those outside namespaces (empty) always are."""
        return not namespace or _within(namespace, tuple(self.namespaces.include), tuple(self.namespaces.exclude))

    def suppression_for(
        self, check: Check, subject: Ref, labels: Mapping[str, str], now: datetime
    ) -> Suppression | None:
        """Find what silences a diagnosis.

        Args:
            check: The check that found it.
            subject: The object that it is about.
            labels: That object's labels.
            now: The time against which ends are held.

        Returns:
            The first active suppression in the policy's order, or None.
        """
        return next(
            (one for one in self._by_check[check.id] if one.active(now) and one.matches(check, subject, labels)), None
        )

    @cached_property
    def _by_check(self) -> Mapping[str, Sequence[Suppression]]:
        """The suppressions that may be about a check, so that a hundred of them are not tried on each diagnosis."""
        return {
            id_: [one for one in self.suppressions if one.policy.check is None or fnmatchcase(id_, one.policy.check)]
            for id_ in self.checks
        }

    def expired(self, now: datetime) -> tuple[Problem, ...]:
        """Name the suppressions that have ended and should be taken out of the policy."""
        return tuple(
            Problem(one.field, f"ended at {show_time(one.until)} and silences nothing; remove it or set a later until")
            for one in self.suppressions
            if one.until and not one.active(now)
        )

    def in_force(self, now: datetime) -> tuple[Suppression, ...]:
        """Give the suppressions that have not ended, in the policy's order."""
        return tuple(one for one in self.suppressions if one.active(now))

    def next_expiry(self, now: datetime) -> datetime | None:
        """When the next suppression ends, so that somebody can look again then."""
        return min((one.until for one in self.suppressions if one.until and one.active(now)), default=None)


@lru_cache(maxsize=16_384)
def _within(namespace: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    included = not include or any(fnmatchcase(namespace, pattern) for pattern in include)
    return included and not any(fnmatchcase(namespace, pattern) for pattern in exclude)


def resolve(
    defaults: Mapping[str, object] | None, policy: Mapping[str, object] | None, checks: Iterable[Check]
) -> Settings:
    """Work out the settings from what people wrote, whatever they wrote.

    Args:
        defaults: The chart's ``policy`` value, in the shape of a policy's spec; None where there is no chart.
        policy: The DiagnosisPolicy as the API server sent it; None where there is none.
        checks: The checks that exist.

    Returns:
        The settings in force, with a problem for each entry that cannot be followed.
    """
    known = {check.id: check for check in checks}
    lower = _read(defaults, "values.policy", known)
    upper = _read((policy or {}).get("spec"), "spec", known)
    spec = _over(lower.spec, upper.spec)
    suppressions = lower.suppressions if upper.suppressions is None else upper.suppressions
    problems = [*lower.problems, *upper.problems]
    told = {id_: _check_settings(check, spec, problems) for id_, check in known.items()}
    return Settings(
        checks=MappingProxyType(told),
        namespaces=spec.namespaces,
        suppressions=suppressions or (),
        retention=spec.retention,
        limits=spec.limits,
        problems=tuple(Problem(clean(one.field), clean(one.message)) for one in problems),
    )


@dataclass(frozen=True, slots=True)
class _Layer:
    """What makes sense of one source; `suppressions` is None where it says nothing about them."""

    spec: PolicySpec
    suppressions: tuple[Suppression, ...] | None
    problems: tuple[Problem, ...]


def _read(raw: object, root: str, known: Mapping[str, Check]) -> _Layer:
    problems: list[Problem] = []
    if raw is None:
        return _Layer(PolicySpec(), None, ())
    if not isinstance(raw, Mapping):
        return _Layer(PolicySpec(), None, (Problem(root, f"must hold fields, not {_shown(raw)}"),))
    rest = {str(key): _plain(value) for key, value in raw.items()}
    listed = rest.pop("suppressions", None)
    spec = _fitting(rest, root, problems)
    checks = {id_: _checked(id_, one, known, root, problems) for id_, one in spec.checks.items()}
    kept = spec.model_copy(update={"checks": {id_: one for id_, one in checks.items() if one}})
    suppressions = None if listed is None else _suppressions(listed, root, known, problems)
    return _Layer(kept, suppressions, tuple(sorted(problems, key=lambda problem: problem.field)))


def _fitting(rest: dict[str, object], root: str, problems: list[Problem]) -> PolicySpec:
    """Take out of the raw spec, entry by entry, what the model refuses, until it accepts the rest."""
    while True:
        try:
            return PolicySpec.model_validate(rest, by_alias=True, by_name=False)
        except ValidationError as error:
            refused = {_located(rest, one["loc"]): one for one in reversed(error.errors())}
            # From the end, so that the place of an entry in a list holds while others are taken out.
            for path in sorted(refused, key=_order, reverse=True):
                problems.append(Problem(place(root, path), _advice(refused[path])))
                _remove(rest, path)


def _located(raw: object, steps: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Follow the path of an error as far as it exists: some errors name a missing field, or a key as such."""
    found: list[str | int] = []
    for step in steps:
        match raw, step:
            case dict(), str() if step in raw:
                raw = raw[step]
            case list(), int() if step < len(raw):
                raw = raw[step]
            case _:
                break
        found.append(step)
    return tuple(found)


def _order(path: tuple[str | int, ...]) -> tuple[tuple[int, str], ...]:
    return tuple((step, "") if isinstance(step, int) else (0, step) for step in path)


def _remove(raw: dict[str, object], path: tuple[str | int, ...]) -> None:
    if not path:
        raw.clear()
        return
    inner: object = raw
    for step in path[:-1]:
        inner = inner[step]  # type: ignore[index]  # `_located` went this way
    del inner[path[-1]]  # type: ignore[attr-defined]


def _plain(raw: object) -> object:
    """Copy decoded YAML or JSON, every key a text: YAML reads ``1:`` and ``on:`` as something else."""
    match raw:
        case Mapping():
            return {str(key): _plain(value) for key, value in raw.items()}
        case list() | tuple():
            return [_plain(value) for value in raw]
    return raw


def _advice(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return f"there is no such field{_similar(str(error['loc'][-1]), _FIELDS)}"
    return advice(error)


_FIELDS = tuple(
    to_camel(name)
    for model in (PolicySpec, CheckPolicy, NamespacesPolicy, SuppressionPolicy, LimitsPolicy)
    for name in model.model_fields
)


def _similar(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def _shown(value: object) -> str:
    return cut(repr(value), 64)


_IDLE = "the suppression silences nothing"


def _suppressions(
    listed: object, root: str, known: Mapping[str, Check], problems: list[Problem]
) -> tuple[Suppression, ...]:
    """Read each suppression as a whole: one without its wrong field would silence more than it was meant to."""
    field = f"{root}.suppressions"
    if not isinstance(listed, list):
        problems.append(Problem(field, f"must be a list, not {_shown(listed)}"))
        return ()
    if len(listed) > MOST_SUPPRESSIONS:
        problems.append(Problem(field, f"has {len(listed)} entries; only the first {MOST_SUPPRESSIONS} are in force"))
    found = []
    for index, raw in enumerate(listed[:MOST_SUPPRESSIONS]):
        at = f"{field}[{index}]"
        try:
            policy = SuppressionPolicy.model_validate(raw, by_alias=True, by_name=False)
        except ValidationError as error:
            problems.extend(Problem(place(at, one["loc"]), f"{_advice(one)}; {_IDLE}") for one in error.errors())
            continue
        found.append(Suppression(at, policy))
        if policy.check and not any(fnmatchcase(id_, policy.check) for id_ in known):
            problems.append(Problem(f"{at}.check", f"{_no_check(policy.check, known)}; {_IDLE}"))
    return tuple(found)


def _no_check(name: str, known: Iterable[str]) -> str:
    return f"there is no such check{_similar(name, known) or '; kubedx checks lists them'}"


def _checked(
    id_: str, told: CheckPolicy, known: Mapping[str, Check], root: str, problems: list[Problem]
) -> CheckPolicy | None:
    """Keep of what is told about one check the settings that it has, with values that it takes."""
    field = f"{root}.checks.{id_}"
    if id_ not in known:
        problems.append(Problem(field, _no_check(id_, known)))
        return None
    kept: dict[str, int | str] = {}
    for name, value in told.settings.items():
        try:
            _value(known[id_], name, value)
        except ValueError as error:
            problems.append(Problem(f"{field}.settings.{name}", str(error)))
        else:
            kept[name] = value
    changed = {"settings": kept} if "settings" in told.model_fields_set else {}
    return told.model_copy(update=changed)


_hold = between(timedelta(0), LONGEST_HOLD)


def setting_names(check: Check) -> tuple[str, ...]:
    """Name the settings of a check as the policy spells them, those that every check has first."""
    own = (one.encode_name for one in msgspec.structs.fields(check.settings_type))
    return (*_HOLDS, *own)


def _value(check: Check, name: str, value: int | str) -> object:
    """Read one setting of a check.

    Raises:
        ValueError: There is no such setting, or it does not take the value; the message says what to write.
    """
    if name in _HOLDS:
        return _hold(value)
    names = setting_names(check)
    if name not in names:
        raise ValueError(f"there is no such setting{_similar(name, names) or '; there are ' + ', '.join(names)}")
    one = next(one for one in msgspec.structs.fields(check.settings_type) if one.encode_name == name)
    if timedelta in (one.type, *get_args(one.type)):
        return _hold(value)
    try:
        # Not strict: the policy knows only whole numbers and texts, so "0.8" and "true" stand for what they say.
        msgspec.convert({name: value}, check.settings_type, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{_plainly(error)}, not {value!r}") from None
    return value


def _plainly(error: msgspec.ValidationError) -> str:
    said = str(error).partition(" - at ")[0].partition(", got")[0].replace("`", "")
    return said.replace("Expected", "must be").replace(" int", " a whole number").replace(" str", " a text")


def _check_settings(check: Check, spec: PolicySpec, problems: list[Problem]) -> CheckSettings:
    told = spec.checks.get(check.id, CheckPolicy())
    own = {name: _value(check, name, one) for name, one in told.settings.items() if name not in _HOLDS}
    try:
        values = msgspec.convert(own, check.settings_type, strict=False)
    except msgspec.ValidationError as error:  # Each fits alone, but not with the others.
        problems.append(Problem(f"spec.checks.{check.id}.settings", _plainly(error)))
        values = check.settings_type()
    return CheckSettings(
        enabled=check.profile.value in spec.profiles if told.enabled is None else told.enabled,
        severity=Severity[(told.severity or "critical").upper()],
        raise_after=_hold(told.settings[RAISE_AFTER]) if RAISE_AFTER in told.settings else check.raise_after,
        clear_after=_hold(told.settings[CLEAR_AFTER]) if CLEAR_AFTER in told.settings else check.clear_after,
        values=values,
    )


def _over(lower: M, upper: M) -> M:
    """Lay one model over another: a field that the upper one sets wins; models and maps go part by part."""
    changed = {name: _laid(getattr(lower, name), getattr(upper, name)) for name in upper.model_fields_set}
    return lower.model_copy(update=changed)


def _laid(lower: object, upper: object) -> object:
    if isinstance(lower, Model) and isinstance(upper, Model):
        return _over(lower, upper)
    if isinstance(lower, dict) and isinstance(upper, dict):
        return lower | {key: _laid(lower.get(key), value) for key, value in upper.items()}
    return upper
