"""DiagnosisPolicy: how the operator looks at the cluster. There is one, named ``cluster``; people own its spec."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from annotated_types import MaxLen
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from kubedx.api.diagnosis import SeverityText
from kubedx.api.kind import Column, Kind
from kubedx.api.model import DURATION_SCHEMA, GROUP, VERSION, Most, Observed, Reason, Time, Wish, between
from kubedx.api.rules import reason_rule, rule, rules
from kubedx.kube.meta import Resource

RESOURCE = Resource(GROUP, VERSION, "diagnosispolicies", "DiagnosisPolicy", namespaced=False)

NAME = "cluster"
"""The name of the one policy that the operator follows."""

MOST_OBJECTS = 500
MOST_WRITES_PER_SECOND = 10

ProfileText = Literal["Problem", "Risk", "Advice"]
ConditionStatus = Literal["True", "False", "Unknown"]
WatchState = Literal["Synced", "Stale", "Forbidden", "Absent"]


def _int_or_string(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a whole number or a text; put true and false in quotes")  # noqa: TRY004 -- pydantic collects ValueErrors only
    if isinstance(value, str) and len(value) > 256:  # noqa: PLR2004 -- the bound beside it, below
        raise ValueError("must have at most 256 characters")
    return value


Value = Annotated[
    int | str,
    BeforeValidator(_int_or_string),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 256}),
]
"""The value of one setting: a whole number, or a text such as a duration."""

Retention = Annotated[
    timedelta, BeforeValidator(between(timedelta(0), timedelta(days=30))), WithJsonSchema(DURATION_SCHEMA)
]


def _matches(pattern: str, advice: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(advice)
        return value

    return check


_NAMESPACE = "[-a-z0-9*?]+"
_NAMESPACE_ADVICE = "a namespace has lower case letters, digits and '-'; * and ? are wildcards"
NamespaceGlob = Annotated[
    str,
    AfterValidator(_matches(_NAMESPACE, _NAMESPACE_ADVICE)),
    Field(max_length=63, json_schema_extra=rules(rule(f"self.matches('^{_NAMESPACE}$')", _NAMESPACE_ADVICE))),
]
"""A namespace, or a pattern of namespaces."""

_WORD = "[A-Za-z0-9.*?]+"
_WORD_ADVICE = "a check or kind is written in letters and digits, such as PodUnschedulable; * and ? are wildcards"
WordGlob = Annotated[
    str,
    AfterValidator(_matches(_WORD, _WORD_ADVICE)),
    Field(max_length=128, json_schema_extra=rules(rule(f"self.matches('^{_WORD}$')", _WORD_ADVICE))),
]
"""A check's id or a kind, or a pattern of them."""


class CheckPolicy(Wish):
    """How one check is run."""

    enabled: StrictBool | None = Field(
        default=None, description="Whether the check is run. Without it, its profile decides."
    )
    severity: SeverityText | None = Field(
        default=None, description="The most severe that its findings may be: critical, warning or info."
    )
    settings: dict[Annotated[str, MaxLen(63)], Value] = Field(
        default={},
        max_length=32,
        description="Its thresholds by name; each check has raiseAfter and clearAfter. See kubedx explain CHECK.",
    )


class NamespacesPolicy(Wish):
    """Which namespaces are looked at. Objects outside namespaces always are."""

    include: list[NamespaceGlob] = Field(
        default=[], max_length=100, description="Only these namespaces; empty means all."
    )
    exclude: list[NamespaceGlob] = Field(
        default=[], max_length=100, description="Not these namespaces, even where included."
    )


_EVERYTHING = "give a check, kind, namespace, name or labels, so that it does not silence everything"


