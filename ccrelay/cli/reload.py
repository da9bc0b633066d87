"""C{ccrelay reload}: let a running relay read its configuration anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccrelay.cli.ordering import order, parser_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Let a running relay read its configuration anew, and say what is wrong with it.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    return order(options, out, err, environ, home, "reload")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    return parser_of(
        "reload", "Let a running relay read its configuration anew, and say what is wrong with it."
    )
