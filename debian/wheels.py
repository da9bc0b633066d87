"""The wheels that the package carries: for which Pythons and machines, and how pip is asked for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "wheels.lock"
"""Every wheel's name, version and SHA-256, in the form of pip's requirements."""
PYTHONS = ("3.11", "3.12", "3.13")
_LEVELS = ("2_34", "2_28", "2_24", "2_17", "2_12", "2_5")
"""Which glibc a wheel may want: bookworm has 2.36."""


def pip(*arguments: str) -> str:
    """Return what Debian's pip prints."""
    words = [sys.executable, "-B", "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def meant_for(python: str, machine: str = "x86_64") -> list[str]:
    """Return the options of pip for wheels of a Python (C{3.11}) and a machine."""
    platforms = [*(f"manylinux_{level}_{machine}" for level in _LEVELS), f"manylinux2014_{machine}", "any"]
    abis = [f"cp{python.replace('.', '')}", "abi3", "none"]
    return [
        "--only-binary=:all:", "--implementation=cp", f"--python-version={python}",
        *(f"--abi={abi}" for abi in abis), *(f"--platform={platform}" for platform in platforms),
    ]  # fmt: skip
