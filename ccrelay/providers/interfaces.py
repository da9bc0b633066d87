"""What a provider and the translator of its answers are, to the rest of the relay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from ccrelay.policy.verdict import Complaint
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, ResponseHead, UpstreamRequest
    from ccrelay.wire.request import MessagesRequest
    from ccrelay.wire.usage import Usage


@dataclass(frozen=True, slots=True)
class Capabilities:
    """
    What a kind of provider can do beside answering messages.

    @ivar counts_tokens: has C{/v1/messages/count_tokens}.
    @ivar resources: has batches, files and other account-bound resources.
    @ivar passthrough: takes a client's own claude.ai bearer.
    @ivar stream_type: the C{content-type} of its streamed answers.
    @ivar uncountable: statuses by which it says that it cannot count this, or for
        this model, rather than that it failed; they say nothing about the key.
    @ivar probe_judges: whether a 401 or 403 to the probe speaks of the credential.
    """

    counts_tokens: bool = True
    resources: bool = False
    passthrough: bool = False
    stream_type: bytes = b"text/event-stream"
    uncountable: frozenset[int] = frozenset({404, 405, 501})
    probe_judges: bool = True


UNDATED: Final = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Model:
    """An entry of C{GET /v1/models}; C{created} is RFC 3339, the epoch where nobody knows."""

    id: str
    display_name: str
    created: str = UNDATED


class Stage:
    """How far a streamed answer has come, as a ladder of numbers."""

    NOTHING = 0
    """No event, or only pings and comments."""
    STARTED = 1
    """C{message_start} was seen."""
    CONTENT = 2
    """An event that is more than that was seen."""
    STOPPED = 3
    """C{message_stop} was seen: the message is whole."""


class ITranslator(Protocol):
    """
    Turns the bytes of one streamed answer into Anthropic's events, without I/O.

    @ivar stage: one of L{Stage}.
    @ivar error: what the first C{error} event says, or None; C{error_first}
        tells that nothing but C{message_start} and pings came before it.
    @ivar error_data: the data of that event.
    @ivar split: whether a piece of an unfinished event was handed out.
    @ivar usage: what the answer cost as far as it is known.
    """

    stage: int
    error: ErrorBody | None
    error_first: bool
    error_data: bytes
    usage: Usage

    @property
    def split(self) -> bool:
        """Whether a piece of an unfinished event was handed out."""

    def feed(self, data: bytes) -> bytes:
        """Take the provider's next bytes and return those for the client: whole events."""


class IProvider(Interface):
    """A kind of backend: pure, knows the wire, holds no secret and no connection."""

    kind = Attribute("C{str}: its C{type} in the configuration")
    base_url = Attribute("C{str}: what stands before C{/v1/messages}, or before the kind's own paths")
    scheme = Attribute("C{str}: how a key is shown to it: C{x-api-key}, C{bearer} or C{none}")
    capabilities = Attribute("L{Capabilities}")
    betas = Attribute(
        "L{ccrelay.providers.betas.Betas}: which beta flags and fields it takes;"
        " requests are made to fit by it before they are composed"
    )

    def compose(request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        """
        Return the request that asks for a message, not yet authorized.

        @param request: with the model's name at this provider.
        @param headers: the client's.
        @param query: the client's, without the question mark.
        @raise ClientError: if this kind of provider cannot take such a request.
        """

    def count(request: MessagesRequest, headers: Pairs, query: bytes) -> UpstreamRequest:
        """
        Return the request that counts the tokens of a message, not yet authorized.

        @raise ClientError: if this kind of provider cannot take such a request.
        """

    def counted(body: bytes) -> bytes | None:
        """Return an answer to L{count} as Anthropic's C{{"input_tokens": n}}, or None if it is no count."""

    def resource(method: str, path: str, query: bytes, headers: Pairs) -> UpstreamRequest:
        """
        Return the head of a request for an account-bound resource, not yet authorized.

        @raise NotFound: where the provider has none (L{Capabilities.resources}).
        """

    def models() -> UpstreamRequest | None:
        """Return the request that lists the provider's models, or None where there is none."""

    def read_models(body: bytes) -> tuple[Model, ...]:
        """Return the models in an answer to L{models}; empty if it is not one."""

    def probe() -> UpstreamRequest:
        """Return the cheapest request that shows the provider is there; it costs no tokens."""

    def translator() -> ITranslator:
        """Return a fresh translator for one streamed answer."""

    def message(body: bytes) -> bytes | None:
        """Return a whole answer as Anthropic's message, or None if it is not a message."""

    def classify(head: ResponseHead, body: bytes, now: float, *, mapped: bool) -> Complaint:
        """
        Return what a refusal means, in Anthropic's terms.

        A refused credential is L{Verdict.KEY} with status 401 and nothing
        else is: one that was fetched may then be renewed, once.

        @param body: at most the first 64 KiB of it.
        @param now: seconds since the epoch.
        @param mapped: whether the model was renamed for this provider.
        """

    def classify_event(said: ErrorBody, data: bytes, now: float) -> Complaint:
        """Return what an C{error} event means that came before anything else of a streamed answer."""

    def discreet(found: Complaint) -> Complaint:
        """
        Return a complaint without what only the operator may know: accounts, projects, tenants.

        Where it names none, that is the very same; else it has no C{body}.
        """
