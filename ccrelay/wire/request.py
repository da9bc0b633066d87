"""A Messages API request, read once: the few facts a relay needs, and the client's exact bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from ccrelay.errors import Malformed
from ccrelay.wire.splice import with_value


class _Fields(msgspec.Struct):
    """The top-level fields the relay looks at; all others are skipped unread."""

    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    messages: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    stream: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metadata: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _UserId(msgspec.Struct):
    session_id: str = ""


_FIELDS: Final = msgspec.json.Decoder(_Fields)
_METADATA: Final = msgspec.json.Decoder(_Metadata)
_USER_ID: Final = msgspec.json.Decoder(_UserId)
_LEGACY_SESSION: Final = re.compile(r"_session_([0-9A-Za-z-]+)$")
_LONGEST_MODEL: Final = 2048  # what Bedrock accepts for an ARN, the longest kind of name


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """
    What a client asked for.

    @ivar body: the client's bytes, untouched.
    @ivar model: the model it named.
    @ivar stream: whether it wants server-sent events.
    @ivar session: the conversation as C{metadata.user_id} tells it; empty where it does not.
    """

    body: bytes
    model: str
    stream: bool
    session: str

    @classmethod
    def parse(cls, body: bytes) -> MessagesRequest:
        """
        Read a request body in one scan.

        Only what the relay needs is looked at: roles, block types and fields
        that nobody knows today are the provider's to judge.

        @raise Malformed: if it is not a JSON object or lacks C{model} or C{messages}.
        """
        try:
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
        if memoryview(fields.messages)[:1].tobytes() != b"[":
            msg = "messages: Input should be a valid list"
            raise Malformed(msg)
        return cls(body, _model(fields.model), _stream(fields.stream), _session(fields.metadata))

    def with_model(self, name: str) -> MessagesRequest:
        """Return this request for another model; only the bytes of the C{model} value differ."""
        if name == self.model:
            return self
        return replace(self, model=name, body=with_value(self.body, "model", msgspec.json.encode(name)))


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
