"""The multilayer perceptron of the paper, on one wiring or on many at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue, is_whole
from wireloom.compute import Pattern
from wireloom.models.costs import Cost
from wireloom.nn import FeatureNorm, WiredLinear
from wireloom.wiring import Wiring, block_sizes


@dataclass(frozen=True)
class MLPShape:
    """Shape of a wired MLP: a dense stem, wired hidden layers of equal width, a dense head.

    inputs: features of a sample.
    classes: outputs.
    width: of each hidden layer.
    stem: width of the stem, which no budget changes.
    hidden: number of wired hidden layers (published code and results: 3; the paper's text
        counts 5).
    """

    inputs: int
    classes: int
    width: int = 512
    stem: int = 512
    hidden: int = 3

    def __post_init__(self) -> None:
        for name, least in (
            ("inputs", 1),
            ("classes", 2),
            ("width", 1),
            ("stem", 1),
            ("hidden", 1),
        ):
            value = getattr(self, name)
            if not is_whole(value) or value < least:
                raise InvalidValue(
                    f"`{name}` of an MLP must be a whole number of at least {least}; got {value!r}"
                )

    def patterns(self, wiring: Wiring | None) -> list[Pattern]:
        """Stem, hidden layers and head; dense throughout without a wiring."""
        widths = [self.stem, *[self.width] * self.hidden]
        pairs = list(zip(widths[1:], widths[:-1], strict=True))
        if wiring is None:
            middle = [Pattern.dense(out=out, into=into) for out, into in pairs]
        else:
            made = {
                (out, into): Pattern.from_wiring(wiring, out=out, into=into)
                for out, into in dict.fromkeys(pairs)
            }
            middle = [made[pair] for pair in pairs]
        return [
            Pattern.dense(out=self.stem, into=self.inputs),
            *middle,
            Pattern.dense(out=self.classes, into=self.width),
        ]

    def cost(self, wiring: Wiring | None) -> Cost:
        """Multiply-adds and parameters, without making the network."""
        if wiring is None:
            first, later = self.width * self.stem, self.width**2
        else:
            link = _links(wiring)
            wide = np.array(block_sizes(self.width, wiring.nodes), dtype=np.int64)
            stem = np.array(block_sizes(self.stem, wiring.nodes), dtype=np.int64)
            first, later = int(wide @ link @ stem), int(wide @ link @ wide)
        macs = (
            self.inputs * self.stem + first + (self.hidden - 1) * later + self.width * self.classes
        )
        normalised = self.stem + self.hidden * self.width
        return Cost(macs=macs, params=macs + 2 * normalised + self.classes)


def _links(wiring: Wiring) -> np.ndarray:
    """The adjacency with self-loops, as numbers: int64 [n, n]."""
    return wiring.adjacency().astype(np.int64) + np.eye(wiring.nodes, dtype=np.int64)


class MLP(nn.Module):
    """A wired MLP, or several side by side that share their input.

    Linear, batch normalisation and ReLU for the stem and each hidden layer, then a linear head
    with a bias. Activations stay feature-major from the stem to the head.

    Args:
        patterns: for each member the patterns of stem, hidden layers and head (see
            `MLPShape.patterns`).
        seeds: of each member's initial parameters.

    Shape: `forward` takes [batch, ...] and gives [batch, classes] for one member, else
    [members, batch, classes].

    Source: You et al. 2020, section 4.1.
    """

    def __init__(
        self,
        patterns: Sequence[Sequence[Pattern]],
        seeds: Sequence[int],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        layers = list(zip(*patterns, strict=True))  # by layer, then by member
        where = {"device": device, "dtype": dtype}
        self.stem = WiredLinear(layers[0], shared_input=True, **where)
        self.stem_norm = FeatureNorm([p.shape[0] for p in layers[0]], **where)
        self.hidden = nn.ModuleList(WiredLinear(layer, **where) for layer in layers[1:-1])
        self.norms = nn.ModuleList(
            FeatureNorm([p.shape[0] for p in layer], **where) for layer in layers[1:-1]
        )
        self.head = WiredLinear(layers[-1], bias=True, **where)
        for name, module in self.named_modules():
            if isinstance(module, WiredLinear):
                module.initialise(seeds, f"{name}.")

    @property
    def members(self) -> int:
        """How many networks this is."""
        return len(self.head.members)

    def features(self, x: Tensor) -> Tensor:
        """Logits of all members: [inputs, batch] to [members, classes, batch]."""
        x = self.stem_norm.features(self.stem.features(x))  # [members * stem, batch]
        for linear, normalise in zip(self.hidden, self.norms, strict=True):
            x = cast(WiredLinear, linear).features(x)
            x = cast(FeatureNorm, normalise).features(x)  # [sum of widths, batch]
        return self.head.features(x).unflatten(0, (self.members, -1))

    def forward(self, x: Tensor) -> Tensor:
        inputs = self.stem.pattern.shape[1]
        if x.dim() < 2 or math.prod(x.shape[1:]) != inputs:
            raise InvalidValue(
                f"`x` of this MLP must be [batch, ...] of {inputs} features a sample; "
                f"got {list(x.shape)}"
            )
        logits = self.features(x.flatten(1).t()).transpose(1, 2)  # [members, batch, classes]
        return logits[0] if self.members == 1 else logits

    def cost(self) -> Cost:
        """Multiply-adds of a sample and parameters, of all members together."""
        linears = [m for m in self.modules() if isinstance(m, WiredLinear)]
        return Cost(
            macs=sum(m.pattern.weights for m in linears),
            params=sum(p.numel() for p in self.parameters()),
        )
