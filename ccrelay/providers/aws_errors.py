"""What the errors of AWS mean in Anthropic's terms, and what of them nobody else needs to know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ccrelay.policy.verdict import EXHAUSTED_S, Complaint, Verdict, judge
from ccrelay.providers.answers import too_long
from ccrelay.wire.error_json import ErrorBody, kind_of, read_error

ARN: Final = re.compile(r"arn:aws[\w-]*:[^\s\"'`,;()\[\]{}<>\\]+")
_ACCOUNT: Final = re.compile(r"(?<![\w.-])\d{12}(?![\w-])")

# Facts: docs/wire.md, Bedrock. Names without "Exception", in lower case.
_TABLE: Final[dict[str, tuple[Verdict, int]]] = {
    "validation": (Verdict.CLIENT, 400),
    "accessdenied": (Verdict.KEY, 403),
    "resourcenotfound": (Verdict.CLIENT, 404),
    "ftuformnotfilled": (Verdict.CLIENT, 404),
    "throttling": (Verdict.KEY, 429),
    "toomanyrequests": (Verdict.KEY, 429),
    "servicequotaexceeded": (Verdict.KEY, 429),
    "modelnotready": (Verdict.BUSY, 529),
    "serviceunavailable": (Verdict.BUSY, 529),
    "modeltimeout": (Verdict.BROKEN, 504),
    "internalserver": (Verdict.BROKEN, 500),
    "internalfailure": (Verdict.BROKEN, 500),
}
_CREDENTIAL: Final = frozenset({
    "unrecognizedclient", "invalidsignature", "signaturedoesnotmatch", "expiredtoken", "invalidclienttokenid",
    "missingauthenticationtoken", "incompletesignature", "requestexpired", "requesttimetooskewed",
    "notauthorized", "optinrequired",
})  # fmt: skip
_MODEL_FAILED: Final = frozenset({"modelerror", "modelstreamerror"})
_REFUSED_KEY: Final = re.compile(
    r"security token|api key is (?:in)?valid|bearer token|key has expired"
    r"|signature (?:we calculated|expired|not yet)",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(r"signature expired|not yet current|skewed", re.IGNORECASE)
_NO_SUCH_MODEL: Final = re.compile(
    r"model identifier is invalid|on-demand throughput|model .*(?:not found|does not exist)", re.IGNORECASE
)
_DAILY: Final = re.compile(r"too many tokens per day", re.IGNORECASE)
_HINT: Final = " (The clock of ccrelay's machine differs from that of AWS: set it, by NTP for instance.)"


@dataclass(frozen=True, slots=True)
class Failure:
    """
    An error of AWS, wherever it was told: in an answer or in a frame of a stream.

    @ivar name: without C{Exception}, in lower case; empty where it has none.
    @ivar original: the status that the model itself answered; 0 where it is not told.
    """

    said: ErrorBody
    name: str
    original: int = 0


def read(error_type: bytes, body: bytes) -> Failure:
    """
    Return the error in a body.

    @param error_type: C{x-amzn-errortype}, or the C{:exception-type} of a frame.
    """
    said = read_error(body)
    if said.enveloped:
        return Failure(said, "")
    try:
        fields: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        fields = {}
    name = error_type.decode("latin-1") or _text(fields, "code") or _text(fields, "__type")
    message = said.message or _text(fields, "originalMessage") or _text(fields, "Message")
    original = fields.get("originalStatusCode")
    return Failure(
        ErrorBody(enveloped=False, kind="", code=name, message=message),
        name.partition(":")[0].rpartition("#")[2].lower().removesuffix("exception"),
        original if isinstance(original, int) else 0,
    )


def complaint_of(failure: Failure) -> Complaint | None:
    """Return what an error means, or None where neither its name nor its words are known."""
    message = clean(failure.said.message) or f"AWS answered with {failure.said.code or 'an error'}."
    if failure.name in _CREDENTIAL or (
        failure.name in ("", "accessdenied") and _REFUSED_KEY.search(message)
    ):  # fmt: skip
        hint = _HINT if _CLOCK.search(message) else ""
        return Complaint(Verdict.KEY, 401, "authentication_error", message + hint)
    if failure.name in _MODEL_FAILED:
        return _of_model(failure, message)
    words = too_long(message)
    if words is not None and failure.name in ("", "validation"):
        return Complaint(Verdict.CLIENT, 400, "invalid_request_error", words)
    if failure.name not in _TABLE:
        return None
    verdict, status = _TABLE[failure.name]
    if failure.name == "validation" and _NO_SUCH_MODEL.search(message):
        status = 404
    barred = EXHAUSTED_S if status == 429 and _DAILY.search(message) else 0.0  # noqa: PLR2004
    return Complaint(verdict, status, kind_of(status), message, barred_for=barred)


def clean(message: str) -> str:
    """Return words without ARNs and account ids."""
    return _ACCOUNT.sub("(account)", ARN.sub("(ARN)", message))


def _of_model(failure: Failure, message: str) -> Complaint:
    """The model's own server failed: by the status it gave, if it is one of an error."""
    status = failure.original if failure.original in range(400, 600) else 500
    status = {408: 504, 424: 500, 503: 529}.get(status, status)
    said = ErrorBody(enveloped=False, kind="", code="", message=message)
    return Complaint(judge(status, said, mapped=False), status, kind_of(status), message)


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
