"""What there is to know about one check or unseen pattern, as data and as Markdown: for `kubedx explain` and docs/."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from textwrap import indent

import msgspec
import yaml

from kubedx.core.check import CLEAR_AFTER, LONGEST_HOLD, RAISE_AFTER, Check, Registry
from kubedx.core.finding import Step
from kubedx.core.join import Join
from kubedx.core.message import placeholders
from kubedx.generate.unseen import Detectability, Unseen
from kubedx.kube.duration import show
from kubedx.kube.meta import View

AFTER_STEPS = ("Limitations", "References")
"""The sections of the docstring that stand below what follows from the declaration."""


EVERY_KIND = "every kind that another check reads"
"""What a check is about that is asked about all objects."""


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what is told as data."""


class Setting(_Data, frozen=True):
    """One setting: its name in the policy, its default, its bounds, and a sentence."""

    name: str
    default: str
    bounds: str
    description: str


class Input(_Data, frozen=True):
    """One kind that the check reads, and whether it cannot answer without it."""

    kind: str
    resource: str
    required: bool


class Relation(_Data, frozen=True):
    """Another check whose findings this one may cause, or the other way round."""

    check: str
    join: str
    description: str


class Instruction(_Data, frozen=True):
    """One thing to do."""

    text: str
    command: str
    danger: bool


class Page(_Data, frozen=True):
    """Everything there is to know about one check."""

    id: str
    title: str
    summary: str
    severity: str
    profile: str
    layer: int
    since: str
    area: str
    source: str
    subjects: tuple[str, ...]
    group: str
    message: str
    documentation: dict[str, str]
    steps: tuple[Instruction, ...]
    explains: tuple[Relation, ...]
    explained_by: tuple[Relation, ...]
    inputs: tuple[Input, ...]
    events: tuple[str, ...]
    needs_history: bool
    settings: tuple[Setting, ...]


class UnseenPage(_Data, frozen=True):
    """Everything there is to know about one pattern that no check looks for."""

    id: str
    title: str
    detectability: str
    meaning: str
    why: str
    nearest: tuple[str, ...]
    signal: str
    explained_by: tuple[str, ...]
    steps: tuple[Instruction, ...]
    references: tuple[str, ...]


class Row(_Data, frozen=True):
    """One check in the list of all."""

    id: str
    severity: str
    profile: str
    detectability: str
    area: str
    title: str
    reads: tuple[str, ...]
    explains: tuple[str, ...]


class UnseenRow(_Data, frozen=True):
    """One pattern that no check looks for, in the list of all."""

    id: str
    detectability: str
    title: str
    nearest: tuple[str, ...]


def rows(registry: Registry) -> tuple[Row, ...]:
    """List the checks, a row each."""
    return tuple(
        Row(
            one.id,
            one.severity.text,
            one.profile.value,
            Detectability.WATCHED.value,
            one.area,
            one.title,
            tuple(view.resource.kind for view in registry.kinds(one)),
            tuple(sorted(one.explains.keys() & registry.by_id.keys())),
        )
        for one in registry
    )


def unseen_rows(patterns: Iterable[Unseen], registry: Registry) -> tuple[UnseenRow, ...]:
    """List the patterns that no check looks for, a row each."""
    return tuple(UnseenRow(one.id, one.detectability.value, one.title, nearest(one, registry)) for one in patterns)


def nearest(pattern: Unseen, registry: Registry) -> tuple[str, ...]:
    """Name the checks that come nearest to a pattern that none looks for."""
    return tuple(id_ for id_ in pattern.nearest if id_ in registry.by_id)


def listing(found: Sequence[Row | UnseenRow], form: str) -> str:
    """Write the list of checks, or of what no check looks for.

    Args:
        found: The rows, all of one sort.
        form: ``table``, ``json``, ``yaml`` or ``name``.

    Returns:
        Text that ends with a new line.
    """
    match form:
        case "name":
            return "".join(f"{one.id}\n" for one in found)
        case "json":
            return _json(found)
        case "yaml":
            return yaml.safe_dump(msgspec.to_builtins(found), sort_keys=False)
    lines = [_cells(one) for one in found]
    columns = CHECK_COLUMNS if any(isinstance(one, Row) for one in found) else UNSEEN_COLUMNS
    wide = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    return "".join("   ".join(map(str.ljust, line, wide)).rstrip() + "\n" for line in (columns, *lines))


