"""The rules of the command C{ccrelay} itself."""

import inspect
import io
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay.cli import main

ROOT = Path(__file__).parents[2]


class MainTests(SynchronousTestCase):
    """C{ccrelay COMMAND}."""

    def ccrelay(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command line; return its status, its output and what it complained of."""
        out, err = io.StringIO(), io.StringIO()
        status = main.run(arguments, out, err, {}, Path("/nonexistent"))
        return status, out.getvalue(), err.getvalue()

    def python(self, code: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run Python in a process of its own that finds ccrelay."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, **options
        )

    def test_help_names_every_command(self) -> None:
        """`ccrelay --help`, `-h` and `help` tell each command with what it is for."""
        for asked in ("--help", "-h", "help"):
            status, out, err = self.ccrelay(asked)
            self.assertEqual((status, err), (0, ""))
            for name, (_, summary) in main.COMMANDS.items():
                self.assertRegex(out, rf"(?m)^  {name} +{re.escape(summary)}$")

    def test_nothing_asked(self) -> None:
        """`ccrelay` alone shows the help as a complaint, with status 2."""
        self.assertEqual(self.ccrelay(), (2, "", main.usage()))

    def test_typing_error(self) -> None:
        """A command that is nearly right gets the right one named."""
        status, out, err = self.ccrelay("chekc")
        self.assertEqual((status, out), (2, ""))
        self.assertEqual(err, "ccrelay: there is no command 'chekc': did you mean `check`?\n")

    def test_unknown_command(self) -> None:
        """A command that is like no other gets the list named."""
        status, _, err = self.ccrelay("xyzzy")
        self.assertEqual(status, 2)
        self.assertIn("`ccrelay --help` lists them", err)

    def test_every_command_can_be_run(self) -> None:
        """Every command that the help names is there, and takes what it is given."""
        for name, (module, _) in main.COMMANDS.items():
            run = import_module(module).run
            parameters = [parameter.strip("_") for parameter in inspect.signature(run).parameters]
            self.assertEqual(parameters, ["arguments", "out", "err", "environ", "home"], name)

    def test_every_command_explains_itself(self) -> None:
        """`ccrelay COMMAND --help` exists for every command."""
        for name in main.COMMANDS:
            printed = io.StringIO()
            self.patch(sys, "stdout", printed)
            self.assertEqual(self.assertRaises(SystemExit, self.ccrelay, name, "--help").code, 0)
            self.assertIn(f"usage: ccrelay {name}", printed.getvalue().replace("Usage", "usage"))

    def test_help_is_quick(self) -> None:
        """The help imports neither Twisted nor what reads the configuration."""
        code = (
            "import sys; from ccrelay.cli.main import main; main(['--help']);"
            "sys.exit(bool({'twisted', 'pydantic', 'yaml'} & set(sys.modules)))"
        )
        self.assertEqual(self.python(code).returncode, 0)

    def test_arguments_of_the_process(self) -> None:
        """Run as a program, the words of its command line count, and its status is the command's."""
        code = "import sys; from ccrelay.cli.main import main; sys.argv = ['', 'sevre']; sys.exit(main())"
        process = self.python(code)
        self.assertEqual((process.returncode, process.stdout), (2, ""))
        self.assertIn("did you mean `serve`?", process.stderr)

    def test_whoever_reads_has_seen_enough(self) -> None:
        """`ccrelay schema | head -1` ends without a traceback."""
        process = self.python(
            "import os, sys; from ccrelay.cli.main import main; r, w = os.pipe(); os.close(r); os.dup2(w, 1);"
            "sys.exit(main(['version']))"
        )
        self.assertEqual((process.returncode, process.stderr), (141, ""))

    def test_interrupted(self) -> None:
        """Ctrl-C ends a command with status 130 and no traceback."""
        interrupted = io.StringIO()
        interrupted.write = self.interrupt
        self.patch(sys, "stdout", interrupted)
        self.assertEqual(main.main(["--help"]), 130)

    def interrupt(self, _text: str) -> int:
        """Press Ctrl-C."""
        raise KeyboardInterrupt
