"""The JSON Schema of the configuration, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ccrelay.config.model import Settings
from ccrelay.config.spellings import ANY, MOVED, WITHOUT_EFFECT
from ccrelay.config.written import dotted

if TYPE_CHECKING:
    from ccrelay.config.written import KeyPath


def json_schema() -> dict[str, Any]:
    """
    Return the schema, made from the same definitions that a configuration is judged by.

    Older names and those without effect are in it as well, marked as deprecated.
    """
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(),
        "title": "ccrelay",
        "description": "The configuration of ccrelay, a relay of the Anthropic Messages API.",
    }
    for old, new in MOVED.items():
        # The copy keeps what is allowed, and loses what is said of the key it stands for.
        allowed = {
            key: value
            for key, value in _section(schema, new[:-1])["properties"][new[-1]].items()
            if key not in {"default", "title", "description"}
        }
        _add(schema, old, {**allowed, "description": f"Another name of {dotted(new)}."})
    _add(
        schema,
        ("logging", "pretty"),
        {"type": "boolean", "description": "true is another name of format: text."},
    )
    for path, reason in WITHOUT_EFFECT.items():
        _add(schema, path, {"description": f"Without effect: {reason}."})
    return schema


def _add(schema: dict[str, Any], path: KeyPath, allowed: dict[str, Any]) -> None:
    _section(schema, path[:-1])["properties"][path[-1]] = {**allowed, "deprecated": True}


def _section(schema: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """Return the definition of a section, where its keys may be added."""
    node = schema
    for step in path:
        node = node["items"] if step == ANY else node["properties"][step]
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return node
