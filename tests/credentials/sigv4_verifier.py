"""
The other side of Signature Version 4: refuses as AWS does what was not signed, or signed otherwise.

Written from U{https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html},
and compared with botocore's own verdict, so that neither is trusted alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

SKEW_S = 300
_WRONG = "InvalidSignature"
_INCOMPLETE = "IncompleteSignature"
_UNSIGNED = ("MissingAuthenticationToken", "there is no signature")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/"
    r"(?P<scope>(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request), "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)


class Refused(Exception):
    """@ivar code: AWS's name for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def verify_sigv4(
    method: str,
    url: str,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    secret: str,
    now: float,
    *,
    service: str = "bedrock",
) -> str:
    """
    Return the id of the key that a request was signed with.

    @param url: as it was asked for: scheme, host as in the Host field, path and query as on the wire.
    @param secret: that of the key.
    @raise Refused: if it was not signed so.
    """
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name.decode("ascii").lower(), []).append(" ".join(value.decode("utf-8").split()))
    fields.setdefault("host", [urlsplit(url).netloc])
    found = _AUTHORIZATION.fullmatch(fields.get("authorization", [""])[0])
    if found is None:
        raise Refused(*_UNSIGNED)
    _require(found["service"] == service, _WRONG, f"signed for {found['service']}, not for {service}")
    date = fields.get("x-amz-date", [""])[0]
    of_the_day = re.fullmatch(found["day"] + r"T\d{6}Z", date)
    _require(of_the_day, _INCOMPLETE, "x-amz-date and the scope are not of one day")
    signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    _require(now - signed_at <= SKEW_S, _WRONG, f"Signature expired: {date}")
    _require(signed_at - now <= SKEW_S, _WRONG, f"Signature not yet current: {date}")
    names = found["names"].split(";")
    in_order = {"host", "x-amz-date"} <= set(names) and names == sorted(names)
    _require(in_order, _INCOMPLETE, f"these fields are signed: {names}")
    unsigned = {"x-amz-security-token"} & fields.keys() - set(names)
    _require(not unsigned, _INCOMPLETE, "the session token is not signed")
    _require(fields.keys() >= set(names), _WRONG, "a signed field is missing")
    parts = urlsplit(url)
    canonical = "\n".join(
        [
            method,
            quote(parts.path or "/", safe="/~"),
            "&".join("=".join(pair) for pair in sorted(_pairs(parts.query))),
            *(f"{name}:{','.join(fields[name])}" for name in names),
            "",
            found["names"],
            hashlib.sha256(body).hexdigest(),
        ]
    )
    text = "\n".join(
        ["AWS4-HMAC-SHA256", date, found["scope"], hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = b"AWS4" + secret.encode()
    for part in (found["day"], found["region"], found["service"], "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    ours = hmac.digest(key, text.encode(), "sha256").hex()
    signed = {name: ",".join(fields[name]) for name in names}
    request = AWSRequest(method=method, url=url, headers=signed, data=body)
    request.context["timestamp"] = date
    auth = SigV4Auth(ReadOnlyCredentials(found["key"], secret, None), found["service"], found["region"])
    if ours != auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request):
        raise AssertionError("botocore comes to another signature, for\n" + canonical)
    _require(ours == found["signature"], _WRONG, "the signature does not match")
    return found["key"]


def _require(met: object, code: str, message: str) -> None:
    if not met:
        raise Refused(code, message)


def _pairs(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (p.partition("=") for p in query.split("&") if p)]
