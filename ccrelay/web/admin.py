"""What an operator may do to a running relay: who may, what is asked, and a line in the log for each."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ccrelay.errors import Forbidden, Malformed, NotFound, RelayError, Unauthorized
from ccrelay.observe.log import FIELDS
from ccrelay.web.answering import require_json
from ccrelay.web.client_auth import bearer_of
from ccrelay.wire.http import first

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from ccrelay.web.request import RelayRequest
    from ccrelay.wire.secret import Secret

_NOTHING: Final = msgspec.Raw()
T = TypeVar("T", bound=msgspec.Struct)

_LARGEST: Final = 1024 * 1024
_FOREIGN: Final = frozenset({b"cross-site", b"same-site"})
_CREDENTIALS: Final = struct.Struct("3i")


class OfProvider(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked about a provider."""

    provider: str


class OfKey(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked about a key, by its name."""

    provider: str
    name: str


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key to be added, with what may be configured of one."""

    provider: str
    key: str
    name: str | None = None
    rpm_limit: int = 0
    itpm_limit: int = 0
    otpm_limit: int = 0
    tpm_limit: int = 0
    priority: int = 1
    weight: int = 1

    def settings(self) -> dict[str, Any]:
        """Return it as the configuration has keys, without what was left out."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "provider"}
        return {name: value for name, value in fields.items() if value is not None}


class NewStrategy(msgspec.Struct, forbid_unknown_fields=True):
    """The strategy to use."""

    strategy: str


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing needs to be said."""


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """
    A request to be explained.

    @ivar request: its body; C{model}: in place of one.
    @ivar headers: the client's; C{client}: its name.
    """

    request: msgspec.Raw = _NOTHING
    model: str = ""
    headers: dict[str, str] = {}
    client: str = ""


class ISteward(Protocol):
    """
    What does it; each returns what it has done, in words.

    @raise RelayError: why it cannot be done; then nothing has changed.
    """

    async def enable(self, provider: str) -> str:
        """Use a provider."""

    async def disable(self, provider: str) -> str:
        """Use a provider no more; what runs there goes on."""

    async def drain(self, provider: str) -> str:
        """Let no new conversation go to a provider while it can go elsewhere."""

    async def reset_breaker(self, provider: str) -> str:
        """Close the circuits of a provider and of its models."""

    async def add_key(self, provider: str, given: Mapping[str, Any]) -> str:
        """Add a key; C{given} is what the configuration would say of it."""

    async def remove_key(self, provider: str, name: str) -> str:
        """Use a key no more."""

    async def reset_key(self, provider: str, name: str) -> str:
        """Forget what is held against a key."""

    async def strategy(self, name: str) -> str:
        """Choose by another strategy."""

    async def reload(self) -> str:
        """Read the configuration anew."""

    async def upgrade(self) -> str:
        """Hand over to a new process of the relay, as it is installed now."""

    async def revert(self) -> str:
        """Take back all that was changed at run time."""


_ASKED: Final[Mapping[str, type[msgspec.Struct]]] = {
    "enable": OfProvider, "disable": OfProvider, "drain": OfProvider, "reset_breaker": OfProvider,
    "add_key": NewKey, "remove_key": OfKey, "reset_key": OfKey,
    "strategy": NewStrategy, "reload": Nothing, "revert": Nothing, "upgrade": Nothing,
}  # fmt: skip


class Admin:
    """
    Takes the operator's orders.

    They come with the token, or over the unix socket, which only its owner
    can open.  A web page cannot give them: it has no token, and neither form
    nor script of another origin gets this far.

    @ivar token: None where nobody can show one.
    """

    log = Logger()

    def __init__(self, steward: ISteward, token: Secret | None = None) -> None:
        self.token = token
        self._steward = steward
        self._log = self.log

    def admit(self, request: RelayRequest) -> None:
        """
        Let an operator in.

        @raise Unauthorized, Forbidden, WrongType: if it is none.
        """
        try:
            self._judge(request)
        except RelayError as error:
            self._note(request, "refused", why=error.message)
            raise

    async def asked(self, request: RelayRequest, action: str, kind: type[T], limit: int = _LARGEST) -> T:
        """
        Return what an operator has sent.

        @param limit: bytes.
        @raise RelayError: if it is nobody who may, or not what is wanted.
        """
        self.admit(request)
        content = b"" if request.body is None else await request.body.gather(limit)
        try:
            return msgspec.json.decode(content or b"{}", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
            # Its words name the member and its type, never the value.
            msg = f"{action}: {problem}"
            raise Malformed(msg) from None

    async def act(self, request: RelayRequest, action: str) -> str:
        """
        Do what is asked, and return what was done, in words.

        @raise RelayError: why it was not.
        """
        kind = _ASKED.get(action)
        if kind is None:
            self.admit(request)
            msg = f"There is no action {action!r}; there are: {', '.join(_ASKED)}."
            raise NotFound(msg)
        asked = await self.asked(request, action, kind)
        given = {
            name: getattr(asked, name) for name in ("provider", "name", "strategy") if hasattr(asked, name)
        }
        try:
            done = await _shielded(self._order(action, asked))
        except RelayError as error:
            self._note(request, "not done", **given, why=error.message)
            raise
        self._note(request, "done", **given, what=done)
        return done

    def _note(self, request: RelayRequest, outcome: str, **what: str) -> None:
        """Write the line that says who wanted what, and what came of it; no secret is among it."""
        action = request.path.decode("ascii", "replace").rpartition("/")[2]
        fields = {"action": action, **what, "outcome": outcome, "by": asker(request)}
        emit = self._log.info if outcome == "done" else self._log.warn
        emit("admin", **{FIELDS: fields})

    def _order(self, action: str, asked: msgspec.Struct) -> Coroutine[Any, Any, str]:
        steward = self._steward
        if isinstance(asked, NewKey):
            return steward.add_key(asked.provider, asked.settings())
        order: Callable[..., Coroutine[Any, Any, str]] = getattr(steward, action)
        return order(*msgspec.structs.astuple(asked))

    def _judge(self, request: RelayRequest) -> None:
        if first(request.pairs, b"sec-fetch-site") in _FOREIGN:
            msg = "Another web page may not ask for this."
            raise Forbidden(msg)
        require_json(request)
        if request.local:
            return
        if self.token is None:
            msg = "Nobody may do this here: set admin.token, or admin.socket and ask over that."
            raise Forbidden(msg)
        shown = bearer_of(request.pairs)
        if not shown:
            msg = "Show admin.token as Authorization: Bearer."
            raise Unauthorized(msg)
        if not self.token.matches(shown):
            msg = "The token in Authorization: Bearer is not admin.token."
            raise Unauthorized(msg)


def _shielded(work: Coroutine[Any, Any, str]) -> Deferred[str]:
    """Return the outcome of work that goes on to its end, should whoever waits for it leave."""
    waiter: Deferred[str] = Deferred(lambda _: None)
    Deferred.fromCoroutine(work).addCallbacks(waiter.callback, waiter.errback)
    return waiter


def asker(request: RelayRequest) -> str:
    """Return who asks: an address, or the user at the other end of the unix socket."""
    address: Any = request.getClientAddress()
    if not request.local:
        return f"{address.host}:{address.port}"
    connected = request.channel.transport.socket
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return "unix socket"
    _, user, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return f"unix socket, uid {user}"