CHECK_COLUMNS = ("CHECK", "SEVERITY", "PROFILE", "PROBLEM", "READS")
UNSEEN_COLUMNS = ("PATTERN", "WHY UNSEEN", "PROBLEM", "NEAREST CHECKS")


def _cells(one: Row | UnseenRow) -> tuple[str, ...]:
    if isinstance(one, Row):
        return (one.id, one.severity, one.profile, one.title, ",".join(one.reads))
    return (one.id, one.detectability, one.title, ",".join(one.nearest))


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def similar(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Find the ids that somebody may have meant.

    Args:
        name: What was typed.
        ids: All ids that there are.

    Returns:
        Up to three ids, the nearest first; upper and lower case make no difference.
    """
    by_lower = {id_.lower(): id_ for id_ in ids}
    near = get_close_matches(name.lower(), by_lower, n=3)
    parts = [lower for lower in by_lower if len(name) >= 3 and name.lower() in lower]  # noqa: PLR2004 -- less matches anything
    return tuple(by_lower[lower] for lower in dict.fromkeys([*near, *parts]))[:3]


def page(check: Check, registry: Registry) -> Page:
    """Collect everything there is to know about one check.

    Args:
        check: The check.
        registry: All checks, for the relations.

    Returns:
        The page's content.
    """
    documentation = {name: text for name, text in check.documentation.items() if name != "Summary"}
    return Page(
        id=check.id,
        title=check.title,
        summary=check.documentation["Summary"],
        severity=check.severity.text,
        profile=check.profile.value,
        layer=check.layer,
        since=check.since,
        area=check.area,
        source=f"operator/{check.module.replace('.', '/')}.py",
        subjects=_subjects(check),
        group=check.group.description,
        message=_open(check.message),
        documentation=documentation,
        steps=tuple(map(_instruction, check.steps)),
        explains=tuple(_relation(id_, join) for id_, join in sorted(check.explains.items()) if id_ in registry.by_id),
        explained_by=tuple(_relation(one.id, join) for one, join in registry.causes.get(check.id, ())),
        inputs=tuple(_input(view, check) for view in registry.kinds(check)),
        events=check.events,
        needs_history=any(one.role == "history" for one in check.inputs),
        settings=tuple(_settings(check)),
    )


def _instruction(step: Step) -> Instruction:
    return Instruction(_open(step.text), _open(step.command), step.danger)


def _open(template: str) -> str:
    """Show a template with its placeholders as they are: what was doubled for their sake becomes single."""
    return template.format_map({name: f"{{{name}}}" for name in placeholders(template)})


def _subjects(check: Check) -> tuple[str, ...]:
    if check.any_kind:
        return (EVERY_KIND,)
    return tuple(view.resource.kind for view in check.subjects) or ("the cluster as a whole",)


def _relation(other: str, join: Join) -> Relation:
    sentence = join.description
    if join.narrowing:
        narrowed = " and ".join(f"`{name}` is `{value}`" for name, value in join.narrowing.items())
        sentence += f" Only where the symptom's {narrowed}."
    if join.is_back:
        sentence += " Only if the cause began first."
    return Relation(other, join.name, sentence)


def _input(view: type[View], check: Check) -> Input:
    resource = view.resource
    name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    return Input(resource.kind, name, view in check.required)


def _settings(check: Check) -> Iterator[Setting]:
    holds = f"0s to {show(LONGEST_HOLD)}"
    yield Setting(RAISE_AFTER, show(check.raise_after), holds, "How long it must have been so before it is said.")
    yield Setting(CLEAR_AFTER, show(check.clear_after), holds, "How long it must be gone before it is withdrawn.")
    schema = msgspec.json.schema(check.settings_type)["$defs"][check.settings_type.__name__]["properties"]
    for one in msgspec.structs.fields(check.settings_type):
        told = schema[one.encode_name]
        default = show(one.default) if isinstance(one.default, timedelta) else str(one.default)
        yield Setting(one.encode_name, default, _bounds(told), told.get("description", ""))


def _bounds(schema: Mapping[str, object]) -> str:
    match schema:
        case {"enum": list(words)}:
            return " or ".join(map(str, words))
        case {"minimum": least, "maximum": most}:
            return f"{least} to {most}"
        case {"minimum": least}:
            return f"at least {least}"
        case {"maximum": most}:
            return f"at most {most}"
    return f"a {schema.get('type', 'value')}"


def markdown(found: Page | UnseenPage) -> str:
    """Write a page as Markdown; links lead to the pages of other checks in the same folder."""
    return "\n\n".join(_blocks(found) if isinstance(found, Page) else _unseen_blocks(found)) + "\n"


def _blocks(found: Page) -> Iterator[str]:
    yield f"# {found.id}"
    yield f"{found.title}. {found.summary}"
    yield _facts(found)
    yield f"It says:\n\n```text\n{found.message}\n```"
    for name, text in found.documentation.items():
        if name not in AFTER_STEPS:
            yield f"## {name}\n\n{text}"
    yield "## Steps\n\nA diagnosis shows them with the names filled in."
    yield from map(_step, found.steps)
    yield from _relations(found)
    yield f"## Limitations\n\n{found.documentation['Limitations']}"
    yield from _reads(found)
    yield from _configuration(found)
    yield f"## References\n\n{found.documentation['References']}"


def _facts(found: Page) -> str:
    holds = {setting.name: setting.default for setting in found.settings}
    raised = "at once" if holds[RAISE_AFTER] == "0s" else f"after {holds[RAISE_AFTER]}"
    cleared = "as soon as" if holds[CLEAR_AFTER] == "0s" else f"{holds[CLEAR_AFTER]} after"
    return "\n".join((
        f"- Severity: {found.severity}",
        f"- Profile: {found.profile}{' (on only where the policy asks for it)' if found.profile == 'Advice' else ''}",
        f"- About: {', '.join(found.subjects)}",
        f"- Said {raised}, withdrawn {cleared} it is gone",
        f"- Grouping: {found.group}",
        f"- Layer: {found.layer} (of related problems, the one in the lower layer is the cause)",
        f"- Since: kubedx {found.since}",
        f"- Source: `{found.source}`",
    ))  # fmt: skip


def _step(step: Instruction) -> str:
    danger = " **This interrupts or destroys something.**" if step.danger else ""
    command = f"\n\n```sh\n{step.command}\n```" if step.command else ""
    return "- " + indent(f"{step.text}{danger}{command}", "  ").lstrip()


def _relations(found: Page) -> Iterator[str]:
    if found.explained_by:
        yield "## May be explained by"
        yield _related(found.explained_by)
    if found.explains:
        yield "## May explain"
        yield _related(found.explains)


def _related(relations: Iterable[Relation]) -> str:
    by_sentence: dict[str, list[str]] = {}
    for one in relations:
        by_sentence.setdefault(one.description, []).append(f"[{one.check}]({one.check}.md)")
    return "\n".join(f"- {', '.join(links)}: {sentence}" for sentence, links in by_sentence.items())


def _reads(found: Page) -> Iterator[str]:
    yield "## What it reads"
    kinds = [
        f"- {one.kind} (`{one.resource}`, list and watch){'' if one.required else ', where it may be read'}"
        for one in found.inputs
    ]
    if EVERY_KIND in found.subjects:
        kinds.append("- The metadata of every kind that another check reads")
    if found.events:
        kinds.append(f"- Events with the reasons {', '.join(f'`{reason}`' for reason in found.events)}")
    if found.needs_history:
        kinds.append("- What it has watched so far: `kubedx scan` looks only once and skips this check")
    yield "\n".join(kinds) or "Nothing of its own."
    yield (
        "What it needs and may not read makes it Skipped, which "
        "`kubectl get diagnosispolicy cluster -o yaml` shows with what is missing."
    )


def _configuration(found: Page) -> Iterator[str]:
    yield "## Settings"
    yield "\n".join(f"- `{one.name}`: {one.default} ({one.bounds}). {one.description}" for one in found.settings)
    yield "In `kubectl edit diagnosispolicy cluster`, here with the defaults:"
    values = {one.name: int(one.default) if one.default.isdecimal() else one.default for one in found.settings}
    configured = {"enabled": found.profile != "Advice", "settings": values}
    yield _yaml({"spec": {"checks": {found.id: configured}}})
    yield "To silence what is known, say why (and `until` when, where it ends); `name`, `namespace` and more narrow it:"
    yield _yaml({"spec": {"suppressions": [{"check": found.id, "name": "known-*", "reason": "Why it is no news"}]}})


def _yaml(value: object) -> str:
    return f"```yaml\n{yaml.safe_dump(value, sort_keys=False, width=120)}```"


def unseen_page(pattern: Unseen, registry: Registry) -> UnseenPage:
    """Collect everything there is to know about one pattern that no check looks for.

    Args:
        pattern: The pattern.
        registry: All checks, to name those that come nearest, and those that may be behind it.

    Returns:
        The page's content.
    """
    return UnseenPage(
        id=pattern.id,
        title=pattern.title,
        detectability=pattern.detectability.value,
        meaning=pattern.meaning,
        why=pattern.why,
        nearest=nearest(pattern, registry),
        signal=pattern.signal,
        explained_by=registry.unmet.get(pattern.id, ()),
        steps=tuple(Instruction(step.text, step.command, step.danger) for step in pattern.steps),
        references=pattern.references,
    )


def _unseen_blocks(found: UnseenPage) -> Iterator[str]:
    yield f"# {found.id}"
    yield f"{found.title}. **No check looks for this: it {_IS_UNSEEN[found.detectability]}.**"
    yield f"## Meaning\n\n{found.meaning}"
    yield f"## Why kubedx does not see it\n\n{found.why}"
    yield f"## Nearest signal\n\n{found.signal}"
    if found.nearest:
        yield _links(found.nearest)
    if found.explained_by:
        yield f"## May be explained by\n\n{_links(found.explained_by)}"
    yield "## By hand\n\nFill in what stands in braces."
    yield from map(_step, found.steps)
    yield "## References\n\n" + "\n".join(f"- {reference}" for reference in found.references)


def _links(ids: Iterable[str]) -> str:
    return "\n".join(f"- [{id_}]({id_}.md)" for id_ in ids)


_IS_UNSEEN = {Detectability.PROBE.value: "needs a probe", Detectability.OUTSIDE.value: "is not visible from the API"}


def told(found: Page | UnseenPage, form: str) -> str:
    """Write a page in one of the forms of `kubedx explain`.

    Args:
        found: The page.
        form: ``text``, ``json`` or ``markdown``.

    Returns:
        Text that ends with a new line.
    """
    if form == "json":
        return _json(found)
    written = markdown(found)
    return written if form == "markdown" else plain(written)


_LINK = re.compile(r"\[([^\[\]]+)\]\([^()]*\.md\)")


def plain(text: str) -> str:
    """Turn a page into text for a terminal: headings in capitals, links without targets, code indented.

    Args:
        text: What `markdown` wrote.

    Returns:
        The text. Long commands stay in one line, so that they can be copied.
    """
    return "\n".join(_plain(text)) + "\n"


def _plain(text: str) -> Iterator[str]:
    fence: int | None = None
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fence = line.index("`") if fence is None else None
        elif fence is not None:
            yield f"    {line[fence:]}"
        elif line.startswith("#"):
            yield line[2:] if line.startswith("# ") else line.lstrip("# ").upper()
        else:
            yield _LINK.sub(r"\1", line).replace("**", "")
