"""A Messages API request, read once: the few facts a relay needs, and the client's exact bytes."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec.structs import replace

from ccrelay.errors import Malformed
from ccrelay.wire.splice import with_value
from ccrelay.wire.weight import has_media


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
_LARGE: Final = 1024 * 1024
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
        glance = None
        fields: _Read | _Fields
        try:
            try:
                fields = _READ.decode(body)
                if not isinstance(fields.messages, msgspec.UnsetType):
                    glance = _glance(fields.messages, fields.system, fields.tools)
            except msgspec.ValidationError:
                # Messages that are none are the provider's to judge.
                fields = _FIELDS.decode(body)
        except msgspec.ValidationError:
            msg = "The request body must be a JSON object; send one with `model` and `messages`."
            raise Malformed(msg) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            msg = f"The request body is not valid JSON ({error}); nothing was sent to a provider."
            raise Malformed(msg) from None
        if isinstance(fields.messages, msgspec.UnsetType):
            msg = "messages: Field required"
            raise Malformed(msg)
        if isinstance(fields.messages, msgspec.Raw) and not _begins(fields.messages, b"["):
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


def _glance(
    messages: list[_Said], system: msgspec.Raw | msgspec.UnsetType, tools: msgspec.Raw | msgspec.UnsetType
) -> Glance:
    media = False
    thoughts: list[msgspec.Raw] = []
    first: msgspec.Raw | None = None
    for said in messages:
        content = said.content
        if first is None and said.role == "user":
            first = content
        if _begins(content, b"["):
            if said.role == "assistant" and bytes(content).rfind(b'thinking"') >= 0:
                thoughts.append(content)
            # What is large is looked at later, where it is: to copy 30 MB takes 5 ms.
            media = media or memoryview(content).nbytes > _LARGE or has_media(bytes(content))
    return Glance(tuple(thoughts), media, system, tools, first)


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
