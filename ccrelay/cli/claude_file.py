"""Claude Code's settings file where it lies, with what is remembered beside it of an earlier setup."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ccrelay.cli import claude_settings, kept_file
from ccrelay.cli.claude_settings import Memory, Unusable

if TYPE_CHECKING:
    from ccrelay.cli.claude_settings import Edit


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """Claude Code's settings file as it was found, and what is remembered of an earlier setup."""

    path: Path
    data: bytes | None
    memory: Memory

    @property
    def memory_path(self) -> Path:
        """Where the memory is kept: beside the file itself, wherever links lead."""
        target = Path(os.path.realpath(self.path))
        return target.with_name(f"{target.name}.ccrelay")

    @property
    def text(self) -> str | None:
        """
        The settings, or None without a file.

        @raise Unusable: if they cannot be worked with.
        """
        if self.data is None:
            return None
        try:
            return claude_settings.checked(self.data.decode("utf-8"))
        except UnicodeDecodeError as problem:
            msg = f"{self.path}: not UTF-8 at byte {problem.start + 1}"
            raise Unusable(msg) from problem
        except Unusable as problem:
            msg = f"{self.path}:{problem}"
            raise Unusable(msg) from problem

    @classmethod
    def found(cls, path: Path) -> SettingsFile:
        """
        Read what there is.

        @raise OSError: if it cannot be read.
        @raise Unusable: if the memory is broken.
        """
        settings = cls(path, kept_file.contents(path), Memory())
        written = kept_file.contents(settings.memory_path)
        if written is None:
            return settings
        try:
            return cls(path, settings.data, Memory.from_json(written.decode("utf-8", "replace")))
        except Unusable as problem:
            msg = f"{settings.memory_path}: {problem}; without it, `remove` has nothing to undo"
            raise Unusable(msg) from problem

    def become(self, edit: Edit) -> Path | None:
        """
        Write an edit, and keep a backup of what was there.

        @return: the backup, if there was anything.
        @raise OSError: if it cannot be written.
        @raise Unusable: if somebody else wrote to the file meanwhile.
        """
        if kept_file.contents(self.path) != self.data:
            msg = f"{self.path}: was changed by somebody else just now; nothing was written, try again"
            raise Unusable(msg)
        # A file that goes held nothing but what we put there.
        backup = kept_file.back_up(self.path) if edit.changes and edit.text is not None else None
        if edit.memory.variables:
            # Before the settings: what is remembered but was not put is recognized, and left alone.
            kept_file.replace(self.memory_path, edit.memory.to_json().encode())
        if edit.text is None:
            Path(os.path.realpath(self.path)).unlink()
        elif edit.changes:
            kept_file.replace(self.path, edit.text.encode("utf-8"))
        if not edit.memory.variables:
            self.memory_path.unlink(missing_ok=True)
        return backup
