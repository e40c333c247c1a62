"""What the models of both kinds are made of: their base, bounded texts and lists, times, durations, reasons."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from annotated_types import GroupedMetadata, MaxLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from kubedx.api.rules import rule, rules
from kubedx.kube import duration
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


def whole_seconds(moment: datetime) -> datetime:
    """Give a time as an object keeps it: UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)


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
        return whole_seconds(found)
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


def _said(reason: str) -> str:
    if not reason.strip():
        raise ValueError("is required: say why, in up to 512 characters")
    return reason


Reason = Annotated[str, AfterValidator(_said)]
"""Why something is silenced; blank is as good as missing."""


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
