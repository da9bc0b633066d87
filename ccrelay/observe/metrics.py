"""What Prometheus reads."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ccrelay._version import __version__
from ccrelay.observe.bounded import NONE
from ccrelay.observe.gauges import gauges
from ccrelay.observe.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ccrelay.observe.histogram import Histogram
    from ccrelay.observe.ledger import Ledger
    from ccrelay.observe.view import View

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""


class Described(NamedTuple):
    """
    A metric.

    @ivar kind: C{counter}, C{gauge} or C{histogram}.
    @ivar text: what it is.
    @ivar labels: their names.
    """

    kind: str
    text: str
    labels: tuple[str, ...] = ()


_KEY: Final = ("provider", "key", "kind")
_SPENT: Final = ("provider", "model")

METRICS: Final[Mapping[str, Described]] = {
    "ccrelay_build_info": Described("gauge", "The version that runs, and on what.", ("version", "python")),
    "ccrelay_requests_total": Described(
        "counter", "Requests of clients, by class of status.", ("provider", "model", "code", "stream")
    ),
    "ccrelay_attempts_total": Described("counter", "Attempts at providers.", ("provider", "outcome")),
    "ccrelay_failovers_total": Described(
        "counter", "Requests that left a provider for another, and why.", ("provider", "reason")
    ),
    "ccrelay_time_to_first_byte_seconds": Described(
        "histogram", "From a request's head to its answer's first byte.", ("provider",)
    ),
    "ccrelay_request_duration_seconds": Described(
        "histogram", "From a request's head to its end.", ("provider",)
    ),
    "ccrelay_own_time_seconds": Described("histogram", "The relay's own share of the time to first byte."),
    "ccrelay_tokens_total": Described("counter", "Tokens, as providers counted them.", (*_SPENT, "kind")),
    "ccrelay_cost_usd_total": Described("counter", "US dollars, where prices are known.", _SPENT),
    "ccrelay_unpriced_requests_total": Described(
        "counter", "Requests that used tokens whose price is not known.", ("provider",)
    ),
    "ccrelay_client_tokens_total": Described("counter", "Tokens by client.", ("client", "kind")),
    "ccrelay_client_cost_usd_total": Described("counter", "US dollars by client.", ("client",)),
    "ccrelay_cache_read_share": Described(
        "gauge", "Read from the prompt cache, of all read from or written to it.", ("provider",)
    ),
    "ccrelay_key_limit": Described("gauge", "What a key may spend in any minute.", _KEY),
    "ccrelay_key_used": Described("gauge", "What a key has spent in the last minute.", _KEY),
    "ccrelay_key_remaining": Described("gauge", "What is left of a key's limit.", _KEY),
    "ccrelay_key_told_remaining": Described("gauge", "What a provider last said is left to a key.", _KEY),
    "ccrelay_key_headroom_ratio": Described(
        "gauge", "What is left of the limit that is used most; 0 while the key is out of use.", _KEY[:2]
    ),
    "ccrelay_key_usable": Described("gauge", "Whether a key may be used.", _KEY[:2]),
    "ccrelay_requests_in_flight": Described("gauge", "Requests that are being served."),
    "ccrelay_attempts_in_flight": Described("gauge", "Attempts that are under way.", ("provider",)),
    "ccrelay_breaker_state": Described("gauge", "1 for the state a circuit is in.", ("provider", "state")),
    "ccrelay_model_breakers_open": Described("gauge", "Models whose circuit is not closed.", ("provider",)),
    "ccrelay_provider_ready": Described("gauge", "Whether a provider could be asked.", ("provider",)),
    "ccrelay_ready": Described("gauge", "Whether any request could be served."),
    "ccrelay_probes_total": Described("counter", "Health probes.", ("provider", "result")),
    "ccrelay_probe_duration_seconds": Described("gauge", "How long the last probe took.", ("provider",)),
    "ccrelay_credential_expiry_timestamp_seconds": Described(
        "gauge", "When a fetched credential expires.", ("provider",)
    ),
    "ccrelay_retry_budget_left": Described("gauge", "Repeats in place that are allowed now."),
    "ccrelay_reloads_total": Described("counter", "Reloads of the configuration.", ("result",)),
    "ccrelay_config_loaded_timestamp_seconds": Described(
        "gauge", "When the configuration in use was taken over."
    ),
    "ccrelay_config_reload_ok": Described("gauge", "Whether the last reload was taken over."),
    "ccrelay_changes": Described("gauge", "Changes at run time that the file does not have."),
    "ccrelay_event_loop_lag_seconds": Described("histogram", "How late the reactor is with what is due."),
    "ccrelay_affinity_conversations": Described("gauge", "Conversations that have a place."),
    "ccrelay_affinity_moves_total": Described("counter", "Moves of conversations.", ("kind",)),
    "ccrelay_dropped_total": Described(
        "counter", "Beta flags and fields that requests were sent without.", ("provider", "name")
    ),
    "ccrelay_mended_total": Described("counter", "What was put right after a refusal.", ("provider", "how")),
}
"""Every metric by its name, as Prometheus has it."""

NAMES: Final[Mapping[str, tuple[str, ...]]] = {name: each.labels for name, each in METRICS.items()}
"""The labels of every metric."""

_FAMILIES: Final[Mapping[str, Callable[..., Any]]] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class Exposition(Collector):
    """Writes down what the ledger has added up and what the view shows, when it is asked to."""

    def __init__(self, view: View, ledger: Ledger, wall: Callable[[], float]) -> None:
        """@param wall: returns seconds since the epoch."""
        self._view = view
        self._ledger = ledger
        self._wall = wall
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return no metric: nothing is read before somebody asks for all."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        filled = _Filled()
        filled.add("ccrelay_build_info", (__version__, platform.python_version()), 1)
        self._counters(filled)
        self._spending(filled)
        self._histograms(filled)
        for name, labels, value in gauges(self._view, self._wall()):
            filled.add(name, labels, value)
        yield from filled.families.values()

    def _counters(self, filled: _Filled) -> None:
        ledger, view = self._ledger, self._view
        counted: dict[str, Mapping[Any, float]] = {
            "ccrelay_requests_total": ledger.requests,
            "ccrelay_attempts_total": ledger.attempts,
            "ccrelay_failovers_total": ledger.failovers,
            "ccrelay_dropped_total": ledger.dropped,
            "ccrelay_mended_total": ledger.mended,
            "ccrelay_probes_total": view.probed,
        }
        for name, table in counted.items():
            for labels, value in table.items():
                filled.add(name, labels, value)
        for result in ("ok", "refused"):
            filled.add("ccrelay_reloads_total", (result,), view.reloads[result])

    def _spending(self, filled: _Filled) -> None:
        providers: dict[str, Sums] = {}
        for (provider, model), sums in self._ledger.spent.items():
            for kind, count in sums.kinds():
                filled.add("ccrelay_tokens_total", (provider, model, kind), count)
            filled.add("ccrelay_cost_usd_total", (provider, model), sums.cost)
            providers.setdefault(provider, Sums()).include(sums)
        for provider, sums in providers.items():
            filled.add("ccrelay_unpriced_requests_total", (provider,), sums.unpriced)
            if sums.cache_share is not None:
                filled.add("ccrelay_cache_read_share", (provider,), sums.cache_share)
        for client, sums in self._ledger.clients.items():
            for kind, count in sums.kinds():
                filled.add("ccrelay_client_tokens_total", (client or NONE, kind), count)
            filled.add("ccrelay_client_cost_usd_total", (client or NONE,), sums.cost)

    def _histograms(self, filled: _Filled) -> None:
        ledger = self._ledger
        for provider, histogram in ledger.first_byte.items():
            filled.spread("ccrelay_time_to_first_byte_seconds", (provider,), histogram)
        for provider, histogram in ledger.duration.items():
            filled.spread("ccrelay_request_duration_seconds", (provider,), histogram)
        filled.spread("ccrelay_own_time_seconds", (), ledger.own)
        filled.spread("ccrelay_event_loop_lag_seconds", (), self._view.lag.histogram)


class _Filled:
    """All metrics, with what has been put in so far; those without a value are shown by their names."""

    def __init__(self) -> None:
        self.families: dict[str, Any] = {
            name: _FAMILIES[each.kind](name, each.text, labels=each.labels) for name, each in METRICS.items()
        }

    def add(self, name: str, labels: tuple[str, ...], value: float) -> None:
        self.families[name].add_metric(labels, value)

    def spread(self, name: str, labels: tuple[str, ...], histogram: Histogram) -> None:
        self.families[name].add_metric(labels, histogram.buckets(), histogram.sum)
