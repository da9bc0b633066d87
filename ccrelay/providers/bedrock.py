"""AWS Bedrock: the Messages API in the body of C{InvokeModel}, the model in its path, answers in frames."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec
from zope.interface import implementer

from ccrelay.errors import Malformed, NotFound
from ccrelay.providers import aws_errors
from ccrelay.providers.answers import complaint, event_complaint, is_message, scrubbed
from ccrelay.providers.bedrock_stream import BedrockStream, error_data
from ccrelay.providers.beta_table import BEDROCK, BEDROCK_REFUSES
from ccrelay.providers.betas import Betas, flags_in
from ccrelay.providers.interfaces import Capabilities, IProvider
from ccrelay.wire.edits import members, with_members
from ccrelay.wire.http import UpstreamRequest, first

if TYPE_CHECKING:
    from ccrelay.policy.verdict import Complaint
    from ccrelay.providers.interfaces import ITranslator, Model
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, ResponseHead
    from ccrelay.wire.request import MessagesRequest

VERSION: Final = "bedrock-2023-05-31"
"""Every model takes it; later versions are for Claude 4.7 and newer alone (docs/wire.md, Bedrock)."""

BETAS: Final = Betas(BEDROCK, BEDROCK_REFUSES)
_CAPABILITIES: Final = Capabilities(
    stream_type=b"application/vnd.amazon.eventstream",
    # Which models and profiles CountTokens knows is nowhere said, and it needs a permission of its own.
    uncountable=frozenset({400, 403, 404, 405, 501}),
    probe_judges=False,
)
_JSON: Final = b"application/json"
_UP_NAMES: Final = (b"content-type", b"user-agent")
_UP_PREFIX: Final = b"x-amzn-bedrock-"
_PROFILE: Final = re.compile(r"(?:us-gov|us|eu|apac|jp|au|ca|global)\.(?=anthropic\.)")


class _Count(msgspec.Struct):
    input_tokens: int = msgspec.field(name="inputTokens")


_COUNT: Final = msgspec.json.Decoder(_Count)
_BETAS: Final = msgspec.json.Decoder(list[str])


def runtime(region: str) -> str:
    """Return the address of Bedrock's runtime in a region."""
    return f"https://bedrock-runtime.{region}.amazonaws.com"


def model_segment(model: str, safe: str = "") -> str:
    """
    Return a model's name as one segment of a path.

    @raise Malformed: for a name that a server could take for no segment, or for another one.
    """
    if model.partition(";")[0] not in ("", ".", ".."):
        try:
            return quote(model, safe=safe)
        except UnicodeEncodeError:
            pass  # half a character
    msg = f"model: {model!r} cannot be a model of this provider; map it to one in model_mapping"
    raise Malformed(msg)


