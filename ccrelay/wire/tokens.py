"""An estimate of a request's input tokens, for providers that cannot count."""

from __future__ import annotations

import re
from math import ceil, sqrt
from typing import Any, Final

import msgspec

from ccrelay.errors import Malformed
from ccrelay.wire.image_size import image_size
from ccrelay.wire.pdf_pages import pdf_pages
from ccrelay.wire.text_tokens import text_tokens

_RAW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE: Final = msgspec.json.Encoder()

# What a request holds beside its text, on Anthropic's figures where it gives any.
_MESSAGE: Final = 4  # the marks round a message; with _REPLY it makes "Hello" the 8 tokens it counts
_REPLY: Final = 3
_TOOLS: Final = 346  # the prompt for tools, as long as there are any (tool use, Pricing)
_KNOWN_TOOLS: Final = (("bash_", 245), ("text_editor_", 700), ("computer_", 735))  # by type; a date follows
_TOOL_BLOCK: Final = 10  # the marks round a call or a result; measured by nobody, but not nothing

# An image is a patch of 28 by 28 pixels per token, after it was scaled down to these (Vision).
_PATCH: Final = 28
_LONGEST_EDGE: Final = 1_568  # pixels
_MOST_PATCHES: Final = 1_568
_UNSEEN_IMAGE: Final = 1_600

_PDF_PAGE: Final = 2_200  # a scan has 1,590, a page of text 2,100 and one of tables 2,300
_UNSEEN_PDF: Final = 5 * _PDF_PAGE

# Base64 that stands for something else: encrypted thinking, the text of a page found on the web, a sound.
_SEALED: Final = re.compile(rb"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{200,}")
_SEALED_PER_TOKEN: Final = 6

# What a block or tool says to the API rather than to the model.
_UNREAD: Final = frozenset({
    "type", "id", "tool_use_id", "cache_control", "citations", "signature", "content",
    "defer_loading", "eager_input_streaming", "strict", "allowed_callers",
})  # fmt: skip


