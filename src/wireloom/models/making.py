"""`build` and `population`: from wirings to networks at a fixed budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch

from wireloom.base import InvalidValue, is_whole, nearest
from wireloom.models.architectures import ARCHITECTURES, Shape
from wireloom.models.budget import MATCHES, match_widths
from wireloom.models.member import Member
from wireloom.models.members import Population
from wireloom.models.net import Net
from wireloom.models.timing import latency
from wireloom.wiring import Wiring

BUDGETS = ("macs", "params", "none", "latency")


@dataclass(frozen=True)
class Build:
    """How networks are made from wirings.

    model: architecture, one of `ARCHITECTURES`.
    image: shape of a sample, (channels, height, width).
    classes: outputs.
    budget: what a wired network shares with its dense baseline: "macs" (multiply-adds), "params",
        "none" (the same widths), or "latency" (seconds of inference of one sample, measured now on
        this machine, so that the widths are not the same everywhere); or a number of multiply-adds.
    width: of the dense baseline's first stage (the MLP's hidden layers); its later stages keep
        their ratio to the first. None for the architecture's own.
    stem: width of the dense first layer, which the budget does not change; None keeps its ratio to
        the first stage.
    hidden: number of wired hidden layers of the MLP; None for 3.
    match: rule by which widths meet the budget (see `match_widths`).
    """

    model: str = "mlp"
    image: tuple[int, ...] = (3, 32, 32)
    classes: int = 10
    budget: str | int = "macs"
    width: int | None = None
    stem: int | None = None
    hidden: int | None = None
    match: str = "published"

    def __post_init__(self) -> None:
        if self.model not in ARCHITECTURES:
            raise InvalidValue(
                f"`model` '{self.model}' is not known{nearest(self.model, list(ARCHITECTURES))}"
            )
        if not is_whole(self.budget) and self.budget not in BUDGETS:
            raise InvalidValue(
                "`budget` must be a whole number of multiply-adds or one of "
                f"{', '.join(BUDGETS)}; got {self.budget!r}"
            )
        if isinstance(self.budget, int) and self.budget < 1:
            raise InvalidValue(f"`budget` must be at least 1 multiply-add; got {self.budget}")
        if self.match not in MATCHES:
            raise InvalidValue(f"`match` '{self.match}' is not known{nearest(self.match, MATCHES)}")
        if not self.image or not all(map(is_whole, self.image)) or min(self.image) < 1:
            raise InvalidValue(f"`image` must be positive sizes; got {self.image}")
        if self.hidden is not None and self.model != "mlp":
            raise InvalidValue(f"`hidden` is an option of mlp alone; got {self.hidden}")
        for name in ("width", "stem"):
            value = getattr(self, name)
            if value is not None and (not is_whole(value) or value < 1):
                raise InvalidValue(
                    f"`{name}` of a network must be a whole number of at least 1; got {value!r}"
                )
        self.baseline.parts()  # its own checks

    @property
    def baseline(self) -> Shape:
        """Shape of the dense baseline."""
        known = ARCHITECTURES[self.model]
        first = known.widths[0]
        width = first if self.width is None else self.width
        widths = tuple(max(1, round(w * width / first)) for w in known.widths)
        hidden = 3 if self.hidden is None else self.hidden
        return Shape(
            model=self.model,
            image=tuple(self.image),
            classes=self.classes,
            widths=widths,
            base=widths,
            stem=max(1, round(known.stem * width / first)) if self.stem is None else self.stem,
            hidden=hidden if self.model == "mlp" else 0,
        )

    def shape(self, wiring: Wiring | None) -> Shape:
        """Shape of the network on ``wiring``, its widths matched to the budget.

        Raises:
            InvalidValue: if the wiring has more nodes than the narrowest layer, or no widths meet
                the budget within 5 %.
        """
        base = self.baseline
        if wiring is not None:
            narrowest = base.narrowest()
            if narrowest and wiring.nodes > min(narrowest[1].into, narrowest[1].out):
                name, layer = narrowest
                least = min(layer.into, layer.out)
                option = "stem" if self.stem == least else "width"
                raise InvalidValue(
                    f"`nodes` of a wiring must not exceed the narrowest layer, `{option}` = "
                    f"{least}; got {wiring.nodes} nodes, and `{name}` joins {layer.into} channels "
                    f"to {layer.out}"
                )
        return _matched(self, wiring)

    def member(self, wiring: Wiring | None, seed: int) -> Member:
        """The network on ``wiring`` with the given seed."""
        return Member(shape=self.shape(wiring), wiring=wiring, seed=seed)


@lru_cache(maxsize=8192)
def _matched(build: Build, wiring: Wiring | None) -> Shape:
    base = build.baseline
    wired = replace(base, wired=wiring is not None and not wiring.is_complete)
    if build.budget == "none":
        return wired
    if build.budget == "latency":
        return _as_fast(base, wired, wiring)
    of = "params" if build.budget == "params" else "macs"
    target = getattr(base.cost(None), of) if isinstance(build.budget, str) else build.budget
    nodes = 1 if wiring is None or base.narrowest() is None else wiring.nodes

    def cost(widths: Sequence[int]) -> int:
        if min(widths) < nodes:
            raise InvalidValue(
                f"no width meets the budget of {target:,}: it asks for fewer than one channel "
                f"for each node (nodes={nodes})"
            )
        return getattr(replace(wired, widths=tuple(widths)).cost(wiring), of)

    rounds = ARCHITECTURES[build.model].rounds
    found = match_widths(cost, base.widths, target, rounds=rounds, match=build.match)
    return replace(wired, widths=tuple(found))


def _as_fast(base: Shape, wired: Shape, wiring: Wiring | None) -> Shape:
    """The widest scaling of ``wired`` that takes no longer than the baseline, measured now."""

    def seconds(shape: Shape, on: Wiring | None) -> float:
        return latency(Net([Member(shape, on, 0)]))

    def scaled(first: int) -> Shape:
        ratios = [first * width / base.width for width in base.widths]
        return replace(wired, widths=tuple(max(1, round(width)) for width in ratios))

    if base == wired:
        return base
    goal = seconds(base, None)
    low = high = base.width
    while seconds(scaled(high), wiring) <= goal:
        low, high = high, 2 * high
    if low == high:  # even the baseline's own widths take longer
        low = 1 if wiring is None else min(wiring.nodes, base.width)
    while high - low > max(1, low // 64):
        middle = (low + high) // 2
        if seconds(scaled(middle), wiring) <= goal:
            low = middle
        else:
            high = middle
    return scaled(low)


def build(
    model: str,
    wiring: Wiring | None = None,
    *,
    classes: int = 10,
    image: tuple[int, ...] = (3, 32, 32),
    budget: str | int = "macs",
    width: int | None = None,
    stem: int | None = None,
    hidden: int | None = None,
    match: str = "published",
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Net:
    """A network on a wiring, at the cost of its dense baseline.

    Args:
        model: architecture: "mlp", "cnn6", "resnet34", "resnet34_sep", "resnet50",
            "efficientnet_b0", "mobilenet_v1" or "vit_tiny". Images of up to 64 pixels keep their
            resolution in the stem.
        wiring: its wiring; None gives the dense baseline.
        classes: outputs.
        image: shape of a sample.
        budget: "macs" (multiply-adds), "params", "none" (same widths), "latency" (measured on this
            machine, see `Build`), or a number of multiply-adds.
        width: of the dense baseline's first stage, its later ones in proportion; ``stem``,
            ``hidden`` and ``match`` as in `Build`.
        seed: of the initial parameters.

    Raises:
        InvalidValue: for an unknown model, more nodes than the narrowest layer, or a budget that
            no width meets.

    Source: You et al. 2020, sections 3.3 and 4.1.
    """
    plan = Build(model, tuple(image), classes, budget, width, stem, hidden, match)
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
    width: int | None = None,
    stem: int | None = None,
    hidden: int | None = None,
    match: str = "published",
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Population:
    """Every wiring with every seed, as one population; wirings outermost.

    Arguments as for `build`; of wirings in a mapping the values count.

    Raises:
        InvalidValue: as `build`, and for zero wirings or seeds.
    """
    plan = Build(model, tuple(image), classes, budget, width, stem, hidden, match)
    chosen, numbers = _listed("wirings", wirings), _listed("seeds", seeds)
    if not chosen or not numbers:
        raise InvalidValue(
            "a population needs at least one wiring and one seed; "
            f"got {len(chosen)} wirings and {len(numbers)} seeds"
        )
    members = [plan.member(wiring, seed) for wiring in chosen for seed in numbers]
    return Population(members, device=device, dtype=dtype)
