"""What the models of both kinds are made of: their base, bounded texts and lists, times, durations, CEL rules."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from annotated_types import GroupedMetadata, MaxLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails

from kubedx.kube import duration
from kubedx.kube.meta import Resource
from kubedx.kube.text import cut

GROUP = "kubedx.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_SHORTEST = 32  # `cut` needs room to say how much it left out.

Json = dict[str, object]


class Model(BaseModel):
    """Base of every part of our two kinds: immutable, camelCase on the wire, snake_case here."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True)

    def wire(self) -> Json:
        """Give the model as JSON-ready data, without what is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def patch(self) -> Json:
        """Give the model as a JSON merge patch (RFC 7386) that leaves exactly this model behind.

        What is not set is null, and so removed; inside lists, which a merge patch replaces whole, it is left out.
        """
        dumped: Json = self.model_dump(mode="json", by_alias=True)
        return {key: _without_nulls_in_lists(value) for key, value in dumped.items()}


class Wish(Model):
    """Base of what people write: an unknown field is a mistake that is worth a word."""

    model_config = ConfigDict(extra="forbid")


class Observed(Model):
    """Base of what the operator writes: texts and lists that are too long are cut; unknown fields are passed over."""

    model_config = ConfigDict(extra="ignore")


def _without_nulls_in_lists(value: object, *, listed: bool = False) -> object:
    if isinstance(value, dict):
        kept = value.items() if not listed else ((key, one) for key, one in value.items() if one is not None)
        return {key: _without_nulls_in_lists(one, listed=listed) for key, one in kept}
    if isinstance(value, list):
        return [_without_nulls_in_lists(one, listed=True) for one in value]
    return value


@dataclass(frozen=True)
class Most(GroupedMetadata):
    """The most characters of a text, or entries of a list, in a status: what is beyond is cut, not refused.

    Attributes:
        limit: The number of characters or entries.
        newest: Whether a list keeps its end rather than its beginning.
    """

    limit: int
    newest: bool = False

    def __iter__(self) -> Iterator[object]:
        """Give the bound that the schema shows, and the cut that runs before it."""
        yield MaxLen(self.limit)
        yield BeforeValidator(self._cut)

    def _cut(self, value: object) -> object:
        match value:
            case str() if len(value) > self.limit:
                return cut(value, self.limit) if self.limit >= _SHORTEST else value[: self.limit]
            case list() | tuple() if len(value) > self.limit:
                return value[-self.limit :] if self.newest else value[: self.limit]
        return value


def _time(value: object) -> datetime:
    match value:
        case datetime():
            found = value
        case str():
            try:
                found = datetime.fromisoformat(value)
            except ValueError:
                raise ValueError(f"{value[:40]!r} is not a time; write 2026-01-31T18:00:00Z") from None
        case _:
            raise ValueError("must be a time such as 2026-01-31T18:00:00Z")
    if found.tzinfo is None:
        raise ValueError(f"{found.isoformat()} has no time zone; write {found.isoformat()}Z for UTC")
    try:
        return found.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise ValueError(f"{found.isoformat()} is out of bounds") from None


def show_time(moment: datetime) -> str:
    """Write a time as Kubernetes does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    PlainSerializer(show_time, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 40}),
]
"""A point in time: UTC, whole seconds, as metav1.Time has it, so that it reads back as it was."""


def complaint(error: ErrorDetails, root: str) -> str:
    """Say what is wrong with one field, as `settings` and `diagnosis` report it.

    Args:
        error: One error of a pydantic ValidationError.
        root: The path of what was validated, such as ``spec``.

    Returns:
        The field's path, and in a sentence what to write instead.
    """
    return f"{place(root, error['loc'])}: {advice(error)}"


def place(root: str, steps: tuple[str | int, ...]) -> str:
    """Write the path of a field as kubectl does: ``spec.suppressions[2].until``."""
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def advice(error: ErrorDetails) -> str:
    """Say what to write instead of a value that pydantic refused."""
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected']}, not {error['input']!r}"
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "there is no such field"
    said = error["msg"].replace("Input should", "must")
    return f"{said[:1].lower()}{said[1:]}, not {cut(repr(error['input']), 64)}"


def rule(expression: str, message: str, *, field: str = "", missing: bool = False) -> JsonDict:
    """Declare what the API server must check beyond the schema.

    Args:
        expression: The condition in CEL; ``self`` is the value.
        message: What a person is told who breaks it: what is wrong and what to write instead.
        field: The path of the field it is about, from the value on, such as ``.reason``.
        missing: Whether the rule stands in for the schema's ``required``, whose own message does not say why.

    Returns:
        An entry of ``x-kubernetes-validations``.
    """
    found: JsonDict = {"rule": expression, "message": message}
    if field:
        found["fieldPath"] = field
    if missing:
        found["reason"] = "FieldValueRequired"
    return found


def _said(reason: str) -> str:
    if not reason.strip():
        raise ValueError("is required: say why, in up to 512 characters")
    return reason


Reason = Annotated[str, AfterValidator(_said)]
"""Why something is silenced; blank is as good as missing."""


def reason_rule(message: str) -> JsonDict:
    """Declare that the field ``reason`` must be there and say something, with a message instead of "Required value"."""
    return rule(r"has(self.reason) && self.reason.matches('\\S')", message, field=".reason", missing=True)


def rules(*found: JsonDict) -> JsonDict:
    """Put rules where pydantic's ``json_schema_extra`` wants them."""
    return {"x-kubernetes-validations": list(found)}


def between(least: timedelta, most: timedelta) -> Callable[[object], timedelta]:
    """Make a validator that reads a duration and keeps it within bounds.

    Args:
        least: The shortest duration allowed.
        most: The longest duration allowed.

    Returns:
        A function from a text to a duration, which raises ValueError with what to write instead.
    """

    def read(value: object) -> timedelta:
        if value == 0 and not isinstance(value, bool):
            value = "0"
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise ValueError("must be a duration in quotes, such as 90s, 5m, 1h30m or 2d")  # noqa: TRY004 -- pydantic collects ValueErrors only
        found = duration.parse(value)
        if not least <= found <= most:
            raise ValueError(f"{value} is out of bounds: write {duration.show(least)} to {duration.show(most)}")
        return found

    return read


DURATION_SCHEMA: JsonDict = {
    "type": "string",
    "maxLength": 32,
    **rules(rule(f"self.matches('{duration.PATTERN}')", "must be a duration such as 90s, 5m, 1h30m or 2d")),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``kubectl get``.

    Attributes:
        name: The heading.
        path: The JSONPath of the value.
        description: What it shows, in a sentence.
        type: ``string``, ``integer`` or ``date``; a date is shown as an age.
        wide: Whether it needs ``-o wide``.
    """

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our kinds, as its CRD declares it.

    Attributes:
        resource: How the API serves it.
        singular: The name for one object on the command line.
        short: The short name on the command line.
        description: What an object of it is, in a sentence.
        spec: The model of what people write.
        status: The model of what the operator writes.
        columns: The columns of ``kubectl get`` after the name.
        selectable: The fields that ``--field-selector`` knows.
        rules: What the API server checks about the object as a whole.
    """

    resource: Resource
    singular: str
    short: str
    description: str
    spec: type[Model]
    status: type[Model]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    rules: tuple[JsonDict, ...] = ()
