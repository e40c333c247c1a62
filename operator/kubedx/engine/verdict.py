"""What the engine says: raw findings with the keys of their groups and joins, unknowns, and outcomes of checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from kubedx.core.check import Check
from kubedx.core.finding import Confidence, Evidence, Param, Ref, Severity
from kubedx.kube.meta import View

Argument = tuple[type[View], str] | None
"""What a check was asked about: a kind and the object's key in its table; None for the cluster."""


class RawFinding(msgspec.Struct, frozen=True, gc=False):
    """A finding as it stands now, without memory.

    Attributes:
        check: The check that answered.
        member: Whom the check was asked about, one of its group's members.
        subject: Whom the finding is about.
        uid: The uid of the subject, empty where it does not exist.
        labels: The subject's labels, for suppressions.
        group: The identity within the check: whom the group is about.
        since: Since when, by the cluster's timestamps; None where they do not tell.
        severity: How bad.
        confidence: How sure.
        evidence: What it rests on.
        own_params: The values for message and steps that the check gave.
        keys: By the name of a join, the keys by which causes and symptoms are found, in order.
    """

    check: Check
    member: Ref
    subject: Ref
    uid: str
    labels: Mapping[str, str]
    group: Ref
    since: datetime | None
    severity: Severity
    confidence: Confidence
    evidence: tuple[Evidence, ...]
    own_params: Mapping[str, Param]
    keys: Mapping[str, tuple[str, ...]]

    @property
    def params(self) -> dict[str, Param]:
        """The values for message and steps, kind, namespace and name of the subject included."""
        name = self.subject
        return {**self.own_params, "kind": name.kind, "namespace": name.namespace, "name": name.name}

    @property
    def identity(self) -> tuple[str, Ref]:
        """The identity of the group: check id and whom it is about."""
        return (self.check.id, self.group)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What one run of one check said about its argument.

    Attributes:
        findings: The findings.
        unknowns: The subjects that could not be judged, with the reason.
    """

    findings: tuple[RawFinding, ...] = ()
    unknowns: tuple[tuple[Ref, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was said."""
        return bool(self.findings or self.unknowns)


SILENT = Verdict()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went with a check.

    Attributes:
        missing: The inputs without which it could not be asked: kinds, or ``history``. Skipped if not empty.
        errors: How often by error the check itself broke. Failed if not empty.
        is_partial: Whether it is asked all the same, about the kinds that can be read.
    """

    missing: tuple[str, ...] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    is_partial: bool = False

    @property
    def text(self) -> str:
        """The word that metrics and users read."""
        if self.missing:
            return "Skipped"
        return "Failed" if self.errors else "Evaluated"
