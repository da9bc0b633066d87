"""
AWS's Signature Version 4, made of botocore's pieces.

U{https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html}
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ccrelay.credentials.interfaces import ICredential
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from ccrelay.credentials.cache import CredentialCache, Standing
    from ccrelay.credentials.threads import InThread
    from ccrelay.wire.http import UpstreamRequest
    from ccrelay.wire.secret import Secret

BEDROCK: Final = "bedrock"
"""The name that requests to bedrock-runtime are signed for."""

LARGE: Final = 1024 * 1024
"""Bytes of a body that is hashed in a thread."""

_TOKEN: Final = b"x-amz-security-token"
_OURS: Final = frozenset({b"authorization", b"date", b"x-amz-date", _TOKEN})
_SIGNED: Final = (b"accept", b"content-type", b"host")  # beside ours; what is signed must arrive unchanged
_AMAZON: Final = b"x-amz"  # theirs are signed likewise: a guardrail, for instance, must not get lost


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """
    What AWS knows a caller by.

    @ivar token: the session's, for keys that expire.
    """

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


def signed(
    request: UpstreamRequest, keys: AwsKeys, region: str, now: float, service: str = BEDROCK
) -> UpstreamRequest:
    """
    Return the request signed: its bytes, its URL as it stands, and few of its header fields.

    What the header says of an earlier signature is replaced.

    @param now: seconds since the epoch; AWS takes it for five minutes.
    """
    # Here and not above: no other provider needs botocore.  It was loaded where the keys came from.
    from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import ReadOnlyCredentials  # noqa: PLC0415

    token = keys.session_token.reveal() if keys.session_token is not None else None
    asked = AWSRequest(method=request.method, url=request.url, data=request.body or b"")
    for name, value in request.headers:
        if name in _SIGNED or (name.startswith(_AMAZON) and name not in _OURS):
            asked.headers[name.decode("ascii")] = value.decode("utf-8")
    date = datetime.fromtimestamp(now, UTC).strftime(SIGV4_TIMESTAMP)
    # The time is ours: SigV4Auth.add_auth would read the clock.
    asked.context["timestamp"] = date
    asked.headers["x-amz-date"] = date
    if token is not None:
        asked.headers["x-amz-security-token"] = token
    frozen = ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key.reveal(), token)
    auth = SigV4Auth(frozen, service, region)
    names = auth.signed_headers(auth.headers_to_sign(asked))
    to_sign = auth.string_to_sign(asked, auth.canonical_request(asked))
    signature = auth.signature(to_sign, asked)
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={auth.scope(asked)}, SignedHeaders={names}, Signature={signature}"
    )
    ours = [(b"x-amz-date", date.encode("ascii")), (b"authorization", authorization.encode("utf-8"))]
    if token is not None:
        ours.append((_TOKEN, token.encode("utf-8")))
    kept = tuple(pair for pair in request.headers if pair[0] not in _OURS)
    return type(request)(request.method, request.url, (*kept, *ours), request.body)


@implementer(ICredential)
class SigV4:
    """
    Signs requests to AWS, each anew: a signature is good for one request, for five minutes.

    @ivar cache: where the keys come from.
    """

    def __init__(self, cache: CredentialCache[AwsKeys], region: str, in_thread: InThread) -> None:
        """@param region: the one in the URL's host."""
        self.cache = cache
        self._region = region
        self._in_thread = in_thread

    def authorize(self, request: UpstreamRequest, now: float) -> Deferred[UpstreamRequest]:
        """Return the request signed, as soon as there are keys."""
        return Deferred.fromCoroutine(self._authorize(request, now))

    async def _authorize(self, request: UpstreamRequest, now: float) -> UpstreamRequest:
        keys = await self.cache.get(now)
        sign = partial(signed, request, keys, self._region, now)
        if len(request.body or b"") > LARGE:
            return await self._in_thread(sign)
        return sign()

    def warm(self, now: float) -> None:
        """Begin to fetch, unless it is held."""
        if self.cache.held is None:
            self.cache.warm(now)

    def state(self, now: float) -> Standing:
        """See L{ICredential.state}."""
        return self.cache.state(now)

    def refused(self, request: UpstreamRequest) -> bool:
        """Drop the keys that the request was signed with, and return whether there may be others."""
        keys = self.cache.held
        if keys is None:
            return True
        token = keys.session_token.reveal().encode("utf-8") if keys.session_token is not None else None
        shown = first(request.headers, b"authorization") or b""
        same_key = f"Credential={keys.access_key_id}/".encode() in shown
        if not same_key or first(request.headers, _TOKEN) != token:
            return True
        return self.cache.invalidate(keys)
