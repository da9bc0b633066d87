"""C{ccrelay status}: how a running relay stands, on one screen."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ccrelay.cli.asking import NoAnswerError, add_options, relay_of
from ccrelay.cli.showing import Painter, clean, count, cut, dollars, lasting, milliseconds, table, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

_NOT_READY = 1


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Say how a relay stands.

    The parameters are those of L{ccrelay.cli.main.Command.run}.

    @return: 0; 1 while no request could be served; 69 where there is no relay, 77 where it may not be asked.
    """
    options = parser().parse_args(arguments)
    try:
        status = relay_of(options, environ, home).status()
    except NoAnswerError as problem:
        err.write(f"ccrelay: {problem}\n")
        return problem.status
    if options.json:
        out.write(json.dumps(status, indent=2, ensure_ascii=False) + "\n")
    else:
        for line in report(status, Painter(out, environ)):
            out.write(f"{line}\n")
    return 0 if status["ready"] is None else _NOT_READY


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(prog="ccrelay status", description="Say how a running relay stands.")
    made.add_argument("--json", action="store_true", help="all there is to know, for programs")
    add_options(made)
    return made


def report(status: Mapping[str, Any], painter: Painter) -> Iterator[str]:
    """Yield the lines that say how a relay stands, none wider than 80 characters."""
    now, totals = status["now"], status["totals"]
    ready = status["ready"]
    yield (
        painter.paint("ready", "ready")
        if ready is None
        else painter.paint(f"not ready: {cut(ready, 66)}", "open")
    )
    yield cut(
        f"ccrelay {status['ccrelay']}, up for {lasting(now - status['started'])}, {status['source']}", 80
    )
    strategy = status["strategy"]
    changed = " (changed at run time)" if strategy["changed"] else ""
    yield f"strategy {clean(strategy['name'])}{changed}, {status['in_flight']['now']} in flight"
    cached = totals["cache_read_tokens"] + totals["cache_write_tokens"]
    share = f", {totals['cache_read_tokens'] / cached:.0%} of the cache read" if cached else ""
    yield (
        f"{count(totals['requests'])} requests, {count(totals['failed'])} failed, "
        f"{count(totals['input_tokens'] + cached)} tokens in{share}, {count(totals['output_tokens'])} out, "
        f"{dollars(totals['cost_usd'])}"
    )
    for change in status["changes"]:
        yield painter.paint(cut(f"changed, not in the file: {change}", 80), "degraded")
    yield ""
    yield from _providers(status, painter)


def _providers(status: Mapping[str, Any], painter: Painter) -> Iterator[str]:
    heads = ("provider", "stands", "keys", "in flight", "first byte", "tried", "failed", "cost")
    rows, standings = [], []
    for one in status["providers"]:
        usable = sum(key["standing"] in {"ready", "degraded"} for key in one["keys"])
        standings.append(one["standing"])
        rows.append(
            (
                cut(one["name"], 18), word(one["standing"]), f"{usable}/{len(one['keys'])}",
                count(one["in_flight"]), milliseconds(one["first_byte_ms"]), count(one["attempts"]),
                count(one["failed"]), dollars(one["cost_usd"]),
            )
        )  # fmt: skip
    head, *lines = table(heads, rows, right=(2, 3, 4, 5, 6, 7))
    yield head
    for line, row, standing in zip(lines, rows, standings, strict=True):
        yield line.replace(row[1], painter.paint(row[1], standing), 1) if painter.on else line
