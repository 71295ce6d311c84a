"""`Net`: a network of any architecture, or several side by side that share their input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue
from wireloom.compute import Pattern, Window, convolution_norm, gated, largest, pool, sigmoid, silu
from wireloom.models.costs import Cost
from wireloom.models.member import Member
from wireloom.models.parts import (
    Added,
    Attention,
    Chain,
    Gate,
    Largest,
    Layer,
    Mean,
    Part,
    Positions,
    Residual,
    Standard,
)
from wireloom.nn import (
    ChannelNorm,
    FeatureNorm,
    PositionEmbedding,
    WiredConv2d,
    WiredLinear,
    attend,
    quick_gelu,
)
from wireloom.wiring import Wiring


class Net(nn.Module):
    """A network, or several of one architecture side by side that share their input.

    Activations stay feature-major from the stem to the head: [features, batch] in linear layers,
    [channels, images, height, width] in convolutions; the members' features follow one another.

    Args:
        members: shape, wiring and seed of each network; their shapes may differ in widths alone.

    Shape: `forward` takes [batch, ...] and gives [batch, classes] for one member, else
    [members, batch, classes].

    Raises:
        InvalidValue: if the members differ in more than widths.
    """

    def __init__(
        self,
        members: Sequence[Member],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.members = tuple(members)
        _refuse_unless_alike(self.members)
        making = _Making([m.wiring for m in members], {"device": device, "dtype": dtype})
        trees = {m.shape: m.shape.parts() for m in members}
        _add(self, [trees[m.shape] for m in members], making)
        seeds = [m.seed for m in members]
        for name, module in self.named_modules():
            if isinstance(module, Unit):
                module.core.initialise(seeds, f"{name}.")
            elif isinstance(module, PositionEmbedding):
                module.initialise(seeds, f"{name}.")

    @property
    def image(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return self.members[0].shape.image

    def features(self, x: Tensor) -> Tensor:
        """Logits of all members: [inputs, batch] to [members, classes, batch]."""
        if self.maps:
            x = x.unflatten(0, self.image).permute(0, 3, 1, 2)  # [channels, batch, height, width]
        return self._run(x.contiguous())

    def _run(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part.features(x)  # pyright: ignore[reportCallIssue]
        return x.unflatten(0, (len(self.members), -1))

    @property
    def maps(self) -> bool:
        """Whether the network reads maps: whether its stem is a convolution."""
        return next(self.children()).conv is not None

    def forward(self, x: Tensor) -> Tensor:
        inputs = math.prod(self.image)
        if x.dim() < 2 or math.prod(x.shape[1:]) != inputs:
            raise InvalidValue(
                f"`x` of this network must be [batch, ...] of {inputs} features a sample; "
                f"got {list(x.shape)}"
            )
        x = x.reshape(len(x), *self.image).transpose(0, 1) if self.maps else x.flatten(1).t()
        logits = self._run(x.contiguous()).transpose(1, 2)  # [members, batch, classes]
        return logits[0] if len(self.members) == 1 else logits

    def cost(self) -> Cost:
        """Multiply-adds of a sample and parameters, of all members together."""
        return sum((member.cost() for member in self.members), Cost(0, 0))


def _refuse_unless_alike(members: Sequence[Member]) -> None:
    if not members:
        raise InvalidValue("`members` of a population must be at least one; got none")
    first = members[0].shape
    for member in members:
        shape = member.shape
        for name in ("model", "image", "classes", "hidden"):
            if getattr(shape, name) != getattr(first, name):
                raise InvalidValue(
                    f"the members of a population must agree in {name}; got "
                    f"{getattr(first, name)!r} and {getattr(shape, name)!r}"
                )
        if shape.form != first.form:
            raise InvalidValue(
                f"the members of a population must have the same layers; of {shape.model} with "
                f"widths {first.widths} and {shape.widths} one has a projection where the other "
                "adds its input as it is"
            )


def _add(parent: nn.Module, trees: Sequence[Sequence[Part]], making: _Making) -> None:
    """Add the modules of some parts, each given for every member, under the parts' names."""
    for parts in zip(*trees, strict=True):
        parent.add_module(parts[0].name, making.module(parts))


class _Making:
    """What the modules of one net share while they are made: the members' patterns, each once."""

    def __init__(self, wirings: Sequence[Wiring | None], where: dict[str, Any]) -> None:
        self.wirings, self.where = wirings, where
        self.first = True  # the first layer alone reads what all members share
        self._patterns: dict[tuple[Any, ...], Pattern] = {}

    def patterns(self, layers: Sequence[Layer]) -> list[Pattern]:
        """The pattern of a layer for each member."""
        found = []
        for layer, wiring in zip(layers, self.wirings, strict=True):
            key = layer.joins, layer.into, layer.out, layer.joins == "wiring" and wiring
            if key not in self._patterns:
                self._patterns[key] = layer.pattern(wiring)
            found.append(self._patterns[key])
        return found

    def module(self, parts: Sequence[Part]) -> nn.Module:
        """The module of one part of each member."""
        return MODULES[type(parts[0])](parts, self)


