"""C{ccrelay upgrade}: let a new process of the relay take the place of the running one."""

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
    Let a new process of the relay, as it is installed now, take over; streams that run end in the old one.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    options = parser().parse_args(arguments)
    return order(options, out, err, environ, home, "upgrade")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    return parser_of(
        "upgrade",
        "Let a new process of the relay, as it is installed now, take the place of the running one. "
        "Requests that run end there; if the new one does not come to serve, the old one goes on.",
    )
