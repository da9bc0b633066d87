"""C{ccrelay schema}: the JSON Schema of the configuration, for editors."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ccrelay.config.schema import json_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO


def run(arguments: Sequence[str], out: TextIO, _err: TextIO, _environ: Mapping[str, str], _home: Path) -> int:
    """
    Print the schema as JSON.

    The parameters and the result are those of L{ccrelay.cli.main.Command.run}.
    """
    parser().parse_args(arguments)
    json.dump(json_schema(), out, indent=2, ensure_ascii=False)
    out.write("\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    return argparse.ArgumentParser(
        prog="ccrelay schema", description="Print the JSON Schema of the configuration, for editors."
    )
