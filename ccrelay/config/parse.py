"""From the text of a configuration to what was written in it: YAML with lines, or TOML."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final, NoReturn

import yaml

from ccrelay.config.written import KeyPath, Written, dotted
from ccrelay.errors import ConfigError

_VALUES: Final = 50_000
"""More than any configuration has: whoever has more lets aliases multiply."""

_YAML: Final = "tag:yaml.org,2002:"


def parsed(text: str, file: str) -> Written:
    """
    Return what stands in a file: TOML if its name ends so, or else YAML.

    @raise ConfigError: if it is neither, or has a key twice.
    """
    return _toml(text, file) if file.endswith(".toml") else _yaml(text, file)


def _toml(text: str, file: str) -> Written:
    try:
        return Written(file, tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError((f"{file}: this is not TOML: {problem}",)) from None


def _yaml(text: str, file: str) -> Written:
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        nodes = _Nodes(loader, file)
        tree = nodes.value(node, ()) if node is not None else {}
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = file if mark is None else f"{file}:{mark.line + 1}"
        what = getattr(problem, "problem", None) or getattr(problem, "reason", None) or "it cannot be read"
        raise ConfigError((f"{where}: this is not YAML: {what}",)) from None
    except RecursionError:
        raise ConfigError((f"{file}: this is nested too deeply",)) from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        nodes.problems.append(f"{file}:1: found no mapping; allowed: sections such as providers:")
    if nodes.problems:
        raise ConfigError(tuple(nodes.problems))
    return Written(file, tree, nodes.lines)


def _core_schema() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return what plain scalars mean, by their first character."""
    meanings: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for kind, pattern, characters in (
        ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789"),
        ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("merge", r"<<", "<"),
    ):
        for character in characters:
            meanings.setdefault(character, []).append((_YAML + kind, re.compile(f"(?:{pattern})$")))
    return meanings


class _Loader(yaml.SafeLoader):
    """Reads scalars by YAML 1.2's core schema: C{on}, C{1:30}, C{010} and C{2026-01-01} are texts."""

    yaml_implicit_resolvers = _core_schema()


class _Nodes:
    """
    Makes values of YAML's nodes, and remembers their lines.

    @ivar problems: keys that come twice, a line of text each.
    """

    def __init__(self, loader: _Loader, file: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[str] = []
        self._loader = loader
        self._file = file
        self._above: list[yaml.Node] = []
        self._flat: set[int] = set()

    def value(self, node: yaml.Node, path: KeyPath) -> Any:  # noqa: ANN401  whatever was written
        """
        Return the value of a node; keys that come twice are added to the problems.

        @raise yaml.YAMLError: if it has none.
        """
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(self.lines) > _VALUES:
            _refuse("there are too many values", node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._refuse_circle(node)
        self._above.append(node)
        made = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        self._above.pop()
        return made

    def _scalar(self, node: yaml.ScalarNode) -> object:
        if node.tag.removeprefix(_YAML) not in {"null", "bool", "int", "float", "str", "merge"}:
            _refuse(f"the tag {node.tag} is unknown here", node)
        try:
            return self._loader.construct_object(node)
        except (ValueError, KeyError):
            _refuse(f"this is no {node.tag.removeprefix(_YAML)}", node)

    def _list(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        if node.tag != f"{_YAML}seq":
            _refuse(f"the tag {node.tag} is unknown here", node)
        return [self.value(item, (*path, place)) for place, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        if node.tag != f"{_YAML}map":
            _refuse(f"the tag {node.tag} is unknown here", node)
        if id(node) not in self._flat:
            self._flat.add(id(node))
            self._judge_keys(node, path)
            self._loader.flatten_mapping(node)
        made = {}
        for key, value in node.value:
            self.lines[(*path, key.value)] = key.start_mark.line + 1
            made[key.value] = self.value(value, (*path, key.value))
        return made

    def _judge_keys(self, node: yaml.MappingNode, path: KeyPath) -> None:
        """Refuse keys that are no texts, that come twice, or that merge what stands above them."""
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                _refuse("a key must be a text", key)
            if key.tag == f"{_YAML}merge":
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self._refuse_circle(merged)
            elif key.value in first:
                where = f"{self._file}:{line}: {dotted((*path, key.value))}"
                self.problems.append(f"{where}: found already in line {first[key.value]}; keep one of them")
            else:
                first[key.value] = line

    def _refuse_circle(self, node: yaml.Node) -> None:
        if any(node is other for other in self._above):
            _refuse("an alias repeats what it stands in", node)


def _refuse(what: str, node: yaml.Node) -> NoReturn:
    """
    Say what is wrong with a node.

    @raise yaml.YAMLError: always.
    """
    raise yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark) from None
