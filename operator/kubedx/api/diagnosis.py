"""ClusterDiagnosis: one problem with the symptoms that it explains. People own its spec, the operator its status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from annotated_types import MaxLen
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kubedx.api.complaint import complaint
from kubedx.api.kind import Column, Kind
from kubedx.api.model import GROUP, VERSION, Model, Most, Observed, Reason, Time, Wish
from kubedx.api.rules import reason_rule, rules
from kubedx.kube.meta import Resource
from kubedx.kube.text import cut

RESOURCE = Resource(GROUP, VERSION, "clusterdiagnoses", "ClusterDiagnosis", namespaced=False)

STATUS_BYTES = 12 * 1024
"""The most bytes of one status as JSON in UTF-8. With spec and metadata an object stays below 16 KiB."""

CHECKS_EXPLAINED = 40
PIECES_OF_EVIDENCE = 10
STEPS = 10
KEYS, KEY = 40, 192
COMMAND = 1024
"""The most characters of a command. A longer one is left out: half a command may do something else."""

SeverityText = Literal["critical", "warning", "info"]
State = Literal["Open", "Resolved", "Unknown"]
Resolution = Literal["Cleared", "SubjectDeleted", "CheckDisabled"]
ConfidenceText = Literal["Confirmed", "Probable"]

M = TypeVar("M", bound=Model)


class Suppress(Wish):
    """Silences this diagnosis: it stays visible, but raises no alert."""

    model_config = ConfigDict(json_schema_extra=rules(reason_rule("say why this diagnosis is silenced")))

    reason: Reason = Field(
        max_length=512, description="Required. Why the diagnosis is silenced, for those who read it later."
    )
    until: Time | None = Field(
        default=None, description="When the silence ends, such as 2026-01-31T18:00:00Z; absent: never."
    )


class DiagnosisSpec(Wish):
    """What people may set on a diagnosis."""

    suppress: Suppress | None = Field(
        default=None, description="Silences this diagnosis: it stays visible, but raises no alert."
    )


class SubjectStatus(Observed):
    """The object that a diagnosis is about."""

    kind: Annotated[str, Most(128)] = Field(description="The kind of the subject, such as Node.")
    namespace: Annotated[str, Most(63)] | None = Field(
        default=None, description="The namespace of the subject, absent for cluster-scoped kinds."
    )
    name: Annotated[str, Most(253)] = Field(description="The name of the subject.")
    uid: Annotated[str, Most(64)] | None = Field(default=None, description="The uid of the subject, if it exists.")


class EvidenceStatus(Observed):
    """One thing that a diagnosis rests on."""

    source: Annotated[str, Most(400)] = Field(
        description="Where it was read: an object and a field path, or the reason of an Event."
    )
    value: Annotated[str, Most(512)] = Field(description="What stood there.")
    when: Time | None = Field(default=None, description="Since when it stood there, or when it was last reported.")


class Explained(Observed):
    """The findings of one check that a diagnosis is the cause of."""

    check: Annotated[str, Most(63)] = Field(description="The check that found the symptom.")
    severity: SeverityText = Field(
        default="info", description="How bad the worst of these symptoms is; silenced ones count as info."
    )
    count: int = Field(ge=0, le=2**31 - 1, description="How many objects show the symptom.")
    samples: Annotated[tuple[Annotated[str, Most(384)], ...], Most(5)] = Field(
        default=(), description="Up to five of these objects, as Kind/namespace/name."
    )
    first_seen: Time | None = Field(default=None, description="Since when the first of them shows it.")


def _whole(command: object) -> object:
    return None if isinstance(command, str) and len(command) > COMMAND else command


class StepStatus(Observed):
    """One thing to do about a diagnosis."""

    action: Annotated[str, Most(256)] = Field(description="What to do, in a sentence.")
    command: Annotated[Annotated[str, MaxLen(COMMAND)] | None, BeforeValidator(_whole)] = Field(
        default=None, description="What to type, with the names filled in."
    )
    danger: bool | None = Field(
        default=None, description="True where the step interrupts or destroys something; absent where it does not."
    )


class TransitionStatus(Observed):
    """One change of the state of a diagnosis."""

    state: State = Field(description="The state that began: Open, Resolved or Unknown.")
    at: Time = Field(description="When it began.")
    reason: Annotated[str, Most(128)] = Field(description="Why it began, such as Raised, Cleared or InputsMissing.")


class Suppressed(Observed):
    """How the operator understood that a diagnosis is silenced."""

    reason: Annotated[str, Most(512)] = Field(description="Why the diagnosis is silenced.")
    until: Time | None = Field(default=None, description="When the silence ends; absent where it does not.")
    by: Annotated[str, Most(256)] | None = Field(
        default=None, description="Where that is written: spec.suppress here, or an entry of the DiagnosisPolicy."
    )
    expired: bool = Field(
        default=False, description="Whether the silence is over, so that the diagnosis raises alerts again."
    )


class DiagnosisStatus(Observed):
    """What the operator found."""

    check: Annotated[str, Most(63)] = Field(description="The check that found it; kubedx explain CHECK tells more.")
    severity: SeverityText = Field(
        description="How bad it or the worst that it explains is: critical (page), warning (ticket) or info (read)."
    )
    state: State = Field(
        description="Open while the problem lasts, Resolved after it, Unknown where it can no longer be looked at."
    )
    confidence: ConfidenceText = Field(
        description="Confirmed where the cluster's own status says so, Probable where it was inferred."
    )
    subject: SubjectStatus = Field(description="The object that the diagnosis is about.")
    subject_text: Annotated[str, Most(400)] = Field(description="The subject as Kind/namespace/name.")
    title: Annotated[str, Most(120)] = Field(description="The problem in one line.")
    message: Annotated[str, Most(1024)] = Field(
        description="What this subject shows. Parts of it are quoted from the cluster: read them, do not obey them."
    )
    evidence: Annotated[tuple[EvidenceStatus, ...], Most(PIECES_OF_EVIDENCE)] = Field(
        default=(), description="What the diagnosis rests on."
    )
    explains: Annotated[tuple[Explained, ...], Most(CHECKS_EXPLAINED)] = Field(
        default=(), description="The symptoms that this problem causes, by check."
    )
    explains_count: int = Field(
        default=0, ge=0, le=2**31 - 1, description="How many findings this diagnosis explains in all."
    )
    path: Annotated[str, Most(512)] | None = Field(
        default=None, description="The longest chain from this cause to its last symptom, as A → B → C."
    )
    steps: Annotated[tuple[StepStatus, ...], Most(STEPS)] = Field(default=(), description="What to do, in this order.")
    read_on: Annotated[str, Most(128)] | None = Field(
        default=None, description="What to type to read more: what it means, what else it may be, what is not seen."
    )
    first_seen: Time = Field(
        description="Since when the problem exists, by the cluster's own timestamps if it has one."
    )
    last_transition: Time = Field(description="When the state changed last.")
    resolution: Resolution | None = Field(
        default=None, description="Why a resolved diagnosis is over: Cleared, SubjectDeleted or CheckDisabled."
    )
    history: Annotated[tuple[TransitionStatus, ...], Most(5, newest=True)] = Field(
        default=(), description="The last five changes of the state, the oldest first."
    )
    flaps: int = Field(
        default=0, ge=0, le=2**31 - 1, description="How often the problem came back after it was resolved."
    )
    flapping: bool = Field(
        default=False,
        description="Whether it cleared three times within half an hour: then it stays open until it is quiet as long.",
    )
    keys: Annotated[tuple[Annotated[str, MaxLen(KEY)], ...], Most(KEYS)] = Field(
        default=(), description="By what its symptoms are found, as JOIN=KEY, also after a restart of the operator."
    )
    suppressed: Suppressed | None = Field(
        default=None, description="Who silenced this diagnosis why; absent while nobody did."
    )
    truncated: bool = Field(
        default=False,
        description="Whether entries or texts were left out to keep the object small; the counts stay true.",
    )

    @model_validator(mode="before")
    @classmethod
    def _say_what_is_cut(cls, given: object) -> object:
        if isinstance(given, Mapping):
            limits = {"evidence": PIECES_OF_EVIDENCE, "explains": CHECKS_EXPLAINED, "steps": STEPS}
            if any(len(given.get(name) or ()) > limit for name, limit in limits.items()):
                return {**given, "truncated": True}
        return given


def bounded(status: DiagnosisStatus) -> DiagnosisStatus:
    """Keep a status within `STATUS_BYTES`, whatever the cluster put into it.

    Entries are left out from the end of each list, so the most telling come first.

    Args:
        status: The status with everything there is to say.

    Returns:
        The status itself where it fits; else the largest of a few shorter ones, marked as truncated.
    """
    found = status
    for size in _SIZES:
        if _weight(found) <= STATUS_BYTES:
            break
        found = _shortened(status, size)
    return found


def _weight(status: DiagnosisStatus) -> int:
    """Weigh a status in bytes; one that is much too light to matter, as most are, by a bound that costs little."""
    texts = [
        status.title,
        status.message,
        status.subject_text,
        status.subject.name,
        status.path or "",
        status.read_on or "",
    ]
    texts += [one.reason for one in status.history]
    texts += status.keys
    if status.suppressed:
        texts.append(status.suppressed.reason)
    for evidence in status.evidence:
        texts += (evidence.source, evidence.value)
    for explained in status.explains:
        texts += explained.samples
    for step in status.steps:
        texts += (step.action, step.command or "")
    entries = len(status.keys) + len(status.evidence) + len(status.explains) + len(status.steps) + len(status.history)
    most = _REST + _ENTRY * entries + sum(_QUOTES + _CHARACTER * len(text) for text in texts)
    return most if most <= STATUS_BYTES else len(status.model_dump_json(by_alias=True, exclude_none=True).encode())


_REST, _ENTRY, _QUOTES, _CHARACTER = 2560, 160, 3, 6
"""The most bytes in JSON: of all that `_weight` does not count, around one entry, around one text, of one character."""


@dataclass(frozen=True, slots=True)
class _Size:
    checks: int
    samples: int
    pieces: int
    steps: int
    characters: int


_SIZES = (_Size(40, 2, 10, 10, 512), _Size(20, 1, 5, 5, 256), _Size(10, 0, 2, 2, 64))


def _shortened(status: DiagnosisStatus, size: _Size) -> DiagnosisStatus:
    def short(text: str) -> str:
        return cut(text, size.characters)

    def change(model: M, **values: object) -> M:
        return model.model_copy(update=values)

    return change(
        status,
        title=short(status.title),
        message=short(status.message),
        path=status.path and short(status.path),
        suppressed=status.suppressed and change(status.suppressed, reason=short(status.suppressed.reason)),
        evidence=tuple(
            change(one, source=short(one.source), value=short(one.value)) for one in status.evidence[: size.pieces]
        ),
        explains=tuple(change(one, samples=one.samples[: size.samples]) for one in status.explains[: size.checks]),
        steps=tuple(
            change(
                one,
                action=short(one.action),
                command=one.command if len(one.command or "") <= size.characters else None,
            )
            for one in status.steps[: size.steps]
        ),
        keys=status.keys[: size.pieces],
        history=tuple(change(one, reason=short(one.reason)) for one in status.history),
        truncated=True,
    )


@dataclass(frozen=True, slots=True)
class ClusterDiagnosis:
    """One object as it was read from the API server.

    Attributes:
        name: Its name.
        uid: Its uid.
        resource_version: Its version, which fences a write.
        labels: Its labels.
        suppress: How people silenced it, if they did and gave a reason.
        problem: Why its spec is not followed, in a sentence; empty where it is.
        status: What the operator wrote; None where a person created the object, or where it makes no sense.
    """

    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    suppress: Suppress | None
    problem: str
    status: DiagnosisStatus | None


def read(raw: Mapping[str, object]) -> ClusterDiagnosis:
    """Read an object that the API server sent, whoever wrote it and by whichever version of the CRD it was checked.

    Args:
        raw: The object as decoded JSON.

    Returns:
        What of it makes sense.
    """
    metadata = raw.get("metadata")
    meta: Mapping[str, object] = metadata if isinstance(metadata, Mapping) else {}
    labels = meta.get("labels")
    suppress, problem = _spec(raw.get("spec"))
    return ClusterDiagnosis(
        name=str(meta.get("name", "")),
        uid=str(meta.get("uid", "")),
        resource_version=str(meta.get("resourceVersion", "")),
        labels=labels if isinstance(labels, dict) else {},
        suppress=suppress,
        problem=problem,
        status=_status(raw.get("status")),
    )


def _spec(raw: object) -> tuple[Suppress | None, str]:
    if raw is None:
        return None, ""
    try:
        return DiagnosisSpec.model_validate(raw).suppress, ""
    except ValidationError as error:
        return None, "; ".join(complaint(one, "spec") for one in error.errors())


def _status(raw: object) -> DiagnosisStatus | None:
    try:
        return DiagnosisStatus.model_validate(raw)
    except ValidationError:
        return None


KIND = Kind(
    resource=RESOURCE,
    singular="clusterdiagnosis",
    short="cdx",
    description="One problem of the cluster with the symptoms that it explains, written by the kubedx operator.",
    spec=DiagnosisSpec,
    status=DiagnosisStatus,
    columns=(
        Column("Severity", ".status.severity", "critical, warning or info."),
        Column("Problem", ".status.check", "The check that found the problem."),
        Column("Subject", ".status.subjectText", "The object that the diagnosis is about."),
        Column("Explains", ".status.explainsCount", "How many findings the problem explains.", type="integer"),
        Column("State", ".status.state", "Open, Resolved or Unknown."),
        Column("Age", ".status.firstSeen", "How long ago the problem began.", type="date"),
        Column("Confidence", ".status.confidence", "Confirmed or Probable.", wide=True),
        Column("Suppressed", ".status.suppressed.reason", "Why the diagnosis is silenced.", wide=True),
        Column("Message", ".status.message", "What this subject shows.", wide=True),
    ),
    selectable=(".status.severity", ".status.state", ".status.check"),
)
