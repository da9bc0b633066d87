"""What answers have taught about requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from ccrelay.providers.learned import LearnedBetas
from ccrelay.wire.provenance import Provenance


@dataclass(slots=True)
class Lessons:
    """
    What is known of all providers; it outlives a configuration.

    @ivar provenance: who signed which thinking.
    @ivar betas: which flags and fields were refused.
    """

    provenance: Provenance = field(default_factory=Provenance)
    betas: LearnedBetas = field(default_factory=LearnedBetas)
