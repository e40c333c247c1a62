"""Rules that the API server checks beyond the schema, in CEL, with messages for the people who break them."""

from pydantic.config import JsonDict


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


def reason_rule(message: str) -> JsonDict:
    """Declare that the field ``reason`` must be there and say something, with a message instead of "Required value"."""
    return rule(r"has(self.reason) && self.reason.matches('\\S')", message, field=".reason", missing=True)


def rules(*found: JsonDict) -> JsonDict:
    """Put rules where pydantic's ``json_schema_extra`` wants them."""
    return {"x-kubernetes-validations": list(found)}
