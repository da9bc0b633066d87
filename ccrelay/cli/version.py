"""C{ccrelay version}: which ccrelay this is, and which libraries it runs on."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Final

from ccrelay._version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

_LIBRARIES: Final = ("Twisted", "treq", "klein", "pyOpenSSL", "cryptography", "pydantic", "msgspec", "PyYAML")


def run(arguments: Sequence[str], out: TextIO, _err: TextIO, _environ: Mapping[str, str], _home: Path) -> int:
    """
    Print the version on the first line, and on the second what a report of a bug should tell as well.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    parser().parse_args(arguments)
    out.write(f"ccrelay {__version__}\n")
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    out.write(f"{platform.python_implementation()} {platform.python_version()}, {libraries}\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    description = "Print the version, and what it runs on."
    return argparse.ArgumentParser(prog="ccrelay version", description=description)
