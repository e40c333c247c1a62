"""How a check is declared, and the registry of all of them."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from kubedx.core import by
from kubedx.core.finding import Finding, Profile, Severity, Step, Unknown
from kubedx.core.inputs import Cluster, Derived, Events, History, Lookup, Now, Settings
from kubedx.core.join import Join
from kubedx.core.message import placeholders
from kubedx.kube.bits import ANY, Bit
from kubedx.kube.meta import Resource, View
from kubedx.kube.views import Event

Answer = Iterator[Finding | Unknown]

SECTIONS = ("Meaning", "Impact", "Diagnosis", "Mitigation", "Limitations", "References")
"""What the docstring of each check tells, in this order."""

LONGEST_HOLD = timedelta(days=7)
"""The longest time that a setting may hold something back; more is a slip of the finger."""

RAISE_AFTER, CLEAR_AFTER = "raiseAfter", "clearAfter"
"""The settings that every check has."""

_SPELLINGS = {
    "api": "API",
    "cidr": "CIDR",
    "cni": "CNI",
    "cpu": "CPU",
    "crd": "CRD",
    "csi": "CSI",
    "csr": "CSR",
    "dns": "DNS",
    "gc": "GC",
    "grpc": "GRPC",
    "ha": "HA",
    "hpa": "HPA",
    "http": "HTTP",
    "https": "HTTPS",
    "io": "IO",
    "ip": "IP",
    "oom": "OOM",
    "pdb": "PDB",
    "pid": "PID",
    "pleg": "PLEG",
    "pv": "PV",
    "pvc": "PVC",
    "san": "SAN",
    "selinux": "SELinux",
    "ssh": "SSH",
    "tls": "TLS",
    "vpa": "VPA",
    "vs": "vs",
}


class DeclarationError(TypeError):
    """A check is declared wrongly; the message names the check and the mistake. Raised when its module is imported."""


@dataclass(frozen=True, slots=True)
class Input:
    """One parameter of a check after its subject.

    Attributes:
        name: The parameter's name.
        role: Which of the five inputs it is, or ``derived``.
        view: The kind that is looked up or whose history is asked, for `lookup` and `history`.
        optional: Whether the check runs without it, being given None.
        derived: The derived value, for `derived`.
    """

    name: str
    role: typing.Literal["lookup", "events", "history", "now", "settings", "derived"]
    view: type[View] | None = None
    optional: bool = False
    derived: Derived[object] | None = None


@dataclass(frozen=True, eq=False)
class Check:
    """One question to the cluster, with all that is to be said about it.

    Attributes:
        id: The problem's name, such as ``NodeDiskPressure``.
        run: The pure function that answers.
        area: The folder it lives in: what the user looks at.
        module: The module's dotted name.
        title: The problem in one line.
        message: What this object shows, a template.
        profile: Problem, risk or advice.
        severity: The default severity.
        layer: 0 external facts · 1 control plane · 2 agents · 3 node state · 4 storage, images · 5 pods · 6 workloads ·
            7 services · 8 and 9 aggregated APIs, autoscaling, deletion. The lower layer is the root.
        raise_after: How long it must have been true before it is said, counted from `since`.
        clear_after: How long it must have been false before it is withdrawn.
        group: How findings are put together.
        when: The bits of which a subject must have one for the check to be asked; 0 means always.
        events: The reasons of Events that it reads.
        explains: The checks whose findings this one may cause, and how they belong together.
        steps: What to do.
        since: The version of kubedx that brought it.
        subjects: The kinds of its subject; empty for the Cluster.
        any_kind: Whether it is asked about every watched kind.
        inputs: What it asks for beside the subject.
        settings_type: The class of its settings.
        documentation: Its docstring by section, and "Summary".
    """

    id: str
    run: Callable[..., Answer]
    area: str
    module: str
    title: str
    message: str
    profile: Profile
    severity: Severity
    layer: int
    raise_after: timedelta
    clear_after: timedelta
    group: by.Grouping
    when: Bit
    events: tuple[str, ...]
    explains: Mapping[str, Join]
    steps: tuple[Step, ...]
    since: str
    subjects: tuple[type[View], ...]
    any_kind: bool
    inputs: tuple[Input, ...]
    settings_type: type[Settings]
    documentation: Mapping[str, str]

    @cached_property
    def about_cluster(self) -> bool:
        """Whether the check is asked once about the cluster as a whole."""
        return not self.subjects and not self.any_kind

    @cached_property
    def required(self) -> tuple[type[View], ...]:
        """The kinds without which the check cannot answer."""
        found = [*self.subjects, *(view for one in self.inputs if not one.optional for view in _kinds(one))]
        return tuple(dict.fromkeys(found))

    @cached_property
    def enriching(self) -> tuple[type[View], ...]:
        """The kinds without which the check answers too, perhaps in another way."""
        return tuple(dict.fromkeys(view for one in self.inputs if one.optional for view in _kinds(one)))

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """The names that its message and its steps use, besides kind, namespace and name."""
        texts = [self.message, *(part for step in self.steps for part in (step.text, step.command))]
        return frozenset().union(*map(placeholders, texts)) - {"kind", "namespace", "name"}


def _kinds(one: Input) -> tuple[type[View], ...]:
    if one.role == "events":
        return (Event,)
    if one.derived:
        return one.derived.kinds
    return (one.view,) if one.view and one.role == "lookup" else ()


def check(  # noqa: PLR0913 -- keywords with defaults: this is the declaration of a check
    *,
    title: str,
    message: str,
    layer: int,
    steps: tuple[Step, ...],
    since: str,
    profile: Profile = Profile.PROBLEM,
    severity: Severity = Severity.WARNING,
    raise_after: timedelta = timedelta(0),
    clear_after: timedelta = timedelta(minutes=1),
    group: by.Grouping = by.itself,
    when: Bit = ANY,
    events: tuple[str, ...] = (),
    explains: Mapping[str, Join] | None = None,
) -> Callable[[Callable[..., Answer]], Check]:
    """Declare a check. The attributes of `Check` say what each argument means.

    The id comes from the function's name, the inputs from its parameters, the documentation from its docstring.

    Returns:
        A decorator that turns the function into a `Check`.

    Raises:
        DeclarationError: By the decorator, if the declaration does not hold together.
    """

    def declare(function: Callable[..., Answer]) -> Check:
        subjects, any_kind, inputs, settings_type = _signature(function)
        declared = Check(
            id=check_id(function.__name__), run=function, area=function.__module__.split(".")[-2],
            module=function.__module__, title=title, message=message, profile=profile, severity=severity, layer=layer,
            raise_after=raise_after, clear_after=clear_after, group=group, when=when, events=events,
            explains=explains or {}, steps=steps, since=since, subjects=subjects, any_kind=any_kind, inputs=inputs,
            settings_type=settings_type, documentation=_sections(function),
        )  # fmt: skip
        _verify(declared)
        return declared

    return declare


def check_id(function: str) -> str:
    """Name the check that a function declares: ``pvc_pending`` is PVCPending.

    Args:
        function: The function's name in snake case.

    Returns:
        The id in CamelCase, acronyms spelt as Kubernetes spells them.
    """
    return "".join(_SPELLINGS.get(word, word.capitalize()) for word in function.split("_"))


_WORDS = re.compile("|".join([*sorted(_SPELLINGS.values(), key=len, reverse=True), "[A-Z][a-z0-9]*"]))


def function_name(id_: str) -> str:
    """Name the function that declares a check: PVCPending is ``pvc_pending``.

    Args:
        id_: The check's id.

    Returns:
        The name in snake case. `check_id` turns it back if the id's acronyms are spelt as they must be, and only then.
    """
    return "_".join(_WORDS.findall(id_)).lower()


_Inputs = tuple[tuple[type[View], ...], bool, tuple[Input, ...], type[Settings]]


def _signature(function: Callable[..., Answer]) -> _Inputs:
    hints = typing.get_type_hints(function, include_extras=True)
    hints.pop("return", None)
    names = list(inspect.signature(function).parameters)
    if not names or set(names) != set(hints):
        raise DeclarationError(f"{function.__name__}: every parameter needs an annotation, the first being the subject")
    subject = hints[names[0]]
    members = typing.get_args(subject) if isinstance(subject, types.UnionType) else (subject,)
    if not all(isinstance(member, type) and issubclass(member, View | Cluster) for member in members):
        raise DeclarationError(f"{function.__name__}: the subject must be a view, Object or Cluster, not {subject}")
    inputs = tuple(_input(function.__name__, name, hints[name]) for name in names[1:])
    settings = next((hints[one.name] for one in inputs if one.role == "settings"), Settings)
    views = tuple(member for member in members if member not in (View, Cluster))
    return views, View in members, inputs, settings


def _input(function: str, name: str, hint: object) -> Input:
    optional = False
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        optional, hint = True, members[0]
    if typing.get_origin(hint) is typing.Annotated:
        extras = [extra for extra in typing.get_args(hint)[1:] if isinstance(extra, Derived)]
        if extras:
            return Input(name, "derived", optional=optional, derived=extras[0])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Lookup:
        return Input(name, "lookup", arguments[0], optional)
    if origin is History:
        return Input(name, "history", arguments[0], optional)
    if hint is Events:
        return Input(name, "events", optional=optional)
    if hint is Now:
        return Input(name, "now")
    if isinstance(hint, type) and issubclass(hint, Settings):
        return Input(name, "settings")
    raise DeclarationError(f"{function}: parameter {name!r} asks for an unknown input {hint}")


def _sections(function: Callable[..., Answer]) -> dict[str, str]:
    text = inspect.getdoc(function) or ""
    summary, *parts = text.split("\n## ")
    sections = {"Summary": summary.strip()}
    for part in parts:
        heading, _, body = part.partition("\n")
        sections[heading.strip()] = body.strip()
    return sections


def _verify(declared: Check) -> None:
    def must(holds: bool, what: str) -> None:  # noqa: FBT001 -- an assertion that is always on
        if not holds:
            raise DeclarationError(f"{declared.id}: {what}")

    sections = [name for name in declared.documentation if name != "Summary"]
    must(tuple(sections) == SECTIONS, f"the docstring needs the sections {', '.join(SECTIONS)}, has {sections}")
    must(all(declared.documentation.values()), "an empty section in the docstring says nothing")
    must(bool(declared.steps), "a finding that nobody can act on is noise: give steps")
    must(not declared.steps[0].danger, "the first step may not be dangerous")
    must(len(declared.title) <= 80 and not declared.title.endswith("."), "a title is one line of 80, no full stop")  # noqa: PLR2004
    must(0 <= declared.layer <= 9, "layers are 0 to 9")  # noqa: PLR2004
    asks_events = any(one.role == "events" for one in declared.inputs)
    must(asks_events == bool(declared.events), "declare `events=` exactly if there is a parameter Events")


class Registry:
    """All checks of one program.

    Args:
        checks: The checks; the order does not matter.

    Raises:
        DeclarationError: Two checks have one id.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self.checks = tuple(sorted(checks, key=lambda one: one.id))
        self.by_id = {one.id: one for one in self.checks}
        if len(self.by_id) != len(self.checks):
            raise DeclarationError("two checks have the same id")

    def __iter__(self) -> Iterator[Check]:
        """Iterate over the checks in the order of their ids."""
        return iter(self.checks)

    def __len__(self) -> int:
        """Count the checks."""
        return len(self.checks)

    @cached_property
    def causes(self) -> dict[str, tuple[tuple[Check, Join], ...]]:
        """For each symptom's id the checks that may explain it, and how they belong together."""
        found: dict[str, list[tuple[Check, Join]]] = {}
        for one in self.checks:
            for symptom, join in one.explains.items():
                if symptom in self.by_id:
                    found.setdefault(symptom, []).append((one, join))
        return {symptom: tuple(causes) for symptom, causes in found.items()}

    @cached_property
    def unmet(self) -> dict[str, tuple[str, ...]]:
        """For each id that no check has yet, the checks that relate to it."""
        found: dict[str, list[str]] = {}
        for one in self.checks:
            for symptom in one.explains:
                if symptom not in self.by_id:
                    found.setdefault(symptom, []).append(one.id)
        return {symptom: tuple(causes) for symptom, causes in sorted(found.items())}

    def joins(self, one: Check) -> tuple[Join, ...]:
        """The joins, one a name, whose keys the findings of a check need as cause or symptom."""
        own = [join for symptom, join in one.explains.items() if symptom in self.by_id]
        others = [join for _, join in self.causes.get(one.id, ())]
        return tuple({join.name: join for join in (*own, *others)}.values())

    def kinds(self, one: Check) -> tuple[type[View], ...]:
        """Every kind that a check reads: its subjects, its inputs, and what its grouping and joins look up."""
        found: list[type[View]] = list(one.subjects)
        for parameter in one.inputs:
            found.extend(_kinds(parameter))
            if parameter.role == "history" and parameter.view:
                found.append(parameter.view)
        found.extend(one.group.kinds)
        for join in self.joins(one):
            found.extend(join.kinds)
        return tuple(dict.fromkeys(found))

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """How the API serves every kind that some check reads, in the order of group and plural."""
        views = {view for one in self.checks for view in self.kinds(one)}
        return tuple(sorted((view.resource for view in views), key=lambda found: (found.group, found.plural)))

    @cached_property
    def event_reasons(self) -> frozenset[str]:
        """The reasons of Events that some check reads; no others are kept."""
        return frozenset(reason for one in self.checks for reason in one.events)
