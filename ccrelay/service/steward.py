"""Does what operators order: changes the running relay, and keeps that apart from the file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol, get_args

from pydantic import TypeAdapter, ValidationError

from ccrelay.config.model import KeySettings
from ccrelay.config.routing import StrategyName
from ccrelay.errors import ConfigError, Conflict, Malformed, NotFound
from ccrelay.service.overrides import Overrides
from ccrelay.service.routing import key_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccrelay.config.model import ProviderSettings, Settings
    from ccrelay.policy.keys import Key
    from ccrelay.relay.upstreams import Upstream, Upstreams
    from ccrelay.wire.secret import Secret

STRATEGIES: Final[tuple[str, ...]] = get_args(StrategyName)
_KEY: Final = TypeAdapter(KeySettings)


class IRelay(Protocol):
    """
    The relay, as far as it can be changed.

    @ivar upstreams: the providers in use.
    @ivar overrides: the changes at run time.
    """

    upstreams: Upstreams
    overrides: Overrides

    @property
    def written(self) -> Settings:
        """What the file says."""

    def wall(self) -> float:
        """Return seconds since the epoch."""

    async def change(self, overrides: Overrides) -> str | None:
        """
        Work with other changes from now on; return why that cannot be, or None.

        @raise ConfigError: if they do not agree with the rest.
        """

    async def reread(self) -> str | None:
        """Read the configuration anew and use it; return why that cannot be, or None."""

    async def upgrade(self) -> str:
        """
        Hand over to a new process, and return what was done, in words.

        @raise Conflict: if that does not come to serve.
        """


class Steward:
    """See L{ccrelay.web.admin.ISteward}."""

    def __init__(self, relay: IRelay) -> None:
        self._relay = relay

    async def enable(self, provider: str) -> str:
        """Use a provider, and let conversations go there."""
        self._named(provider)
        await self._change(self._relay.overrides.enabling(provider, on=True))
        return f"provider {provider} is enabled"

    async def disable(self, provider: str) -> str:
        """Use a provider no more; what runs there goes on."""
        self._named(provider)
        await self._change(self._relay.overrides.enabling(provider, on=False))
        return f"provider {provider} is disabled; requests that run there go on to their end"

    async def drain(self, provider: str) -> str:
        """Let no new conversation go to a provider while it can go elsewhere."""
        self._used(provider)
        overrides = self._relay.overrides
        await self._change(replace(overrides, draining=overrides.draining | {provider}))
        return f"provider {provider} is draining: new conversations go elsewhere, those that are there stay"

    async def reset_breaker(self, provider: str) -> str:
        """Close the circuits of a provider and of its models."""
        self._used(provider)
        self._relay.upstreams.routing.breakers.reset(provider)
        return f"the circuits of {provider} are closed"

    async def add_key(self, provider: str, given: Mapping[str, Any]) -> str:
        """Add a key; C{given} is what the configuration would say of it."""
        settings = self._named(provider)
        try:
            key = _KEY.validate_python(dict(given))
        except ValidationError as problem:
            told = problem.errors(include_url=False, include_input=False)
            # What was given is not repeated: one of it is the key.
            words = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in told)
            raise Malformed(words) from None
        if key.key is None or not key.key.reveal():
            msg = "key: it must not be empty"
            raise Malformed(msg)
        for held, name in zip(settings.keys, key_names(settings), strict=True):
            if held.key == key.key:
                msg = f"{provider} has this key already; it is called {name}."
                raise Conflict(msg)
            if name == key.name:
                msg = f"{provider} has another key that is called {name}."
                raise Conflict(msg)
        await self._change(self._relay.overrides.adding(provider, key))
        return f"key {key.name or key.key} of {provider} is added; put it into the file to keep it"

    async def remove_key(self, provider: str, name: str) -> str:
        """Use a key no more; what runs with it goes on."""
        settings = self._named(provider)
        await self._change(self._relay.overrides.removing(provider, _secret(settings, name)))
        return f"key {name} of {provider} is removed; requests that run with it go on to their end"

    async def reset_key(self, provider: str, name: str) -> str:
        """Forget what is held against a key."""
        upstream = self._used(provider)
        key = upstream.backend.pool.named(name)
        if key is None:
            raise _no_key(provider, name, [key.name for key in upstream.backend.pool.keys])
        key.reset()
        return f"key {name} of {provider} is {_standing(key, self._relay.wall())}"

    async def strategy(self, name: str) -> str:
        """Choose by another strategy."""
        known = name.replace("-", "_")
        if known not in STRATEGIES:
            msg = f"There is no strategy {name!r}; there are: {', '.join(STRATEGIES)}."
            raise Malformed(msg)
        await self._change(replace(self._relay.overrides, strategy=known))
        return f"the strategy is {known}"

    async def reload(self) -> str:
        """Read the configuration anew."""
        problem = await self._relay.reread()
        if problem is not None:
            msg = f"not reloaded, the old configuration stays in use: {problem}"
            raise Conflict(msg)
        return "the configuration is reloaded"

    async def upgrade(self) -> str:
        """Hand over to a new process of the relay."""
        return await self._relay.upgrade()

    async def revert(self) -> str:
        """Take back all that was changed at run time."""
        changes = self._relay.overrides.words(self._relay.written)
        if not changes:
            return "nothing was changed at run time"
        await self._change(Overrides())
        return f"taken back: {'; '.join(changes)}"

    async def _change(self, overrides: Overrides) -> None:
        try:
            problem = await self._relay.change(overrides)
        except ConfigError as error:
            problem = error.problems[0]
        if problem is not None:
            msg = f"that cannot be: {problem}"
            raise Conflict(msg)

    def _named(self, name: str) -> ProviderSettings:
        """Return a provider with the changes at run time, enabled or not."""
        providers = self._relay.overrides.on(self._relay.written).providers
        for provider in providers:
            if provider.name == name:
                return provider
        msg = f"There is no provider {name!r}; there are: {', '.join(p.name for p in providers) or 'none'}."
        raise NotFound(msg)

    def _used(self, name: str) -> Upstream:
        """Return a provider that is in use."""
        self._named(name)
        upstream = self._relay.upstreams.get(name)
        if upstream is None:
            msg = f"Provider {name} is disabled; enable it first."
            raise Conflict(msg)
        return upstream


def _secret(provider: ProviderSettings, name: str) -> Secret:
    names = key_names(provider)
    for key, called in zip(provider.keys, names, strict=True):
        if called == name and key.key is not None:
            return key.key
    raise _no_key(provider.name, name, names)


def _no_key(provider: str, name: str, names: list[str]) -> NotFound:
    return NotFound(f"{provider} has no key {name!r}; it has: {', '.join(names) or 'none'}.")


def _standing(key: Key, now: float) -> str:
    return key.state(now).standing