def estimate(body: bytes) -> int:
    """
    Return about how many input tokens a request has, for C{POST /v1/messages/count_tokens}.

    Counts what Anthropic counts: the system prompt, the messages with all that
    is in their blocks, the tools with the prompt that goes with them, the schema of a
    structured output, images and documents.  Blocks that nobody knows today
    count by their text.  Tools with C{defer_loading} count in full, as
    providers that cannot count do not defer either.  How near it comes for
    text, see L{text_tokens}.

    The time is linear in the length of the body: some 50 ms for 2 MB of text.

    @return: 1 at least.
    @raise Malformed: if the body is not a JSON object.
    """
    try:
        request: object = msgspec.json.decode(body)
        if isinstance(request, dict):
            return _counted(request)
    except msgspec.ValidationError:
        return _as_text(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"The request body is not valid JSON ({error}); its tokens cannot be counted."
        raise Malformed(msg) from None
    msg = "The request body must be a JSON object; send one with `model` and `messages`."
    raise Malformed(msg)


def _counted(request: dict[str, Any]) -> int:
    tally = _Tally()
    tally.content(request.get("system"))
    tally.messages(request.get("messages"))
    tally.tools(request.get("tools"))
    tally.output(request.get("output_config"))
    return tally.total()


def _as_text(body: bytes) -> int:
    """Count a body whole that has a number in it which no machine holds, and so cannot be taken apart."""
    try:
        _RAW.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"The request body is not a JSON object ({error}); its tokens cannot be counted."
        raise Malformed(msg) from None
    return _REPLY + ceil(text_tokens(body))


class _Tally:
    """
    What has been found so far.

    @ivar _texts: in UTF-8, counted together at the end.
    @ivar _tokens: of all that is not text.
    """

    __slots__ = ("_texts", "_tokens")

    def __init__(self) -> None:
        self._texts: list[bytes] = []
        self._tokens = _REPLY

    def total(self) -> int:
        return self._tokens + ceil(text_tokens(b"\n".join(self._texts)))

    def messages(self, messages: object) -> None:
        if not isinstance(messages, list):
            self.content(messages)
            return
        self._tokens += _MESSAGE * len(messages)
        for message in messages:
            self.content(message.get("content") if isinstance(message, dict) else message)

    def tools(self, tools: object) -> None:
        if not tools:
            return
        self._tokens += _TOOLS
        for tool in tools if isinstance(tools, list) else [tools]:
            kind = str(tool.get("type", "")) if isinstance(tool, dict) else ""
            known = [tokens for prefix, tokens in _KNOWN_TOOLS if kind.startswith(prefix)]
            self._tokens += sum(known)
            if not known:
                self.json(_read(tool) if isinstance(tool, dict) else tool)

    def output(self, config: object) -> None:
        if isinstance(config, dict) and config.get("format"):
            self.json(config["format"])

    def content(self, content: object) -> None:
        """Count a string, a block, or a list of these; blocks may hold blocks."""
        waiting = [content]
        while waiting:
            item = waiting.pop()
            if isinstance(item, dict):
                waiting.append(self.block(item))
            elif isinstance(item, list):
                waiting.extend(item)
            elif isinstance(item, str):
                self.text(item)
            elif item is not None:
                self.json(item)

    def block(self, block: dict[str, Any]) -> object:
        """Count one block but for its own content, which is returned."""
        match block:
            case {"type": "text", "text": str(text)}:
                self.text(text)
            case {"type": "image"}:
                self._tokens += _image(block.get("source"))
            case {"type": "document"}:
                self.text(block.get("title"))
                self.text(block.get("context"))
                return self.document(block.get("source"))
            case {"type": "thinking", "thinking": str(thinking)}:
                # Where the words were left out, the signature carries them, encrypted.
                if thinking:
                    self.text(thinking)
                else:
                    self._tokens += len(str(block.get("signature", ""))) // _SEALED_PER_TOKEN
            case {"type": "tool_result"}:
                self._tokens += _TOOL_BLOCK
                return block.get("content")
            case {"type": "tool_use" | "server_tool_use" | "mcp_tool_use"}:
                self._tokens += _TOOL_BLOCK
                self.json(_read(block))
            case _:
                self.unknown(_read(block))
                return block.get("content")
        return None

    def document(self, source: object) -> object:
        """Count a document's source but for content of its own, which is returned."""
        match source:
            case {"type": "base64", "media_type": "application/pdf", "data": str(data)}:
                self._tokens += _PDF_PAGE * pdf_pages(data)
            case {"type": "text", "data": str(text)}:
                self.text(text)
            case {"type": "content", "content": content}:
                return content
            case {"type": "url" | "file"}:
                self._tokens += _UNSEEN_PDF
            case _:
                self.unknown(source)
        return None

    def text(self, text: object) -> None:
        if isinstance(text, str):
            self._texts.append(text.encode("utf-8"))

    def json(self, value: object) -> None:
        self._texts.append(_as_json(value))

    def unknown(self, value: object) -> None:
        """Count a value as JSON, what is sealed in it by its length."""
        if value:
            text = _as_json(value)
            opened = _SEALED.sub(b"", text)
            self._tokens += (len(text) - len(opened)) // _SEALED_PER_TOKEN
            self._texts.append(opened)


def _as_json(value: object) -> bytes:
    """Return a value as JSON, with the strings in it as they read."""
    return _ENCODE.encode(value).replace(b"\\n", b"\n").replace(b'\\"', b'"')


def _read(block: dict[str, Any]) -> dict[str, Any]:
    """Return what the model reads of a block or tool."""
    return {key: value for key, value in block.items() if key not in _UNREAD}


def _image(source: object) -> int:
    match source:
        case {"type": "base64", "data": str(data)}:
            size = image_size(data)
        case _:
            size = None
    if size is None:
        return _UNSEEN_IMAGE
    width, height = size
    scale = min(1.0, _LONGEST_EDGE / max(size), _PATCH * sqrt(_MOST_PATCHES / (width * height)))
    patches = ceil(width * scale / _PATCH) * ceil(height * scale / _PATCH)
    return min(patches, _MOST_PATCHES)
