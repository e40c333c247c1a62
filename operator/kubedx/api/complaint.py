"""What is told to a person whose entry a model refused: which field, and what to write instead."""

from pydantic_core import ErrorDetails

from kubedx.kube.text import cut

_MUST = {
    "bool_type": "must be true or false",
    "dict_type": "must hold fields",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "model_type": "must hold fields",
    "string_type": "must be a text",
}
"""By pydantic's type of error; https://docs.pydantic.dev/latest/errors/validation_errors/ lists their contexts."""


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
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "there is no such field"
    said = _MUST.get(error["type"], "").format_map(context) or error["msg"].replace("Input should", "must")
    return f"{said[:1].lower()}{said[1:]}, not {cut(repr(error['input']), 64)}"
