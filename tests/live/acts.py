"""What the provider of the SDKs' tests answers, and refuses, and breaks off."""

from typing import Any

from ccrelay.simulator.acts import Refuses, Says
from ccrelay.simulator.asked import Asked
from ccrelay.simulator.faults import Breaks, Errs
from ccrelay.simulator.messages import Tool
from ccrelay.wire.error_json import envelope, kind_of

READ = {"path": "/é/\N{GRINNING FACE}", "depth": [1, None, 2.5]}
BASH = {"command": "x" * 99}

ANSWERS = {
    "text": Says("Hello, \N{GRINNING FACE} wörld", pieces=4, usage={"cache_read_input_tokens": 7}),
    "tools": Says("Both at once.", tools=(Tool("Read", READ, "toolu_1"), Tool("Bash", BASH, "toolu_2"))),
    "thinking": Says("So it is.", thinking="Let me think about that."),
}
"""By the model asked for."""

STATUSES = (400, 401, 403, 404, 413, 429, 500, 529)

_SAID = Says("one two three four", pieces=4)

INTERRUPTED = {
    "reset": Breaks(after_events=5, how="reset", act=_SAID),
    "cut": Breaks(after_events=5, how="cut", act=_SAID),
    "clean": Breaks(after_events=5, how="end", act=_SAID),
}
"""By the model asked for: streams of which five events come, with two pieces of text, and no error."""

ERRS = Errs(after_events=5, kind="overloaded_error", act=_SAID)


def by_model(asked: Asked) -> Any:
    """Return the act for the model that is asked for."""
    return {**ANSWERS, **INTERRUPTED}[asked.model]


def refuses(status: int) -> Refuses:
    """Return an error whose id is the same however often it is asked for."""
    ident = f"req_provider_{status}"
    headers: tuple[tuple[bytes, bytes], ...] = ((b"request-id", ident.encode()),)
    if status == 429:
        headers = (*headers, (b"retry-after", b"77"))
    return Refuses(status, headers=headers, body=envelope(kind_of(status), f"the words of a {status}", ident))
