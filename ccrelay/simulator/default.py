"""
The simulator's own behaviour: an answer that fits the request and says that nobody thought about it.

A tool is used where one is offered, the last word is not a tool's result, and the text says so:
C{use the tool}, C{use the tools} for several at once, or C{use} and a tool's name; or where C{tool_choice}
demands one.
Thinking comes where C{thinking} is C{enabled} or C{adaptive}.
A model of one of these names brings its fault with it (L{FAULTS}), any other name is as good as another.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ccrelay.simulator.acts import SIMULATED, Refuses, Says
from ccrelay.simulator.faults import Breaks, Errs, Stalls
from ccrelay.simulator.messages import Tool
from ccrelay.simulator.schema import fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccrelay.simulator.acts import Act
    from ccrelay.simulator.asked import Asked

MODEL: Final = "ccrelay-simulator"

SLOW: Final = 25  # times the pace
_SLOWEST_USUAL: Final = 0.02  # seconds an event, where the pace is less
_ECHOED: Final = 80  # characters
_PARALLEL: Final = 3  # calls at once
_CHARACTERS_PER_TOKEN: Final = 4

_WANTED: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "model": ("a valid string", lambda value: isinstance(value, str) and value != ""),
    "messages": ("a non-empty list", lambda value: isinstance(value, list) and value != []),
    "max_tokens": (
        "a valid integer greater than 0",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
    ),
}

_USE: Final = re.compile(r"\buse (?:the |your |all |both |these |some )*(tools?)\b", re.IGNORECASE)


def slowly(answer: Says) -> Says:
    """Return an answer that takes L{SLOW} times as long, at least half a second an event."""
    return replace(answer, pace=SLOW * max(answer.pace, _SLOWEST_USUAL))


FAULTS: Final[Mapping[str, Callable[[Says], Act]]] = {
    "simulate-529": lambda _: Refuses(529),
    "simulate-429": lambda _: Refuses(429, headers=((b"retry-after", b"2"),)),
    "simulate-500": lambda _: Refuses(500),
    "simulate-stall": lambda answer: Stalls(after_events=5, act=answer),
    "simulate-break": lambda answer: Breaks(after_events=5, how="reset", act=answer),
    "simulate-hang": lambda answer: Stalls(before_head=True, act=answer),
    "simulate-error-event": lambda answer: Errs(after_events=5, act=answer),
    "simulate-clean-end": lambda answer: Breaks(after_events=5, how="end", act=answer),
    "simulate-slow": slowly,
}
"""
What goes wrong with an answer, by the model asked for: overloaded, limited for two seconds, an internal
error; silence inside the answer, a reset inside it, silence ahead of it, an C{error} event inside it, its end
before its time without a word; an answer in slow motion.
"""


def answer(asked: Asked, pace: float = 0.0) -> Act:
    """
    Return how a request to C{/v1/messages} is answered.

    @param pace: seconds between two events.
    """
    wrong = complaint(asked)
    if wrong is not None:
        return wrong
    says = reply(asked.json, pace)
    fault = FAULTS.get(asked.model)
    return says if fault is None else fault(says)


def complaint(asked: Asked, needs: tuple[str, ...] = ("model", "messages", "max_tokens")) -> Refuses | None:
    """
    Return the 400 for a request that is not a valid one, as Anthropic words it; None for a valid one.

    @param needs: the fields that must be there.
    """
    body = asked.json
    if asked.header("anthropic-version") is None:
        return Refuses(400, "anthropic-version: header is required")
    if not isinstance(body, dict):
        return Refuses(400, "The request body is not valid JSON: an object was expected")
    for field in needs:
        what, fits = _WANTED[field]
        if field not in body:
            return Refuses(400, f"{field}: Field required")
        if not fits(body[field]):
            return Refuses(400, f"{field}: Input should be {what}")
    return None


def reply(body: Mapping[str, Any], pace: float) -> Says:
    """Return the answer to a valid request: text, thinking and calls of tools as it asks for them."""
    said, result = last_word(body["messages"])
    tools = () if result is not None else calls(body, said)
    count = len(body["messages"])
    if result is not None:
        text = f"The tool has answered: {_echo(result)}"
    else:
        text = f"This is the ccrelay simulator, not a model. You said: {_echo(said)}"
    text = f"{SIMULATED}{text} (model {body['model']}, {count} message{'s' * (count != 1)})"
    if tools:
        text = f"{SIMULATED}The simulator calls {', '.join(tool.name for tool in tools)}."
    room = body["max_tokens"] * _CHARACTERS_PER_TOKEN
    full = len(text) > room
    return Says(
        text[:room],
        thinking=thinking(body, said),
        tools=() if full else tools,
        pace=pace,
        stop_reason="max_tokens" if full else None,
    )


def thinking(body: Mapping[str, Any], said: str) -> str | None:
    """Return the thinking that was asked for: none, some, or an empty text where it is not to be shown."""
    asked = body.get("thinking")
    if not isinstance(asked, dict) or asked.get("type") not in {"enabled", "adaptive"}:
        return None
    if asked.get("display") == "omitted":
        return ""
    return f"{SIMULATED}Nobody thinks here. The words were: {_echo(said)}"


def last_word(messages: list[Any]) -> tuple[str, str | None]:
    """
    Return the text of the user's last message, and what a tool answered in it.

    @return: the last block of text; the text of the last tool result, or None where there is none.
    """
    users = (one for one in reversed(messages) if isinstance(one, dict) and one.get("role") == "user")
    content = next(users, {}).get("content", "")
    said, result = "", None
    for block in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text":
            said = str(block.get("text", ""))
        elif kind == "tool_result":
            inner = block.get("content", "")
            result = inner if isinstance(inner, str) else last_word([{"role": "user", "content": inner}])[0]
    return said, result


def calls(body: Mapping[str, Any], said: str) -> tuple[Tool, ...]:
    """Return the calls of tools that the text or C{tool_choice} asks for."""
    tools = body.get("tools")
    offered = [
        tool
        for tool in (tools if isinstance(tools, list) else [])
        if isinstance(tool, dict)
        and isinstance(tool.get("name"), str)
        and "input_schema" in tool
        and not tool.get("defer_loading")
    ]
    choice = body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    used = _used(offered, choice, said)
    if choice.get("disable_parallel_tool_use"):
        used = used[:1]
    return tuple(Tool(tool["name"], _input(tool["input_schema"])) for tool in used)


def _used(offered: list[dict[str, Any]], choice: Mapping[str, Any], said: str) -> list[dict[str, Any]]:
    named = [
        tool for tool in offered if re.search(rf"\buse\b.*\b{re.escape(tool['name'])}\b", said, re.DOTALL)
    ]
    kind = choice.get("type")
    if kind == "none":
        return []
    if kind == "tool":
        return [tool for tool in offered if tool["name"] == choice.get("name")][:1]
    if named:
        return named[:_PARALLEL]
    plain = _USE.search(said)
    if plain is not None:
        return offered[: _PARALLEL if plain.group(1).lower() == "tools" else 1]
    return offered[:1] if kind == "any" else []


def _input(schema: object) -> dict[str, Any]:
    made = fitting(schema)
    return made if isinstance(made, dict) else {}


def _echo(text: str) -> str:
    words = " ".join(text.split())
    return f"“{words[:_ECHOED]}…”" if len(words) > _ECHOED else f"“{words}”"
