"""The CustomResourceDefinitions of our two kinds, rendered from their models.

What a structural schema may hold: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from collections.abc import Mapping

import yaml

from kubedx.api import diagnosis, policy
from kubedx.api.kind import Column, Kind
from kubedx.api.model import GROUP, VERSION, Json, Model
from kubedx.api.rules import rule
from kubedx.generate.banner import BANNER

KINDS = (diagnosis.KIND, policy.KIND)
FOLDER = "charts/kubedx/files/crds"

_DEEPEST = 12
_RULES = "x-kubernetes-validations"
_KEPT = frozenset({
    "description", "enum", "format", "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength",
    "minProperties", "minimum", "type", _RULES, "x-kubernetes-int-or-string", "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
})  # fmt: skip
_DROPPED = frozenset({"title", "default", "$defs", "required", "additionalProperties", "propertyNames"})
"""Defaults are the operator's: a default written into a policy would hide the one of the chart."""


class SchemaError(ValueError):
    """A model cannot be said as a structural schema; the message names the field."""


def render() -> dict[str, str]:
    """Render both CRDs.

    Returns:
        From the path below the repository's root to the YAML text of the file.

    Raises:
        SchemaError: A model uses what a structural schema cannot say, or leaves a field unbounded or undescribed.
    """
    return {
        f"{FOLDER}/{kind.resource.plural}.yaml": BANNER
        + yaml.safe_dump(definition(kind), sort_keys=False, width=120, allow_unicode=True)
        for kind in KINDS
    }


def definition(kind: Kind) -> Json:
    """Build the CustomResourceDefinition of one kind.

    Args:
        kind: The kind's declaration.

    Returns:
        The object, its keys in the order in which it is best read.
    """
    resource = kind.resource
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": kind.singular,
                "shortNames": [kind.short],
            },
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [_version(kind)],
        },
    }


def _version(kind: Kind) -> Json:
    found: Json = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    if kind.selectable:
        found["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return found | {"schema": {"openAPIV3Schema": _object(kind)}}


def _column(column: Column) -> Json:
    found: Json = {"name": column.name, "type": column.type, "jsonPath": column.path, "description": column.description}
    return found | ({"priority": 1} if column.wide else {})


def _object(kind: Kind) -> Json:
    found: Json = {
        "type": "object",
        "description": kind.description,
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of the kind's schema.", "maxLength": 64},
            "kind": {"type": "string", "description": "The kind of the object.", "maxLength": 64},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            "spec": structural(kind.spec, required=True),
            "status": structural(kind.status, required=False),
        },
    }
    return found | ({_RULES: list(kind.rules)} if kind.rules else {})


def structural(model: type[Model], *, required: bool) -> Json:
    """Say a model as a structural schema.

    Args:
        model: The model.
        required: Whether required fields are so in the schema. Not for a status: one that a newer operator writes must
            pass the CRD of an older release, which Helm or a cautious administrator may have kept.

    Returns:
        The schema, definitions inlined, with the model's docstring as its description.

    Raises:
        SchemaError: The model uses what a structural schema cannot say, or leaves a field unbounded or undescribed.
    """
    schema = model.model_json_schema(by_alias=True)
    return _node(schema, schema.get("$defs", {}), required=required, path=model.__name__)


def _node(schema: Mapping[str, object], definitions: Mapping[str, object], *, required: bool, path: str) -> Json:
    schema = _resolved(schema, definitions, path)
    unknown = schema.keys() - _KEPT - _DROPPED - {"properties", "items"}
    if unknown:
        raise SchemaError(f"{path}: a structural schema has no {', '.join(sorted(unknown))} in this place")

    def below(child: object, name: str) -> Json:
        if not isinstance(child, Mapping):
            raise SchemaError(f"{path}.{name}: a schema is needed here, not {child!r}")
        return _node(child, definitions, required=required, path=f"{path}.{name}")

    found: Json = {key: schema[key] for key in sorted(schema) if key in _KEPT}
    if isinstance(properties := schema.get("properties"), dict):
        children = {name: below(child, name) for name, child in properties.items()}
        found["properties"] = children
        if undescribed := [name for name, child in children.items() if "description" not in child]:
            raise SchemaError(f"{path}.{undescribed[0]}: describe the field in a sentence")
    if "items" in schema:
        found["items"] = below(schema["items"], "items")
    if isinstance(values := schema.get("additionalProperties"), dict):
        found["additionalProperties"] = below(values, "additionalProperties")
    if must := _required(schema, required=required):
        found["required"] = must
    return _bounded(_keyed(found, schema), path)


def _resolved(schema: Mapping[str, object], definitions: Mapping[str, object], path: str) -> Mapping[str, object]:
    """Inline a reference, and take the null out of "this or null": an absent field says the same."""
    match schema:
        case {"$ref": str(name)}:
            name = name.removeprefix("#/$defs/")
            if path.count(".") > _DEEPEST:
                raise SchemaError(f"{path}: {name} contains itself; a structural schema cannot")
            inner = definitions[name]
        case {"anyOf": [inner, {"type": "null"}]}:
            pass
        case _:
            return schema
    if not isinstance(inner, Mapping):
        raise SchemaError(f"{path}: a schema is needed here, not {inner!r}")
    around = {key: value for key, value in schema.items() if key not in {"$ref", "anyOf"}}
    return {**_resolved(inner, definitions, path), **around}


def _required(schema: Mapping[str, object], *, required: bool) -> list[str]:
    """Name the fields that the schema itself demands; a rule that says more about a missing field stands in for it."""
    names = schema.get("required")
    found = schema.get(_RULES)
    if not required or not isinstance(names, list):
        return []
    told = [one.get("fieldPath") for one in found if "reason" in one] if isinstance(found, list) else []
    return [name for name in names if f".{name}" not in told]


def _keyed(found: Json, schema: Mapping[str, object]) -> Json:
    """Demand the keys of a list that is a map, and bound the names in a map: pydantic does not say them in place."""
    match found:
        case {"x-kubernetes-list-map-keys": list(keys), "items": dict(items)}:
            return found | {"items": items | {"required": [*keys]}}
    match schema.get("propertyNames"):
        case {"maxLength": int(longest)}:
            return found | {
                _RULES: [rule(f"self.all(name, size(name) <= {longest})", f"a name has at most {longest} characters")]
            }
    return found


def _bounded(found: Json, path: str) -> Json:
    """Insist on a bound for whatever can grow: it keeps objects small and the cost of rules known."""
    text = found.get("type") == "string" or "x-kubernetes-int-or-string" in found
    for grows, bound in (
        (text and "enum" not in found, "maxLength"),
        (found.get("type") == "array", "maxItems"),
        ("additionalProperties" in found, "maxProperties"),
    ):
        if grows and bound not in found:
            raise SchemaError(f"{path}: give it a {bound}")
    return found
