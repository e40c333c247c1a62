"""The documentation that follows from the declarations: a page a check, their index, the metrics, and examples."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import Metric

from kubedx.core.check import Check, Registry
from kubedx.core.finding import Profile
from kubedx.generate.banner import COMMENT
from kubedx.generate.explain import markdown, nearest, page, unseen_page
from kubedx.generate.unseen import UNSEEN, Detectability, Unseen

PROFILES = {
    Profile.PROBLEM: "broken now",
    Profile.RISK: "will break; on by default, as problems are",
    Profile.ADVICE: "hygiene; on only where the policy asks for it",
}


class MarkerError(ValueError):
    """A file has no place for a generated block; the message names the markers."""


def check_page(check: Check, registry: Registry, example: Mapping[str, str]) -> str:
    """Write the page of one check: what `kubedx explain` says, and an example.

    Args:
        check: The check.
        registry: All checks, for the relations.
        example: What one of its cases expects: its subject, severity and message.

    Returns:
        Markdown.
    """
    said = f"`{example['subject']}`, {example['severity']}:\n\n```text\n{example['message']}\n```\n"
    return f"{COMMENT}{markdown(page(check, registry))}\n## Example\n\n{said}"


def unseen_markdown(pattern: Unseen, registry: Registry) -> str:
    """Write the page of one pattern that no check looks for."""
    return COMMENT + markdown(unseen_page(pattern, registry))


def index(registry: Registry) -> str:
    """Write the list of all checks, by what the user looks at."""
    return COMMENT + "\n".join(_index(registry))


def _index(registry: Registry) -> Iterator[str]:
    yield "# Checks\n"
    yield f"{len(registry)} checks. `kubedx checks` lists them, `kubedx explain ID` prints a page."
    for area in sorted({check.area for check in registry}):
        yield f"\n## {area}\n"
        yield "| check | severity | profile | problem |\n|---|---|---|---|"
        for one in registry:
            if one.area == area:
                yield f"| [{one.id}]({one.id}.md) | {one.severity.text} | {one.profile.value} | {one.title} |"
    yield "\n## Profiles\n"
    yield from (f"* {profile.value}: {meaning}." for profile, meaning in PROFILES.items())
    yield "\n[Which check is in which profile, and why](../profiles.md)."
    yield "\n## Known, and not seen\n"
    yield f"{len(UNSEEN)} more patterns are known that no check can look for, as what would tell stands in no object."
    yield "Their pages say what comes nearest, and where to look. `kubedx checks --unseen` lists them, and"
    yield "[coverage](../coverage.md) says where each topic of the notes has gone that kubedx began from.\n"
    for why in (Detectability.PROBE, Detectability.OUTSIDE):
        yield f"| {why.value} | problem | nearest checks |\n|---|---|---|"
        for known in UNSEEN:
            if known.detectability is why:
                near = ", ".join(f"[{id_}]({id_}.md)" for id_ in nearest(known, registry))
                yield f"| [{known.id}]({known.id}.md) | {known.title} | {near} |"
        yield ""


def profiles(registry: Registry) -> str:
    """Write the page that says which check is in which profile, and why."""
    return COMMENT + "\n".join(_profiles(registry))


def _profiles(registry: Registry) -> Iterator[str]:
    yield "# Profiles\n"
    yield "A check is in one of three profiles. Problems and risks are on by default, advice is off:"
    yield "`spec.profiles` of the policy names those that are looked for, `spec.checks` turns single checks on or off."
    for profile, meaning in PROFILES.items():
        found = [one for one in registry if one.profile is profile]
        yield f"\n## {profile.value}: {meaning.partition(';')[0]}\n"
        if found:
            yield "| check | severity | why |\n|---|---|---|"
        else:
            yield "No check yet."
        for one in found:
            yield f"| [{one.id}](checks/{one.id}.md) | {one.severity.text} | {_sentence(one.documentation['Impact'])} |"
    yield ""


_END = re.compile(r"[.!?](?= [A-Z`*]|$)")


def _sentence(text: str) -> str:
    """Take the first sentence of a section, in one line and fit for a cell of a table."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    end = _END.search(paragraph, 1)
    return paragraph[: end.end() if end else None].replace("|", "\\|")


def metrics(families: Iterable[Metric]) -> str:
    """Write the page of the metrics.

    Args:
        families: What the collector gives, with or without samples.

    Returns:
        Markdown with a row for each metric, in the order of the collector.
    """
    return COMMENT + "\n".join(_metrics(families))


def _metrics(families: Iterable[Metric]) -> Iterator[str]:
    yield "# Metrics\n"
    yield "`GET /metrics` of the operator, in the text format of Prometheus. Series about diagnoses and findings come"
    yield "from one replica: the one that leads, and goes on while it cannot renew its Lease, until it sees that"
    yield "another one leads. Namespaces beyond the first 1,000 are counted as `_other`.\n"
    yield "| metric | type | labels | what it tells |\n|---|---|---|---|"
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in getattr(family, "_labelnames", ()))
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"
    yield ""


def summary(registry: Registry) -> str:
    """Count the checks in a sentence, and name them by area, for the README."""
    return "\n".join(_summary(registry))


def _summary(registry: Registry) -> Iterator[str]:
    areas = sorted({check.area for check in registry})
    relations = sum(len(causes) for causes in registry.causes.values())
    yield f"{len(registry)} checks in {len(areas)} areas, with {relations} relations between causes and symptoms:\n"
    for area in areas:
        ids = ", ".join(check.id for check in registry if check.area == area)
        yield textwrap.fill(f"* {area}: {ids}.", width=120, subsequent_indent="  ", break_on_hyphens=False)
    yield f"\nNo object shows {len(UNSEEN)} more: `kubedx checks --unseen` says what comes nearest, and where to look."


def examples(sources: Sequence[tuple[str, str, str, str]]) -> str:
    """Write out complete examples of checks.

    Args:
        sources: For each the heading, the module's source, the name of one case, and the case.

    Returns:
        Markdown.
    """
    return "\n\n".join(
        f"### {heading}\n\n```python\n{module.rstrip()}\n```\n\n`{name}`:\n\n```yaml\n{case.rstrip()}\n```"
        for heading, module, name, case in sources
    )


def fill(text: str, name: str, body: str) -> str:
    """Put a generated block into a page that people write.

    Args:
        text: The page, with the two markers of the block.
        name: The block's name.
        body: What stands between the markers from now on.

    Returns:
        The page.

    Raises:
        MarkerError: The markers are missing.
    """
    begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise MarkerError(f"the markers {begin} and {end} are missing; put them where the block belongs")
    return f"{head}{begin}\n{body}\n{end}{tail}"