@implementer(IProvider)
@dataclass(frozen=True, slots=True)
class Bedrock:
    """
    Bedrock in one region (facts: docs/wire.md, Bedrock).

    @ivar base_url: what stands before C{/model/}.
    @ivar scheme: C{bearer} with an API key of Bedrock's; C{none} where requests are signed.
    @ivar anthropic_version: put into every body.
    """

    base_url: str
    scheme: str = "none"
    anthropic_version: str = VERSION
    betas: Betas = BETAS
    capabilities: Capabilities = _CAPABILITIES
    kind: str = field(default="bedrock", init=False)

    def compose(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:  # noqa: ARG002
        """Return an invocation of the model; the client's query is none of Bedrock's."""
        call = "invoke-with-response-stream" if request.stream else "invoke"
        return self._post(request.model, call, _up(headers), self._body(request.body, headers))

    def count(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:  # noqa: ARG002
        """Return a C{CountTokens} of the foundation model; of a profile of one it counts nothing."""
        body = self._body(request.body, headers, max_tokens=b"1")
        wrapped = msgspec.json.encode({"input": {"invokeModel": {"body": b64encode(body).decode("ascii")}}})
        return self._post(_PROFILE.sub("", request.model, count=1), "count-tokens", _up(headers), wrapped)

    def counted(self, body: bytes) -> bytes | None:
        """Return the count as Anthropic writes it."""
        try:
            return msgspec.json.encode({"input_tokens": _COUNT.decode(body).input_tokens})
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def resource(self, method: str, path: str, query: bytes, headers: Pairs) -> UpstreamRequest:  # noqa: ARG002
        """Refuse: Bedrock has no batches and files of the Messages API."""
        msg = f"Bedrock has no {path}; name another provider in routing.account_provider."
        raise NotFound(msg)

    def models(self) -> UpstreamRequest | None:
        """Return None: another service lists them, with permissions of its own."""
        return None

    def read_models(self, body: bytes) -> tuple[Model, ...]:  # noqa: ARG002
        """Return none."""
        return ()

    def probe(self) -> UpstreamRequest:
        """Return a request for nothing: any answer shows that TLS and the service's front are there."""
        return UpstreamRequest("GET", f"{self.base_url}/", ((b"accept", _JSON),))

    def translator(self) -> ITranslator:
        """Return a translator of frames."""
        return BedrockStream()

    def message(self, body: bytes) -> bytes | None:
        """Return the body itself if it is a message."""
        return body if is_message(body) else None

    def classify(self, head: ResponseHead, body: bytes, now: float, *, mapped: bool) -> Complaint:
        """Return the complaint by AWS's names of errors, without ARNs and account ids."""
        failure = aws_errors.read(first(head.headers, b"x-amzn-errortype") or b"", body)
        tabled = None if failure.said.enveloped else aws_errors.complaint_of(failure)
        found = complaint(
            head, body, failure.said, tabled, now, mapped=mapped, base_url=self.base_url
        )  # fmt: skip
        return self.discreet(found)

    def classify_event(self, said: ErrorBody, data: bytes, now: float) -> Complaint:  # noqa: ARG002
        """Return the complaint in an C{error} event; the translator has put AWS's into Anthropic's terms."""
        found = event_complaint(said, data)
        if data == error_data(said.kind, said.message):
            found = replace(found, body=None)  # no bytes of the provider's
        return self.discreet(found)

    def discreet(self, found: Complaint) -> Complaint:
        """Return a complaint without ARNs and account ids."""
        return scrubbed(found, aws_errors.clean, aws_errors.ARN)

    def _post(self, model: str, call: str, headers: Pairs, body: bytes) -> UpstreamRequest:
        return UpstreamRequest("POST", f"{self.base_url}/model/{model_segment(model)}/{call}", headers, body)

    def _body(self, body: bytes, headers: Pairs, **absent: bytes) -> bytes:
        """
        Return the body of an invocation: all bytes are the client's but for a few top-level members.

        @param absent: JSON of values by the keys that are added where they are not there.
        """
        parts = members(body)
        there = {part.key: body[part.start : part.end] for part in parts if part.key == "anthropic_beta"}
        first_members = {"anthropic_version": msgspec.json.encode(self.anthropic_version)}
        betas = _merged(there.get("anthropic_beta"), list(flags_in(headers)))
        if betas:
            first_members["anthropic_beta"] = betas
        keys = {part.key for part in parts}
        profile = first(headers, b"anthropic-user-profile-id")
        if profile is not None:
            absent["user_profile_id"] = msgspec.json.encode(profile.decode("latin-1"))
        first_members |= {key: value for key, value in absent.items() if key not in keys}
        return with_members(body, parts, ("model", "stream"), first_members)


def _merged(there: bytes | None, flags: list[str]) -> bytes | None:
    """Return the flags of the body and of the header fields as one list; None for none."""
    if there is not None:
        try:
            flags = [*_BETAS.decode(there), *flags]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return there  # what is no list of flags is Bedrock's to refuse
    return msgspec.json.encode(list(dict.fromkeys(flags))) if flags else None


def _up(headers: Pairs) -> Pairs:
    """Return the few header fields that Bedrock gets; no more, since signatures are taken over them."""
    kept = tuple(pair for pair in headers if pair[0] in _UP_NAMES or pair[0].startswith(_UP_PREFIX))
    if first(kept, b"content-type") is None:
        kept = ((b"content-type", _JSON), *kept)
    return (*kept, (b"accept", _JSON))
