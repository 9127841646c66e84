"""JSON Schema and the subset of OpenAPI's that Gemini had before it took JSON Schema.

What of JSON Schema is understood: https://ai.google.dev/gemini-api/docs/structured-output and the reference of
`responseJsonSchema` and `parametersJsonSchema` (https://ai.google.dev/api/generate-content#generationconfig).
OpenAPI's subset: https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from routeiq.core.errors import BadRequest

Schema = dict[str, Any]
_OF_NAMES = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords that hold schemas by name."""
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_NUMBERS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_KEPT = frozenset(
    ("title", "description", "nullable", "pattern", "minimum", "maximum", "default", "propertyOrdering", *_NUMBERS)
)
_FORMATS = {"string": ("date-time",), "number": ("float", "double"), "integer": ("int32", "int64")}
MOST_SCHEMAS = 10_000
"""Inside one, references put in."""
_SPELLED = {
    "any_of": "anyOf",
    "one_of": "oneOf",
    "prefix_items": "prefixItems",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "defs": "$defs",
    "ref": "$ref",
}
"""How `Schema` of Google's SDK names what JSON Schema has too."""


def to_json_schema(schema: Schema) -> Schema:
    """JSON Schema of what stands in `parameters` or `responseSchema`: lower-case types, no `nullable`."""
    return _within_reason(_json_schema, schema)


def to_gemini(schema: Schema) -> Schema:
    """JSON Schema as `parametersJsonSchema` and `responseJsonSchema` take it.

    All of JSON Schema may be sent; what would be refused or lost, though it can be said otherwise, is: members next
    to a `$ref`, `const`, `definitions`, an `allOf` of one.
    """
    return _within_reason(_gemini, schema)


def to_openapi(schema: Schema) -> Schema:
    """JSON Schema as `parameters` and `responseSchema` take it: references put in, unions as `anyOf`.

    Constraints the subset has no words for are left out: the schema becomes wider, never narrower.
    """
    return _within_reason(lambda whole: _openapi(whole, _Root(whole), ()), schema)


def _within_reason(change: Callable[[Schema], Schema], schema: Schema) -> Schema:
    """Raises `BadRequest` for a schema too deep to be walked through."""
    try:
        return change(schema)
    except RecursionError:
        raise BadRequest("A JSON Schema of the request is nested too deeply.", code="invalid_value") from None


def _inner(schema: Schema, change: Callable[[Any], Any]) -> Schema:
    """A copy with every schema inside changed."""
    out: Schema = {}
    for name, value in schema.items():
        if name in _OF_NAMES and isinstance(value, dict):
            out[name] = {str(key): change(inner) for key, inner in value.items()}
        elif name in _LISTS and isinstance(value, list):
            out[name] = [change(inner) for inner in value]
        elif name in ("items", "additionalProperties", "not"):
            out[name] = [change(inner) for inner in value] if isinstance(value, list) else change(value)
        else:
            out[name] = value
    return out


