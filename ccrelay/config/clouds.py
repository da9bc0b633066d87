"""What the cloud providers need in a configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccrelay.config.vocabulary import masked
from ccrelay.config.written import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccrelay.config.model import ProviderSettings
    from ccrelay.config.written import KeyPath

KINDS: Final = frozenset({"bedrock", "azure", "vertex"})

# They become parts of a host's name, or segments of a path.
_PART: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
_PROJECT: Final = re.compile(r"[a-z0-9](?:[a-z0-9:._-]*[a-z0-9])?", re.IGNORECASE)
_WORDED: Final = (
    ("aws_region", "a region such as us-east-1", _PART),
    ("gcp_region", "global, us, eu, or a region such as us-east5", _PART),
    ("azure_resource_name", "the resource's name alone, without a host or a scheme", _PART),
    ("gcp_project_id", "a project's id such as my-project-1", _PROJECT),
)


def problems(provider: ProviderSettings, path: KeyPath) -> Iterator[Problem]:
    """Yield what an enabled provider of a cloud lacks, or has wrong."""
    for key, allowed, pattern in _WORDED:
        value = getattr(provider, key)
        if value is not None and not pattern.fullmatch(value):
            yield Problem((*path, key), f"found {masked(value)!r}; allowed: {allowed}")
    if provider.type == "bedrock":
        yield from _bedrock(provider, path)
    elif provider.type == "azure":
        yield from _azure(provider, path)
    elif provider.type == "vertex":
        yield from _needed(provider, path, "gcp_project_id", "the project that pays")
        yield from _needed(provider, path, "gcp_region", "global, us, eu, or a region")
        if provider.keys:
            text = "found keys; type vertex shows tokens that it fetches: set gcp_credentials_file instead"
            yield Problem((*path, "keys"), text)


def _bedrock(provider: ProviderSettings, path: KeyPath) -> Iterator[Problem]:
    token = provider.aws_bearer_token is not None or bool(provider.keys)
    if not (token and provider.base_url):
        yield from _needed(provider, path, "aws_region", "the region that is asked, and signed for")
    pair = ("aws_access_key_id", "aws_secret_access_key")
    given = [key for key in pair if getattr(provider, key) is not None]
    if len(given) == 1:
        missing = pair[1] if given == [pair[0]] else pair[0]
        yield Problem((*path, missing), f"found nothing, and {given[0]} is set; set both or neither")
    if provider.aws_session_token is not None and len(given) != len(pair):
        text = f"found it without a key that it belongs to; set {pair[0]} and {pair[1]}, or remove it"
        yield Problem((*path, "aws_session_token"), text)
    if len(given) == len(pair) and provider.aws_profile is not None:
        text = f"found it beside {pair[0]}, before which nothing is looked for; keep one of them"
        yield Problem((*path, "aws_profile"), text)
    other = [key for key in (*pair, "aws_profile") if getattr(provider, key) is not None]
    if token and other:
        held = "keys" if provider.keys else "aws_bearer_token"
        yield Problem((*path, other[0]), f"found it beside {held}; keep one of them: a token, or what signs")


def _azure(provider: ProviderSettings, path: KeyPath) -> Iterator[Problem]:
    for key in ("azure_client_secret", "azure_scope"):
        if getattr(provider, key) is not None and provider.azure_auth == "key":
            text = "found it with azure_auth: key, which needs none; set azure_auth: entra, or remove it"
            yield Problem((*path, key), text)
    if provider.azure_client_secret is not None and provider.azure_auth == "entra":
        yield from _needed(provider, path, "azure_tenant_id", "the tenant that the secret is of")
        yield from _needed(provider, path, "azure_client_id", "the application that the secret is of")
    if provider.base_url is None:
        yield from _needed(provider, path, "azure_resource_name", "the resource, or base_url")
    if provider.azure_auth == "key":
        if not provider.keys:
            text = (
                "found no key; type azure needs one: add keys: [{key: ...}], or azure_auth: entra, "
                "or set enabled: false"
            )
            yield Problem((*path, "keys"), text)
    elif provider.keys:
        text = "found keys and azure_auth: entra; keep one of them"
        yield Problem((*path, "keys"), text)


def _needed(provider: ProviderSettings, path: KeyPath, key: str, what: str) -> Iterator[Problem]:
    if getattr(provider, key) is None:
        yield Problem((*path, key), f"found nothing; type {provider.type} needs it: {what}")
