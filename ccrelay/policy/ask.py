"""What a request costs, as it is expected and as it turns out, in the tokens that limits are about."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ccrelay.wire.usage import Usage

_FAMILIES: Final = ("opus", "sonnet", "haiku")


class Ask:
    """
    What a request is expected to cost.

    @ivar model: as the provider calls it.
    @ivar input: tokens that count against input limits; C{output}: tokens of the answer.
    @ivar total: tokens in all.
    @ivar model_class: what shares the provider's limits with the model.
    """

    __slots__ = ("input", "model", "model_class", "output", "total")

    def __init__(self, model: str, input: int = 0, output: int = 0) -> None:  # noqa: A002  the field's term
        self.model = model
        self.input = input
        self.output = output
        # Every candidate looks at these.
        self.total = input + output
        self.model_class = model_class(model)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ask):
            return NotImplemented
        return (self.model, self.input, self.output) == (other.model, other.input, other.output)

    def __hash__(self) -> int:
        return hash((self.model, self.input, self.output))

    def __repr__(self) -> str:
        return f"Ask({self.model!r}, {self.input}, {self.output})"


@lru_cache(maxsize=1024)
def model_class(model: str) -> str:
    """Return what shares a limit with a model: its family where the name tells it, else the model alone."""
    lower = model.lower()
    for family in _FAMILIES:
        if family in lower:
            return family
    return model


def charged_input(usage: Usage, *, cache_reads: bool) -> int | None:
    """
    Return the input tokens that count against a limit, or None where the provider did not say.

    @param cache_reads: whether what was read from the prompt cache counts.
    """
    if usage.input is None:
        return None
    read = (usage.cache_read or 0) if cache_reads else 0
    return max(usage.input, 0) + max(usage.cache_write or 0, 0) + max(read, 0)
