"""The words for what the configuration may hold, taken from its JSON Schema."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from ccrelay.config.environment import variables
from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ccrelay.config.written import KeyPath

_LONGEST: Final = 60

_KEY_LIKE: Final = re.compile(r"(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}")
"""Such a text, in the wrong place, may be a secret."""


class Vocabulary:
    """
    What stands in a JSON Schema: which keys there are, and what each allows.

    A schema of pydantic's is understood: C{$ref} into C{$defs}, and C{anyOf} for alternatives.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema

    def at(self, path: KeyPath) -> Mapping[str, Any]:
        """Return the schema of what stands at a path; an empty one where nothing may."""
        node = self._resolved(self._root)
        for step in path:
            children = [self._child(one, step) for one in self._alternatives(node)]
            node = self._resolved(next((child for child in children if child is not None), {}))
        return node

    def keys(self, path: KeyPath) -> tuple[str, ...]:
        """Return the keys that a section knows."""
        return tuple(self.at(path).get("properties", {}))

    def secret(self, path: KeyPath) -> bool:
        """Return whether a secret stands at a path."""
        return any(one.get("format") == "password" for one in self._alternatives(self.at(path)))

    def places(self, name: str) -> Iterator[KeyPath]:
        """Yield the paths of the keys of that name, in the sections that are not in lists."""
        yield from self._places(name, (), self._root)

    def allowed(self, path: KeyPath) -> str:
        """Return what may stand at a path, in words."""
        words = [_words(one) for one in self._alternatives(self.at(path)) if one.get("type") != "null"]
        return ", or ".join(dict.fromkeys(words))

    def shown(self, path: KeyPath, value: object) -> str:
        """Return what was found at a path as it may be shown: never a secret, nor what looks like one."""
        if isinstance(value, dict | list):
            return "a mapping" if isinstance(value, dict) else "a list"
        if value is None or value == "":
            return "nothing" if value is None else "an empty text"
        hidden = any(one.get("writeOnly") for one in self._alternatives(self.at(path)))
        names = variables(value) if isinstance(value, str) else ()
        if names:
            return " and ".join(f"${{{name}}}" for name in names)
        if hidden or self._structure(path):
            return "a text" if isinstance(value, str) else "a number, or true or false"
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(masked(value)) if isinstance(value, str) else masked(str(value))

    def _structure(self, path: KeyPath) -> bool:
        """Return whether a mapping or a list was expected: what stands in its place may be anything."""
        kinds = {one.get("type") for one in self._alternatives(self.at(path))}
        return not kinds - {"object", "array", "null"}

    def _places(self, name: str, path: KeyPath, node: Mapping[str, Any]) -> Iterator[KeyPath]:
        for key, child in self._resolved(node).get("properties", {}).items():
            if key == name:
                yield (*path, key)
            yield from self._places(name, (*path, key), child)

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = node.get("$ref")
        if reference is None:
            return node
        found: Mapping[str, Any] = self._root["$defs"][str(reference).rpartition("/")[2]]
        return found

    def _alternatives(self, node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [self._resolved(one) for one in node.get("anyOf", [node])]

    @staticmethod
    def _child(node: Mapping[str, Any], step: str | int) -> Mapping[str, Any] | None:
        if isinstance(step, int):
            items: Mapping[str, Any] | None = node.get("items")
            return items
        child = node.get("properties", {}).get(step, node.get("additionalProperties"))
        return child if isinstance(child, dict) else None


def masked(text: str) -> str:
    """Return a text as it may be shown: cut where it is long, and where it may be a secret, its last four."""
    text = re.sub(r"//[^/@]*@", "//…@", text)
    text = _KEY_LIKE.sub(lambda match: str(Secret(match[0])), text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def nearest(name: object, known: Iterable[str]) -> str | None:
    """Return which of the known names was probably meant, or None."""
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(str(name).lower(), lower, n=1)
    return lower[close[0]] if close else None


def listed(names: Iterable[str]) -> str:
    """Return names as they stand in a sentence: C{a, b or c}."""
    *most, last = [*names] or ["nothing"]
    return f"{', '.join(most)} or {last}" if most else last


def _words(node: Mapping[str, Any]) -> str:
    """Return what a schema without alternatives allows."""
    if "enum" in node or "const" in node:
        return listed(str(one) for one in node.get("enum", [node.get("const")]))
    match node.get("type"):
        case "boolean":
            return "true or false"
        case "integer" | "number" as kind:
            return ("a whole number" if kind == "integer" else "a number") + _bounds(node)
        case "array":
            return "a list"
        case "object" if "properties" in node:
            return f"a mapping with {listed(node['properties'])}"
        case "object":
            return "a mapping"
        case _:
            examples = node.get("examples")
            form = f" such as {examples[0]}" if examples else ""
            form = form or (f" of the form {node['pattern']}" if "pattern" in node else "")
            return "a text" + (form or (", not empty" if node.get("minLength") else ""))


def _bounds(node: Mapping[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:,.0f}".replace(",", "") if high > 1 else f" from {low:g} to {high:g}"
    return f" of {low:g} or more" if low is not None else ""
