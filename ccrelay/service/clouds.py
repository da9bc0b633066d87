"""Builds what speaks each provider's dialect, and what fetches the credentials of the clouds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from ccrelay.credentials.aws import AwsSettings, aws_credential
from ccrelay.credentials.entra import SCOPE, EntraSettings, entra_credential
from ccrelay.credentials.google import GoogleSettings, google_credential
from ccrelay.providers.registry import provider_of

if TYPE_CHECKING:
    from ccrelay.config.model import ProviderSettings
    from ccrelay.credentials.interfaces import ICredential
    from ccrelay.credentials.threads import InThread
    from ccrelay.providers.interfaces import IProvider

_SETTINGS: Final = (
    "type", "name", "aws_region", "aws_profile", "aws_access_key_id", "aws_secret_access_key",
    "aws_session_token", "aws_bearer_token", "azure_auth", "azure_tenant_id", "azure_client_id",
    "azure_client_secret", "azure_scope", "gcp_credentials_file", "ca_file",
)  # fmt: skip
"""The settings of a provider that its credential depends on."""


def dialect_of(provider: ProviderSettings) -> IProvider:
    """Return what knows how a provider wants to be asked."""
    entra = provider.type == "azure" and provider.azure_auth == "entra"
    scheme: str | None = provider.auth if provider.type == "anthropic_compatible" else None
    names = (*provider.models, *provider.model_mapping.values())
    return provider_of(
        provider.type,
        provider.base_url,
        "bearer" if entra else scheme,
        has_key=bool(provider.keys) or provider.aws_bearer_token is not None,
        region=provider.aws_region if provider.type == "bedrock" else provider.gcp_region,
        project=provider.gcp_project_id,
        resource=provider.azure_resource_name,
        anthropic_version=provider.anthropic_version,
        probed=next(iter(names), None),
        betas=provider.betas,
    )


def credential_of(
    provider: ProviderSettings,
    in_thread: InThread,
    clock: Any,  # noqa: ANN401  a reactor or a Clock
) -> ICredential | None:
    """Return what fetches the credential of a provider; None for one that has keys, or needs nothing."""
    if provider.keys or provider.aws_bearer_token is not None:
        return None
    if provider.type == "bedrock":
        aws = AwsSettings(
            provider.aws_region or "",
            provider.aws_profile,
            provider.aws_access_key_id,
            provider.aws_secret_access_key,
            provider.aws_session_token,
        )
        return aws_credential(provider.name, aws, in_thread, clock)
    if provider.type == "vertex":
        google = GoogleSettings(provider.gcp_credentials_file)
        return google_credential(provider.name, google, in_thread, clock)
    if provider.type == "azure" and provider.azure_auth == "entra":
        entra = EntraSettings(
            provider.azure_tenant_id,
            provider.azure_client_id,
            provider.azure_client_secret,
            provider.azure_scope or SCOPE,
            ca_file=os.environ.get("REQUESTS_CA_BUNDLE"),
        )
        return entra_credential(provider.name, entra, in_thread, clock)
    return None


def fetched_as_before(was: ProviderSettings, provider: ProviderSettings) -> bool:
    """Return whether a provider's credential is fetched as it was."""
    same = all(getattr(was, name) == getattr(provider, name) for name in _SETTINGS)
    return same and bool(was.keys) == bool(provider.keys)
