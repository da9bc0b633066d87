"""A configuration that a test has written, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis

from ccrelay.config.parse import parsed
from ccrelay.config.read import settled
from ccrelay.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccrelay.config.model import Settings
    from ccrelay.config.read import Loaded

unhurried = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
"""For properties: how long an example takes says nothing."""

SIMULATOR = "providers: [{name: simulator, type: simulator}]\n"


def loaded(text: str, environ: Mapping[str, str] | None = None, file: str = "relay.yaml") -> Loaded:
    """Return what a text makes; it must be right."""
    return settled(parsed(text, file), environ or {})


def settings(text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that a text makes."""
    return loaded(text, environ).settings


def problems(text: str, environ: Mapping[str, str] | None = None, file: str = "relay.yaml") -> list[str]:
    """Return what is wrong with a text; none if nothing is."""
    try:
        loaded(text, environ, file)
    except ConfigError as error:
        return list(error.problems)
    return []
