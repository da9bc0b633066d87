"""C{ccrelay serve}: the relay in the foreground, the way C{twistd} runs it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO


def run(
    arguments: Sequence[str],
    out: TextIO,  # noqa: ARG001  what there is to say is said in the log
    err: TextIO,  # noqa: ARG001
    environ: Mapping[str, str],  # noqa: ARG001
    home: Path,  # noqa: ARG001
) -> int:
    """Run the relay until it is told to stop; a signal ends the process as that signal would."""
    given = parser().parse_args(arguments)

    from twisted.scripts import twistd  # noqa: PLC0415  slow to load

    own = ["--config", given.config] if given.config else []
    options: Any = twistd.ServerOptions()  # type: ignore[attr-defined]
    options.parseOptions(["--nodaemon", "--pidfile=", "ccrelay", *own])
    twistd.runApp(options)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(prog="ccrelay serve", description="Run the relay in the foreground.")
    made.add_argument("-c", "--config", help="the configuration file; without it, the usual places")
    return made
