"""What can be seen of a running relay, beside what the ledger has added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ccrelay.observe.histogram import LAGGING, Histogram

if TYPE_CHECKING:
    from collections import Counter

    from ccrelay.relay.in_flight import InFlight
    from ccrelay.relay.probe import ProbeEnded
    from ccrelay.relay.upstreams import Upstreams


@dataclass(frozen=True, slots=True)
class Configured:
    """
    A provider as it is configured, enabled or not.

    @ivar kind: its type.
    @ivar changed: what of it was changed at run time: C{enabled}, C{draining}, C{keys}.
    @ivar changed_keys: the names of keys that the file does not have.
    """

    name: str
    kind: str
    base_url: str
    enabled: bool = True
    models: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    changed_keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Picture:
    """
    The configuration in use, as it is shown.

    @ivar source: where it was read.
    @ivar loaded: when it was taken over, in seconds since the epoch.
    @ivar strategies: the names of all that there are.
    @ivar strategy_changed: whether the file says another.
    @ivar changes: what was changed at run time, in words.
    @ivar admin: how the relay may be told to act: C{token}, C{socket} or C{none}.
    """

    upstreams: Upstreams
    providers: tuple[Configured, ...]
    source: str
    loaded: float
    strategies: tuple[str, ...] = ()
    strategy_changed: bool = False
    changes: tuple[str, ...] = ()
    admin: str = "none"


@dataclass(slots=True)
class Lag:
    """
    How late the reactor is with what is due.

    @ivar last: seconds, when it was last looked at.
    @ivar worst: seconds, the most since the start.
    """

    last: float = 0.0
    worst: float = 0.0
    histogram: Histogram = field(default_factory=lambda: Histogram(LAGGING))

    def note(self, seconds: float) -> None:
        """Take note of a delay."""
        self.last = seconds
        self.worst = max(self.worst, seconds)
        self.histogram.observe(seconds)


@dataclass(slots=True)
class View:
    """
    Everything that is to be seen, for whoever shows it.

    @ivar picture: that of the configuration in use; another one takes its place.
    @ivar started: in seconds since the epoch.
    @ivar probes: of each provider the last one, and when that was, in seconds since the epoch.
    @ivar probed: how many probes of a provider had which result: C{healthy}, C{refused} or C{failed}.
    @ivar reloads: how many there were with each result: C{ok} or C{refused}.
    @ivar reload_ok: whether the last one was taken over.
    """

    picture: Picture
    in_flight: InFlight
    started: float
    probed: Counter[tuple[str, str]]
    reloads: Counter[str]
    lag: Lag = field(default_factory=Lag)
    probes: dict[str, tuple[float, ProbeEnded]] = field(default_factory=dict)
    reload_ok: bool = True

    def probe_ended(self, ended: ProbeEnded, now: float) -> None:
        """Take note of a probe; C{now} in seconds since the epoch."""
        result = "failed" if not ended.healthy else "refused" if ended.reason else "healthy"
        self.probed[ended.provider, result] += 1
        self.probes[ended.provider] = now, ended

    def reloaded(self, problem: str | None) -> None:
        """Take note of a reload, and of why it changed nothing."""
        self.reload_ok = problem is None
        self.reloads["ok" if self.reload_ok else "refused"] += 1

    def forget(self, providers: set[str]) -> None:
        """Forget the probes of all other providers."""
        for name in self.probes.keys() - providers:
            del self.probes[name]
