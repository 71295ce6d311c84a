"""`Member`: one network of a population, before any tensor exists."""

from __future__ import annotations

from dataclasses import dataclass

from wireloom.base import InvalidValue, is_whole
from wireloom.models.architectures import Shape
from wireloom.models.costs import Cost
from wireloom.wiring import Wiring


@dataclass(frozen=True)
class Member:
    """One network of a population.

    shape: of the network, its widths already matched.
    wiring: which it is built on; None for plain dense layers.
    seed: of its initial parameters.
    """

    shape: Shape
    wiring: Wiring | None
    seed: int

    def __post_init__(self) -> None:
        if not is_whole(self.seed):
            raise InvalidValue(f"`seed` of a network must be a whole number; got {self.seed!r}")

    def cost(self) -> Cost:
        """What this member costs."""
        return self.shape.cost(self.wiring)