class SuppressionPolicy(Wish):
    """Silences the diagnoses that match all the fields given; they stay visible, but raise no alert."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            reason_rule("say why these diagnoses are silenced"),
            rule(
                "has(self.check) || has(self.kind) || has(self.namespace) || has(self.name) || has(self.labels)",
                _EVERYTHING,
            ),
        )
    )

    check: WordGlob | None = Field(default=None, description="The check's id, or a pattern such as Pod*.")
    kind: WordGlob | None = Field(default=None, description="The subject's kind, or a pattern.")
    namespace: NamespaceGlob | None = Field(default=None, description="The subject's namespace, or a pattern.")
    name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="The subject's name, or a pattern such as batch-*."
    )
    labels: dict[Annotated[str, MaxLen(317)], Annotated[str, Field(max_length=63)]] | None = Field(
        default=None, min_length=1, max_length=16, description="Labels that the subject must have, with these values."
    )
    reason: Reason = Field(max_length=512, description="Required. Why they are silenced, for those who read it later.")
    until: Time | None = Field(
        default=None, description="When the silence ends, such as 2026-01-31T18:00:00Z; absent: never."
    )

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not (self.check or self.kind or self.namespace or self.name or self.labels):
            raise ValueError("give a check, kind, namespace, name or labels, so that it does not silence everything")
        return self


class LimitsPolicy(Wish):
    """How much the operator writes at most."""

    objects: StrictInt = Field(
        default=MOST_OBJECTS,
        ge=1,
        le=MOST_OBJECTS,
        description="How many ClusterDiagnosis objects exist at most; the least severe are left out.",
    )
    writes_per_second: StrictInt = Field(
        default=MOST_WRITES_PER_SECOND,
        ge=1,
        le=MOST_WRITES_PER_SECOND,
        description="How many writes a second at most; the most severe go first.",
    )


class PolicySpec(Wish):
    """How the operator looks at the cluster. What is not set here is as the chart's values say."""

    profiles: list[ProfileText] = Field(
        default=["Problem", "Risk"],
        max_length=3,
        json_schema_extra={"x-kubernetes-list-type": "set"},
        description="What is looked for: Problem (broken), Risk (will break), Advice (hygiene).",
    )
    checks: dict[Annotated[str, MaxLen(63)], CheckPolicy] = Field(
        default={}, max_length=500, description="Single checks, by id, that are to run differently."
    )
    namespaces: NamespacesPolicy = Field(default=NamespacesPolicy(), description="Which namespaces are looked at.")
    suppressions: list[SuppressionPolicy] = Field(
        default=[], max_length=100, description="What is known and silenced, by pattern, each with a reason."
    )
    retention: Retention = Field(
        default=timedelta(hours=1),
        description="How long resolved diagnoses stay, such as 1h, at most 30d. Default: 1h.",
    )
    limits: LimitsPolicy = Field(default=LimitsPolicy(), description="How much the operator writes at most.")


class Condition(Observed):
    """One condition of the policy, in the shape of metav1.Condition."""

    type: Annotated[str, Most(316)] = Field(description="What is stated, such as Ready or Complete.")
    status: ConditionStatus = Field(description="Whether it is so: True, False or Unknown.")
    reason: Annotated[str, Most(128)] = Field(description="Why, in one word.")
    message: Annotated[str, Most(1024)] = Field("", description="Why, in a sentence, with what to do about it.")
    last_transition_time: Time = Field(description="When the status changed last.")
    observed_generation: int = Field(default=0, ge=0, description="The generation of the spec that this is about.")


class Summary(Observed):
    """How many diagnoses are open."""

    critical: int = Field(default=0, ge=0, description="Open, critical and not silenced.")
    warning: int = Field(default=0, ge=0, description="Open warnings that are not silenced.")
    info: int = Field(default=0, ge=0, description="Open, for information, not silenced.")
    suppressed: int = Field(default=0, ge=0, description="Open and silenced.")
    unknown: int = Field(default=0, ge=0, description="Found before, but out of sight now.")
    left_out: int = Field(default=0, ge=0, description="Without an object, as spec.limits.objects is reached.")


class SkippedCheck(Observed):
    """A check that could not be answered."""

    check: Annotated[str, Most(63)] = Field(description="The check's id.")
    missing: Annotated[tuple[Annotated[str, Most(63)], ...], Most(8)] = Field(
        default=(), description="The kinds or inputs that it needs and does not have."
    )


class FailedCheck(Observed):
    """A check that broke."""

    check: Annotated[str, Most(63)] = Field(description="The check's id.")
    error: Annotated[str, Most(512)] = Field(description="What went wrong.")


class UndecidedCheck(Observed):
    """A check that cannot judge some of its subjects."""

    check: Annotated[str, Most(63)] = Field(description="The check's id.")
    count: int = Field(default=0, ge=0, description="How many subjects it cannot judge.")
    why: Annotated[str, Most(256)] = Field(default="", description="Why it cannot judge the first of them.")


