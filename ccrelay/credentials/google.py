"""
Google's access tokens, from wherever google-auth finds a credential.

U{https://cloud.google.com/docs/authentication/application-default-credentials}
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ccrelay.credentials.cache import CredentialCache, Fetched
from ccrelay.credentials.fetched_bearer import FetchedBearer
from ccrelay.credentials.wording import Unavailable, remedy_for, silence, words
from ccrelay.wire.secret import Secret

if TYPE_CHECKING:
    from datetime import datetime

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.credentials.threads import InThread

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"

_REQUEST_S: Final = 10
_NETWORK: Final = "look at the network, the proxy (HTTPS_PROXY) and this machine's metadata server"
_FILE: Final = "set gcp_credentials_file to a key file of a service account, or leave it out"
_SET_UP: Final = "set gcp_credentials_file, or run `gcloud auth application-default login`"
_ANSWERS: Final = "see what answers at the credential's token_uri, or instead of it"
_KINDS: Final = frozenset(
    {
        "service_account",
        "external_account",
        "authorized_user",
        "external_account_authorized_user",
        "impersonated_service_account",
        "gdch_service_account",
    }
)
_OF_AWS: Final = "urn:ietf:params:aws:token-type:aws4_request"
_UNREAD: Final = "correct gcp_credentials_file or GOOGLE_APPLICATION_CREDENTIALS, and let the relay read it"
_REMEDIES: Final = {
    "TransportError": _NETWORK,
    "TimeoutError": _NETWORK,
    "RefreshError": "see whether the account exists, is enabled, and still has this key",
}


@dataclass(frozen=True, slots=True)
class GoogleSettings:
    """
    Where a credential is looked for.

    @ivar credentials_file: of a service account, or of another kind that google-auth knows; None for
        GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, and this machine's metadata server, in this order.
    """

    credentials_file: str | None = None
    scope: str = SCOPE


def google_credential(
    name: str, settings: GoogleSettings, in_thread: InThread, clock: IReactorTime
) -> FetchedBearer:
    """
    Return what authorizes requests to Vertex.

    @param name: of the provider, for messages.
    """
    fetch = partial(fetch_token, settings)
    return FetchedBearer(CredentialCache(f"the Google credentials of {name}", fetch, in_thread, clock))


def fetch_token(settings: GoogleSettings) -> Fetched[Secret]:
    """
    Return a new access token.

    The file is read anew each time.  It blocks: on files, the network, perhaps gcloud.

    @raise Unavailable: if there is none.
    """
    # google-auth would read the second as well, and then ask the network for a project that nobody needs.
    path = settings.credentials_file or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    info = _read(path) if path else None
    try:
        credentials = _found(info, settings.scope)
    except Exception as problem:  # noqa: BLE001  in a thread, where nobody is cancelled; the SDK has no one root
        if path:
            what = f"{path} is no credential: {_said(problem)}"
            raise Unavailable(what, _FILE) from None
        raise Unavailable(_said(problem), remedy_for(problem, _REMEDIES, _SET_UP)) from None
    try:
        from google.auth.transport.requests import Request  # noqa: PLC0415

        # Not before_request(): it may start a thread of its own.
        credentials.refresh(partial(Request(), timeout=_REQUEST_S))
        token, expiry = credentials.token, credentials.expiry
    except (TypeError, KeyError, AttributeError):
        what = "what came is no token, but perhaps a web page"
        raise Unavailable(what, _ANSWERS) from None
    except Exception as problem:  # noqa: BLE001  likewise
        raise Unavailable(_said(problem), remedy_for(problem, _REMEDIES, _ANSWERS)) from None
    if not token:
        what = "what came holds no token"
        raise Unavailable(what, _ANSWERS)
    return Fetched(Secret(token), _seconds(expiry))


def _said(problem: Exception) -> str:
    """Return the words of an exception; what else it holds is an answer's body."""
    return words(problem.args[0] if problem.args else problem)


def _found(info: dict[str, Any] | None, scope: str) -> Any:  # noqa: ANN401  one of many kinds
    import google.auth  # noqa: PLC0415
    from google.auth.credentials import with_scopes_if_required  # noqa: PLC0415
    from google.oauth2 import service_account  # noqa: PLC0415

    silence("google")
    if info is None:
        return google.auth.default(scopes=[scope])[0]
    if info.get("type") == "service_account":
        return service_account.Credentials.from_service_account_info(info, scopes=[scope])
    if info.get("type") == "external_account":
        return _external_account(info, scope)
    return with_scopes_if_required(google.auth.load_credentials_from_dict(info)[0], [scope])


def _external_account(info: dict[str, Any], scope: str) -> Any:  # noqa: ANN401  one of three kinds
    """Return workload identity, of AWS, of a command, or of a file or an address."""
    from google.auth import aws, identity_pool, pluggable  # noqa: PLC0415

    source = info.get("credential_source")
    if info.get("subject_token_type") == _OF_AWS:
        return aws.Credentials.from_info(info, scopes=[scope])
    if isinstance(source, dict) and "executable" in source:
        return pluggable.Credentials.from_info(info, scopes=[scope])
    return identity_pool.Credentials.from_info(info, scopes=[scope])


def _read(path: str) -> dict[str, Any]:
    try:
        info = json.loads(Path(path).read_bytes())
    except OSError as problem:
        what = f"{path} cannot be read: {problem.strerror}"
        raise Unavailable(what, _UNREAD) from None
    except ValueError:
        what = f"{path} is not JSON"
        raise Unavailable(what, _FILE) from None
    kind = info.get("type") if isinstance(info, dict) else None
    if isinstance(info, dict) and kind in _KINDS:
        return info
    why = f"its type is {words(kind)}" if kind else "it has no type"
    if isinstance(info, dict) and info.keys() & {"installed", "web"}:
        why = "it is an OAuth client's"
    what = f"{path} is no credential: {why}"
    raise Unavailable(what, _FILE)


def _seconds(expiry: datetime | None) -> float | None:
    """Return seconds since the epoch of what google-auth gives: UTC, without saying so."""
    if expiry is None:
        return None
    return (expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)).timestamp()
