"""Google Vertex AI: the Messages API with the model in its path, and Google's errors in front of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec
from zope.interface import implementer

from ccrelay.errors import NotFound
from ccrelay.providers import google_errors
from ccrelay.providers.answers import complaint, event_complaint, is_count, is_message, scrubbed
from ccrelay.providers.anthropic import one_word
from ccrelay.providers.bedrock import model_segment
from ccrelay.providers.beta_table import VERTEX, VERTEX_REFUSES
from ccrelay.providers.betas import Betas
from ccrelay.providers.interfaces import Capabilities, IProvider
from ccrelay.providers.translators import PassThrough
from ccrelay.wire import headers as fields
from ccrelay.wire.edits import members, with_members
from ccrelay.wire.http import UpstreamRequest, first

if TYPE_CHECKING:
    from ccrelay.policy.verdict import Complaint
    from ccrelay.providers.interfaces import ITranslator, Model
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, ResponseHead
    from ccrelay.wire.request import MessagesRequest

VERSION: Final = "vertex-2023-10-16"
"""Every model takes it (docs/wire.md, Vertex)."""
PROBED: Final = "claude-haiku-4-5@20251001"
BETAS: Final = Betas(VERTEX, VERTEX_REFUSES)

_SEGMENT: Final = "!$&'()*+,=:@"
"""What stays as it is in a segment; a C{;} does not: a server may drop it and the verb behind it."""
_HOSTS: Final = {
    "global": "aiplatform.googleapis.com",
    "us": "aiplatform.us.rep.googleapis.com",
    "eu": "aiplatform.eu.rep.googleapis.com",
}
_JSON: Final = (b"content-type", b"application/json")
# Counting is there in some regions and for some models.
_CAPABILITIES: Final = Capabilities(uncountable=frozenset({400, 403, 404, 405, 501}))


def host(region: str) -> str:
    """Return the address of Vertex for C{global}, C{us}, C{eu} or a region."""
    return f"https://{_HOSTS.get(region, f'{region}-aiplatform.googleapis.com')}/v1"


@implementer(IProvider)
@dataclass(frozen=True, slots=True)
class Vertex:
    """
    Claude on Vertex in one project and region (facts: docs/wire.md, Vertex).

    @ivar base_url: what stands before C{/projects/}.
    @ivar anthropic_version: put into every body.
    @ivar probed: a model that the probe asks to count a word for.
    """

    base_url: str
    project: str
    region: str
    scheme: str = "none"
    anthropic_version: str = VERSION
    probed: str = PROBED
    betas: Betas = BETAS
    capabilities: Capabilities = _CAPABILITIES
    kind: str = field(default="vertex", init=False)

    def compose(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:  # noqa: ARG002
        """Return a prediction of the model; the client's query is none of Google's."""
        verb = "streamRawPredict" if request.stream else "rawPredict"
        path = f"{model_segment(request.model, _SEGMENT)}:{verb}"
        return self._post(path, _up(headers), self._body(request.body, "model"))

    def count(self, request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:  # noqa: ARG002
        """Return a count; here the model stays in the body."""
        return self._post("count-tokens:rawPredict", _up(headers), self._body(request.body))

    def counted(self, body: bytes) -> bytes | None:
        """Return the body itself if it is a count of tokens."""
        return body if is_count(body) else None

    def resource(self, method: str, path: str, query: bytes, headers: Pairs) -> UpstreamRequest:  # noqa: ARG002
        """Refuse: Vertex has no batches and files of the Messages API."""
        msg = f"Vertex has no {path}; name another provider in routing.account_provider."
        raise NotFound(msg)

    def models(self) -> UpstreamRequest | None:
        """Return None: there is no list."""
        return None

    def read_models(self, body: bytes) -> tuple[Model, ...]:  # noqa: ARG002
        """Return none."""
        return ()

    def probe(self) -> UpstreamRequest:
        """Return a count of one word, which is free."""
        headers = (_JSON, (b"accept", b"application/json"))
        return self._post("count-tokens:rawPredict", headers, self._body(one_word(self.probed)))

    def translator(self) -> ITranslator:
        """Return a watcher that hands the very bytes on."""
        return PassThrough()

    def message(self, body: bytes) -> bytes | None:
        """Return the body itself if it is a message."""
        return body if is_message(body) else None

    def classify(self, head: ResponseHead, body: bytes, now: float, *, mapped: bool) -> Complaint:
        """Return the complaint by Google's names of errors, without the names of projects."""
        said, status = google_errors.read(body)
        tabled = None if said.enveloped else google_errors.complaint_of(status, said)
        found = complaint(head, body, said, tabled, now, mapped=mapped, base_url=self.base_url)
        return self.discreet(found)

    def classify_event(self, said: ErrorBody, data: bytes, now: float) -> Complaint:  # noqa: ARG002
        """Return the complaint in an C{error} event that came first, as if it had been the answer."""
        return self.discreet(event_complaint(said, data))

    def discreet(self, found: Complaint) -> Complaint:
        """Return a complaint without ids and numbers of projects."""
        private = google_errors.private(self.project)
        return scrubbed(found, lambda words: private.sub(google_errors.hidden, words), private)

    def _post(self, path: str, headers: Pairs, body: bytes) -> UpstreamRequest:
        project, region = quote(self.project, _SEGMENT), quote(self.region, _SEGMENT)
        where = f"{self.base_url}/projects/{project}/locations/{region}/publishers/anthropic/models"
        return UpstreamRequest("POST", f"{where}/{path}", headers, body)

    def _body(self, body: bytes, *gone: str) -> bytes:
        version = {"anthropic_version": msgspec.json.encode(self.anthropic_version)}
        return with_members(body, members(body), gone, version)


def _up(headers: Pairs) -> Pairs:
    """Return the client's header fields but for the version, which is in the body here."""
    kept = tuple(pair for pair in fields.upward(headers) if pair[0] != b"anthropic-version")
    return kept if first(kept, b"content-type") is not None else (_JSON, *kept)
