"""The rules of completion: a shell offers what there is, and what fits."""

import shutil
import subprocess
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from ccrelay.cli.main import COMMANDS, run
from ccrelay.cli.outline import outlines


def script(shell: str) -> str:
    """Return what a shell is to read."""
    out, err = StringIO(), StringIO()
    status = run(["completion", shell], out, err, {}, Path("/nowhere"))
    assert (status, err.getvalue()) == (0, "")
    return out.getvalue()


def needed(shell: str) -> str:
    """Return the path of a shell; skip the test where it is not installed."""
    found = shutil.which(shell)
    if found is None:
        msg = f"{shell} is not here: sh tests/live/setup-debian.sh installs it"
        raise SkipTest(msg)
    return found


class CompletionTests(SynchronousTestCase):
    """`ccrelay completion`."""

    def offered(self, *words: str) -> set[str]:
        """Return what bash offers for the last of some words."""
        bash = needed("bash")
        line = " ".join(f"'{word}'" for word in ("ccrelay", *words))
        given = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _ccrelay"
        asked = f"{script('bash')}\n{given}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        done = subprocess.run(
            [bash, "--norc", "--noprofile", "-c", asked], capture_output=True, text=True, check=True,
            cwd=self.folder,
        )  # fmt: skip
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "own.yaml").write_text("")
        self.folder = str(folder)

    def test_commands(self) -> None:
        """The first word is a command."""
        self.assertEqual(self.offered(""), {*COMMANDS, "--help", "--version"})
        self.assertEqual(self.offered("st"), {"status", "strategy"})

    def test_arguments(self) -> None:
        """Then come its actions, its options, and what an option may be."""
        self.assertLessEqual({"setup", "remove", "show"}, self.offered("claude", ""))
        self.assertLessEqual({"--url", "--dry-run"}, self.offered("claude", "setup", "--"))
        self.assertNotIn("--url", self.offered("claude", "remove", "--"))
        self.assertLessEqual({"enable", "drain"}, self.offered("providers", ""))
        self.assertEqual(self.offered("completion", "z"), {"zsh"})

    def test_files(self) -> None:
        """Where a file may stand, files are offered; where it may not, they are not."""
        self.assertEqual(self.offered("serve", "--config", ""), {"own.yaml"})
        self.assertNotIn("own.yaml", self.offered("status", ""))

    def test_everything(self) -> None:
        """Every shell knows every option."""
        texts = {shell: script(shell) for shell in ("bash", "zsh", "fish")}
        for outline in outlines():
            for each in (outline, *outline.actions):
                for flag in (flag for argument in each.arguments for flag in argument.flags):
                    for shell in ("bash", "zsh"):
                        self.assertIn(flag, texts[shell])
                    long = flag.startswith("--")
                    self.assertIn(f" -l {flag[2:]} " if long else f"-s {flag[1:]} ", texts["fish"])

    def test_grammar(self) -> None:
        """Each script is one that its shell can read."""
        for shell in ("bash", "zsh", "fish"):
            found = needed(shell)
            path = Path(self.mktemp())
            path.write_text(script(shell), "utf-8")
            done = subprocess.run([found, "-n", str(path)], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_fish(self) -> None:
        """What fits is offered by fish as well."""
        fish = needed("fish")
        asked = f"{script('fish')}\ncomplete --do-complete 'ccrelay claude '"
        command = [fish, "--no-config", "-c", asked]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        offered = {line.partition("\t")[0] for line in done.stdout.splitlines()}
        self.assertLessEqual({"setup", "remove", "show"}, offered)
