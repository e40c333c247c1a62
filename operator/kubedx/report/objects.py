"""Between diagnoses and their ClusterDiagnosis objects, both ways."""

from kubedx.api.diagnosis import (
    ClusterDiagnosis,
    ConfidenceText,
    DiagnosisStatus,
    EvidenceStatus,
    Explained,
    SeverityText,
    StepStatus,
    SubjectStatus,
    Suppressed,
    TransitionStatus,
    bounded,
)
from kubedx.core.check import Registry
from kubedx.core.finding import Confidence, Evidence, Ref, Severity
from kubedx.core.message import command, render
from kubedx.diagnosis import diagnosis as model
from kubedx.diagnosis.diagnosis import Diagnosis
from kubedx.kube.text import clean

MANAGED_BY = {"app.kubernetes.io/managed-by": "kubedx"}
"""The label by which our own objects are told from those that people create."""

CHECK_LABEL = "kubedx.dev/check"
NAMESPACE_LABEL = "kubedx.dev/namespace"


_SEVERITIES: dict[Severity, SeverityText] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}
_CONFIDENCES: dict[Confidence, ConfidenceText] = {
    Confidence.PROBABLE: "Probable",
    Confidence.CONFIRMED: "Confirmed",
}


def labels(diagnosis: Diagnosis) -> dict[str, str]:
    """Give the labels of a diagnosis: what never changes about it."""
    found = {**MANAGED_BY, CHECK_LABEL: diagnosis.check.id}
    namespace = diagnosis.subject.namespace
    return {**found, NAMESPACE_LABEL: namespace} if namespace else found


def status(diagnosis: Diagnosis) -> DiagnosisStatus:
    """Give the status of a diagnosis's object.

    Args:
        diagnosis: The diagnosis.

    Returns:
        The status, within the bounds of the API.
    """
    subject, check = diagnosis.subject, diagnosis.check
    return bounded(
        DiagnosisStatus(
            check=check.id,
            severity=_SEVERITIES[diagnosis.severity],
            state=diagnosis.state.value,
            confidence=_CONFIDENCES[diagnosis.confidence],
            subject=SubjectStatus(
                kind=subject.kind, namespace=subject.namespace or None, name=subject.name, uid=diagnosis.uid or None
            ),
            subject_text=subject.text,
            title=check.title,
            message=diagnosis.message,
            evidence=tuple(
                EvidenceStatus(source=one.source, value=one.value, when=one.at) for one in diagnosis.evidence
            ),
            explains=tuple(
                Explained(
                    check=one.check,
                    severity=_SEVERITIES[one.severity],
                    count=one.count,
                    samples=one.samples,
                    first_seen=one.first_seen,
                )
                for one in diagnosis.explains
            ),
            explains_count=diagnosis.explains_count,
            path=diagnosis.path or None,
            steps=tuple(
                StepStatus(
                    action=render(step.text, diagnosis.params),
                    command=command(step.command, diagnosis.params) or None,
                    danger=step.danger or None,
                )
                for step in check.steps
            ),
            read_on=f"kubedx explain {check.id}",
            first_seen=diagnosis.first_seen,
            last_transition=diagnosis.last_transition,
            resolution=diagnosis.resolution.value if diagnosis.resolution else None,
            history=tuple(
                TransitionStatus(state=turn.state.value, at=turn.at, reason=turn.reason) for turn in diagnosis.history
            ),
            flaps=diagnosis.flaps,
            flapping=diagnosis.is_flapping,
            keys=tuple(f"{join}={key}" for join, key in diagnosis.keys),
            suppressed=Suppressed(
                reason=diagnosis.suppression.reason,
                until=diagnosis.suppression.until,
                by=f"DiagnosisPolicy {diagnosis.suppression.field}" if diagnosis.suppression.field else "spec.suppress",
                expired=diagnosis.suppression.expired,
            )
            if diagnosis.suppression
            else None,
        )
    )


def meaning(found: DiagnosisStatus) -> tuple[object, ...]:
    """Give what of a status is worth a write of its own.

    Numbers that only grow ride along with the next write; counts matter when they have doubled.

    Args:
        found: A status, written or to be written.

    Returns:
        A value that is equal for statuses that mean the same.
    """
    return (
        found.check, found.severity, found.state, found.confidence, found.resolution, found.flaps, found.flapping,
        found.path,
        tuple(sorted((one.check, one.count.bit_length()) for one in found.explains)),
        tuple(one.source.partition(" (")[0] for one in found.evidence),
        found.suppressed and (found.suppressed.reason, found.suppressed.until, found.suppressed.expired),
    )  # fmt: skip


def is_ours(found: ClusterDiagnosis) -> bool:
    """Whether the operator created the object."""
    return all(found.labels.get(key) == value for key, value in MANAGED_BY.items())


def identity(found: ClusterDiagnosis) -> tuple[str, Ref] | None:
    """Name the diagnosis that an object shows, None for one that shows none."""
    if found.status is None or not is_ours(found):
        return None
    subject = found.status.subject
    return (found.status.check, Ref(subject.kind, subject.namespace or "", subject.name))


def remembered(found: ClusterDiagnosis, registry: Registry) -> Diagnosis | None:
    """Read back what an object of an earlier run tells.

    Args:
        found: The object.
        registry: The checks.

    Returns:
        What the ledger takes over, or None where the object tells nothing, or of a check that there is no more.
    """
    named, read = identity(found), found.status
    check = registry.by_id.get(named[0]) if named else None
    if named is None or read is None or check is None:
        return None
    subject = named[1]
    return Diagnosis(
        identity=named,
        name=found.name,
        check=check,
        state=model.State(read.state),
        severity=Severity[read.severity.upper()],
        confidence=Confidence[read.confidence.upper()],
        uid=read.subject.uid or "",
        message=read.message,
        evidence=tuple(Evidence(one.source, one.value, one.when) for one in read.evidence),
        params={"kind": subject.kind, "namespace": subject.namespace, "name": subject.name},
        members=0,
        explains=tuple(
            model.Explained(one.check, Severity[one.severity.upper()], one.count, tuple(one.samples), one.first_seen)
            for one in read.explains
        ),
        path=read.path or "",
        first_seen=read.first_seen,
        last_transition=read.last_transition,
        resolution=model.Resolution(read.resolution) if read.resolution else None,
        history=tuple(model.Turn(model.State(one.state), one.at, one.reason) for one in read.history),
        flaps=read.flaps,
        is_flapping=read.flapping,
        keys=tuple((join, key) for join, _, key in (one.partition("=") for one in read.keys)),
        suppression=None,
        settled=True,
    )


def suppression(found: ClusterDiagnosis) -> model.Suppression | None:
    """Give what a person wrote into an object's spec, None where nobody silenced it."""
    return model.Suppression(clean(found.suppress.reason), found.suppress.until) if found.suppress else None
