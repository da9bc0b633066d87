"""The kinds of providers there are, and how each is made from its configuration."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ccrelay.providers import azure, bedrock, vertex, zai
from ccrelay.providers.anthropic import AnthropicFormat
from ccrelay.providers.betas import EVERYTHING
from ccrelay.providers.interfaces import Capabilities
from ccrelay.providers.ollama import Ollama

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccrelay.providers.betas import Betas
    from ccrelay.providers.interfaces import IProvider

ANTHROPIC: Final = "https://api.anthropic.com"
ZAI: Final = "https://api.z.ai/api/anthropic"
OLLAMA: Final = "http://127.0.0.1:11434"
MINIMAX: Final = "https://api.minimax.io/anthropic"
DEEPSEEK: Final = "https://api.deepseek.com/anthropic"
"""https://api-docs.deepseek.com/guides/anthropic_api"""
SIMULATOR: Final = "http://simulator.invalid"
"""Never looked up: the simulator is reached inside the process."""

KINDS: Final = (
    "anthropic", "zai", "ollama", "minimax", "deepseek", "bedrock", "azure", "vertex",
    "anthropic_compatible", "simulator",
)  # fmt: skip


def provider_of(
    kind: str,
    base_url: str | None,
    scheme: str | None,
    *,
    has_key: bool,
    region: str | None = None,
    project: str | None = None,
    resource: str | None = None,
    anthropic_version: str | None = None,
    probed: str | None = None,
    betas: Mapping[str, str] = MappingProxyType({}),
) -> IProvider:
    """
    Return the provider of a kind.

    @param base_url: what stands before C{/v1/messages} (bedrock: C{/model/}, vertex:
        C{/projects/}); None for the kind's own.
    @param scheme: for C{anthropic_compatible}: C{x-api-key}, C{bearer} or C{none}; for C{azure}:
        C{x-api-key} or C{bearer}.
    @param has_key: whether keys are configured, for kinds that can do without.
    @param region: for bedrock and vertex; C{project}: for vertex; C{resource}: for azure.
    @param anthropic_version: for bedrock and vertex; None for the one that every model takes.
    @param probed: for azure and vertex: a model that the probe may ask for.
    @param betas: the operator's own: flag to C{allow}, C{drop} or another flag.
    @raise KeyError: for a kind that is not among L{KINDS}.
    @raise ValueError: where a kind lacks what its address is made from.
    """
    base = base_url.rstrip("/") if base_url else None
    bearer = "bearer" if has_key else "none"
    if kind == "bedrock":
        where = base or bedrock.runtime(_needed(region, "bedrock needs a region or a base_url"))
        table = bedrock.BETAS.extended(betas)
        return bedrock.Bedrock(where, bearer, anthropic_version or bedrock.VERSION, table)
    if kind == "vertex":
        place = _needed(region, "vertex needs a region")
        return vertex.Vertex(
            base or vertex.host(place), _needed(project, "vertex needs a project"), place, bearer,
            anthropic_version or vertex.VERSION, probed or vertex.PROBED, vertex.BETAS.extended(betas),
        )  # fmt: skip
    if kind == "azure":
        where = base or azure.resource_url(_needed(resource, "azure needs a resource or a base_url"))
        shown = scheme or "x-api-key"
        return azure.Azure(where, shown, probed or azure.PROBED, azure.BETAS.extended(betas))
    return _of_the_format(kind, base, scheme, EVERYTHING.extended(betas), has_key=has_key)


def _of_the_format(
    kind: str, base: str | None, scheme: str | None, betas: Betas, *, has_key: bool
) -> IProvider:
    """Return a provider of Anthropic's format."""
    if kind == "anthropic":
        every = Capabilities(resources=True, passthrough=True)
        return AnthropicFormat(kind, base or ANTHROPIC, capabilities=every, betas=betas)
    if kind == "zai":
        return AnthropicFormat(
            kind, base or ZAI, "bearer", error_table=zai.error_table,
            models_path="/v1/models", probe_path="/v1/models", betas=betas,
        )  # fmt: skip
    if kind == "minimax":
        return AnthropicFormat(
            kind, base or MINIMAX, "bearer", Capabilities(counts_tokens=False), betas=betas
        )
    if kind == "deepseek":
        return AnthropicFormat(
            kind, base or DEEPSEEK, "x-api-key", Capabilities(counts_tokens=False), betas=betas
        )
    if kind == "ollama":
        return Ollama(base or OLLAMA, "bearer" if has_key else "none", betas)
    if kind == "anthropic_compatible":
        where = _needed(base, "anthropic_compatible needs a base_url")
        able = Capabilities(resources=True)
        return AnthropicFormat(kind, where, scheme or "x-api-key", able, betas=betas)
    if kind == "simulator":
        return AnthropicFormat(kind, base or SIMULATOR, "none", betas=betas)
    raise KeyError(kind)


def _needed(value: str | None, msg: str) -> str:
    if not value:
        raise ValueError(msg)
    return value
