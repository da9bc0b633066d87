"""
Entra ID's access tokens, from wherever azure-identity finds a credential.

U{https://learn.microsoft.com/python/api/overview/azure/identity-readme}
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccrelay.credentials.cache import CredentialCache, Fetched
from ccrelay.credentials.fetched_bearer import FetchedBearer
from ccrelay.credentials.wording import Unavailable, remedy_for, silence, words
from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from ccrelay.credentials.threads import InThread

SCOPE: Final = "https://ai.azure.com/.default"

_NETWORK: Final = "look at the network, the proxy (HTTPS_PROXY) and AZURE_AUTHORITY_HOST"
_SET_UP: Final = "set azure_tenant_id, azure_client_id, azure_client_secret, or give this machine an identity"
_REMEDIES: Final = {
    "CredentialUnavailableError": _SET_UP,
    "ClientAuthenticationError": "correct azure_tenant_id, azure_client_id and azure_client_secret; "
    "see that the secret has not expired",
    "ServiceRequestError": _NETWORK,
    "ServiceResponseError": _NETWORK,
    "HttpResponseError": "see what answers at that address",
    "ValueError": "correct azure_tenant_id and AZURE_AUTHORITY_HOST",
    "FileNotFoundError": "correct AZURE_FEDERATED_TOKEN_FILE",
}
_NONE: Final = "none was found in the environment, as an identity of the machine, or in Azure's command lines"
_WAITS: Final[dict[str, int]] = {"connection_timeout": 3, "read_timeout": 6, "retry_total": 1}
_TRIED: Final = re.compile(r"^\s+(\w+Credential): (.+)$", re.MULTILINE)
_ABSENT: Final = re.compile(
    r"unavailable|not (?:be )?found|not installed|to be installed|not supported|please run", re.IGNORECASE
)
_BY_WORDS: Final = (  # azure-identity raises the same exception for most of what can happen
    (
        re.compile(r"certificate verify", re.IGNORECASE),
        "look at the proxy, and at the authority's certificate (REQUESTS_CA_BUNDLE)",
    ),
    (re.compile(r"HTTPS?Connection|resolve|connection refused|timed out", re.IGNORECASE), _NETWORK),
    (
        re.compile(r"authority configuration|<html|JSON|Expecting value", re.IGNORECASE),
        "see what answers at the authority, and correct azure_tenant_id or AZURE_AUTHORITY_HOST",
    ),
)


@dataclass(frozen=True, slots=True)
class EntraSettings:
    """
    Where a credential is looked for.

    With a secret, nowhere else; without one, in azure-identity's own order: the environment, workload
    identity, managed identity, the command lines of a developer.

    @ivar tenant_id: None for AZURE_TENANT_ID.
    @ivar client_id: of the application, or of a managed identity; None for AZURE_CLIENT_ID.
    @ivar authority: None for AZURE_AUTHORITY_HOST, or Microsoft's public cloud.
    @ivar ca_file: certificates (PEM) to trust when the authority is asked, in place of the system's.
    """

    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    scope: str = SCOPE
    authority: str | None = None
    ca_file: str | None = None


def entra_credential(
    name: str, settings: EntraSettings, in_thread: InThread, clock: IReactorTime
) -> FetchedBearer:
    """
    Return what authorizes requests to Azure.

    @param name: of the provider, for messages.
    """
    fetch = partial(fetch_token, settings)
    return FetchedBearer(CredentialCache(f"the Entra ID credentials of {name}", fetch, in_thread, clock))


def fetch_token(settings: EntraSettings) -> Fetched[Secret]:
    """
    Return a new access token.

    The SDK's object is made anew each time: it would give a refused token again.  It blocks: on files,
    the network, perhaps a command line.

    @raise Unavailable: if there is none.
    """
    if settings.client_secret is not None and not (settings.tenant_id and settings.client_id):
        missing = "azure_client_id" if settings.tenant_id else "azure_tenant_id"
        what = f"azure_client_secret is set and {missing} is not"
        raise Unavailable(what, "set azure_tenant_id, azure_client_id and azure_client_secret")
    try:
        with _sdk_credential(settings) as credential:
            token = credential.get_token(settings.scope)
    except Exception as problem:  # noqa: BLE001  in a thread, where nobody is cancelled; the SDK has no one root
        said = _essence(str(problem))
        if not said:
            raise Unavailable(_NONE, _SET_UP) from None
        known = next((remedy for pattern, remedy in _BY_WORDS if pattern.search(said)), None)
        remedy = known or remedy_for(problem, _REMEDIES, _SET_UP)
        raise Unavailable(words(said, (settings.client_secret,)), remedy) from None
    return Fetched(Secret(token.token), float(token.expires_on))


def _sdk_credential(settings: EntraSettings) -> Any:  # noqa: ANN401  one of two classes without a common one
    from azure.identity import (  # noqa: PLC0415
        AzureAuthorityHosts,
        ClientSecretCredential,
        DefaultAzureCredential,
    )

    silence("azure", "msal")
    options: dict[str, Any] = dict(_WAITS)
    if settings.authority is not None:
        options["authority"] = settings.authority
    authority = settings.authority or os.environ.get("AZURE_AUTHORITY_HOST", "")
    known = {value for name, value in vars(AzureAuthorityHosts).items() if name.startswith("AZURE_")}
    if authority and (urlsplit(authority).hostname or authority.strip("/")) not in known:
        # Discovery would ask Microsoft's public cloud about a private one.
        options["disable_instance_discovery"] = True
    if settings.ca_file is not None:
        options["connection_verify"] = settings.ca_file
    if settings.client_secret is not None:
        return ClientSecretCredential(
            settings.tenant_id or "", settings.client_id or "", settings.client_secret.reveal(), **options
        )
    if settings.client_id is not None:
        options["managed_identity_client_id"] = settings.client_id
    if settings.tenant_id is not None:
        options["workload_identity_tenant_id"] = settings.tenant_id
    return DefaultAzureCredential(**options)


def _essence(said: str) -> str:
    """Return, of a report on all that was tried, what there was and failed; empty where nothing was there."""
    tried = _TRIED.findall(said)
    if not tried:
        return said
    return next((f"{name}: {why}" for name, why in reversed(tried) if not _ABSENT.search(why)), "")
