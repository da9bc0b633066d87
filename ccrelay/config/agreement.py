"""Whether the parts of a configuration agree with each other, and with what this version can do."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ccrelay.config import clouds
from ccrelay.config.prices import shipped
from ccrelay.config.reach import reachable_from_outside
from ccrelay.config.vocabulary import listed, masked, nearest
from ccrelay.config.written import Problem, under
from ccrelay.providers.registry import KINDS
from ccrelay.wire.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ccrelay.config.model import ProviderSettings, Settings
    from ccrelay.config.written import KeyPath

_OPERATORS: Final = frozenset({"/", "/health", "/ready", "/status", "/status/events"})
"""What operators ask for on the same listener."""
_KEYED: Final = frozenset({"anthropic", "zai", "minimax", "deepseek", "anthropic_compatible"})


def problems(settings: Settings, spoiled: Collection[KeyPath] = ()) -> Iterator[Problem]:
    """
    Yield what in a configuration contradicts the rest of it.

    @param spoiled: paths of which a problem has been told already; what leads on from them is not judged.
    """
    yield from (problem for problem in _all(settings, spoiled) if not under(problem.path, spoiled))


def _all(settings: Settings, spoiled: Collection[KeyPath]) -> Iterator[Problem]:
    if not settings.providers:
        yield Problem(
            ("providers",),
            "found nothing; add a provider, or run without a file: then one is made of the environment",
        )
    names = [provider.name for provider in settings.providers]
    yield from _twice(names, ("providers",), "name")
    for place, provider in enumerate(settings.providers):
        yield from _of_provider(provider, ("providers", place))
    yield from _clients(settings)
    known = [name for n, name in enumerate(names) if not under(("providers", n, "name"), spoiled)]
    if known:
        yield from _references(settings, dict.fromkeys(known))
    yield from _reach(settings)
    yield from _metrics_path(settings.metrics.path)


def notes(settings: Settings) -> Iterator[str]:
    """Yield what is allowed and yet may surprise."""
    if not any(provider.enabled for provider in settings.providers):
        yield "no provider is enabled, so no request can be served"
    for place, provider in enumerate(settings.providers):
        circle = _circle(provider.model_mapping)
        if circle:
            yield (
                f"providers[{place}].model_mapping: {' -> '.join(circle)} is a circle: names are mapped "
                "once, so these are exchanged; if that is not meant, take one of them out"
            )
    yield from _without_effect(settings)
    auth = settings.server.auth
    if auth.allow_anonymous and not auth.asks and any(map(reachable_from_outside, settings.server.listen)):
        yield "allow_anonymous: whoever reaches the relay from another machine may use its providers"
    metrics = settings.metrics
    if metrics.enabled and reachable_from_outside(metrics.listen):
        yield (
            f"metrics.listen: other machines reach {metrics.listen}, and may read there which providers, "
            "keys (by name), models and clients there are, and what they cost"
        )


def _without_effect(settings: Settings) -> Iterator[str]:
    """Yield what a strategy lacks to do anything, and what does nothing under the strategy there is."""
    routing = settings.routing
    enabled = [provider for provider in settings.providers if provider.enabled]
    mapped = {*routing.model_mapping.values(), routing.default_provider} - {None}
    if routing.strategy == "cost_based" and not any(p.price or shipped().of(p.type) for p in enabled):
        yield "routing.strategy: cost_based needs a price at one provider; without any it is failover"
    if routing.strategy == "model_based" and not mapped:
        yield "routing.strategy: model_based needs model_mapping or default_provider, else it is failover"
    if routing.strategy != "model_based" and mapped:
        yield f"routing.model_mapping and default_provider do nothing under the strategy {routing.strategy}"
    off = {provider.name for provider in settings.providers if not provider.enabled} & mapped
    for name in sorted(map(str, off)):
        yield f"routing: the provider {name} is named for models and is disabled, so others serve these"


def _circle(table: Mapping[str, str]) -> list[str]:
    """Return the first circle in a mapping of models, its beginning once more at the end."""
    for first in table:
        names = [first]
        while (name := table.get(names[-1])) is not None and name not in names:
            names.append(name)
        if name == first and len(names) > 1:
            return [*names, first]
    return []


def _of_provider(provider: ProviderSettings, path: KeyPath) -> Iterator[Problem]:
    kind = provider.type
    if "auth" in provider.model_fields_set and kind != "anthropic_compatible":
        text = f"found it for type {kind}; allowed: for type anthropic_compatible alone; remove it"
        yield Problem((*path, "auth"), text)
    if provider.passthrough and kind != "anthropic":
        text = f"found it for type {kind}; allowed: for type anthropic alone, whose tokens it lets through"
        yield Problem((*path, "passthrough"), text)
    if not provider.enabled:
        return
    if kind not in KINDS:
        text = f"type {kind} is not available in this version; set enabled: false or remove it"
        yield Problem((*path, "type"), text)
        return
    if kind == "anthropic_compatible" and provider.base_url is None:
        text = "found nothing; type anthropic_compatible needs it: what stands before /v1/messages"
        yield Problem((*path, "base_url"), text)
    yield from clouds.problems(provider, path)
    yield from _proxy(provider, path)
    if kind not in clouds.KINDS:
        yield from _keys(provider, path)
    else:
        yield from _named_keys(provider, path)
    for key in ("ca_file", "client_certificate", "gcp_credentials_file"):
        yield from _file(getattr(provider, key), (*path, key))


def _proxy(provider: ProviderSettings, path: KeyPath) -> Iterator[Problem]:
    if provider.proxy is None:
        return
    try:
        Proxy.parse(provider.proxy)
    except ValueError as problem:
        yield Problem((*path, "proxy"), f"found something else; allowed: {problem}")


def _keys(provider: ProviderSettings, path: KeyPath) -> Iterator[Problem]:
    keyless = provider.auth == "none" if provider.type == "anthropic_compatible" else provider.passthrough
    if not provider.keys and provider.type in _KEYED and not keyless:
        ways = {
            "anthropic": ", or passthrough: true to serve clients with subscriptions of their own alone",
            "anthropic_compatible": ", or auth: none",
        }
        way = "add keys: [{key: ...}]" + ways.get(provider.type, "") + ", or set enabled: false"
        yield Problem((*path, "keys"), f"found no key; type {provider.type} needs one: {way}")
    yield from _named_keys(provider, path)


def _named_keys(provider: ProviderSettings, path: KeyPath) -> Iterator[Problem]:
    """Yield keys that hold none, and names that two of them have."""
    for place, key in enumerate(provider.keys):
        if key.key is None:
            yield Problem((*path, "keys", place, "key"), "found neither key nor key_file; add one of them")
    yield from _twice([key.name for key in provider.keys], (*path, "keys"), "name")


def _file(name: str | None, path: KeyPath) -> Iterator[Problem]:
    if name is None:
        return
    if not Path(name).is_absolute():
        yield Problem(path, f"found {name!r}; allowed: a path that begins with a slash")
    elif not Path(name).is_file() or not os.access(name, os.R_OK):
        what = "a JSON file" if path[-1] == "gcp_credentials_file" else "a PEM file"
        yield Problem(path, f"found {name!r}, which is no file that can be read; allowed: {what}")


def _clients(settings: Settings) -> Iterator[Problem]:
    auth = settings.server.auth
    path = ("server", "auth", "clients")
    yield from _twice([client.name for client in auth.clients], path, "name")
    others = [auth.api_key, auth.bearer_secret]
    for place, client in enumerate(auth.clients):
        if client.key in others:
            yield Problem(
                (*path, place, "key"), "found a key that somebody else has too; give each client its own"
            )
        others.append(client.key)


def _twice(names: Sequence[str | None], path: KeyPath, key: str) -> Iterator[Problem]:
    """Yield a problem for each name but the first of those that are the same."""
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        if name is not None and seen[name]:
            yield Problem((*path, place, key), f"found {masked(name)!r} once more; give each its own")
        seen[name or ""] += 1


def _references(settings: Settings, names: Collection[str]) -> Iterator[Problem]:
    routing = settings.routing
    yield from _reference(routing.default_provider, ("routing", "default_provider"), names)
    yield from _reference(routing.account_provider, ("routing", "account_provider"), names)
    for model, name in routing.model_mapping.items():
        yield from _reference(name, ("routing", "model_mapping", model), names)
    for place, client in enumerate(settings.server.auth.clients):
        for number, name in enumerate(client.providers):
            yield from _reference(name, ("server", "auth", "clients", place, "providers", number), names)


def _reference(name: str | None, path: KeyPath, names: Collection[str]) -> Iterator[Problem]:
    if name is None or name in names:
        return
    near = nearest(name, names)
    hint = f"; did you mean {near!r}?" if near else ""
    yield Problem(path, f"found {masked(name)!r}, and no such provider; allowed: {listed(names)}{hint}")


def _reach(settings: Settings) -> Iterator[Problem]:
    auth = settings.server.auth
    for place, listen in enumerate(settings.server.listen):
        path = ("server", "listen", place)
        if listen in settings.server.listen[:place]:
            yield Problem(path, f"found {listen!r} once more; keep one of them")
        if auth.allow_anonymous or not reachable_from_outside(listen):
            continue
        if not auth.asks:
            yield Problem(
                path,
                f"found {listen!r}, which other machines reach, and no credential that clients must show; "
                "set server.auth.api_key, or listen on 127.0.0.1, or set server.auth.allow_anonymous: true",
            )
        elif auth.allow_bearer and auth.bearer_secret is None:
            yield Problem(
                ("server", "auth", "allow_bearer"),
                f"found true, which takes any bearer, and {listen!r}, which other machines reach; "
                "set server.auth.bearer_secret, or listen on 127.0.0.1, or set allow_bearer: false",
            )


def _metrics_path(path: str) -> Iterator[Problem]:
    """Metrics must not be where the listener has something else."""
    if path in _OPERATORS or path.startswith(("/page/", "/admin/")):
        text = f"found {path}, where there is something else; write /metrics, say"
        yield Problem(("metrics", "path"), text)