class ChecksStatus(Observed):
    """How the checks went."""

    enabled: int = Field(default=0, ge=0, description="How many checks are switched on.")
    evaluated: int = Field(default=0, ge=0, description="How many of them have an answer.")
    skipped: Annotated[tuple[SkippedCheck, ...], Most(300)] = Field(
        default=(),
        description="The checks that cannot be answered, with what is missing. Silence about them is not health.",
    )
    failed: Annotated[tuple[FailedCheck, ...], Most(30)] = Field(
        default=(), description="The checks that broke. This is a defect of kubedx: please report it."
    )
    undecided: Annotated[tuple[UndecidedCheck, ...], Most(100)] = Field(
        default=(), description="The checks that cannot judge some of their subjects, for example for want of history."
    )


class WatchStatus(Observed):
    """How one kind is watched."""

    kind: Annotated[str, Most(128)] = Field(description="The kind that is watched.")
    state: WatchState = Field(
        description="Synced (up to date), Stale (not heard of), Forbidden (no right) or Absent (not served here)."
    )
    objects: int = Field(default=0, ge=0, description="How many objects of the kind are known.")


class ProblemStatus(Observed):
    """An entry of the configuration that cannot be followed."""

    field: Annotated[str, Most(512)] = Field(description="The path of the entry.")
    message: Annotated[str, Most(512)] = Field(description="What is wrong with it, and what to write instead.")


class SuppressionStatus(Observed):
    """What one suppression silences."""

    field: Annotated[str, Most(256)] = Field(description="The path of the entry, such as spec.suppressions[2].")
    pattern: Annotated[str, Most(384)] = Field(description="What it matches, such as check=Node* name=lab-*.")
    silences: int = Field(default=0, ge=0, le=2**31 - 1, description="How many diagnoses it silences now.")
    idle_since: Time | None = Field(
        default=None,
        description="Since when it silences nothing; absent while it silences something. After 7 days, a problem.",
    )


class PolicyStatus(Observed):
    """What the operator made of the policy, and whether it sees everything."""

    observed_generation: int = Field(default=0, ge=0, description="The generation of the spec that is in force.")
    conditions: Annotated[tuple[Condition, ...], Most(8)] = Field(
        default=(),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        description="Ready: the operator works. Complete: nothing is left unseen; else silence is not health.",
    )
    summary: Summary = Field(default=Summary(), description="How many diagnoses are open.")
    checks: ChecksStatus = Field(default=ChecksStatus(), description="How the checks went.")
    watches: Annotated[tuple[WatchStatus, ...], Most(200)] = Field(default=(), description="How each kind is watched.")
    problems: Annotated[tuple[ProblemStatus, ...], Most(50)] = Field(
        default=(), description="Entries of the configuration that cannot be followed; the rest is in force."
    )
    suppressions: Annotated[tuple[SuppressionStatus, ...], Most(100)] = Field(
        default=(), description="The suppressions in force, and what they silence."
    )
    last_seen: Time | None = Field(
        default=None,
        description="When the operator last said, each minute, that it works; if long ago, nobody is looking.",
    )


def read_status(raw: Mapping[str, object]) -> PolicyStatus:
    """Read the status of the policy as the API server sent it; an empty one where there is none that makes sense."""
    try:
        return PolicyStatus.model_validate(raw.get("status") or {})
    except ValidationError:
        return PolicyStatus()


def _condition(kind: str, what: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{what}'


KIND = Kind(
    resource=RESOURCE,
    singular="diagnosispolicy",
    short="dxp",
    description="How kubedx looks at the cluster, and whether it sees everything. There is one, named cluster.",
    spec=PolicySpec,
    status=PolicyStatus,
    columns=(
        Column("Ready", _condition("Ready"), "Whether the operator works."),
        Column("Complete", _condition("Complete"), "Whether nothing was left unseen."),
        Column("Critical", ".status.summary.critical", "Open critical diagnoses.", type="integer"),
        Column("Warning", ".status.summary.warning", "Open warnings.", type="integer"),
        Column("LastSeen", ".status.lastSeen", "How long ago the operator last said that it works.", type="date"),
        Column("Info", ".status.summary.info", "Open diagnoses for information.", type="integer", wide=True),
        Column("Suppressed", ".status.summary.suppressed", "Open, but silenced.", type="integer", wide=True),
        Column("Evaluated", ".status.checks.evaluated", "Checks that have an answer.", type="integer", wide=True),
        Column("Why", _condition("Complete", "message"), "What was left unseen, and why.", wide=True),
    ),
    rules=(
        rule(
            f"self.metadata.name == '{NAME}'",
            f"there is one DiagnosisPolicy in a cluster, and its name is '{NAME}'",
            field=".metadata.name",
        ),
    ),
)
