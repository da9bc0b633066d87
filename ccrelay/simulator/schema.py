"""Values that fit a JSON Schema: what the simulator puts into the input of a tool."""

from __future__ import annotations

import math
from typing import Any, Final

STRING: Final = "simulated"

_DEEPEST: Final = 8  # levels, where a schema refers to itself

_FORMATS: Final = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "simulated@example.com",
    "uri": "https://example.com/simulated",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "simulated.example.com",
}


def fitting(schema: object, root: object = None, depth: int = 0) -> Any:  # noqa: ANN401  JSON
    """
    Return a small value that fits a schema: required properties alone, each by its type.

    C{pattern} and conditions are not understood; what does not say its type is a string.

    @param schema: a JSON Schema; anything else fits nothing, and gives None.
    @param root: the schema that C{$ref} refers into; C{schema} itself by default.
    @param depth: how many levels lie above.
    """
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return fitting(_referred(root, schema["$ref"]), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    if "default" in schema:
        return schema["default"]
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return fitting(schema[key][0], root, depth + 1)
    if isinstance(schema.get("allOf"), list):
        return fitting(_merged(schema, root), root, depth + 1)
    return _typed(schema, root, depth)


def _typed(schema: dict[str, Any], root: object, depth: int) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    match kind:
        case "object":
            return _object(schema, root, depth)
        case "array":
            items = schema.get("prefixItems") or [schema.get("items", {})] * _whole(schema.get("minItems"))
            return [fitting(item, root, depth + 1) for item in items]
        case "integer" | "number":
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return True
        case "null":
            return None
        case None if "properties" in schema:
            return _object(schema, root, depth)
        case _:
            return _string(schema)


def _object(schema: dict[str, Any], root: object, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    return {name: fitting(known.get(name, {}), root, depth + 1) for name in names}


def _string(schema: dict[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), STRING)
    text = text.ljust(_whole(schema.get("minLength")), ".")
    return text[: _whole(schema["maxLength"])] if "maxLength" in schema else text


def _number(schema: dict[str, Any], *, whole: bool) -> float:
    """Return a number between the bounds, 1 where they allow it."""
    low = max(_reals(schema, "minimum", "exclusiveMinimum"), default=None)
    high = min(_reals(schema, "maximum", "exclusiveMaximum"), default=None)
    if whole:
        number = 1
        if high is not None:
            number = min(number, math.floor(high) if high == schema.get("maximum") else math.ceil(high) - 1)
        if low is not None:
            number = max(number, math.ceil(low) if low == schema.get("minimum") else math.floor(low) + 1)
        return number
    if low is not None and high is not None:
        return (low + high) / 2
    return low + 1 if low is not None else high - 1 if high is not None else 1


def _reals(schema: dict[str, Any], *keys: str) -> list[float]:
    values = (schema.get(key) for key in keys)
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def _whole(value: object) -> int:
    return min(max(value, 0), 1000) if isinstance(value, int) else 0


def _merged(schema: dict[str, Any], root: object) -> dict[str, Any]:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        one = _referred(root, part["$ref"]) if isinstance(part, dict) and "$ref" in part else part
        if not isinstance(one, dict):
            continue
        for key, value in one.items():
            if isinstance(value, dict) and isinstance(merged.get(key), dict):
                merged[key] = {**merged[key], **value}
            elif isinstance(value, list) and isinstance(merged.get(key), list):
                merged[key] = [*merged[key], *value]
            else:
                merged[key] = value
    return merged


def _referred(root: object, reference: object) -> object:
    """Return what C{#/a/b} refers to in the schema; None for any other reference."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: object = root
    for name in reference[1:].split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
