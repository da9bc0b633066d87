"""The list of models, in Anthropic's shape, merged over all providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import Deferred, FirstError, gatherResults

from ccrelay.errors import Malformed, NotFound, UpstreamError
from ccrelay.providers.interfaces import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IReactorTime

    from ccrelay.policy.client import Client
    from ccrelay.relay.upstreams import Upstream, Upstreams

_ASKING_S: Final = 2.5
"""Seconds for a provider to list its models: Claude Code waits 3 s for the list (docs/clients.md)."""
_FRESH_S: Final = 300.0
_LARGEST_PAGE: Final = 1000
_DIGITS: Final = 4
_DEFAULT_PAGE: Final = 20


class ModelList:
    """
    Knows which models may be asked for.

    What an operator lists for a provider counts; a provider for which nothing
    is listed is asked itself, and its answer kept for five minutes, or until
    it can be asked again.

    @ivar kept: what each provider told, and when, in seconds of the clock.
    """

    kept: dict[Upstream, tuple[float, tuple[Model, ...]]]

    def __init__(
        self,
        upstreams: Upstreams,
        clock: IReactorTime,
        wall: Callable[[], float],
        old: ModelList | None = None,
    ) -> None:
        """
        @param wall: returns seconds since the epoch.
        @param old: the list under the configuration before; what the providers that stay have told is kept.
        """
        self._upstreams = upstreams
        self._clock = clock
        self._wall = wall
        kept = {} if old is None else old.kept
        self.kept = {u: told for u, told in kept.items() if u in upstreams.listed}

    def lists(self, provider: str, model: str) -> bool:
        """Return whether a provider, when it was last asked, has listed a model; nobody is asked now."""
        return any(
            one.id == model
            for upstream, (_, models) in self.kept.items()
            if upstream.name == provider
            for one in models
        )

    async def for_client(self, client: Client) -> tuple[Model, ...]:
        """Return every model that a client may ask for; each id once, in the order of the providers."""
        allowed = [u for u in self._upstreams.listed if client.may_use(u.name)]
        asking = [Deferred.fromCoroutine(self._of(u)) for u in allowed]
        try:
            lists = await gatherResults(asking, consumeErrors=True)
        except FirstError as first:  # the client has gone, and all of them were cancelled
            first.subFailure.raiseException()
        merged: dict[str, Model] = {}
        for models in lists:
            for model in models:
                if client.may_ask(model.id):
                    merged.setdefault(model.id, model)
        return tuple(merged.values())

    async def _of(self, upstream: Upstream) -> tuple[Model, ...]:
        backend = upstream.backend
        named = tuple(Model(name, name) for name in dict.fromkeys((*backend.models, *backend.mapped_names)))
        if backend.models:
            return named
        return named + await self._asked(upstream)

    async def _asked(self, upstream: Upstream) -> tuple[Model, ...]:
        now = self._clock.seconds()
        kept = self.kept.get(upstream)
        if kept is not None and now - kept[0] < _FRESH_S:
            return kept[1]
        asking = Deferred.fromCoroutine(self._told(upstream))
        models = await asking.addTimeout(_ASKING_S, self._clock, _nothing)
        if models:
            self.kept[upstream] = (now, models)
        return models or (kept[1] if kept is not None else ())

    async def _told(self, upstream: Upstream) -> tuple[Model, ...]:
        usable = [key for key in upstream.backend.pool.keys if key.usable(self._wall())]
        request = upstream.provider.models()
        if request is None or not usable:
            return ()
        credential = upstream.key_credential(usable[0])
        request = await credential.authorize(request.adding(*upstream.headers), self._wall())
        try:
            answer = await upstream.client.send(request, _ASKING_S)
            return upstream.provider.read_models(await answer.whole())
        except UpstreamError:
            return ()


def _nothing(_result: object, _seconds: float) -> tuple[Model, ...]:
    return ()


def page(models: Sequence[Model], query: dict[str, str]) -> bytes:
    """
    Return one page of a list of models.

    @param query: C{limit} (1 to 1000, default 20), C{after_id}, C{before_id}.
    @raise Malformed: for a limit that is none.
    """
    limit = query.get("limit", str(_DEFAULT_PAGE))
    if not limit.isdecimal() or len(limit) > _DIGITS or not 1 <= int(limit) <= _LARGEST_PAGE:
        msg = f"limit: Input should be a number from 1 to {_LARGEST_PAGE}"
        raise Malformed(msg)
    ids = [model.id for model in models]
    start, end = 0, len(ids)
    if query.get("after_id") in ids:
        start = ids.index(query["after_id"]) + 1
    if query.get("before_id") in ids:
        end = ids.index(query["before_id"])
        start = max(start, end - int(limit))
    shown = models[start : min(end, start + int(limit))]
    more = start > 0 if "before_id" in query else start + len(shown) < end
    return msgspec.json.encode(
        {
            "data": [entry(model) for model in shown],
            "has_more": more,
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
        }
    )


def entry(model: Model) -> dict[str, Any]:
    """Return a model as Anthropic's API shows it."""
    return {"type": "model", "id": model.id, "display_name": model.display_name, "created_at": model.created}


def one(models: Sequence[Model], wanted: str) -> bytes:
    """
    Return one model.

    @raise NotFound: if nobody here has it.
    """
    for model in models:
        if model.id == wanted:
            return msgspec.json.encode(entry(model))
    msg = f"model: {wanted}"
    raise NotFound(msg)
