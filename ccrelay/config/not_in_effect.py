"""What of a configuration is known, and yet does nothing in this version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccrelay.config.spellings import ANY
from ccrelay.config.written import dotted

if TYPE_CHECKING:
    from collections.abc import Collection

    from ccrelay.config.model import Settings
    from ccrelay.config.written import KeyPath


_NOT_YET: Final[tuple[KeyPath, ...]] = (("state",),)
"""In the order of the file; a section stands for all that is in it."""

_OF_KIND: Final = {
    "anthropic_version": ("bedrock", "vertex"),
    **dict.fromkeys(("aws_region", "aws_access_key_id", "aws_secret_access_key", "aws_session_token",
                     "aws_profile", "aws_bearer_token"), ("bedrock",)),
    **dict.fromkeys(("azure_resource_name", "azure_auth", "azure_tenant_id", "azure_client_id",
                     "azure_client_secret", "azure_scope"), ("azure",)),
    **dict.fromkeys(("gcp_project_id", "gcp_region", "gcp_credentials_file"), ("vertex",)),
    "scenario": ("simulator",), "pace_ms": ("simulator",), "error_rate": ("simulator",),
}  # fmt: skip
"""The keys that mean something for some kinds alone, and which of these this version has."""


def not_in_effect(settings: Settings, written: Collection[KeyPath]) -> tuple[str, ...]:
    """
    Return the paths of the keys that were written and do nothing; of disabled providers, none.

    @param written: the paths of all values that were written.
    """
    found = {path: None for pattern in _NOT_YET for path in _under(pattern, written)}
    if settings.server.workers != 1:
        found["server", "workers"] = None
    for place, provider in enumerate(settings.providers):
        for name, kinds in _OF_KIND.items():
            if name in provider.model_fields_set and provider.type not in kinds:
                found["providers", place, name] = None
    disabled = {place for place, provider in enumerate(settings.providers) if not provider.enabled}
    return tuple(dotted(path) for path in found if not (path[0] == "providers" and path[1] in disabled))


def _under(pattern: KeyPath, written: Collection[KeyPath]) -> list[KeyPath]:
    """Return the paths that a pattern means and under which something was written."""
    heads = (path[: len(pattern)] for path in written)
    return [
        head
        for head in heads
        if len(head) == len(pattern)
        and all(wanted in (ANY, step) for wanted, step in zip(pattern, head, strict=True))
    ]
