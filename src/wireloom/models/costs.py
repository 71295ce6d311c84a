"""What a network costs: multiply-adds of one sample and trainable parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wireloom.base import InvalidValue


@dataclass(frozen=True)
class Cost:
    """Cost of a network.

    macs: multiply-adds of one sample in linear layers and convolutions, wired ones counted by the
        weights that exist; normalisation, activations and biases are not counted.
    params: trainable parameters, absent weights not counted.
    """

    macs: int
    params: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.params + other.params)


class Costed(Protocol):
    """Anything that knows its cost."""

    def cost(self) -> Cost: ...


def cost(net: Costed) -> Cost:
    """The cost of a network, or of all members of a population together.

    Raises:
        InvalidValue: for a module that was not made here.
    """
    if not callable(getattr(net, "cost", None)):
        raise InvalidValue(
            f"`net` of cost must be a network or population of Wireloom; got {type(net).__name__}"
        )
    return net.cost()
