"""What the commands that change a running relay have in common."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ccrelay.cli.asking import NoAnswerError, add_options, relay_of
from ccrelay.cli.showing import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TextIO

    from ccrelay.cli.asking import Relay


def parser_of(name: str, description: str) -> argparse.ArgumentParser:
    """Return the parser of a command's arguments, with those that say which relay is meant."""
    parser = argparse.ArgumentParser(prog=f"ccrelay {name}", description=description)
    add_options(parser)
    return parser


def order(
    options: argparse.Namespace,
    out: TextIO,
    err: TextIO,
    environ: Mapping[str, str],
    home: Path,
    action: str,
    **asked: str | int,
) -> int:
    """Give an order to the relay that is meant, say what it has done, and return the exit status."""

    def give(relay: Relay) -> int:
        out.write(f"{clean(relay.order(action, **asked).get('done', 'done'))}\n")
        return 0

    return asking(options, err, environ, home, give)


def asking(
    options: argparse.Namespace,
    err: TextIO,
    environ: Mapping[str, str],
    home: Path,
    ask: Callable[[Relay], int],
) -> int:
    """Return the exit status of what is done with the relay that is meant; say so where it cannot be."""
    try:
        return ask(relay_of(options, environ, home))
    except NoAnswerError as problem:
        err.write(f"ccrelay: {clean(problem)}\n")
        return problem.status
