"""What was changed at run time: kept apart from the file, and laid over whatever that says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ccrelay.config.agreement import problems
from ccrelay.config.written import dotted
from ccrelay.errors import ConfigError
from ccrelay.service.routing import key_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ccrelay.config.model import KeySettings, ProviderSettings, Settings
    from ccrelay.wire.secret import Secret


@dataclass(frozen=True, slots=True)
class Overrides:
    """
    Changes that the file does not have; they outlive a reload, and end with the process.

    @ivar enabled: whether a provider is used, by its name.
    @ivar draining: the names of those that get no new conversations.
    @ivar added: keys, by the name of their provider; C{removed}: keys that are not used.
    """

    enabled: Mapping[str, bool] = field(default_factory=dict)
    draining: frozenset[str] = frozenset()
    added: Mapping[str, tuple[KeySettings, ...]] = field(default_factory=dict)
    removed: Mapping[str, frozenset[Secret]] = field(default_factory=dict)
    strategy: str | None = None

    def on(self, settings: Settings) -> Settings:
        """Return the settings with these changes; what is about no provider of theirs changes nothing."""
        changed: dict[str, Any] = {}
        providers = tuple(self._provider(provider) for provider in settings.providers)
        if providers != settings.providers:
            changed["providers"] = providers
        if self.strategy is not None:
            changed["routing"] = settings.routing.model_copy(update={"strategy": self.strategy})
        return settings.model_copy(update=changed) if changed else settings

    def checked(self, settings: Settings) -> Settings:
        """
        Return the settings with these changes.

        @raise ConfigError: if they do not agree with the rest.
        """
        made = self.on(settings)
        if made is not settings:
            found = tuple(dict.fromkeys(f"{dotted(one.path)}: {one.text}" for one in problems(made)))
            if found:
                raise ConfigError(found)
        return made

    def fitting(self, settings: Settings) -> Overrides:
        """Return those of the changes that differ from what a file says."""
        said = {provider.name: provider for provider in settings.providers}
        held = {name: {key.key for key in provider.keys} for name, provider in said.items()}
        added = {
            name: tuple(key for key in keys if key.key not in held[name])
            for name, keys in self.added.items()
            if name in said
        }
        removed = {
            name: frozenset(secret for secret in secrets if secret in held[name])
            for name, secrets in self.removed.items()
            if name in said
        }
        return Overrides(
            {name: on for name, on in self.enabled.items() if name in said and said[name].enabled != on},
            frozenset(name for name in self.draining if name in said),
            {name: keys for name, keys in added.items() if keys},
            {name: secrets for name, secrets in removed.items() if secrets},
            None if self.strategy == settings.routing.strategy else self.strategy,
        )

    def enabling(self, name: str, *, on: bool) -> Overrides:
        """Return these with a provider enabled or disabled; either ends its draining."""
        return replace(self, enabled={**self.enabled, name: on}, draining=self.draining - {name})

    def adding(self, name: str, key: KeySettings) -> Overrides:
        """Return these with one more key."""
        removed = self.removed.get(name, frozenset()) - {key.key}
        return replace(
            self,
            added={**self.added, name: (*self.added.get(name, ()), key)},
            removed={**self.removed, name: removed},
        )

    def removing(self, name: str, secret: Secret) -> Overrides:
        """Return these without a key, be it the file's or an added one."""
        kept = tuple(key for key in self.added.get(name, ()) if key.key != secret)
        removed = self.removed.get(name, frozenset()) | {secret}
        return replace(self, added={**self.added, name: kept}, removed={**self.removed, name: removed})

    def of(self, provider: ProviderSettings) -> tuple[str, ...]:
        """Return what of a provider is changed: C{enabled}, C{draining}, C{keys}."""
        name = provider.name
        told = {
            "enabled": name in self.enabled,
            "draining": name in self.draining,
            "keys": bool(self.added.get(name) or self.removed.get(name)),
        }
        return tuple(what for what, changed in told.items() if changed)

    def added_names(self, provider: ProviderSettings) -> frozenset[str]:
        """
        Return what the added keys of a provider are called.

        @param provider: with these changes on it.
        """
        secrets = {key.key for key in self.added.get(provider.name, ())}
        named = zip(provider.keys, key_names(provider), strict=True)
        return frozenset(name for key, name in named if key.key in secrets)

    def words(self, settings: Settings) -> tuple[str, ...]:
        """
        Return the changes, one in a line.

        @param settings: what the file says.
        """
        return tuple(self._words(settings))

    def _words(self, settings: Settings) -> Iterator[str]:
        if self.strategy is not None:
            yield f"strategy {self.strategy} in place of {settings.routing.strategy}"
        for provider in settings.providers:
            name = provider.name
            if name in self.enabled:
                yield f"provider {name} {'enabled' if self.enabled[name] else 'disabled'}"
            if name in self.draining:
                yield f"provider {name} draining"
            for key in self.added.get(name, ()):
                yield f"key {key.name or key.key} of {name} added"
            gone = self.removed.get(name, frozenset())
            for key, called in zip(provider.keys, key_names(provider), strict=True):
                if key.key in gone:
                    yield f"key {called} of {name} removed"

    def _provider(self, provider: ProviderSettings) -> ProviderSettings:
        name, changed = provider.name, dict[str, Any]()
        if self.enabled.get(name, provider.enabled) != provider.enabled:
            changed["enabled"] = self.enabled[name]
        gone = self.removed.get(name, frozenset())
        keys = (*(key for key in provider.keys if key.key not in gone), *self.added.get(name, ()))
        if keys != provider.keys:
            changed["keys"] = keys
        return provider.model_copy(update=changed) if changed else provider
