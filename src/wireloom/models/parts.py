"""What networks are made of, as values: layers with their widths, before any tensor exists.

An architecture is a tree of parts. From one tree follow the cost of a network, its widths at a
budget and, zipped over the members of a population, its modules (see `net`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from wireloom.base import InvalidValue
from wireloom.compute import Pattern, Window
from wireloom.models.costs import Cost
from wireloom.wiring import Wiring, block_sizes, complete, ws_flex

Size = tuple[int, int]  # height and width of a map, in pixels
POINT = (1, 1)


class Part(ABC):
    """A piece of a network.

    name: of its module within the part around it.
    """

    name: str

    @abstractmethod
    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        """What costs anything, in the order of the forward pass, and the map that comes out.

        Raises:
            InvalidValue: for a map too small.
        """

    @property
    @abstractmethod
    def form(self) -> tuple[Any, ...]:
        """What the members of a population must have in common: everything but the widths."""


@dataclass(frozen=True)
class Layer(Part):
    """A linear layer or convolution, then batch normalisation, then an activation.

    into, out: channels.
    window: of a convolution; None for a linear layer.
    joins: which inputs an output reads: "all" (dense), "wiring" (the blocks of the wiring) or
        "self" (its own channel alone, depthwise).
    norm: whether batch normalisation follows.
    activation: "none", "relu" or "silu"; "quick_gelu" where no normalisation is.
    bias: whether a bias is added.
    bias_counts: whether it counts as multiply-adds, as that of squeeze-and-excitation does in the
        published costs.
    quiet: whether the normalisation's scale starts at zero, so that a residual block starts as
        the identity.
    narrows: whether a wiring with more nodes than the layer has channels is drawn smaller.
    """

    name: str
    into: int
    out: int
    window: Window | None = None
    joins: str = "all"
    norm: bool = True
    activation: str = "relu"
    bias: bool = False
    bias_counts: bool = False
    quiet: bool = False
    narrows: bool = False

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        size = POINT if self.window is None else _after(self.window, size)
        return [Placed(self, size)], size

    @property
    def form(self) -> tuple[Any, ...]:
        joined = "wiring" if self.joins == "all" else self.joins  # one union holds both
        return self.name, self.window, joined, self.norm, self.activation, self.bias, self.quiet

    @property
    def taps(self) -> int:
        """Weights of one entry of the pattern."""
        return 1 if self.window is None else self.window.taps

    def weights(self, wiring: Wiring | None) -> int:
        """How many weights the layer has on a wiring; as many multiply-adds an output pixel."""
        if self.joins == "self":
            return self.out * self.taps
        if self.joins == "all" or wiring is None:
            return self.into * self.out * self.taps
        return _entries(self._wiring(wiring), self.out, self.into) * self.taps

    def pattern(self, wiring: Wiring | None) -> Pattern:
        """The blocks that exist."""
        if self.joins == "self":
            ones = [1] * self.out
            return Pattern(ones, ones, [(i, i) for i in range(self.out)])
        if self.joins == "all" or wiring is None:
            return Pattern.dense(out=self.out, into=self.into)
        return Pattern.from_wiring(self._wiring(wiring), out=self.out, into=self.into)

    def _wiring(self, wiring: Wiring) -> Wiring:
        narrowest = min(self.into, self.out)
        if narrowest >= wiring.nodes:
            return wiring
        if self.narrows and (wiring.is_complete or wiring.origin is not None):
            return _narrowed(wiring, narrowest)
        why = " and it does not know its ws_flex parameters" if self.narrows else ""
        raise InvalidValue(
            f"`nodes` of a wiring must not exceed the narrowest wired layer; got {wiring.nodes} "
            f"nodes, and `{self.name}` joins {self.into} channels to {self.out}{why}"
        )


@dataclass(frozen=True)
class Placed:
    """A layer and the map that it writes."""

    layer: Layer
    size: Size

    @property
    def pixels(self) -> int:
        """Pixels of that map."""
        return self.size[0] * self.size[1]

    @property
    def values(self) -> int:
        """Values that are written for a sample."""
        return self.layer.out * self.pixels

    def cost(self, wiring: Wiring | None) -> Cost:
        """Multiply-adds of a sample and parameters."""
        layer = self.layer
        weights = layer.weights(wiring)
        return Cost(
            macs=weights * self.pixels + layer.out * layer.bias_counts,
            params=weights + layer.out * (2 * layer.norm + layer.bias),
        )


@dataclass(frozen=True)
class Unwired:
    """What costs something and is no layer: its cost whatever the wiring, and values written."""

    macs: int
    params: int
    values: int

    def cost(self, wiring: Wiring | None) -> Cost:
        """Multiply-adds of a sample and parameters."""
        return Cost(self.macs, self.params)


Costed = Placed | Unwired


@dataclass(frozen=True)
class Chain(Part):
    """Parts one after another."""

    name: str
    parts: tuple[Part, ...]

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        return _chained(self.parts, size)

    @property
    def form(self) -> tuple[Any, ...]:
        return self.name, *(part.form for part in self.parts)


@dataclass(frozen=True)
class Residual(Part):
    """Parts whose result is added to their input.

    body: parts one after another; the last is a normalised layer, whose activation follows the
        addition.
    skip: brings the input to the result's shape; None adds it as it is.
    """

    name: str
    body: tuple[Part, ...]
    skip: Layer | None = None

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        found, after = _chained(self.body, size)
        beside = self.skip.trace(size)[0] if self.skip else []
        return found + beside, after

    @property
    def form(self) -> tuple[Any, ...]:
        beside = self.skip.form if self.skip else None
        return self.name, beside, *(part.form for part in self.body)


@dataclass(frozen=True)
class Gate(Part):
    """Squeeze-and-excitation: channels scaled by what two dense layers make of their means.

    channels: of the map.
    squeeze: channels between the two layers.
    """

    name: str
    channels: int
    squeeze: int

    @property
    def layers(self) -> tuple[Layer, Layer]:
        """Down to ``squeeze`` channels, and up again."""
        down = Layer(
            "down",
            self.channels,
            self.squeeze,
            norm=False,
            activation="silu",
            bias=True,
            bias_counts=True,
        )
        up = replace(down, name="up", into=self.squeeze, out=self.channels, activation="none")
        return down, up

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        return [Placed(layer, POINT) for layer in self.layers], size

    @property
    def form(self) -> tuple[Any, ...]:
        return self.name, "gate"


@dataclass(frozen=True)
class Added(Part):
    """Parts whose result is added to their input as it is, without a normalisation of its own."""

    name: str
    body: tuple[Part, ...]

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        return _chained(self.body, size)

    @property
    def form(self) -> tuple[Any, ...]:
        return self.name, "added", *(part.form for part in self.body)


@dataclass(frozen=True)
class Positions(Part):
    """A trained vector of channels added to each pixel of a map."""

    name: str
    channels: int
    size: Size

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        values = self.channels * size[0] * size[1]
        return [Unwired(0, values, values)], size

    @property
    def form(self) -> tuple[Any, ...]:
        return self.name, "positions", self.size


@dataclass(frozen=True)
class Standard(Part):
    """Layer normalisation: each pixel's channels to mean 0 and variance 1, scaled and shifted."""

    name: str
    channels: int

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        values = self.channels * size[0] * size[1]
        return [Unwired(0, 2 * self.channels, values)], size

    @property
    def form(self) -> tuple[Any, ...]:
        return self.name, "standard"


