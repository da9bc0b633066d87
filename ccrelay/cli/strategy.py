"""C{ccrelay strategy}: how a running relay chooses among its providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrelay.cli.ordering import asking, order, parser_of
from ccrelay.cli.showing import clean

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

    from ccrelay.cli.asking import Relay


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Show the strategy of a running relay and those there are, or choose another.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    if options.name is not None:
        return order(options, out, err, environ, home, "strategy", strategy=options.name)

    def show(relay: Relay) -> int:
        strategy = relay.status()["strategy"]
        for name in strategy["choices"]:
            out.write(f"{'*' if name == strategy['name'] else ' '} {clean(name)}\n")
        return 0

    return asking(options, err, environ, home, show)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = parser_of(
        "strategy", "Show how a running relay chooses among its providers, or choose another way."
    )
    made.add_argument("name", nargs="?", help="of the strategy to use from now on")
    return made
