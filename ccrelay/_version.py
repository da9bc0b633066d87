"""The version, written down once: packaging and the program both read it here."""

from __future__ import annotations

__version__ = "0.1.0"
