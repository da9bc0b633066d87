"""Every key that a configuration may hold, one after the other: for the manual and the documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ccrelay.config.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Entry(NamedTuple):
    """
    A key.

    @ivar path: such as C{server.auth.clients[].name}.
    @ivar kind: what it may hold, in words; empty for a section, whose keys follow.
    @ivar default: as YAML has it; empty for a section, and where there is none.
    @ivar says: a sentence.
    @ivar required: whether it must be there.
    """

    path: str
    kind: str
    default: str
    says: str
    required: bool

    @property
    def depth(self) -> int:
        """How many sections it is in."""
        return self.path.count(".")


def catalogue() -> list[Entry]:
    """
    Return every key, without older names and those without effect.

    What stands in a section itself comes before the sections in it.
    """
    schema = json_schema()
    return list(_entries(schema, schema, ""))


def _entries(schema: Mapping[str, Any], section: Mapping[str, Any], before: str) -> Iterator[Entry]:
    required = section.get("required", ())
    sections: list[tuple[str, Mapping[str, Any], Mapping[str, Any], str]] = []
    for name, node in section["properties"].items():
        if node.get("deprecated"):
            continue
        within, suffix = _section_in(schema, node)
        if within is not None:
            sections.append((name, node, within, suffix))
            continue
        yield Entry(f"{before}{name}", _kind(node), _default(node), node["description"], name in required)
    for name, node, within, suffix in sections:
        path = f"{before}{name}"
        says = node.get("description") or within["description"]
        yield Entry(path, "a list" if suffix else "", "", says, name in required)
        yield from _entries(schema, within, f"{path}{suffix}.")


def _section_in(schema: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """Return the section that a key holds, if it does, and what that adds to the path: C{[]} in a list."""
    for choice in (node, *node.get("anyOf", ())):
        if "$ref" in choice:
            return schema["$defs"][choice["$ref"].rpartition("/")[2]], ""
        if "properties" in choice:
            return choice, ""
        if "$ref" in choice.get("items", {}):
            return schema["$defs"][choice["items"]["$ref"].rpartition("/")[2]], "[]"
    return None, ""


def _kind(node: Mapping[str, Any]) -> str:
    if "anyOf" in node:
        kinds = dict.fromkeys(_kind(choice) for choice in node["anyOf"] if choice.get("type") != "null")
        return " or ".join(kinds)
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return " | ".join(str(choice) for choice in node["enum"])
    kind: str = node.get("type", "anything")
    if kind == "array":
        return f"a list of {_kind(node['items'])}"
    if kind == "object":
        return "names and texts"
    bounds = [
        f"{word} {node[bound]}" for bound, word in (("minimum", "from"), ("maximum", "to")) if bound in node
    ]
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true | false"}
    return " ".join([words.get(kind, kind), *bounds])


def _default(node: Mapping[str, Any]) -> str:
    if "default" not in node:
        return "{}" if node.get("type") == "object" else ""
    value = node["default"]
    return "" if value is None else json.dumps(value, ensure_ascii=False)