class Unit(nn.Module):
    """A linear layer or convolution, then normalisation and activation (`Layer`)."""

    def __init__(self, layers: Sequence[Layer], making: _Making) -> None:
        super().__init__()
        layer, patterns = layers[0], making.patterns(layers)
        shared, making.first = making.first, False
        self.linear = self.conv = self.norm = None
        if layer.window is None:
            self.linear = WiredLinear(
                patterns, bias=layer.bias, shared_input=shared, **making.where
            )
        else:
            w = layer.window
            self.conv = WiredConv2d(
                patterns,
                w.size,
                stride=w.stride,
                padding=w.padding,
                dilation=w.dilation,
                bias=layer.bias,
                shared_input=shared,
                density=1.0 if layer.joins == "self" else None,
                **making.where,
            )
        self.activation = layer.activation
        if layer.norm:
            self.norm = FeatureNorm(
                [each.out for each in layers], activation=layer.activation, **making.where
            )
            if layer.quiet:
                nn.init.zeros_(self.norm.scale)

    @property
    def core(self) -> WiredLinear | WiredConv2d:
        """The linear layer or convolution."""
        core = self.conv if self.linear is None else self.linear
        assert core is not None
        return core

    def features(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """[columns, ...] to [rows, ...]; ``residual`` is added before the activation."""
        conv, norm = self.conv, self.norm
        if conv is not None and conv.bias is None and norm is not None and not norm.training:
            return convolution_norm(
                conv.pattern,
                conv.window,
                conv.weight,
                x,
                norm.scale,
                norm.shift,
                norm.running_mean,
                norm.running_variance,
                activation=norm.activation,
                residual=residual,
                epsilon=norm.epsilon,
            )
        y = self.core.features(x)
        if norm is not None:
            return norm.features(y, residual)
        return y if self.activation == "none" else ACTIVATIONS[self.activation](y)


ACTIVATIONS = {"relu": torch.relu, "silu": silu, "quick_gelu": quick_gelu}


class Series(nn.Module):
    """Parts one after another (`Chain`)."""

    def __init__(self, chains: Sequence[Chain], making: _Making) -> None:
        super().__init__()
        _add(self, [chain.parts for chain in chains], making)

    def features(self, x: Tensor) -> Tensor:
        """[channels, ...] to [channels, ...]."""
        for part in self.children():
            x = part.features(x)  # pyright: ignore[reportCallIssue]
        return x


class Block(nn.Module):
    """Parts whose result is added to their input (`Residual`)."""

    def __init__(self, blocks: Sequence[Residual], making: _Making) -> None:
        super().__init__()
        _add(self, [block.body for block in blocks], making)
        skips = [block.skip for block in blocks if block.skip is not None]
        self.skip = making.module(skips) if skips else None

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to the like."""
        *body, last = [part for name, part in self.named_children() if name != "skip"]
        y = x
        for part in body:
            y = part.features(y)  # pyright: ignore[reportCallIssue]
        beside = x if self.skip is None else self.skip.features(x)  # pyright: ignore[reportCallIssue]
        return last.features(y, beside)  # pyright: ignore[reportCallIssue]


class Excitation(nn.Module):
    """Channels scaled by what two dense layers make of their means (`Gate`)."""

    def __init__(self, gates: Sequence[Gate], making: _Making) -> None:
        super().__init__()
        down, up = zip(*(gate.layers for gate in gates), strict=True)
        self.down, self.up = Unit(down, making), Unit(up, making)

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to the same."""
        return gated(x, sigmoid(self.up.features(self.down.features(pool(x)))))


class Sum(nn.Module):
    """Parts whose result is added to their input as it is (`Added`)."""

    def __init__(self, parts: Sequence[Added], making: _Making) -> None:
        super().__init__()
        _add(self, [part.body for part in parts], making)

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to the same."""
        y = x
        for part in self.children():
            y = part.features(y)  # pyright: ignore[reportCallIssue]
        return x + y


class Mixing(nn.Module):
    """Self-attention between pixels (`Attention`)."""

    def __init__(self, parts: Sequence[Attention], making: _Making) -> None:
        super().__init__()
        self.count, self.heads = len(parts), parts[0].heads
        query, key, value, back = zip(*(part.layers for part in parts), strict=True)
        self.query, self.key = Unit(query, making), Unit(key, making)
        self.value, self.back = Unit(value, making), Unit(back, making)

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to the same."""
        queries, keys, values = (
            unit.features(x).chunk(self.count) for unit in (self.query, self.key, self.value)
        )
        mixed = [
            attend(query, key, value, self.heads)
            for query, key, value in zip(queries, keys, values, strict=True)
        ]
        return self.back.features(torch.cat(mixed))


class LargestOf(nn.Module):
    """Max-pooling (`Largest`)."""

    def __init__(self, parts: Sequence[Largest], making: _Making) -> None:
        super().__init__()
        self.window: Window = parts[0].window

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to the like."""
        return largest(x, self.window)


class MeanOf(nn.Module):
    """The mean of each channel's map (`Mean`)."""

    def __init__(self, parts: Sequence[Mean], making: _Making) -> None:
        super().__init__()

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to [channels, images]."""
        return pool(x)


def _positions(parts: Sequence[Positions], making: _Making) -> nn.Module:
    return PositionEmbedding([part.channels for part in parts], parts[0].size, **making.where)


def _standard(parts: Sequence[Standard], making: _Making) -> nn.Module:
    return ChannelNorm([part.channels for part in parts], **making.where)


MODULES: dict[type[Part], Any] = {
    Added: Sum,
    Attention: Mixing,
    Positions: _positions,
    Standard: _standard,
    Layer: Unit,
    Chain: Series,
    Residual: Block,
    Gate: Excitation,
    Largest: LargestOf,
    Mean: MeanOf,
}
