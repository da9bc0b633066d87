r"""
A scenario in a file: a YAML list of acts, one for each request, the last one for all that follow.

::

    - default                                     # the simulator's usual answer
    - says: {text: Hello, thinking: Hm, pace_ms: 20, tools: [{name: Read, input: {path: a}}]}
    - refuses: {status: 429, headers: {retry-after: 2}}
    - sends: {status: 502, content_type: text/html, body: <h1>Bad Gateway</h1>}
    - streams: {events: ["event: ping\ndata: {}\n\n", {wait_ms: 100}, reset]}    # also: hang, cut
    - stalls: {after_events: 3, seconds: 20}      # no seconds: for ever; before_head: true
    - breaks: {after_events: 3, how: cut}         # reset, cut or end
    - errs: {kind: overloaded_error, after_events: 0}
    - gzips: {says: {text: Hello}}
    - breaks: {act: {says: {text: Hello}}}        # stalls, breaks and errs may name the act they spoil
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from ccrelay.errors import ConfigError
from ccrelay.simulator.acts import Refuses, Says, Sends, Streams
from ccrelay.simulator.default import answer
from ccrelay.simulator.faults import Breaks, Errs, Gzips, Stalls
from ccrelay.simulator.messages import Tool
from ccrelay.simulator.steps import Cut, Hang, Reset, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ccrelay.simulator.acts import Act
    from ccrelay.simulator.asked import Asked
    from ccrelay.simulator.steps import Step
    from ccrelay.wire.http import Pairs

    Reader = Callable[[Any], Any]
    """Makes an act's argument of what YAML has; a C{ValueError} of it says what was expected."""


@dataclass(frozen=True, slots=True)
class Usual:
    """The simulator's usual answer as an act."""

    pace: float

    def steps(self, asked: Asked) -> Iterator[Step]:
        """Yield the steps of what answers this request without a script."""
        return answer(asked, self.pace).steps(asked)


def acts_in(text: str, path: str, pace: float = 0.0) -> tuple[Act, ...]:
    """
    Return the acts that a scenario file lists.

    @param text: the file.
    @param path: its name, for the errors.
    @param pace: seconds between two events, where the file says none.
    @raise ConfigError: with every problem, each as C{path:line: what is wrong}.
    """
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.SequenceNode) or not root.value:
            raise ConfigError((f"{path}:1: a scenario is a list of acts: begin each with a dash",))
        items = [(node.start_mark.line + 1, loader.construct_document(node)) for node in root.value]
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        what = getattr(problem, "problem", None) or problem
        raise ConfigError((f"{path}:{line}: this is not YAML: {what}",)) from problem
    acts, problems = [], []
    for line, item in items:
        try:
            acts.append(_act(item, pace))
        except ValueError as problem:
            problems.append(f"{path}:{line}: {problem}")
    if problems:
        raise ConfigError(tuple(problems))
    return tuple(acts)


def _act(item: object, pace: float) -> Act:
    if item == "default":
        return Usual(pace)
    name, given = next(iter(item.items())) if isinstance(item, dict) and len(item) == 1 else (item, {})
    if name == "gzips":
        return Gzips(_act(given, pace))
    if not isinstance(name, str) or name not in _ACTS:
        raise ValueError(_unknown("an act", name, ["default", "gzips", *_ACTS]))
    made, fields = _ACTS[name]
    if not isinstance(given, dict):
        msg = f"{name}: its arguments were expected: {', '.join(fields)}"
        raise ValueError(msg)  # noqa: TRY004  one kind of error for all that is wrong with a file
    arguments: dict[str, Any] = {"pace": pace} if "pace_ms" in fields else {}
    for key, value in given.items():
        if key == "act" and "after_events" in fields:
            arguments[key] = _act(value, pace)
        elif key not in fields:
            raise ValueError(_unknown(f"an argument of {name}", key, [*fields]))
        else:
            try:
                arguments[key.removesuffix("_ms")] = fields[key](value)
            except ValueError as problem:
                msg = f"{name}.{key}: {problem}, not {value!r}"
                raise ValueError(msg) from problem
    for part in dataclasses.fields(made):
        if part.name not in arguments and part.default is MISSING and part.default_factory is MISSING:
            msg = f"{name}: {part.name} is missing"
            raise ValueError(msg)
    act: Act = made(**arguments)
    return act


def _unknown(what: str, name: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"{name!r} is not {what}: {hint}"


def _kind(expected: str, *types: type) -> Reader:
    def read(value: object) -> Any:  # noqa: ANN401  what JSON has
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(expected + " was expected")
        return value

    return read


_text: Final = _kind("a text", str)
_flag: Final = _kind("true or false", bool)
_count: Final = _kind("a whole number", int)
_number: Final = _kind("a number", int, float)
_list: Final = _kind("a list", list)
_mapping: Final = _kind("a mapping", dict)


def _seconds(value: object) -> float:
    return float(_number(value)) / 1000


def _bytes(value: object) -> bytes:
    return str(_text(value)).encode("utf-8")


def _headers(value: object) -> Pairs:
    pairs = _mapping(value).items()
    return tuple((str(name).lower().encode("latin-1"), str(one).encode("latin-1")) for name, one in pairs)


def _tools(value: object) -> tuple[Tool, ...]:
    return tuple(
        Tool(_text(_mapping(tool).get("name")), _mapping(tool.get("input", {}))) for tool in _list(value)
    )


def _events(value: object) -> tuple[bytes | Step, ...]:
    steps: Mapping[str, Step] = {"hang": Hang(), "reset": Reset(), "cut": Cut()}
    return tuple(
        Wait(_seconds(one.get("wait_ms"))) if isinstance(one, dict) else steps.get(str(one)) or _bytes(one)
        for one in _list(value)
    )


def _how(value: object) -> str:
    if value not in {"reset", "cut", "end"}:
        msg = "reset, cut or end was expected"
        raise ValueError(msg)
    return str(value)


def _or_none(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


_ACTS: Final[Mapping[str, tuple[type[Any], Mapping[str, Reader]]]] = {
    "says": (
        Says,
        {
            "text": _text,
            "thinking": _text,
            "tools": _tools,
            "pace_ms": _seconds,
            "pieces": _count,
            "usage": _mapping,
            "stop_reason": _text,
            "headers": _headers,
        },
    ),
    "refuses": (
        Refuses,
        {
            "status": _count,
            "message": _text,
            "kind": _text,
            "headers": _headers,
            "body": _bytes,
            "content_type": _text,
        },
    ),
    "sends": (Sends, {"body": _bytes, "content_type": _text, "status": _count, "headers": _headers}),
    "streams": (
        Streams,
        {
            "events": _events,
            "content_type": _text,
            "status": _count,
            "headers": _headers,
            "pace_ms": _seconds,
        },
    ),
    "stalls": (Stalls, {"before_head": _flag, "after_events": _count, "seconds": _number}),
    "breaks": (Breaks, {"after_events": _or_none(_count), "how": _how}),
    "errs": (Errs, {"kind": _text, "message": _text, "after_events": _count}),
}
"""Each act by its name, and how its arguments are read."""
