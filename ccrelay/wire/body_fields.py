"""Fields of a request body by their paths, and how to take them out of the client's bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from ccrelay.errors import Malformed
from ccrelay.wire.edits import edited, elements, members, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ccrelay.wire.edits import Edit, Part

Tree: TypeAlias = "dict[str, Tree]"
"""Paths by their steps; a step with nothing below it is where a path ends."""


class _Typed(msgspec.Struct):
    type: str = ""


_TYPED: Final = msgspec.json.Decoder(_Typed)


@lru_cache(maxsize=256)
def tree_of(paths: tuple[str, ...]) -> Tree:
    """
    Return paths as a tree.

    A path is keys joined by dots: C{output_config.effort}.  C{[]} behind a key
    are the elements of an array, C{[compact_]} those whose C{type} begins so,
    and a key with a C{?} is passed over where the object has no such key.
    """
    tree: Tree = {}
    for steps in sorted((path.replace("[", ".[").split(".") for path in paths), key=len):
        at = tree
        for step in steps:
            if at.get(step) == {}:
                break  # the whole of it goes
            at = at.setdefault(step, {})
    return tree


def without_fields(body: bytes, paths: Iterable[str]) -> tuple[bytes, tuple[str, ...]]:
    """
    Return the body without the fields at C{paths}, and the paths that were there.

    An object or array that has nothing left goes, too.  Every other byte stays.

    @raise Malformed: if the body is no JSON object, or a key of it stands twice.
    """
    wanted = tuple(paths)
    if not wanted:
        return body, ()
    taking = _Taking(body)
    edits = taking.object(tree_of(wanted), 0, len(body), "") or ()
    return edited(body, edits), tuple(dict.fromkeys(taking.taken))


class _Taking:
    """One walk through a body; C{None} for edits means that nothing would be left."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.taken: list[str] = []

    def object(self, tree: Tree, start: int, end: int, path: str) -> list[Edit] | None:
        """Return the edits that take fields out of an object."""
        parts = members(self._body, start, end)
        tree = _passing(tree, {part.key for part in parts})
        edits: list[Edit] = []
        gone: set[int] = set()
        for index, part in enumerate(parts):
            below = tree.get(part.key)
            if below is None:
                continue
            here = f"{path}.{part.key}" if path else part.key
            inner = self._value(below, part, here)
            if inner is None:
                gone.add(index)
            else:
                edits += inner
        if gone and len(gone) == len(parts) and path:
            return None
        return edits + without(parts, gone)

    def _value(self, tree: Tree, part: Part, path: str) -> list[Edit] | None:
        if not tree:
            self.taken.append(path)
            return None
        if not any(self._body.find(name, part.start, part.end) >= 0 for name in _names(tree)):
            return []
        opening = self._body[part.start : part.start + 1]
        try:
            if opening == b"{":
                return self.object(tree, part.start, part.end, path)
            if opening == b"[":
                return self._array(tree, part, path)
        except Malformed:
            pass  # what stands twice in there is the provider's to judge
        return []

    def _array(self, tree: Tree, array: Part, path: str) -> list[Edit] | None:
        parts = elements(self._body, array.start, array.end)
        edits: list[Edit] = []
        gone: set[int] = set()
        kinds = tuple(step[1:-1] for step in tree if step != "[]")
        below = tree.get("[]")
        for index, part in enumerate(parts):
            kind = self._type(part) if kinds else ""
            chosen = next((each for each in kinds if kind.startswith(each)), None)
            if chosen is not None:
                self.taken.append(f"{path}[{chosen}]")
                gone.add(index)
            elif below:
                # An element with nothing left stays, as the others are counted by their places.
                inner = self._value(below, part, f"{path}[]")
                edits += [(part.start, part.end, b"{}")] if inner is None else inner
        if gone and len(gone) == len(parts):
            return None
        return edits + without(parts, gone)

    def _type(self, part: Part) -> str:
        try:
            return _TYPED.decode(memoryview(self._body)[part.start : part.end]).type
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""


def _passing(tree: Tree, keys: set[str]) -> Tree:
    """Return the tree for an object with these keys: optional steps are keys, or passed over."""
    if not any(step.startswith("?") for step in tree):
        return tree
    chosen: Tree = {}
    for step, below in tree.items():
        name = step.removeprefix("?")
        if name == step or name in keys:
            chosen.setdefault(name, below)
        else:
            for inner, further in _passing(below, keys).items():
                chosen.setdefault(inner, further)
    return chosen


def _names(tree: Tree) -> Iterator[bytes]:
    """Yield what must occur in the text of a value that has any of the fields."""
    for step, below in tree.items():
        if below:
            yield from _names(below)
        else:
            yield f'"{step[1:-1]}'.encode() if step[0] == "[" else f'"{step}"'.encode()
