"""JSON as people and programs really write it: any spacing, escapes, numbers of any size."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hypothesis import strategies as st

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.just("model"), inner, max_size=4),
    max_leaves=12,
)
"""What C{json.loads} would make of a value; keys named C{model} are frequent in it."""

SPACE = st.text(" \t\r\n", max_size=3).map(str.encode)
_NUMBERS = st.sampled_from([b"-0.0", b"1E+2", b"1e999", b"9" * 40, b"0.10"])


@st.composite
def texts(draw: st.DrawFn, value: st.SearchStrategy = VALUES) -> bytes:
    """Draw the text of one value, escaped in one way or another."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_NUMBERS)
    indent = draw(st.sampled_from([None, 1]))
    text = json.dumps(draw(value), ensure_ascii=draw(st.booleans()), indent=indent)
    text = text.replace("Infinity", "1e999")
    return (text.replace("/", "\\/") if draw(st.booleans()) else text).encode()


@dataclass(frozen=True, slots=True)
class Written:
    """An object as text: what stands before the value of one key, the value, and what follows."""

    before: bytes
    value: bytes
    after: bytes

    @property
    def body(self) -> bytes:
        return self.before + self.value + self.after


@st.composite
def objects(draw: st.DrawFn, key: str, value: st.SearchStrategy = VALUES, also: bytes = b"") -> Written:
    """
    Draw an object that has C{key}, among any others.

    @param also: members without their commas, written at some place, as they are.
    """
    others = draw(st.lists(WORDS.filter(lambda word: word not in (key, "messages")), unique=True, max_size=4))
    members = [(False, json.dumps(other).encode(), draw(texts())) for other in others]
    spelled = json.dumps(key)
    if draw(st.booleans()):
        spelled = f'"\\u{ord(key[0]):04x}{key[1:]}"'
    members.insert(draw(st.integers(0, len(members))), (True, spelled.encode(), draw(texts(value))))
    parts: list[bytes] = []
    before = chosen = b""
    for at, (mine, name, text) in enumerate(members):
        parts += [b"," if at else b"", draw(SPACE), name, draw(SPACE), b":", draw(SPACE)]
        if mine:
            before, chosen, parts = b"".join(parts), text, []
        else:
            parts.append(text)
        parts.append(draw(SPACE))
    last = b"," + also if also else b""
    return Written(draw(SPACE) + b"{" + before, chosen, b"".join(parts) + last + b"}" + draw(SPACE))