@dataclass(frozen=True)
class Attention(Part):
    """Self-attention between the pixels of a map, its four projections wired.

    channels: before and after.
    inner: channels of queries, keys and values, all heads together; no budget changes it.
    heads: how many.
    """

    name: str
    channels: int
    inner: int
    heads: int

    @property
    def layers(self) -> tuple[Layer, Layer, Layer, Layer]:
        """Queries, keys and values, and the projection back."""
        layer = Layer(
            "query",
            self.channels,
            self.inner,
            Window.of(1),
            "wiring",
            norm=False,
            activation="none",
            bias=True,
        )
        back = replace(layer, name="back", into=self.inner, out=self.channels)
        return layer, replace(layer, name="key"), replace(layer, name="value"), back

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        pixels = size[0] * size[1]
        mixing = Unwired(2 * pixels**2 * self.inner, 0, self.heads * pixels**2)
        return [*(Placed(layer, size) for layer in self.layers), mixing], size

    @property
    def form(self) -> tuple[Any, ...]:
        return self.name, "attention", self.inner, self.heads


@dataclass(frozen=True)
class Largest(Part):
    """The largest value of each window (max-pooling)."""

    window: Window
    name: str = "largest"

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        return [], _after(self.window, size)

    @property
    def form(self) -> tuple[Any, ...]:
        return "largest", self.window


