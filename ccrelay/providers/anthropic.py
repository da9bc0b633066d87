"""The Messages API as Anthropic speaks it, and every provider that speaks it likewise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
from zope.interface import implementer

from ccrelay.policy.verdict import Complaint, Verdict, barred_for, judge
from ccrelay.providers.interfaces import UNDATED, Capabilities, IProvider, Model
from ccrelay.providers.translators import PassThrough
from ccrelay.wire import headers as fields
from ccrelay.wire.error_json import KIND_OF_STATUS, ErrorBody, kind_of, read_error
from ccrelay.wire.http import UpstreamRequest, media_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.providers.interfaces import ITranslator
    from ccrelay.wire.http import Pairs, ResponseHead
    from ccrelay.wire.request import MessagesRequest

# The version that every provider of the format knows, for requests of the relay's own.
_OWN_HEADERS: Final = ((b"anthropic-version", b"2023-06-01"), (b"accept", b"application/json"))
_STATUS_OF_KIND: Final = {kind: status for status, kind in reversed(KIND_OF_STATUS.items())} | {
    "timeout_error": 504
}
_NOT_AN_ANSWER: Final = 400
_NOT_FOUND: Final = 404


def _no_table(_status: int, _said: ErrorBody, _now: float) -> Complaint | None:
    return None


@implementer(IProvider)
@dataclass(frozen=True, slots=True)
class AnthropicFormat:
    """
    A provider of Anthropic's format; what tells one from another are these values.

    @ivar error_table: given the status, the words of the body and the time, the
        complaint that a provider's own error code means, or None.
    @ivar models_path, probe_path: below C{base_url}; an empty C{models_path} means there is no list.
    """

    kind: str
    base_url: str
    scheme: str = "x-api-key"
    capabilities: Capabilities = field(default_factory=Capabilities)
    error_table: Callable[[int, ErrorBody, float], Complaint | None] = _no_table
    models_path: str = "/v1/models?limit=1000"
    probe_path: str = "/v1/models?limit=1"
    probe_method: str = "GET"

    def compose(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        """Return the client's own bytes, for C{/v1/messages}."""
        return self._post("/v1/messages", request, headers, query)

    def count(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        """Return the client's own bytes, for C{/v1/messages/count_tokens}."""
        return self._post("/v1/messages/count_tokens", request, headers, query)

    def resource(self, method: str, path: str, query: bytes, headers: Pairs) -> UpstreamRequest:
        """Return the head of a request for a batch, a file or the like."""
        return UpstreamRequest(method, self._url(path, query), fields.upward(headers))

    def models(self) -> UpstreamRequest | None:
        """Return the request that lists models, if the provider lists them."""
        if not self.models_path:
            return None
        return UpstreamRequest("GET", self.base_url + self.models_path, _OWN_HEADERS)

    def read_models(self, body: bytes) -> tuple[Model, ...]:
        """Return the models of a list in Anthropic's shape or OpenAI's; both have C{data[].id}."""
        try:
            listed: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ()
        entries = listed.get("data") if isinstance(listed, dict) else None
        return tuple(
            Model(
                entry["id"],
                str(entry.get("display_name") or entry["id"]),
                entry["created_at"] if isinstance(entry.get("created_at"), str) else UNDATED,
            )
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, dict) and isinstance(entry.get("id"), str)
        )

    def probe(self) -> UpstreamRequest:
        """Return a request for the smallest page there is."""
        return UpstreamRequest(self.probe_method, self.base_url + self.probe_path, _OWN_HEADERS)

    def translator(self) -> ITranslator:
        """Return a watcher that hands the very bytes on."""
        return PassThrough()

    def message(self, body: bytes) -> bytes | None:
        """Return the body itself if it is a message."""
        return body if _is_message(body) else None

    def classify(self, head: ResponseHead, body: bytes, now: float, *, mapped: bool) -> Complaint:
        """Return the complaint: by the provider's own table, in its own bytes, or put into words."""
        said = read_error(body)
        tabled = self.error_table(head.status, said, now)
        if tabled is not None:
            return _carrying(tabled, head.headers, mapped=mapped)
        verdict = judge(head.status, said, mapped=mapped)
        if head.status < _NOT_AN_ANSWER:
            message = (
                f"The provider answered {head.status} where a message was asked for; "
                f"check its base_url ({self.base_url})."
            )
            return Complaint(Verdict.BROKEN, 502, "api_error", message)
        if said.enveloped:
            return Complaint(
                verdict, head.status, said.kind, said.message, fields.downward(head.headers), body,
                barred_for(head.status, said, now),
            )  # fmt: skip
        what = media_type(head.headers).decode("ascii", "replace") or "no body"
        message = said.message or f"The provider answered {head.status} with {what} instead of an API error."
        return Complaint(
            verdict, head.status, kind_of(head.status), message, _without_type(fields.downward(head.headers)),
            barred_for=barred_for(head.status, said, now),
        )  # fmt: skip

    def classify_event(self, said: ErrorBody, data: bytes, now: float) -> Complaint:
        """Return the complaint in an C{error} event that came first, as if it had been the answer."""
        status = _STATUS_OF_KIND.get(said.kind, 500)
        tabled = self.error_table(status, said, now)
        if tabled is not None:
            return tabled
        return Complaint(
            judge(status, said, mapped=False), status, said.kind or "api_error", said.message,
            body=data if said.enveloped else None,
        )  # fmt: skip

    def _post(self, path: str, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        return UpstreamRequest("POST", self._url(path, query), fields.upward(headers), request.body)

    def _url(self, path: str, query: bytes) -> str:
        return f"{self.base_url}{path}?{query.decode('ascii')}" if query else self.base_url + path


class _Message(msgspec.Struct):
    type: str = ""
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_MESSAGE: Final = msgspec.json.Decoder(_Message)


def _is_message(body: bytes) -> bool:
    try:
        return _MESSAGE.decode(body).type == "message"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _carrying(tabled: Complaint, headers: Pairs, *, mapped: bool) -> Complaint:
    """Return a table's complaint with the provider's fields that it does not set itself."""
    own = {name for name, _ in tabled.headers}
    kept = tuple(pair for pair in _without_type(fields.downward(headers)) if pair[0] not in own)
    strange = mapped and tabled.status == _NOT_FOUND  # another provider may know the model
    return replace(
        tabled, headers=kept + tabled.headers, verdict=Verdict.BROKEN if strange else tabled.verdict
    )


def _without_type(pairs: Pairs) -> Pairs:
    return tuple(pair for pair in pairs if pair[0] != b"content-type")
