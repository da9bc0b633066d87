"""What the next request of a conversation will cost, guessed from its last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from ccrelay.policy.ask import Ask, charged_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from ccrelay.wire.usage import Usage

_T = TypeVar("_T")

_BYTES_PER_TOKEN: Final = 4
_MOST_SESSIONS: Final = 100_000
_MOST_MODELS: Final = 1000
_FIRST_OUTPUT: Final = 500
_NEWEST: Final = 0.2


def tokens_in(size: int) -> int:
    """Return roughly how many tokens a text of so many bytes is; never too few by much, as JSON is."""
    return -(-size // _BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class _Turn:
    size: int
    charged: int


class Estimates:
    """
    The last turn of each conversation, and the usual length of each model's answers.

    Of conversations and of models those heard of least recently are forgotten when there are too many.
    """

    def __init__(
        self,
        tokens: Callable[[int], int] = tokens_in,
        *,
        sessions: int = _MOST_SESSIONS,
        models: int = _MOST_MODELS,
        first_output: int = _FIRST_OUTPUT,
    ) -> None:
        """
        @param tokens: returns how many tokens so many bytes of a request's body are.
        @param sessions: so many conversations are remembered; C{models} likewise.
        @param first_output: tokens of an answer of a model that has not answered yet.
        """
        self._tokens = tokens
        self._most_sessions = sessions
        self._most_models = models
        self._first_output = first_output
        self._turns: dict[str, _Turn] = {}
        self._outputs: dict[str, float] = {}

    def ask(self, session: str, model: str, size: int) -> Ask:
        """
        Return what a request is expected to cost.

        @param session: names the conversation; empty where nothing does.
        @param model: as the provider calls it.
        @param size: of the request's body, in bytes.
        """
        return Ask(model, self.input(session, size), self.output(model))

    def input(self, session: str, size: int) -> int:
        """
        Return the input tokens to reserve: those of the last turn and those added since.

        A conversation that got shorter has begun anew (it was compacted, or is
        another one of the same session), and is estimated as a whole.
        """
        last = self._turns.get(session)
        if last is None or size < last.size:
            return self._tokens(size)
        return last.charged + self._tokens(size - last.size)

    def output(self, model: str) -> int:
        """Return the output tokens to reserve, at least 1: what the model's last answers had."""
        return max(round(self._outputs.get(model, self._first_output)), 1)

    def ended(self, session: str, model: str, size: int, usage: Usage, *, cache_reads: bool = False) -> None:
        """
        Remember what a turn has cost.

        @param cache_reads: whether what was read from the prompt cache counts for that provider.
        """
        charged = charged_input(usage, cache_reads=cache_reads)
        if session and charged is not None:
            _renew(self._turns, session, _Turn(size, charged), self._most_sessions)
        if usage.output is not None and usage.output >= 0:
            before = self._outputs.get(model, float(usage.output))
            average = before + (usage.output - before) * _NEWEST
            _renew(self._outputs, model, average, self._most_models)

    def __len__(self) -> int:
        return len(self._turns)


def _renew(kept: dict[str, _T], name: str, value: _T, most: int) -> None:
    kept.pop(name, None)
    kept[name] = value
    if len(kept) > most:
        del kept[next(iter(kept))]