@dataclass(frozen=True)
class Mean(Part):
    """The mean of each channel's map; what follows is linear."""

    name: str = "mean"

    def trace(self, size: Size) -> tuple[list[Costed], Size]:
        return [], POINT

    @property
    def form(self) -> tuple[Any, ...]:
        return ("mean",)


def layers_of(parts: Iterable[Part], within: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer of some parts with its full name, whatever the map."""
    for part in parts:
        name = f"{within}{part.name}"
        if isinstance(part, Layer):
            yield name, part
        elif isinstance(part, Chain):
            yield from layers_of(part.parts, f"{name}.")
        elif isinstance(part, Residual):
            yield from layers_of([*part.body, *([part.skip] if part.skip else [])], f"{name}.")
        elif isinstance(part, Added):
            yield from layers_of(part.body, f"{name}.")
        elif isinstance(part, Gate | Attention):
            yield from layers_of(part.layers, f"{name}.")


def cost_of(traced: Iterable[Costed], wiring: Wiring | None) -> Cost:
    """Multiply-adds of one sample and parameters of all together."""
    return sum((each.cost(wiring) for each in traced), Cost(0, 0))


def _after(window: Window, size: Size) -> Size:
    after = window.output(*size)
    if min(after) < 1:
        raise InvalidValue(
            f"`image` is too small for the network: a map of {size[0]} x {size[1]} pixels holds "
            f"no window of {window.size[0]} x {window.size[1]}"
        )
    return after


def _chained(parts: Iterable[Part], size: Size) -> tuple[list[Costed], Size]:
    found = []
    for part in parts:
        more, size = part.trace(size)
        found += more
    return found, size


@lru_cache(maxsize=1024)
def _links(wiring: Wiring) -> np.ndarray:
    """The adjacency with self-loops, as numbers: int64 [n, n]."""
    return wiring.adjacency().astype(np.int64) + np.eye(wiring.nodes, dtype=np.int64)


@lru_cache(maxsize=65536)
def _entries(wiring: Wiring, out: int, into: int) -> int:
    """Entries of the blocks that a wiring gives a layer."""
    rows, columns = (np.array(block_sizes(n, wiring.nodes), dtype=np.int64) for n in (out, into))
    return int(rows @ _links(wiring) @ columns)


@lru_cache(maxsize=4096)
def _narrowed(wiring: Wiring, nodes: int) -> Wiring:
    """The wiring drawn again with fewer nodes, its degree scaled along (published code).

    Where that falls below a ring's, it is a ring's.
    """
    if wiring.is_complete or wiring.origin is None or nodes <= 3:
        return complete(nodes=nodes)
    settings: dict[str, Any] = asdict(wiring.origin)
    settings["degree"] = max(2.0, settings["degree"] / wiring.nodes * nodes)
    return ws_flex(nodes=nodes, **settings)
