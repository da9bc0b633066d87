"""C{ccrelay init}: a commented configuration to begin with."""

from __future__ import annotations

import argparse
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

_FAILED: Final = 1
_PRIVATE: Final = 0o600


def run(arguments: Sequence[str], out: TextIO, err: TextIO, _environ: Mapping[str, str], home: Path) -> int:
    """
    Write a configuration that can be started with as it is; never in the place of a file.

    The parameters are those of L{ccrelay.cli.main.Command.run}.

    @return: 0, or 1 if there is a file already, or it cannot be written.
    """
    usual = home / ".config/ccrelay/config.yaml"
    path: Path = parser().parse_args(arguments).path or usual
    starter = resources.files("ccrelay.config").joinpath("starter.yaml").read_bytes()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except OSError as problem:
        there = os.path.lexists(path)
        why = "is there already: edit it" if there else f"cannot be written: {problem.strerror}"
        err.write(f"ccrelay init: {path} {why}, or name another: ccrelay init PATH\n")
        return _FAILED
    with os.fdopen(descriptor, "wb") as file:
        file.write(starter)
    given = "" if path == usual else f" --config {path}"
    out.write(
        f"Wrote {path}. It serves simulated answers until a provider is named in it.\n"
        f"`ccrelay check{given}` judges it, `ccrelay serve{given}` runs it.\n"
    )
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="ccrelay init", description="Write a commented configuration to begin with; never overwrite one."
    )
    made.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help="where to (default: ~/.config/ccrelay/config.yaml)"
    )
    return made
