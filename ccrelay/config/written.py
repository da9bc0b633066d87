"""A configuration file as it was written: its values, and the line of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of mappings, and places in lists, counted from 0."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a configuration from being used: where, and what to do about it."""

    path: KeyPath
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """
    What the operator wrote.

    @ivar file: the name of the file, or of another source.
    @ivar tree: the values; texts are not expanded.
    @ivar lines: the line of each value, counted from 1; empty where the format tells none.
    @ivar former: for what stands elsewhere in C{tree} than in the file: the path in the file.
    """

    file: str
    tree: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    former: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def at(self, path: KeyPath) -> Any:  # noqa: ANN401  whatever stands there
        """Return the value at a path, or None."""
        here: Any = self.tree
        for step in path:
            here = child(here, step)
        return here

    def reached(self, path: KeyPath) -> KeyPath:
        """Return a path as far as it leads here: what may be a list may be its one item."""
        for length in range(1, len(path)):
            if not isinstance(self.at(path[:length]), dict | list | None):
                return path[:length]
        return path

    def told(self, problem: Problem) -> str:
        """Return a problem in one line: the file, the line, the path in the file, and what is wrong."""
        path, line = self._in_file(self.reached(problem.path)), self.line(problem.path)
        where = self.file if line is None else f"{self.file}:{line}"
        return f"{where}: {dotted(path)}: {problem.text}" if path else f"{where}: {problem.text}"

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a value, or of what it would stand in; None where lines are not known."""
        there = self._in_file(self.reached(path))
        lines = (self.lines.get(there[:length]) for length in range(len(there), -1, -1))
        return next((line for line in lines if line is not None), None)

    def _in_file(self, path: KeyPath) -> KeyPath:
        """Return a path as the operator would write it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.former:
                return self.former[path[:length]] + path[length:]
        return path


def child(here: object, step: str | int) -> Any:  # noqa: ANN401  whatever stands there
    """Return what stands one step on; None if nothing does."""
    if isinstance(here, dict):
        return here.get(step)
    if isinstance(here, list) and isinstance(step, int) and step < len(here):
        return here[step]
    return None


def dotted(path: KeyPath) -> str:
    """Return a path as text of one line, C{providers[0].name}; of what looks like a secret, a trace."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_shown(step)}" for step in path)[1:]


def _shown(step: str) -> str:
    if step.startswith("sk-"):
        return str(Secret(step))
    return step if step.isprintable() else repr(step)


def under(path: KeyPath, paths: Collection[KeyPath]) -> bool:
    """Return whether a path is one of some, or leads on from one."""
    return any(path[:length] in paths for length in range(len(path) + 1))


def leaves(tree: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each value that is neither a mapping nor a list, or is an empty one, with its path."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list) and tree:
        for place, value in enumerate(tree):
            yield from leaves(value, (*path, place))
    else:
        yield path, tree
