"""A Messages API request, read once: the few facts a relay needs, and the client's exact bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from ccrelay.errors import Malformed
from ccrelay.wire.splice import with_value
from ccrelay.wire.weight import has_media

if TYPE_CHECKING:
    from collections.abc import Generator


class _Fields(msgspec.Struct):
    """The top-level fields the relay looks at; all others are skipped unread."""

    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    messages: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    stream: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    thread: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Said(msgspec.Struct):
    """A message, whose content is looked at only where it is made of blocks."""

    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Read(msgspec.Struct):
    """The fields of a request whose messages are objects, as they should be."""

    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    messages: list[_Said] | msgspec.UnsetType = msgspec.UNSET
    stream: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    thread: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    system: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Opening(msgspec.Struct):
    """What a conversation begins with."""

    system: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    messages: list[msgspec.Raw] = []


class _Role(msgspec.Struct):
    role: str = ""


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _UserId(msgspec.Struct):
    session_id: str = ""


_READ: Final = msgspec.json.Decoder(_Read)
_FIELDS: Final = msgspec.json.Decoder(_Fields)
_METADATA: Final = msgspec.json.Decoder(_Metadata)
_USER_ID: Final = msgspec.json.Decoder(_UserId)
_OPENING: Final = msgspec.json.Decoder(_Opening)
_ROLE: Final = msgspec.json.Decoder(_Role)
_LEGACY_SESSION: Final = re.compile(r"_session_([0-9A-Za-z-]+)$")
_STEP: Final = 4 * 1024 * 1024
"""Bytes of messages that are looked at in one step: 2 ms."""
_A_MESSAGE: Final = 1024
"""What it costs to look at a message at all, in bytes of its content."""
_OPENING_BYTES: Final = 256 * 1024
"""More of a part does not count: see L{ccrelay.policy.conversation.opening_session}."""
_LONGEST_MODEL: Final = 2048  # what Bedrock accepts for an ARN, the longest kind of name


class Glance(msgspec.Struct, frozen=True):
    """
    What the one scan of a body has told beside its fields, so that nobody has to search it again.

    @ivar thoughts: the contents of the assistant's messages that may hold blocks of thinking.
    @ivar media: whether there may be base64 in the messages.
    @ivar system: as the client wrote it; likewise C{tools}, and the content of the user's first message.
    """

    thoughts: tuple[msgspec.Raw, ...]
    media: bool
    system: msgspec.Raw | msgspec.UnsetType
    tools: msgspec.Raw | msgspec.UnsetType
    first: msgspec.Raw | None


class MessagesRequest(msgspec.Struct, frozen=True):
    """
    What a client asked for.

    @ivar body: the client's bytes, untouched.
    @ivar model: the model it named.
    @ivar stream: whether it wants server-sent events.
    @ivar session: the conversation as C{metadata.user_id} tells it; empty where it does not.
    @ivar thread: whether it is part of a conversation that the provider keeps (docs/wire.md, Threads).
    @ivar glance: what is known of its messages; None where they are not what they should be.
    """

    body: bytes
    model: str
    stream: bool
    session: str
    thread: bool = False
    glance: Glance | None = None

    @classmethod
    def parse(cls, body: bytes) -> MessagesRequest:
        """
        Read a request body in one scan.

        Only what the relay needs is looked at: roles, block types and fields
        that nobody knows today are the provider's to judge.

        @raise Malformed: if it is not a JSON object or lacks C{model} or C{messages}.
        """
        steps = cls.reading(body)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]

    @classmethod
    def reading(cls, body: bytes) -> Generator[None, None, MessagesRequest]:
        """
        Read a request body as L{parse} does, in steps between which others can go on.

        The scan is one of them: one call, at 3 to 5 GB/s.

        @raise Malformed: as L{parse} does.
        """
        fields: _Read | _Fields
        try:
            try:
                fields = _READ.decode(body)
            except msgspec.ValidationError:
                # Messages that are none are the provider's to judge.
                fields = _FIELDS.decode(body)
        except msgspec.ValidationError:
            msg = "The request body must be a JSON object; send one with `model` and `messages`."
            raise Malformed(msg) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"The request body is not valid JSON ({error}); nothing was sent to a provider."
            raise Malformed(msg) from None
        messages = fields.messages
        glance = None
        if isinstance(messages, msgspec.UnsetType):
            msg = "messages: Field required"
            raise Malformed(msg)
        if isinstance(fields, _Read) and isinstance(messages, list):
            yield
            glance = yield from _glance(body, fields, messages)
        elif isinstance(messages, msgspec.Raw) and not _begins(messages, b"["):
            msg = "messages: Input should be a valid list"
            raise Malformed(msg)
        thread = not isinstance(fields.thread, msgspec.UnsetType) and bytes(fields.thread) != b"null"
        return cls(
            body, _model(fields.model), _stream(fields.stream), _session(fields.metadata), thread, glance
        )

    def opening(self) -> tuple[bytes, bytes, bytes]:
        """
        Return the JSON of C{system}, of C{tools} and of the user's first message; empty where it is absent.

        Of what is longer than 256 KiB, the beginning.

        It is for clients that name no session.
        """
        glance = self.glance
        if glance is not None:
            first = b"" if glance.first is None else b'{"role":"user","content":%b}' % _bytes(glance.first)
            return _bytes(glance.system), _bytes(glance.tools), first
        try:
            opening = _OPENING.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return b"", b"", self.body
        said = next((bytes(message) for message in opening.messages if _of_user(message)), b"")
        return _bytes(opening.system), _bytes(opening.tools), said

    def with_model(self, name: str) -> MessagesRequest:
        """Return this request for another model; only the bytes of the C{model} value differ."""
        if name == self.model:
            return self
        return replace(self, model=name, body=with_value(self.body, "model", msgspec.json.encode(name)))


def _begins(raw: msgspec.Raw, with_: bytes) -> bool:
    return memoryview(raw)[:1] == with_


def _glance(body: bytes, fields: _Read, messages: list[_Said]) -> Generator[None, None, Glance]:
    blocks = False
    thoughts: list[msgspec.Raw] = []
    first: msgspec.Raw | None = None
    since = 0
    for said in messages:
        content = said.content
        blocks = blocks or _begins(content, b"[")
        if said.role == "assistant":
            # What it mostly is not is soonest searched for from the end.
            if bytes(content).rfind(b'thinking"') >= 0 and _begins(content, b"["):
                thoughts.append(content)
        elif first is None and said.role == "user":
            first = content
        since += _A_MESSAGE + len(content)
        if since > _STEP:
            since = 0
            yield
    # In all of them at once: to search each message takes twice as long.
    return Glance(tuple(thoughts), blocks and has_media(body), fields.system, fields.tools, first)


def _bytes(raw: msgspec.Raw | msgspec.UnsetType) -> bytes:
    return b"" if isinstance(raw, msgspec.UnsetType) else bytes(memoryview(raw)[:_OPENING_BYTES])


def _of_user(message: msgspec.Raw) -> bool:
    try:
        return _ROLE.decode(message).role == "user"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _model(raw: msgspec.Raw | msgspec.UnsetType) -> str:
    if isinstance(raw, msgspec.UnsetType):
        msg = "model: Field required"
        raise Malformed(msg)
    try:
        name = msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        msg = "model: Input should be a valid string"
        raise Malformed(msg) from None
    if not name or len(name) > _LONGEST_MODEL:
        msg = f"model: String should have 1 to {_LONGEST_MODEL} characters"
        raise Malformed(msg)
    return name


def _stream(raw: msgspec.Raw | msgspec.UnsetType) -> bool:
    if isinstance(raw, msgspec.UnsetType):
        return False
    flag = bytes(raw)
    if flag not in (b"true", b"false", b"null"):
        msg = "stream: Input should be a valid boolean"
        raise Malformed(msg)
    return flag == b"true"


def _session(raw: msgspec.Raw | msgspec.UnsetType) -> str:
    """Return the session in C{metadata.user_id}: a JSON string, C{…_session_<id>}, or the value whole."""
    if isinstance(raw, msgspec.UnsetType):
        return ""
    try:
        user_id = _METADATA.decode(raw).user_id or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    if user_id.startswith("{"):
        try:
            return _USER_ID.decode(user_id).session_id
        except msgspec.DecodeError:
            return user_id
    legacy = _LEGACY_SESSION.search(user_id)
    return legacy[1] if legacy else user_id