def _json_schema(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    out = _inner({_SPELLED.get(name) or name: value for name, value in schema.items()}, _json_schema)
    kind = out.get("type")
    if isinstance(kind, str):
        out["type"] = kind.lower()
        if out["type"] == "type_unspecified":
            del out["type"]
    for name in _NUMBERS:
        if isinstance(out.get(name), str) and out[name].isdecimal():
            out[name] = int(out[name])
    order = out.pop("propertyOrdering", None)
    properties = out.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = [name for name in order if name in properties]
        out["properties"] = {name: properties[name] for name in dict.fromkeys([*first, *properties])}
    if "example" in out:
        out["examples"] = [out.pop("example")]
    if out.get("format") == "enum":
        del out["format"]
    if out.pop("nullable", False):
        if "type" in out:
            out["type"] = [out["type"], "null"]
            if isinstance(out.get("enum"), list):
                out["enum"] = [*out["enum"], None]
        elif isinstance(out.get("anyOf"), list):
            out["anyOf"] = [*out["anyOf"], {"type": "null"}]
    return out


def _gemini(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        out = {name: value for name, value in schema.items() if name.startswith("$") and name != "$schema"}
        out["$ref"] = out["$ref"].replace("#/definitions/", "#/$defs/")
        return _inner(out, _gemini)
    if isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1 and isinstance(schema["allOf"][0], dict):
        rest = {name: value for name, value in schema.items() if name != "allOf"}
        return _gemini({**rest, **schema["allOf"][0]})
    out = _inner(schema, _gemini)
    out.pop("$schema", None)
    if isinstance(out.get("definitions"), dict) and isinstance(out.get("$defs", {}), dict):
        out["$defs"] = {**out.pop("definitions"), **out.get("$defs", {})}
    if "const" in out and isinstance(out["const"], (str, int, float)) and not isinstance(out["const"], bool):
        out["enum"] = [out.pop("const")]
    return out


class _Root:
    """The schema references point into. Put in everywhere, a few of them can make a schema of any size."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._left = MOST_SCHEMAS

    def spend(self) -> None:
        """One more schema is made. Raises `BadRequest`."""
        self._left -= 1
        if self._left < 0:
            raise BadRequest(
                "A JSON Schema of the request is too large for this model once its references are put in.",
                code="invalid_value",
            )


def _openapi(schema: Any, root: _Root, above: tuple[str, ...]) -> Schema:
    if not isinstance(schema, dict):
        return {}
    root.spend()
    ref = schema.get("$ref")
    if isinstance(ref, str):
        if ref in above:
            return {"type": "OBJECT"}  # a cycle can't be put in
        found = {**_resolved(ref, root.schema), **{name: value for name, value in schema.items() if name != "$ref"}}
        return _openapi(found, root, (*above, ref))
    if isinstance(schema.get("allOf"), list):
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema["allOf"]:
            if isinstance(part, dict):
                ref = part.get("$ref")
                if isinstance(ref, str) and ref not in above:
                    above, part = (*above, ref), _resolved(ref, root.schema)
                merged = _merged(merged, part)
        return _openapi(merged, root, above)

    def inside(value: Any) -> Schema:
        return _openapi(value, root, above)

    out: Schema = {name: value for name, value in schema.items() if name in _KEPT}
    kinds = schema.get("type")
    listed = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)]
    plain = [kind for kind in listed if kind != "null"]
    union = schema.get("anyOf") or schema.get("oneOf")
    options = [option for option in union if isinstance(option, dict)] if isinstance(union, list) else []
    if "null" in listed or {"type": "null"} in options:
        out["nullable"] = True
    options = [option for option in options if option != {"type": "null"}]
    if len(plain) > 1:
        rest = {name: value for name, value in schema.items() if name not in ("type", "description", "title")}
        out["anyOf"] = [inside({**rest, "type": kind}) for kind in plain]
        return {name: out[name] for name in ("anyOf", "description", "title", "nullable") if name in out}
    if len(options) == 1:
        return {**inside(options[0]), **out}
    if options:
        out["anyOf"] = [inside(option) for option in options]
        return out
    kind = plain[0] if plain else "object" if "properties" in schema else "array" if "items" in schema else ""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(values, list):
        words = [value for value in values if isinstance(value, str)]
        if words and len(words) == len([value for value in values if value is not None]):
            kind = kind or "string"
            out["enum"] = words
        if None in values:
            out["nullable"] = True
    if kind:
        out["type"] = kind.upper()
    if schema.get("format") in _FORMATS.get(kind, ()):
        out["format"] = schema["format"]
    if kind == "array":
        out["items"] = inside(schema.get("items"))
    properties = schema.get("properties")
    if kind == "object" and isinstance(properties, dict):
        out["properties"] = {name: inside(value) for name, value in properties.items()}
        wanted = schema.get("required")
        required = [name for name in wanted if name in list(properties)] if isinstance(wanted, list) else []
        if required:
            out["required"] = required
    return out


def _resolved(ref: str, root: Schema) -> Schema:
    found: Any = root
    for step in ref.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _merged(one: Schema, other: Schema) -> Schema:
    out = {**one, **other}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        out["properties"] = {**one["properties"], **other["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        out["required"] = [*one["required"], *other["required"]]
    return out
