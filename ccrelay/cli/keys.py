"""C{ccrelay keys}: the keys of a running relay, what they have used, and what is held against them."""

from __future__ import annotations

import getpass
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from ccrelay.cli.ordering import asking, order, parser_of
from ccrelay.cli.showing import Painter, bar, count, cut, lasting, table, word

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from ccrelay.cli.asking import Relay

_LIMITS: Final = ("rpm", "itpm", "otpm", "tpm")
_KINDS: Final = {
    "requests": "requests",
    "input-tokens": "input",
    "output-tokens": "output",
    "tokens": "tokens",
}


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    List the keys of a running relay, add one, use one no more, or forget what is held against one.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    action, *rest = options.what or ("",)
    if action == "add" and len(rest) == 1:
        return _add(options, rest[0], out, err, environ, home)
    if action in {"remove", "reset"} and len(rest) == 2:  # noqa: PLR2004  provider and name
        provider, name = rest
        return order(options, out, err, environ, home, f"{action}_key", provider=provider, name=name)
    if action in {"add", "remove", "reset"} or rest:
        parser().error("ccrelay keys [PROVIDER] | add PROVIDER | remove PROVIDER NAME | reset PROVIDER NAME")

    def show(relay: Relay) -> int:
        status = relay.status()
        known = [one["name"] for one in status["providers"]]
        if action and action not in known:
            err.write(f"ccrelay: there is no provider {action!r}; there are: {', '.join(known) or 'none'}\n")
            return 1
        chosen = [one for one in status["providers"] if action in {"", one["name"]}]
        if options.json:
            out.write(
                json.dumps({one["name"]: one["keys"] for one in chosen}, indent=2, ensure_ascii=False) + "\n"
            )
        else:
            for line in report(chosen, status["now"], Painter(out, environ)):
                out.write(f"{line}\n")
        return 0

    return asking(options, err, environ, home, show)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = parser_of("keys", "List a running relay's keys, or change them; secrets are never shown.")
    made.add_argument("--json", action="store_true", help="for programs")
    made.add_argument(
        "what", nargs="*", metavar="[PROVIDER] | add PROVIDER | remove PROVIDER NAME | reset PROVIDER NAME"
    )
    made.add_argument("--name", help="what an added key is called; without it, …last4")
    for limit in _LIMITS:
        made.add_argument(
            f"--{limit}", type=int, default=0, metavar="N", help=f"{limit}_limit of an added key"
        )
    return made


def _add(
    options: argparse.Namespace,
    provider: str,
    out: TextIO,
    err: TextIO,
    environ: Mapping[str, str],
    home: Path,
) -> int:
    # Arguments are for all to see, and stay in a shell's history.
    secret = getpass.getpass("Key: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not secret.strip():
        err.write("ccrelay: no key came; write it on standard input\n")
        return 2
    asked: dict[str, str | int] = {f"{limit}_limit": getattr(options, limit) for limit in _LIMITS}
    if options.name:
        asked["name"] = options.name
    return order(options, out, err, environ, home, "add_key", provider=provider, key=secret.strip(), **asked)


def report(providers: Sequence[Mapping[str, Any]], now: float, painter: Painter) -> Iterator[str]:
    """Yield the lines that list keys, none wider than 80 characters."""
    rows, standings = [], []
    for one in providers:
        for key in one["keys"]:
            standing = word(key["standing"])
            if key["until"] is not None:
                standing += f" {lasting(max(key['until'] - now, 0.0))}"
            for place, usage in enumerate(key["usage"]):
                used = f"{count(usage['used'])}/{count(usage['limit']) if usage['limit'] else '-'}"
                names = (cut(one["name"], 14), cut(key["name"], 14), standing) if not place else ("", "", "")
                rows.append((*names, _KINDS[usage["kind"]], bar(usage["used"], usage["limit"]), used))
                standings.append(key["standing"])
    head, *lines = table(("provider", "key", "stands", "of a minute", "", "used"), rows, right=(5,))
    yield head
    for line, row, standing in zip(lines, rows, standings, strict=True):
        yield line.replace(row[2], painter.paint(row[2], standing), 1) if painter.on and row[2] else line
