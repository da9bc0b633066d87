"""Examines one provider with tiny real requests: what works, what does not, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ccrelay.policy.verdict import Verdict
from ccrelay.relay.asking import Asking
from ccrelay.relay.reach import reached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IAgentEndpointFactory

    from ccrelay.policy.keys import Key
    from ccrelay.relay.asking import Said
    from ccrelay.relay.upstreams import Upstream

BETAS: Final = (
    "interleaved-thinking-2025-05-14",
    "context-management-2025-06-27",
    "fine-grained-tool-streaming-2025-05-14",
    "context-1m-2025-08-07",
    "effort-2025-11-24",
    "advanced-tool-use-2025-11-20",
    "tool-search-tool-2025-10-19",
    "compact-2026-01-12",
)
"""Flags that Claude Code and others send (docs/clients.md)."""

_USUAL: Final = {
    "bedrock": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "vertex": "claude-haiku-4-5@20251001",
    "zai": "glm-4.5-air",
    "minimax": "MiniMax-M2",
    "deepseek": "deepseek-v4-flash",
}
_ELSE: Final = "claude-haiku-4-5"
_TOOL: Final = {
    "name": "time", "description": "Tells the time.", "input_schema": {"type": "object", "properties": {}},
}  # fmt: skip
_NOT_FOUND, _UNPAID = 404, 402
_REFUSED: Final = frozenset({401, 403})
_LIMITED: Final = 429


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    @ivar check: C{reach}, C{TLS}, C{key}, C{model}, C{stream}, C{tools}, C{count} or C{betas}.
    @ivar subject: the key, the model or the flag; empty where there is but one.
    @ivar works: None where it is nothing that could be wrong.
    @ivar remedy: what to do; empty where nothing is to be done.
    @ivar seconds: that it took.
    """

    provider: str
    check: str
    subject: str
    works: bool | None
    words: str = ""
    remedy: str = ""
    seconds: float = 0.0


