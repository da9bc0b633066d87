"""C{ccrelay revert}: take back what was changed at run time."""

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
    Take back all that was changed in a running relay.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    return order(options, out, err, environ, home, "revert")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    return parser_of("revert", "Take back all that was changed in a running relay.")
