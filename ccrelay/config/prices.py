"""The prices that come with ccrelay."""

from __future__ import annotations

from datetime import date  # noqa: TC003  pydantic reads the annotations
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import BaseModel, Field

from ccrelay.config.provider import PriceSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE: Final = "prices.yaml"


class ShippedPrice(PriceSettings):
    """A price, and another one for long prompts."""

    over: int | None = Field(default=None, description="Tokens of a prompt that cost what is below.")
    then: PriceSettings | None = Field(default=None, description="What all of a longer request costs.")


class _List(BaseModel):
    source: str
    kinds: tuple[str, ...]
    models: dict[str, ShippedPrice]


class ShippedPrices(BaseModel):
    """
    What is published.

    @ivar published: the day on which the sources were read.
    @ivar lists: by the name of each list.
    """

    published: date = Field(alias="date")
    lists: dict[str, _List]

    def of(self, kind: str) -> Mapping[str, ShippedPrice]:
        """Return the prices of a kind of provider, by the plain names of models; none where nobody knows."""
        return next((one.models for one in self.lists.values() if kind in one.kinds), {})


@cache
def shipped() -> ShippedPrices:
    """Return all prices that come with ccrelay, read once."""
    text = resources.files("ccrelay.config").joinpath(_FILE).read_text("utf-8")
    tree: dict[str, Any] = yaml.safe_load(text)
    published = tree.pop("date")
    return ShippedPrices.model_validate({"date": published, "lists": tree})
