"""The kinds of providers there are, and how each is made from its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ccrelay.providers import zai
from ccrelay.providers.anthropic import AnthropicFormat
from ccrelay.providers.interfaces import Capabilities
from ccrelay.providers.ollama import Ollama

if TYPE_CHECKING:
    from ccrelay.providers.interfaces import IProvider

ANTHROPIC: Final = "https://api.anthropic.com"
ZAI: Final = "https://api.z.ai/api/anthropic"
OLLAMA: Final = "http://127.0.0.1:11434"
MINIMAX: Final = "https://api.minimax.io/anthropic"
SIMULATOR: Final = "http://simulator.invalid"
"""Never looked up: the simulator is reached inside the process."""

KINDS: Final = ("anthropic", "zai", "ollama", "minimax", "anthropic_compatible", "simulator")


def provider_of(kind: str, base_url: str | None, scheme: str | None, *, has_key: bool) -> IProvider:
    """
    Return the provider of a kind.

    @param base_url: what stands before C{/v1/messages}; None for the kind's own.
    @param scheme: for C{anthropic_compatible}: C{x-api-key}, C{bearer} or C{none}.
    @param has_key: whether keys are configured, for kinds that can do without.
    @raise KeyError: for a kind that is not among L{KINDS}.
    @raise ValueError: for C{anthropic_compatible} without a C{base_url}.
    """
    base = base_url.rstrip("/") if base_url else None
    if kind == "anthropic":
        every = Capabilities(resources=True, passthrough=True)
        return AnthropicFormat(kind, base or ANTHROPIC, capabilities=every)
    if kind == "zai":
        return AnthropicFormat(
            kind, base or ZAI, "bearer", error_table=zai.error_table,
            models_path="/v1/models", probe_path="/v1/models",
        )  # fmt: skip
    if kind == "minimax":
        return AnthropicFormat(kind, base or MINIMAX, "bearer", Capabilities(counts_tokens=False))
    if kind == "ollama":
        return Ollama(base or OLLAMA, "bearer" if has_key else "none")
    if kind == "anthropic_compatible":
        if base is None:
            msg = "anthropic_compatible needs a base_url"
            raise ValueError(msg)
        return AnthropicFormat(kind, base, scheme or "x-api-key", Capabilities(resources=True))
    if kind == "simulator":
        return AnthropicFormat(kind, base or SIMULATOR, "none")
    raise KeyError(kind)
