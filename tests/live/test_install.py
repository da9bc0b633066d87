"""The rules of `pip install .`."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from ccrelay._version import __version__

ROOT = Path(__file__).parents[2]
SOURCES = ("ccrelay", "twisted", "setup.cfg", "setup.py", "pyproject.toml", "LICENSE", "README.md")


class InstallTests(SynchronousTestCase):
    """What was installed works without the clone."""

    def run_in(self, folder: Path, *command: object) -> str:
        """Run a program elsewhere than in the clone, and return what it printed."""
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            env=environ,
            check=False,
            capture_output=True,
            text=True,
        )
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        return process.stdout

    def test_installed(self) -> None:
        """`pip install .` brings the command, the plugin of twistd, and the files that are not Python."""
        folder = Path(self.mktemp()).absolute()
        sources = folder / "sources"
        sources.mkdir(parents=True)
        for name in SOURCES:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "dropin.cache")
                shutil.copytree(ROOT / name, sources / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, sources / name)
        fresh = folder / "venv"
        venv.create(fresh, symlinks=True)
        python = fresh / "bin/python"
        site = next(fresh.glob("lib/python3.*/site-packages"))
        # What ccrelay needs is here already, and is not what is tested.
        (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        pip = [sys.executable, "-m", "pip", "--python", python, "install"]
        self.run_in(
            folder, *pip, "--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", sources
        )
        shutil.rmtree(sources)

        printed = self.run_in(folder, fresh / "bin/ccrelay", "version")
        self.assertEqual(printed.splitlines()[0], f"ccrelay {__version__}")
        origin = self.run_in(folder, python, "-c", "import ccrelay; print(ccrelay.__file__)")
        self.assertEqual(Path(origin.strip()), site / "ccrelay/__init__.py")
        listed = self.run_in(folder, python, "-m", "twisted", "--help")
        self.assertIn("ccrelay", [line.split()[0] for line in listed.splitlines() if line.split()])
        self.assertEqual([path.name for path in (site / "twisted").rglob("*.py")], ["ccrelay_plugin.py"])
        # Data files come along.
        data = {
            path.relative_to(ROOT)
            for path in (ROOT / "ccrelay").rglob("*")
            if path.suffix in {".yaml", ".typed"}
        }
        self.assertEqual([path for path in data if not (site / path).exists()], [])
