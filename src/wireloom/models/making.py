"""`build` and `population`: from wirings to networks at a fixed budget."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from wireloom.base import InvalidValue, is_whole, nearest
from wireloom.models.budget import match_widths
from wireloom.models.members import Member, Population
from wireloom.models.mlp import MLP, MLPShape
from wireloom.wiring import Wiring

ARCHITECTURES = ("mlp",)
BUDGETS = ("macs", "params", "none")


@dataclass(frozen=True)
class Build:
    """How networks are made from wirings.

    model: architecture, "mlp".
    image: shape of a sample, (channels, height, width).
    classes: outputs.
    budget: what a wired network shares with its dense baseline: "macs" (multiply-adds), "params",
        or "none" (the same width); or a number of multiply-adds.
    width: of the dense baseline's hidden layers.
    stem: width of the dense first layer; the budget does not change it.
    hidden: number of wired hidden layers.
    """

    model: str = "mlp"
    image: tuple[int, ...] = (3, 32, 32)
    classes: int = 10
    budget: str | int = "macs"
    width: int = 512
    stem: int = 512
    hidden: int = 3

    def __post_init__(self) -> None:
        if self.model not in ARCHITECTURES:
            raise InvalidValue(
                f"`model` '{self.model}' is not known{nearest(self.model, ARCHITECTURES)}"
            )
        if not is_whole(self.budget) and self.budget not in BUDGETS:
            raise InvalidValue(
                "`budget` must be a whole number of multiply-adds or one of "
                f"{', '.join(BUDGETS)}; got {self.budget!r}"
            )
        if isinstance(self.budget, int) and self.budget < 1:
            raise InvalidValue(f"`budget` must be at least 1 multiply-add; got {self.budget}")
        if not self.image or not all(map(is_whole, self.image)) or min(self.image) < 1:
            raise InvalidValue(f"`image` must be positive sizes; got {self.image}")
        self.baseline  # its own checks  # noqa: B018

    @property
    def baseline(self) -> MLPShape:
        """Shape of the dense baseline."""
        return MLPShape(
            inputs=math.prod(self.image),
            classes=self.classes,
            width=self.width,
            stem=self.stem,
            hidden=self.hidden,
        )

    def shape(self, wiring: Wiring | None) -> MLPShape:
        """Shape of the network on ``wiring``, its width matched to the budget.

        Raises:
            InvalidValue: if the wiring has more nodes than the narrowest layer, or no width meets
                the budget within 5 %.
        """
        narrowest = min(self.stem, self.width)
        if wiring is not None and wiring.nodes > narrowest:
            name = "stem" if self.stem <= self.width else "width"
            raise InvalidValue(
                f"`nodes` of a wiring must not exceed the narrowest layer, `{name}` = {narrowest}; "
                f"got {wiring.nodes} nodes"
            )
        return _matched(self, wiring)

    def member(self, wiring: Wiring | None, seed: int) -> Member:
        """The network on ``wiring`` with the given seed."""
        return Member(shape=self.shape(wiring), wiring=wiring, seed=seed)


@lru_cache(maxsize=8192)
def _matched(build: Build, wiring: Wiring | None) -> MLPShape:
    base = build.baseline
    if build.budget == "none":
        return base
    of = "params" if build.budget == "params" else "macs"
    target = getattr(base.cost(None), of) if isinstance(build.budget, str) else build.budget
    nodes = 1 if wiring is None else wiring.nodes

    def cost(widths: Sequence[int]) -> int:
        if widths[0] < nodes:
            raise InvalidValue(
                f"no width meets the budget of {target:,}: it asks for fewer than one channel "
                f"for each node (nodes={nodes})"
            )
        return getattr(replace(base, width=widths[0]).cost(wiring), of)

    (width,) = match_widths(cost, [build.width], target, rounds=15)
    return replace(base, width=width)


def build(
    model: str,
    wiring: Wiring | None = None,
    *,
    classes: int = 10,
    image: tuple[int, ...] = (3, 32, 32),
    budget: str | int = "macs",
    width: int = 512,
    stem: int = 512,
    hidden: int = 3,
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> MLP:
    """A network on a wiring, at the cost of its dense baseline.

    Args:
        model: architecture: "mlp".
        wiring: its wiring; None gives the dense baseline.
        classes: outputs.
        image: shape of a sample.
        budget: "macs" (multiply-adds), "params", "none" (same width), or a number of multiply-adds.
        width: of the dense baseline's hidden layers; ``stem`` and ``hidden`` as in `Build`.
        seed: of the initial parameters.

    Raises:
        InvalidValue: for an unknown model, more nodes than the narrowest layer, or a budget that
            no width meets.

    Source: You et al. 2020, sections 3.3 and 4.1.
    """
    plan = Build(model, tuple(image), classes, budget, width, stem, hidden)
    return Population([plan.member(wiring, seed)], device=device, dtype=dtype).net


def _listed(name: str, given: Iterable[Any]) -> list[Any]:
    """What was given as a list; a mapping's values count."""
    if not isinstance(given, Iterable):
        example = "[w]" if name == "wirings" else "range(3)"
        raise InvalidValue(
            f"`{name}` of a population must be several, such as {example}; got {given!r}"
        )
    return list(given.values() if isinstance(given, Mapping) else given)


def population(
    model: str,
    wirings: Iterable[Wiring | None] | Mapping[Any, Wiring | None],
    *,
    seeds: Iterable[int] = (0,),
    classes: int = 10,
    image: tuple[int, ...] = (3, 32, 32),
    budget: str | int = "macs",
    width: int = 512,
    stem: int = 512,
    hidden: int = 3,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Population:
    """Every wiring with every seed, as one population; wirings outermost.

    Arguments as for `build`; of wirings in a mapping the values count.

    Raises:
        InvalidValue: as `build`, and for zero wirings or seeds.
    """
    plan = Build(model, tuple(image), classes, budget, width, stem, hidden)
    chosen, numbers = _listed("wirings", wirings), _listed("seeds", seeds)
    if not chosen or not numbers:
        raise InvalidValue(
            "a population needs at least one wiring and one seed; "
            f"got {len(chosen)} wirings and {len(numbers)} seeds"
        )
    members = [plan.member(wiring, seed) for wiring in chosen for seed in numbers]
    return Population(members, device=device, dtype=dtype)
