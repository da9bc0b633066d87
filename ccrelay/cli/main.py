"""The command C{ccrelay}: finds the module of the command that was named, and runs it."""

from __future__ import annotations

import difflib
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from typing import TextIO

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("ccrelay.cli.serve", "run the relay in the foreground"),
    "check": ("ccrelay.cli.check", "say every problem of a configuration file"),
    "init": ("ccrelay.cli.init", "write a commented configuration to begin with"),
    "claude": ("ccrelay.cli.claude", "point Claude Code to the relay, or back"),
    "status": ("ccrelay.cli.status", "say how a running relay stands"),
    "top": ("ccrelay.cli.top", "show that as it changes, and act"),
    "providers": ("ccrelay.cli.providers", "list a running relay's providers, or use them or not"),
    "keys": ("ccrelay.cli.keys", "list its keys and limits; add, remove or reset one"),
    "strategy": ("ccrelay.cli.strategy", "show how it chooses among providers, or choose another way"),
    "reload": ("ccrelay.cli.reload", "let it read its configuration anew"),
    "upgrade": ("ccrelay.cli.upgrade", "let a new process take over, without losing a request"),
    "revert": ("ccrelay.cli.revert", "take back what was changed at run time"),
    "route": ("ccrelay.cli.route", "explain where a request would go"),
    "doctor": ("ccrelay.cli.doctor", "try what works at each provider, with tiny real requests"),
    "simulate": ("ccrelay.cli.simulate", "run the simulated provider alone"),
    "schema": ("ccrelay.cli.schema", "print the JSON Schema of the configuration, for editors"),
    "completion": ("ccrelay.cli.completion", "print what a shell needs to complete these"),
    "manual": ("ccrelay.cli.manual", "print a page of the manual"),
    "version": ("ccrelay.cli.version", "print the version, and what it runs on"),
}
"""Each command's module and the line that says what it does, so that C{--help} imports none of them."""

_USAGE: Final = 2
_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141


class Command(Protocol):
    """What the module of a command offers."""

    def run(
        self, arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path
    ) -> int:
        """
        Do what the command is for.

        @param arguments: what stands after the command's name.
        @param out: what was asked for goes here.
        @param err: problems and remarks go here.
        @param environ: the environment's variables.
        @param home: the user's home directory.
        @return: the exit status; 0 is success, 2 wrong usage, others as in C{sysexits.h}.
        @raise SystemExit: with 0 after C{--help}, with 2 for wrong arguments (C{argparse} does so).
        """

    def parser(self) -> argparse.ArgumentParser:
        """Return what knows its arguments."""


def usage() -> str:
    """Return the text of C{ccrelay --help}."""
    lines = "\n".join(f"  {name:<12}{summary}" for name, (_, summary) in COMMANDS.items())
    return (
        "usage: ccrelay COMMAND [ARGUMENT ...]\n\n"
        "A relay between clients of the Anthropic Messages API and many providers of it.\n\n"
        f"commands:\n{lines}\n\n"
        "`ccrelay COMMAND --help` says more about one of them.\n"
    )


def run(arguments: Sequence[str], out: TextIO, err: TextIO, environ: Mapping[str, str], home: Path) -> int:
    """
    Run the command that the first argument names with the rest of them.

    The parameters and the result are those of L{Command.run}.
    """
    if not arguments:
        err.write(usage())
        return _USAGE
    name, *rest = arguments
    if name in {"-h", "--help", "help"}:
        out.write(usage())
        return 0
    if name == "--version":
        name = "version"
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else "`ccrelay --help` lists them."
        err.write(f"ccrelay: there is no command {name!r}: {hint}\n")
        return _USAGE
    module, _ = COMMANDS[name]
    return cast("Command", import_module(module)).run(rest, out, err, environ, home)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run C{ccrelay} in this process: the console script.

    @param argv: the arguments after the program's name; the process's own when None.
    @return: the exit status.
    """
    arguments = sys.argv[1:] if argv is None else argv
    try:
        status = run(arguments, sys.stdout, sys.stderr, os.environ, Path.home())
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    return status


if __name__ == "__main__":
    sys.exit(main())
