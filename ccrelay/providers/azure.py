"""Azure AI Foundry: Anthropic's format behind Azure's own front door."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ccrelay.errors import NotFound
from ccrelay.policy.verdict import Complaint, Verdict
from ccrelay.providers.answers import scrubbed, too_long
from ccrelay.providers.anthropic import AnthropicFormat, one_word
from ccrelay.providers.beta_table import AZURE, AZURE_REFUSES
from ccrelay.providers.betas import Betas
from ccrelay.providers.interfaces import Capabilities
from ccrelay.wire.error_json import kind_of

if TYPE_CHECKING:
    from ccrelay.wire.error_json import ErrorBody
    from ccrelay.wire.http import Pairs, UpstreamRequest

PROBED: Final = "claude-haiku-4-5"
BETAS: Final = Betas(AZURE, AZURE_REFUSES)

# Codes of the front door, in lower case (docs/wire.md, Azure); all others are judged by their status.
_TABLE: Final[dict[str, tuple[Verdict, int]]] = {
    "deploymentnotfound": (Verdict.CLIENT, 404),
    "unknown_model": (Verdict.CLIENT, 404),
    "api_not_supported": (Verdict.CLIENT, 404),
    "permissiondenied": (Verdict.KEY, 403),
    "ratelimitreached": (Verdict.KEY, 429),
    "toomanyrequests": (Verdict.KEY, 429),
    "insufficientquota": (Verdict.KEY, 429),
    "nocapacity": (Verdict.BUSY, 529),
    "serverbusy": (Verdict.BUSY, 529),
}
_SUBSCRIPTION: Final = re.compile(r"/subscriptions/[^\s\"',;]*", re.IGNORECASE)
# In words alone: elsewhere a GUID is what a request is known by.
_ID: Final = re.compile(
    rf"{_SUBSCRIPTION.pattern}|\b[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}\b", re.IGNORECASE
)


def resource_url(resource: str) -> str:
    """Return the address of a Foundry resource."""
    return f"https://{resource}.services.ai.azure.com/anthropic"


def error_table(_status: int, said: ErrorBody, _now: float) -> Complaint | None:
    """Return what a code of the front door means, or None for one that its status tells enough of."""
    if said.enveloped:
        return None
    found = _TABLE.get(said.code.lower())
    words = too_long(said.message) if found is None else None
    if words is not None:
        return Complaint(Verdict.CLIENT, 400, "invalid_request_error", words)
    if found is None:
        return None
    verdict, status = found
    return Complaint(verdict, status, kind_of(status), said.message or f"Azure answered {said.code}.")


class Azure(AnthropicFormat):
    """
    A Foundry resource; models are the names of deployments (facts: docs/wire.md, Azure).

    Its key is shown in C{x-api-key}; a token of Entra ID as a bearer.
    """

    __slots__ = ()

    def __init__(
        self, base_url: str, scheme: str = "x-api-key", probed: str = PROBED, betas: Betas = BETAS
    ) -> None:
        """@param probed: a deployment that the probe asks to count a word for; it costs nothing."""
        super().__init__(
            "azure", base_url, scheme, Capabilities(), error_table, models_path="",
            probe_path="/v1/messages/count_tokens", probe_method="POST", probe_body=one_word(probed),
            betas=betas,
        )  # fmt: skip

    def resource(self, method: str, path: str, query: bytes, headers: Pairs) -> UpstreamRequest:  # noqa: ARG002
        """Refuse: Foundry has no batches, and files belong to one of its two hostings alone."""
        msg = f"Azure has no {path}; name another provider in routing.account_provider."
        raise NotFound(msg)

    def discreet(self, found: Complaint) -> Complaint:
        """Return a complaint without ids of subscriptions and tenants."""
        return scrubbed(found, lambda words: _ID.sub("(id)", words), _SUBSCRIPTION)
