"""Who is asking, and what that allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccrelay.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class Client:
    """
    A client that was let in.

    @ivar name: for logs; empty where the relay asks for no credential.
    @ivar providers: names it may use; None for all.
    @ivar models: patterns of models it may ask for; empty for all.
    @ivar bearer: its own claude.ai token, which goes to passthrough providers alone.
    @ivar pooled: whether the configured keys may be used for it.
    """

    name: str = ""
    providers: frozenset[str] | None = None
    models: tuple[str, ...] = ()
    bearer: Secret | None = field(default=None, repr=False)
    pooled: bool = True

    def may_use(self, provider: str) -> bool:
        """Return whether requests of this client may go to a provider."""
        return self.providers is None or provider in self.providers

    def may_ask(self, model: str) -> bool:
        """Return whether the client may ask for a model."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


NOBODY = Client()
"""Who asks where nobody is asked for a credential."""
