"""A file of the user's that is replaced whole or not at all, with a copy of what it was."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

_PRIVATE: Final = 0o600


def contents(path: Path) -> bytes | None:
    """
    Return what is in a file, or None if there is none.

    @raise OSError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def replace(path: Path, data: bytes) -> None:
    """
    Put a new file in the place of an old one, in one step: a crash leaves the one or the other.

    A symbolic link stays, and what it leads to is replaced.  Mode and owner stay too; a new file,
    and a directory made for it, is for its owner alone.

    @raise OSError: if it cannot be written; then nothing has changed.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        _fill(descriptor, data, target)
        Path(name).replace(target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    _settle(target.parent)


def back_up(path: Path) -> Path | None:
    """
    Keep a copy of a file beside it, C{NAME.before-ccrelay}, never in the place of an older copy.

    @return: the copy, an older one if it holds the same; None if there is no file.
    @raise OSError: if it cannot be written.
    """
    data = contents(path)
    if data is None:
        return None
    target = Path(os.path.realpath(path))
    number = 0
    while True:
        number += 1
        copy = target.with_name(f"{target.name}.before-ccrelay" + (f".{number}" if number > 1 else ""))
        try:
            descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        except FileExistsError:
            if contents(copy) == data:
                return copy
            continue
        _fill(descriptor, data, target)
        return copy


def _fill(descriptor: int, data: bytes, model: Path) -> None:
    """Write a whole file to disk, with the mode and, as far as we may, the owner of a model that exists."""
    with os.fdopen(descriptor, "wb") as file:
        if model.exists():
            wanted = model.stat()
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, wanted.st_uid, wanted.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(wanted.st_mode))
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _settle(directory: Path) -> None:
    """Have the names in a directory written to disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
