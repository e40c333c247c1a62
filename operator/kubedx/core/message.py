"""From a template and params to text for people, and to commands that a shell takes as they are."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from string import Formatter

from kubedx.core.finding import Param


def placeholders(template: str) -> frozenset[str]:
    """List the names in a template's braces."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def shown(value: Param) -> str:
    """Show a value to people: times as RFC 3339 in UTC, whole seconds."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def render(template: str, params: Mapping[str, Param]) -> str:
    """Fill a message template.

    Args:
        template: Text with ``{name}`` placeholders.
        params: A value for each; a missing one is shown as ``?``, as a message with a gap beats none.

    Returns:
        The text.
    """
    return template.format_map(_Shown(params))


def command(template: str, params: Mapping[str, Param]) -> str:
    """Fill a command template, each value quoted for a POSIX shell.

    Args:
        template: A command with ``{name}`` placeholders. ``-n {namespace}`` is left out where there is no namespace.
        params: A value for each.

    Returns:
        The command, safe to paste.
    """
    if params.get("namespace") == "":
        template = template.replace("-n {namespace} ", "")
    return template.format_map(_Quoted(params))


class _Shown(dict[str, Param]):
    def __getitem__(self, key: str) -> str:
        return shown(super().get(key, "?"))


class _Quoted(_Shown):
    def __getitem__(self, key: str) -> str:
        return shlex.quote(super().__getitem__(key))
