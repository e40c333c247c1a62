"""What a check answers: findings about subjects, with their evidence, and the steps that help."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from types import MappingProxyType

import msgspec

from kubedx.kube.meta import View
from kubedx.kube.text import clean

Param = str | int | datetime


class Severity(IntEnum):
    """How bad it is, least first, so that severities compare."""

    INFO = 0
    """Good to know."""
    WARNING = 1
    """Degraded or at risk: a ticket."""
    CRITICAL = 2
    """Users are affected now or within minutes: a page."""

    @property
    def text(self) -> str:
        """The word that users read and write."""
        return self.name.lower()


class Confidence(IntEnum):
    """How sure a diagnosis is."""

    PROBABLE = 0
    CONFIRMED = 1

    @property
    def text(self) -> str:
        """The word that users read."""
        return self.name.capitalize()


class Profile(Enum):
    """What sort of trouble a check looks for. Problems and risks are on by default, advice is off."""

    PROBLEM = "Problem"
    """Broken now."""
    RISK = "Risk"
    """Will break."""
    ADVICE = "Advice"
    """Hygiene."""


class Ref(msgspec.Struct, frozen=True, order=True, gc=False):
    """The name of an object, whether it exists or not."""

    kind: str
    namespace: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """``Kind/namespace/name``, without the namespace where there is none."""
        return "/".join(filter(None, (self.kind, self.namespace, self.name)))


def ref(view: View) -> Ref:
    """Name a view's object."""
    metadata = view.metadata
    return Ref(view.resource.kind, metadata.namespace, metadata.name)


def harmless(name: Ref) -> Ref:
    """Give a name as it may be shown.

    The names of objects are harmless since they were decoded; nobody looked at the names of what they refer to.

    Args:
        name: A name from the cluster.

    Returns:
        The same, or what is left of it once it is cleaned.
    """
    if name.name.isprintable() and name.kind.isprintable() and name.namespace.isprintable():
        return name
    return Ref(clean(name.kind), clean(name.namespace), clean(name.name))


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One thing that a finding rests on.

    Attributes:
        source: Where it stands: ``Kind/namespace/name path`` or ``Event Reason``.
        value: What stands there.
        at: Since when or when, if that is known.
        is_field: Whether it is a field of an object's own status or spec; an Event or an absence is weaker.
    """

    source: str
    value: str
    at: datetime | None = None
    is_field: bool = True


def field(view: View, path: str, value: object, at: datetime | None = None) -> Evidence:
    """Give a field of an object as evidence.

    Args:
        view: The object.
        path: The field, such as ``status.conditions[Ready]``.
        value: What the field holds.
        at: Since when it holds that.

    Returns:
        The evidence.
    """
    return Evidence(f"{ref(view).text} {_shown(path)}", _shown(str(value)), at)


def _shown(value: str) -> str:
    return value if value.isprintable() else clean(value)


def absent(missing: Ref) -> Evidence:
    """Give the absence of an object as evidence."""
    return Evidence(harmless(missing).text, "not found")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        text: What to do, in a sentence.
        command: What to type, with placeholders for names; each value is quoted for a shell.
        danger: Whether it destroys or interrupts something. Never the first step.
    """

    text: str
    command: str = ""
    danger: bool = False


class Finding:
    """One answer "yes, here" of a check about one subject.

    Args:
        subject: The object that the finding is about, or a Ref for what does not exist.
        since: Since when it is so by the cluster's own timestamps; None: since it was first seen.
        severity: The severity, where it differs from the check's.
        confidence: The confidence, where it is lower than the evidence suggests.
        evidence: What it rests on.
        nodes: The nodes that it involves, where the subject does not tell.
        backends: Who should have answered, where the subject does not tell: Services, pods, or hosts.
        params: The values of the placeholders in the check's message and steps, besides kind, namespace and name.

    Attributes:
        ref: The name of the subject.
    """

    __slots__ = ("backends", "confidence", "evidence", "nodes", "params", "ref", "severity", "since", "subject")

    def __init__(
        self,
        subject: View | Ref,
        /,
        *,
        since: datetime | None = None,
        severity: Severity | None = None,
        confidence: Confidence | None = None,
        evidence: tuple[Evidence, ...] = (),
        nodes: tuple[str, ...] = (),
        backends: tuple[Ref, ...] = (),
        **params: Param,
    ) -> None:
        self.subject = subject
        self.ref: Ref = harmless(subject) if isinstance(subject, Ref) else ref(subject)
        self.since = since
        self.severity = severity
        self.confidence = confidence
        self.evidence = evidence
        self.nodes = nodes
        self.backends = backends
        shown = {name: _shown(value) if isinstance(value, str) else value for name, value in params.items()}
        self.params: Mapping[str, Param] = MappingProxyType(shown)

    def __repr__(self) -> str:
        """Show subject and params, for tests and logs."""
        return f"Finding({self.ref.text}, {dict(self.params)})"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer "cannot tell" of a check about one subject.

    Attributes:
        subject: What the question was about.
        why: Why there is no answer, in a sentence.
    """

    subject: View | Ref
    why: str