class Doctor:
    """
    Examines a provider.

    @ivar models: those that are tried, as the provider calls them; none before L{examine} where it is to be
        asked which it has.
    """

    def __init__(
        self,
        upstream: Upstream,
        endpoints: IAgentEndpointFactory,
        clock: IReactorTime,
        wall: Callable[[], float],
        within: float,
        models: Sequence[str] = (),
        *,
        each_beta: bool = False,
    ) -> None:
        """
        @param endpoints: how the provider is reached.
        @param wall: returns seconds since the epoch.
        @param within: seconds that each request may take.
        @param models: as clients call them; none for those of the configuration, or a usual one.
        @param each_beta: whether each flag is tried by itself.
        """
        backend = upstream.backend
        self._upstream = upstream
        self._endpoints = endpoints
        self._clock = clock
        self._within = within
        self._each_beta = each_beta
        self._asking = Asking(upstream, clock, wall, within)
        named = models or backend.models or tuple(name for name in backend.targets if "*" not in name)
        self.models = tuple(dict.fromkeys(backend.model_name(name) for name in named))
        self._started = 0.0

    @property
    def address(self) -> str:
        """Where the provider is."""
        address: str = self._upstream.provider.base_url
        return address

    @property
    def most(self) -> int:
        """How many requests it makes at most."""
        keys = max(len(self._upstream.backend.pool.keys), 1)
        return keys + max(len(self.models), 1) + 3 + (len(BETAS) if self._each_beta else 1)

    async def examine(self) -> AsyncIterator[Finding]:
        """Yield what is found, as it is found; what cannot be tried after a failure is not."""
        self._start()
        there, found = await reached(
            self._upstream.provider.base_url, self._endpoints, self._clock, self._within
        )
        for check, works, words, remedy in found:
            yield self._finding(check, "", works=works, words=words, remedy=remedy)
        if not there:
            return
        keys: list[Key | None] = [*self._upstream.backend.pool.keys]
        if not keys:
            yield self._finding(
                "key", "", works=None, words="clients bring their own login; nothing else to try"
            )
            return
        model = await self._first_model(keys[0])
        good: list[Key | None] = []
        answered: dict[str, Said] = {}
        for key in keys:
            self._start()
            said = await self._asking.message(key, model)
            name = key.name if key is not None else "-"
            works = said.verdict is not Verdict.KEY and bool(said.status)
            yield self._finding(
                "key", name, works=works, words=self._of_key(said), remedy=_for_key(said, works)
            )
            if works:
                good.append(key)
                answered.setdefault(model, said)
        if not good:
            return
        async for finding in self._with(good[0], answered):
            yield finding

    async def _with(self, key: Key | None, answered: dict[str, Said]) -> AsyncIterator[Finding]:
        """Yield what is found with a key that works."""
        working = None
        for model in self.models:
            self._start()
            said = answered.get(model) or await self._asking.message(key, model)
            works = said.verdict is Verdict.OK
            yield self._finding("model", model, works=works, words=_words(said), remedy=_for_model(said))
            if works and working is None:
                working = model
        if working is None:
            return
        for check, more in (
            ("stream", {"stream": True}),
            ("tools", {"tools": [_TOOL], "tool_choice": {"type": "auto"}}),
        ):
            self._start()
            said = await self._asking.message(key, working, **more)
            yield self._finding(check, "", works=said.verdict is Verdict.OK, words=_words(said))
        yield await self._counting(key, working)
        for flags in [(flag,) for flag in BETAS] if self._each_beta else [BETAS]:
            yield await self._beta(key, working, flags)

    async def _first_model(self, key: Key | None) -> str:
        """Return the model that keys are tried with; where none is named, a cheap one that there is."""
        kind = self._upstream.provider.kind
        if not self.models:
            listed = () if kind in _USUAL else await self._asking.models(key)
            cheap = [name for name in listed if "haiku" in name] or list(listed)
            self.models = (cheap[0] if cheap else _USUAL.get(kind, _ELSE),)
        return self.models[0]

    async def _counting(self, key: Key | None, model: str) -> Finding:
        capabilities = self._upstream.provider.capabilities
        if not capabilities.counts_tokens:
            return self._finding("count", "", works=None, words="not offered; ccrelay estimates")
        self._start()
        said = await self._asking.count(key, model)
        if said.verdict is Verdict.OK:
            return self._finding("count", "", works=True)
        if said.status in capabilities.uncountable:
            return self._finding("count", "", works=None, words=f"{_words(said)}; ccrelay estimates")
        return self._finding("count", "", works=False, words=_words(said))

    async def _beta(self, key: Key | None, model: str, flags: tuple[str, ...]) -> Finding:
        self._start()
        header = ((b"anthropic-beta", ",".join(flags).encode()),)
        said = await self._asking.message(key, model, header)
        gone = [flag for flag in flags if flag in said.dropped]
        subject = flags[0] if len(flags) == 1 else f"{len(flags)} flags"
        if said.verdict is not Verdict.OK:
            remedy = (
                "write it into betas of this provider, as drop" if len(flags) == 1 else "--betas tries each"
            )
            return self._finding("betas", subject, works=False, words=_words(said), remedy=remedy)
        if gone:
            return self._finding(
                "betas", subject, works=None, words=f"left out by ccrelay: {', '.join(gone)}"
            )
        return self._finding("betas", subject, works=True)

    def _of_key(self, said: Said) -> str:
        return "" if said.verdict is Verdict.OK else _words(said)

    def _start(self) -> None:
        self._started = self._clock.seconds()

    def _finding(self, check: str, subject: str, **more: Any) -> Finding:  # noqa: ANN401  see Finding
        took = self._clock.seconds() - self._started
        return Finding(self._upstream.name, check, subject, seconds=took, **more)


def _words(said: Said) -> str:
    return f"{said.status}: {said.words}" if said.status and said.words else said.words or (
        f"answered {said.status}" if said.verdict is not Verdict.OK else ""
    )  # fmt: skip


def _for_key(said: Said, works: bool) -> str:  # noqa: FBT001
    if works:
        return ""
    if said.status in _REFUSED:
        return "replace the key, or give it the right to use this model"
    if said.status == _UNPAID or "credit" in said.words:
        return "pay, or use another key"
    if said.status == _LIMITED:
        return "wait, or use another key; ccrelay does so by itself"
    return "look at the provider's own status, and at connect_timeout_ms and proxy"


def _for_model(said: Said) -> str:
    if said.status == _NOT_FOUND:
        return "call it what the provider does: models, model_mapping, or --model"
    return ""
