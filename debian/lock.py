"""
Make C{debian/wheels.lock} anew: the newest releases of what ccrelay needs, and what they need.

Run as C{/usr/bin/python3 debian/lock.py} where the packages can be downloaded; then look at the
difference, run the tests, and commit it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from configparser import ConfigParser
from pathlib import Path
from tempfile import TemporaryDirectory

from wheels import HERE, LOCK, PYTHONS, meant_for, pip

_HEAD = "# Made by debian/lock.py. What stands here, and nothing else, goes into the package.\n"


def main() -> None:
    """Ask pip what it would take for each Python, and write it down."""
    setup = ConfigParser()
    setup.read(HERE.parent / "setup.cfg")
    needed = setup["options"]["install_requires"].split("\n")
    needed = [line for line in needed if line and not line.startswith("#")]
    hashes: dict[tuple[str, str], set[str]] = defaultdict(set)
    with TemporaryDirectory() as folder:
        for python in PYTHONS:
            report = Path(folder) / f"{python}.json"
            pip(
                "install", "--quiet", "--dry-run", "--ignore-installed", f"--target={folder}/tree",
                f"--report={report}", *meant_for(python), *needed,
            )  # fmt: skip
            for one in json.loads(report.read_text())["install"]:
                name = one["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
                kind, _, digest = one["download_info"]["archive_info"]["hash"].partition("=")
                hashes[name, one["metadata"]["version"]].add(f"{kind}:{digest}")
    names = [name for name, _ in hashes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        sys.exit(f"lock.py: the Pythons want different releases of {', '.join(twice)}; name one in setup.cfg")
    lines = [
        f"{name}=={version}" + "".join(f" \\\n    --hash={digest}" for digest in sorted(digests))
        for (name, version), digests in sorted(hashes.items())
    ]
    LOCK.write_text(_HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
