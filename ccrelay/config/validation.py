"""What pydantic has to say about a configuration, in the operator's words."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from ccrelay.config.model import Settings
from ccrelay.config.vocabulary import listed, nearest
from ccrelay.config.written import Problem, child, dotted, under

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic_core import ErrorDetails

    from ccrelay.config.vocabulary import Vocabulary
    from ccrelay.config.written import KeyPath, Written

_ROUNDS: Final = 100
_DEPENDENT: Final = "default_factory_not_called"
"""The kind of error that a default brings which depends on something wrong."""

_OF_KEY: Final = "[key]"
"""The last step of a path where a key of a mapping is wrong, not its value."""

_STAND_INS: Final = {"name": "unnamed", "type": "simulator", "key": "unknown"}
"""For what is compulsory and missing, so that the rest can be judged; never seen by anybody."""


@dataclass(frozen=True, slots=True)
class Judged:
    """
    A configuration after validation.

    @ivar settings: without what is wrong, and to be used only if nothing is; None if too much is.
    """

    settings: Settings | None
    problems: tuple[Problem, ...]


def judged(
    tree: dict[str, Any], written: Written, vocabulary: Vocabulary, known: Collection[KeyPath] = ()
) -> Judged:
    """
    Validate a configuration, and go on with what is right of it.

    @param tree: the values, expanded.
    @param written: the same as the operator wrote them, to be shown.
    @param known: paths of which a problem has been told already.
    """
    rest = copy.deepcopy(tree)
    told = set(known)
    problems: list[Problem] = []
    for _ in range(_ROUNDS):
        try:
            return Judged(Settings.model_validate(rest), tuple(problems))
        except ValidationError as error:
            # Its own text and traceback would show what was found, secrets too.
            errors = [one for one in error.errors(include_url=False) if one["type"] != _DEPENDENT]
        problems.extend(
            Problem(one["loc"], _told(one, written, vocabulary))
            for one in errors
            if not under(one["loc"], told)
        )
        for one in errors:
            _mend(rest, one["loc"], again=one["loc"] in told)
        told.update(one["loc"] for one in errors)
    return Judged(None, tuple(problems))


def _told(error: ErrorDetails, written: Written, vocabulary: Vocabulary) -> str:
    path, kind = written.reached(error["loc"]), error["type"]
    if kind == "extra_forbidden":
        return _unknown(path, vocabulary)
    if kind == "missing":
        return f"found nothing; allowed: {vocabulary.allowed(path)}; add it"
    own = str(error["ctx"]["error"]) if kind == "value_error" else None
    if error["loc"][-1] == _OF_KEY:
        return f"found this as a key; allowed: {own or 'a text, not empty'}"
    value = written.at(path)
    if value is None:
        value = written.at(written.former.get(path, path))
    choices = vocabulary.at(path).get("enum", ())
    near = nearest(value, choices) if isinstance(value, str) else None
    hint = f"; did you mean {near!r}?" if near else ""
    return f"found {vocabulary.shown(path, value)}; allowed: {own or vocabulary.allowed(error['loc'])}{hint}"


def _unknown(path: KeyPath, vocabulary: Vocabulary) -> str:
    """Return what to say of a key that does not exist."""
    keys = vocabulary.keys(path[:-1])
    near = nearest(path[-1], keys)
    if near:
        return f"found an unknown key; did you mean {near!r}?"
    elsewhere = next(vocabulary.places(str(path[-1])), None)
    if elsewhere:
        return f"found a key that belongs elsewhere; did you mean {dotted(elsewhere)!r}?"
    return f"found an unknown key; allowed: {listed(keys)}; remove it"


def _mend(tree: dict[str, Any], path: KeyPath, *, again: bool) -> None:
    """Take out what is wrong, or put something in its place, so that nothing else moves."""
    if path[-1] == _OF_KEY:
        path = path[:-1]
    here: Any = tree
    for step in path[:-1]:
        here = child(here, step)
    last = path[-1]
    if isinstance(here, list) and isinstance(last, int):
        here[last] = "unknown" if again else {}
    elif isinstance(here, dict):
        if last in here:
            del here[last]
        elif last in _STAND_INS:
            here[last] = _STAND_INS[str(last)]
