"""The Messages API as Anthropic speaks it, and every provider that speaks it likewise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from zope.interface import implementer

from ccrelay.providers.answers import complaint, event_complaint, is_count, is_message, status_of
from ccrelay.providers.betas import EVERYTHING, Betas
from ccrelay.providers.interfaces import UNDATED, Capabilities, IProvider, Model
from ccrelay.providers.translators import PassThrough
from ccrelay.wire import headers as fields
from ccrelay.wire.error_json import read_error
from ccrelay.wire.http import UpstreamRequest

if TYPE_CHECKING:
    from ccrelay.policy.verdict import Complaint
    from ccrelay.providers.answers import ErrorTable
    from ccrelay.providers.interfaces import ITranslator
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, ResponseHead
    from ccrelay.wire.request import MessagesRequest

OWN_HEADERS: Final = ((b"anthropic-version", b"2023-06-01"), (b"accept", b"application/json"))
"""For requests of the relay's own, with the version that every provider of the format knows."""

_JSON: Final = (b"content-type", b"application/json")


def one_word(model: str) -> bytes:
    """Return the smallest body there is."""
    return msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "hi"}]})


def _no_table(_status: int, _said: ErrorBody, _now: float) -> Complaint | None:
    return None


@implementer(IProvider)
@dataclass(frozen=True, slots=True)
class AnthropicFormat:
    """
    A provider of Anthropic's format; what tells one from another are these values.

    @ivar error_table: see L{ErrorTable}.
    @ivar models_path, probe_path: below C{base_url}; an empty C{models_path} means there is no list.
    """

    kind: str
    base_url: str
    scheme: str = "x-api-key"
    capabilities: Capabilities = field(default_factory=Capabilities)
    error_table: ErrorTable = _no_table
    models_path: str = "/v1/models?limit=1000"
    probe_path: str = "/v1/models?limit=1"
    probe_method: str = "GET"
    probe_body: bytes | None = None
    betas: Betas = EVERYTHING

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
        return UpstreamRequest("GET", self.base_url + self.models_path, OWN_HEADERS)

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
        """Return a request for the smallest page there is, or one that counts a word."""
        headers = OWN_HEADERS if self.probe_body is None else (*OWN_HEADERS, _JSON)
        return UpstreamRequest(self.probe_method, self.base_url + self.probe_path, headers, self.probe_body)

    def translator(self) -> ITranslator:
        """Return a watcher that hands the very bytes on."""
        return PassThrough()

    def message(self, body: bytes) -> bytes | None:
        """Return the body itself if it is a message."""
        return body if is_message(body) else None

    def counted(self, body: bytes) -> bytes | None:
        """Return the body itself if it is a count of tokens."""
        return body if is_count(body) else None

    def classify(self, head: ResponseHead, body: bytes, now: float, *, mapped: bool) -> Complaint:
        """Return the complaint: by the provider's own table, in its own bytes, or put into words."""
        said = read_error(body)
        tabled = self.error_table(head.status, said, now)
        found = complaint(head, body, said, tabled, now, mapped=mapped, base_url=self.base_url)
        return self.discreet(found)

    def classify_event(self, said: ErrorBody, data: bytes, now: float) -> Complaint:
        """Return the complaint in an C{error} event that came first, as if it had been the answer."""
        return self.discreet(self.error_table(status_of(said.kind), said, now) or event_complaint(said, data))

    def discreet(self, found: Complaint) -> Complaint:
        """Return the very same: who has only keys here is told of by nothing else."""
        return found

    def _post(self, path: str, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        return UpstreamRequest("POST", self._url(path, query), fields.upward(headers), request.body)

    def _url(self, path: str, query: bytes) -> str:
        return f"{self.base_url}{path}?{query.decode('ascii')}" if query else self.base_url + path
