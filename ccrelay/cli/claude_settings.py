"""
What a relay puts into the text of Claude Code's C{settings.json}, and takes out of it again.

Claude Code puts the members of C{env} in that file into its own environment
(https://docs.anthropic.com/en/docs/claude-code/settings).  What stood there
before is kept in a L{Memory}, as it was written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ccrelay.cli import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_URL: Final = "ANTHROPIC_BASE_URL"
TOKEN: Final = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105  a variable's name

_ENV: Final = ("env",)
_EMPTY: Final = "{}\n"


class Unusable(Exception):
    """A file that cannot be worked with as it is; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Put:
    """
    One variable that was put there.

    @ivar digest: SHA-256 of the literal that was put, in hex: enough to know it again.
    @ivar replaced: the literal that stood there before, or None.
    """

    digest: str
    replaced: str | None


@dataclass(frozen=True, slots=True)
class Memory:
    """
    What setting up did, so that it can be undone.

    @ivar made_file: there was no file before.
    @ivar made_env: there was no C{env} in it before.
    @ivar variables: what was put, by the variable's name.
    """

    made_file: bool = False
    made_env: bool = False
    variables: Mapping[str, Put] = field(default_factory=dict)

    def knows(self, name: str, literal: str | None) -> bool:
        """Return whether a variable's literal is the one that was put there."""
        put = self.variables.get(name)
        return put is not None and literal is not None and put.digest == _digest(literal)

    def to_json(self) -> str:
        """Return it as the text of a file."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Memory:
        """
        Return what L{to_json} wrote down.

        @raise Unusable: if it is something else.
        """
        try:
            members = json.loads(text)
            variables = {name: Put(**put) for name, put in members.pop("variables").items()}
            return cls(variables=variables, **members)
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            msg = "not what ccrelay wrote there"
            raise Unusable(msg) from problem


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one variable: literals, or None where there is nothing."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Edit:
    """
    The outcome of a setup or a removal.

    @ivar text: the new text; None if the file is to go, since it was not there before.
    @ivar memory: what there is to undo now.
    @ivar changes: what is different.
    @ivar foreign: variables that were changed by somebody else since, and so were left alone.
    """

    text: str | None
    memory: Memory
    changes: tuple[Change, ...] = ()
    foreign: tuple[str, ...] = ()


def checked(text: str) -> str:
    """
    Return the text if it is settings that one can work with; of nothing but space, empty settings.

    @raise Unusable: if it is not JSON (with line and column), not an object, or its C{env} is not one.
    """
    if not text.strip():
        return _EMPTY
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as problem:
        msg = f"{problem.lineno}:{problem.colno}: {problem.msg}"
        raise Unusable(msg) from problem
    if not isinstance(settings, dict):
        msg = "it holds no JSON object"
        raise Unusable(msg)
    if not isinstance(settings.get("env", {}), dict):
        msg = "its `env` is no object"
        raise Unusable(msg)
    return text


def variables(text: str) -> dict[str, object]:
    """Return the variables in the C{env} of a L{checked} text."""
    return dict(json.loads(text).get("env", {}))


def set_up(text: str | None, memory: Memory, wanted: Mapping[str, str]) -> Edit:
    """
    Put variables into the settings.

    @param text: a L{checked} text; None if there is no file.
    @param memory: what an earlier setup did.
    @param wanted: the variables' values.
    """
    if text is None:
        text, memory = _EMPTY, Memory(made_file=True)
    if json_text.literal(text, _ENV) is None:
        text, memory = json_text.put(text, _ENV, "{}"), replace(memory, made_env=True)
    put = dict(memory.variables)
    changes = []
    for name, value in wanted.items():
        path, after = (*_ENV, name), json.dumps(value)
        before = json_text.literal(text, path)
        if before == after:
            continue
        replaced = put[name].replaced if memory.knows(name, before) else before
        put[name] = Put(_digest(after), replaced)
        text = json_text.put(text, path, after)
        changes.append(Change(name, before, after))
    return Edit(text, replace(memory, variables=put), tuple(changes))


def take_out(text: str, memory: Memory) -> Edit:
    """
    Take out what was put, and put back what stood there before.

    @param text: a L{checked} text.
    """
    changes, foreign = [], []
    for name, put in memory.variables.items():
        path = (*_ENV, name)
        before = json_text.literal(text, path) if json_text.literal(text, _ENV) else None
        if before is None:
            continue
        if not memory.knows(name, before):
            foreign.append(name)
            continue
        text = json_text.drop(text, path) if put.replaced is None else json_text.put(text, path, put.replaced)
        changes.append(Change(name, before, put.replaced))
    if memory.made_env and json.loads(text).get("env") == {}:
        text = json_text.drop(text, _ENV)
    gone = memory.made_file and json.loads(text) == {}
    return Edit(None if gone else text, Memory(), tuple(changes), tuple(foreign))


def _digest(literal: str) -> str:
    """Return by what a literal is known again."""
    return hashlib.sha256(literal.encode("utf-8", "surrogatepass")).hexdigest()
