"""A diagnosis: a root group with what it explains, as people get to see it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from kubedx.core.check import Check
from kubedx.core.finding import Confidence, Evidence, Param, Ref, Severity
from kubedx.diagnosis.group import Identity


class State(Enum):
    """Where a diagnosis is in its life."""

    OPEN = "Open"
    RESOLVED = "Resolved"
    UNKNOWN = "Unknown"
    """It was open, and cannot be looked at any more."""


class Resolution(Enum):
    """Why a diagnosis is over."""

    CLEARED = "Cleared"
    SUBJECT_DELETED = "SubjectDeleted"
    CHECK_DISABLED = "CheckDisabled"


MOST_KEYS = 40
"""How many keys a diagnosis has at most, of those by which its symptoms are found."""

LONGEST_KEY = 128
"""The most characters of one: half a key finds nothing, so a longer one is left out."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A state that a diagnosis took.

    Attributes:
        state: The state.
        at: When.
        reason: Why, in one word.
    """

    state: State
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Explained:
    """The symptoms of one check that a diagnosis explains.

    Attributes:
        check: The id of the symptom's check.
        severity: How bad the worst of them is.
        count: How many subjects show it.
        samples: Some of them.
        first_seen: Since when the first of them does.
    """

    check: str
    severity: Severity
    count: int
    samples: tuple[str, ...]
    first_seen: datetime | None


@dataclass(frozen=True, slots=True)
class Suppression:
    """Who silenced a diagnosis why.

    Attributes:
        reason: The reason that was given.
        until: When it ends; None for never.
        expired: Whether it has ended.
        field: Where in the policy it stands; empty where it stands in the diagnosis's own spec.
    """

    reason: str
    until: datetime | None = None
    expired: bool = False
    field: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A root problem with its symptoms.

    Attributes:
        identity: What names it.
        name: The name of its object.
        check: The check that found it.
        state: Open, resolved or unknown.
        severity: How bad: the worst of its own findings and of those that it explains.
        confidence: How sure.
        uid: The uid of the subject; empty where it does not exist.
        message: What the subject shows.
        evidence: What it rests on.
        params: The values for the check's steps.
        members: How many findings the root group itself has.
        explains: What it explains, by check.
        path: The longest chain of checks that begins here; empty where it explains nothing.
        first_seen: Since when.
        last_transition: When its state turned last.
        resolution: Why it is over, None while it is not.
        history: Its last turns, oldest first.
        flaps: How often it came back.
        is_flapping: Whether it came and went so often that it is kept open until it is quiet.
        keys: By the name of a join, the keys by which its symptoms are found, some of them where they are many. None
            where it explains nothing.
        suppression: Who silenced it, None where nobody did.
        settled: Whether it has stood as a root for long enough to be written.
    """

    identity: Identity
    name: str
    check: Check
    state: State
    severity: Severity
    confidence: Confidence
    uid: str
    message: str
    evidence: tuple[Evidence, ...]
    params: Mapping[str, Param]
    members: int
    explains: tuple[Explained, ...]
    path: str
    first_seen: datetime
    last_transition: datetime
    resolution: Resolution | None
    history: tuple[Turn, ...]
    flaps: int
    is_flapping: bool
    keys: tuple[tuple[str, str], ...]
    suppression: Suppression | None
    settled: bool

    @property
    def subject(self) -> Ref:
        """Whom it is about."""
        return self.identity[1]

    @property
    def silenced(self) -> bool:
        """Whether somebody silenced it and the silence still holds."""
        return self.suppression is not None and not self.suppression.expired

    @property
    def explains_count(self) -> int:
        """How many findings it explains in all."""
        return sum(one.count for one in self.explains)


def object_name(check: Check, subject: Ref) -> str:
    """Name the object of a diagnosis: readable, valid, and the same after every restart.

    Args:
        check: The check.
        subject: Whom the diagnosis is about.

    Returns:
        The check in kebab case, the subject as far as it fits, and eight digits that tell equal ones apart.
    """
    words = f"{check.run.__name__} {subject.namespace} {subject.name}".lower()
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:200].rstrip("-")
    return f"{slug}-{digest(check.id, subject)}"


def digest(check: str, subject: Ref) -> str:
    """Give the eight digits by which the names of objects differ, from a check's id and a subject."""
    return hashlib.sha256(f"{check} {subject.text}".encode()).hexdigest()[:8]
