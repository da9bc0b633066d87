"""C{ccrelay providers}: those of a running relay, and which of them are used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from ccrelay.cli.ordering import asking, order, parser_of
from ccrelay.cli.showing import Painter, cut, lasting, milliseconds, table, word

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from ccrelay.cli.asking import Relay

_ACTIONS: Final = {"enable": "enable", "disable": "disable", "drain": "drain", "reset": "reset_breaker"}


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    List the providers of a running relay, or change which of them are used.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    if options.action is not None:
        if options.name is None:
            parser().error(f"say which provider to {options.action}: ccrelay providers {options.action} NAME")
        return order(options, out, err, environ, home, _ACTIONS[options.action], provider=options.name)

    def show(relay: Relay) -> int:
        status = relay.status()
        if options.json:
            out.write(json.dumps(status["providers"], indent=2, ensure_ascii=False) + "\n")
        else:
            for line in report(status, Painter(out, environ)):
                out.write(f"{line}\n")
        return 0

    return asking(options, err, environ, home, show)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = parser_of("providers", "List a running relay's providers, or change which of them are used.")
    made.add_argument("--json", action="store_true", help="for programs")
    made.add_argument(
        "action", nargs="?", choices=tuple(_ACTIONS),
        help="use it; use it no more; let no new conversation go there; close its circuits",
    )  # fmt: skip
    made.add_argument("name", nargs="?", help="of the provider")
    return made


def report(status: Mapping[str, Any], painter: Painter) -> Iterator[str]:
    """Yield the lines that list providers, none wider than 80 characters, each with its troubles."""
    now = status["now"]
    rows = [
        (
            cut(one["name"], 18), one["type"], word(one["standing"]), str(one["priority"]),
            milliseconds(one["first_byte_ms"]),
        )
        for one in status["providers"]
    ]  # fmt: skip
    heads = ("provider", "type", "stands", "priority", "first byte")
    head, *lines = table(heads, rows, right=(3, 4))
    yield head
    for line, one, row in zip(lines, status["providers"], rows, strict=True):
        yield line.replace(row[2], painter.paint(row[2], one["standing"]), 1) if painter.on else line
        for words in _more(one, now):
            yield f"    {cut(words, 76)}"


def _more(one: Mapping[str, Any], now: float) -> Iterator[str]:
    yield one["base_url"]
    circuit, probe, credential = one["circuit"], one["probe"], one["credential"]
    if circuit is not None and circuit["due"] is not None:
        yield f"circuit open, tried again in {lasting(max(circuit['due'] - now, 0.0))}"
    for model in one["models_out"]:
        yield f"circuit of {model['model']}: {word(model['state'])}"
    if probe is not None and probe["reason"]:
        yield f"probe: {probe['reason']}"
    if credential is not None and credential["problem"]:
        yield credential["problem"]
    if one["changed"]:
        yield f"changed at run time: {', '.join(one['changed'])}"
