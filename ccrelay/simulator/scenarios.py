"""Scenarios: how the simulator behaves towards every request, by a name or by a file of acts."""

from __future__ import annotations

import difflib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from ccrelay.errors import ConfigError
from ccrelay.simulator.acts import Refuses
from ccrelay.simulator.default import FAULTS, SLOW, answer, complaint, reply
from ccrelay.simulator.faults import Breaks, Errs, Stalls
from ccrelay.simulator.scenario_file import acts_in
from ccrelay.simulator.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from ccrelay.simulator.acts import Act, Says
    from ccrelay.simulator.asked import Asked

    Play: TypeAlias = Callable[[Asked], Act]
    """Which act answers a request to C{/v1/messages}."""

SCENARIOS: Final[Mapping[str, tuple[str, Callable[[Says], Act] | None]]] = {
    "default": ("answers at the usual pace", None),
    "slow": (f"answers, {SLOW} times as slowly", FAULTS["simulate-slow"]),
    "flaky": ("answers; one time in three something goes wrong", None),
    "overloaded": ("refuses everything with 529", lambda _: Refuses(529)),
    "limited": (
        "refuses everything with 429, for half a minute",
        lambda _: Refuses(429, headers=((b"retry-after", b"30"),)),
    ),
    "failing": ("refuses everything with 500", lambda _: Refuses(500)),
    "unauthorized": ("refuses every credential with 401", lambda _: Refuses(401)),
    "breaking": ("resets the connection inside every answer", lambda says: Breaks(after_events=5, act=says)),
    "erring": ("ends every stream with an error event", lambda says: Errs(after_events=5, act=says)),
    "stalling": ("falls silent inside every answer", lambda says: Stalls(after_events=5, act=says)),
    "silent": ("never answers", lambda says: Stalls(before_head=True, act=says)),
}
"""What each built-in scenario does, and what it makes of the answer to a valid request (None: nothing)."""

_FLAKY: Final = 1 / 3
_RANDOM_FAULTS: Final = ("simulate-529", "simulate-500", "simulate-break", "simulate-error-event")


def scenario(name: str, *, pace: float, error_rate: float, random: Random) -> Play:
    """
    Return the behaviour of that name.

    @param name: one of L{SCENARIOS}, or the path of a file: what ends in C{.yaml} or C{.yml}, or has a slash.
    @param pace: seconds between two events.
    @param error_rate: the share of the requests, 0 to 1, that meet an overload, an internal error, a reset
        or an C{error} event instead.
    @param random: decides which.
    @raise ConfigError: no such scenario, no such file, or the file is not a list of acts.
    """
    if not 0 <= error_rate <= 1:
        raise ConfigError((f"error_rate: {error_rate} is not a share: it must lie between 0 and 1",))
    if pace < 0:
        raise ConfigError((f"pace_ms: {pace * 1000:g} is less than nothing: it must be 0 or more",))
    usual = partial(answer, pace=pace)
    if name in SCENARIOS:
        spoils = SCENARIOS[name][1]
        play: Play = usual if spoils is None else partial(_spoilt, spoils, pace)
        if name == "flaky":
            error_rate = error_rate or _FLAKY
    elif "/" in name or name.endswith((".yaml", ".yml")):
        play = _from_file(Path(name), usual, pace)
    else:
        near = difflib.get_close_matches(name, SCENARIOS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(SCENARIOS)}, or a .yaml file."
        raise ConfigError((f"scenario: there is none called {name!r}: {hint}",))
    return partial(_sometimes, play, error_rate, random) if error_rate else play


def _spoilt(spoils: Callable[[Says], Act], pace: float, asked: Asked) -> Act:
    wrong = complaint(asked)
    return spoils(reply(asked.json, pace)) if wrong is None else wrong


def _sometimes(play: Play, rate: float, random: Random, asked: Asked) -> Act:
    if complaint(asked) is None and random.random() < rate:
        return FAULTS[random.choice(_RANDOM_FAULTS)](reply(asked.json, 0.0))
    return play(asked)


def _from_file(path: Path, usual: Play, pace: float) -> Play:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError((f"{path}: the scenario cannot be read: {problem}",)) from problem
    script = Script(acts_in(text, str(path), pace))
    return lambda asked: script.act(asked) or usual(asked)
