"""Widths at which a wired copy costs what the model does, and the model's layers at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue, uniform
from wireloom.models.budget import match_widths
from wireloom.models.rewiring.groups import LAYERS, Axis, Trace
from wireloom.wiring import Wiring
from wireloom.wiring.blocks import block_sizes

REACH = 1 / 8  # of a width: how far it may leave the common scale to meet a budget
UNITS = {"macs": "multiply-adds", "params": "parameters"}


@dataclass(frozen=True)
class Priced:
    """A layer whose cost depends on widths.

    written, read: its axes.
    groups: of the convolution; 0 where each channel is its own (depthwise).
    taps: of the kernel.
    calls: outputs a channel that the example asks for.
    bias: whether there is one.
    wired: whether it will be.
    """

    written: Axis
    read: Axis
    groups: int
    taps: int
    calls: int
    bias: bool
    wired: bool


class Widths:
    """How wide each group of channels of a model may be made, and what that costs.

    Args:
        trace: of the model.
        model: whose layers they are.
        reasons: why each layer is not wired, "" where it is.
        fixed: why a layer must stay as it is, by name.
        calls: outputs a channel that the example asks of each layer.
    """

    def __init__(
        self,
        trace: Trace,
        model: nn.Module,
        wiring: Wiring,
        reasons: Mapping[str, str],
        fixed: Mapping[str, str],
        calls: Mapping[str, int],
    ) -> None:
        self.trace, self.wiring = trace, wiring
        modules = dict(model.named_modules())
        self.model = model
        self.layers: dict[str, Priced] = {}
        written: set[int] = set()
        for name, (out, into) in trace.layers.items():
            layer = modules[name]
            groups = int(getattr(layer, "groups", 1))  # pyright: ignore[reportArgumentType]
            depthwise = groups > 1 and groups == getattr(layer, "in_channels", 0)
            kernel = getattr(layer, "kernel_size", ())
            self.layers[name] = Priced(
                out,
                into,
                0 if depthwise else groups,
                int(np.prod(kernel)) if kernel else 1,
                calls.get(name, 0),
                layer.bias is not None,
                not reasons.get(name, ""),
            )
            if name in fixed:
                for axis in (out, into):
                    for number, _ in axis or ():
                        group = trace.groups[number]
                        group.pinned = group.pinned or f"is that of '{name}', kept: {fixed[name]}"
            if not depthwise:
                written |= {number for number, _ in out or ()}
        self.free = [n for n, g in trace.groups.items() if not g.pinned and n in written]
        self._pairs: dict[tuple[int, int], int] = {}

    @cached_property
    def _joined(self) -> np.ndarray:
        """Which nodes are joined, with themselves too: int64 [receiver, sender]."""
        joined = self.wiring.adjacency().astype(np.int64)
        np.fill_diagonal(joined, 1)
        return joined

    def weights(self, out: int, into: int) -> int:
        """Entries of a wired matrix of that size."""
        if (out, into) not in self._pairs:
            nodes = self.wiring.nodes
            sizes = (np.array(block_sizes(width, nodes)) for width in (out, into))
            rows, columns = sizes
            self._pairs[out, into] = int(rows @ self._joined @ columns)
        return self._pairs[out, into]

    @staticmethod
    def size(axis: Axis, widths: Mapping[int, int]) -> int:
        """Entries of an axis at given widths of the groups."""
        return sum(widths[number] * times for number, times in axis or ())

    def cost(self, widths: Mapping[int, int], unit: str, *, dense: bool = False) -> int:
        """Multiply-adds for the example, or those parameters that depend on widths.

        ``dense`` prices the layers that will be wired as they are before.
        """
        total = 0
        for layer in self.layers.values():
            out, into = self.size(layer.written, widths), self.size(layer.read, widths)
            if layer.wired and not dense:
                entries = self.weights(out, into) * layer.taps
            elif layer.groups == 0:
                entries = out * layer.taps
            else:
                entries = out * into // layer.groups * layer.taps
            total += entries * layer.calls if unit == "macs" else entries + out * layer.bias
        if unit == "params":
            for name, axis in self.trace.followers.items():
                module = self.model.get_submodule(name)
                total += len(list(module.parameters())) * self.size(axis, widths)
            for axes in self.trace.parameters.values():
                sized = [self.size(axis, widths) for axis in axes if axis is not None]
                total += int(np.prod(sized)) if sized else 0
        return total

    def now(self) -> dict[int, int]:
        """The widths that the model has."""
        return {number: group.width for number, group in self.trace.groups.items()}

    def matched(self, unit: str, match: str) -> dict[int, int]:
        """Widths at which the wired copy costs what the model does.

        Raises:
            InvalidValue: where no width may change, or none comes within 5 %.
        """
        target = self.cost(self.now(), unit, dense=True)
        if not self.free:
            why = {g.pinned for g in self.trace.groups.values() if g.pinned}
            raise InvalidValue(
                "`model` of rewire must have a layer whose width can change to meet a budget; "
                f"each {'; or '.join(sorted(why)[:3]) or 'is not written by a layer'}. With "
                'budget="none" it is wired at its own widths'
            )
        groups = [self.trace.groups[n] for n in self.free]
        base = [max(1, g.width // g.multiple) for g in groups]

        def widths(steps: Sequence[int]) -> dict[int, int]:
            pairs = zip(self.free, groups, steps, strict=True)
            return self.now() | {n: g.multiple * step for n, g, step in pairs}

        def price(steps: Sequence[int]) -> int:
            return self.cost(widths(steps), unit)

        return widths(match_widths(price, base, target, match=match, reach=REACH))

    def pinned(self) -> dict[str, str]:
        """Why each layer's own channels stay as many, by name; nothing of those that need not."""
        found = {}
        for name, layer in self.layers.items():
            for number, _ in layer.written or ():
                if self.trace.groups[number].pinned:
                    found[name] = self.trace.groups[number].pinned
        return found

    # ---- the model at other widths -----------------------------------------------------------

    def resize(self, widths: Mapping[int, int], seed: int) -> None:
        """Give the model's layers, and what follows them, these widths, with new values.

        Weights of layers that will be wired are left without memory.
        """
        with torch.no_grad():
            for name, layer in self.layers.items():
                out, into = self.size(layer.written, widths), self.size(layer.read, widths)
                _resize_layer(self.model.get_submodule(name), name, out, into, layer, seed)
            for name, axis in self.trace.followers.items():
                _resize_norm(self.model.get_submodule(name), self.size(axis, widths))
            for name, axes in self.trace.parameters.items():
                parent, _, own = name.rpartition(".")
                module = self.model.get_submodule(parent)
                old = module.get_parameter(own)
                shape = [
                    size if axis is None else self.size(axis, widths)
                    for size, axis in zip(old.shape, axes, strict=True)
                ]
                if list(old.shape) != shape:
                    setattr(module, own, _filled(old, shape))


def _resize_layer(
    layer: nn.Module, name: str, out: int, into: int, priced: Priced, seed: int
) -> None:
    assert isinstance(layer, LAYERS)
    old = layer.weight
    if isinstance(layer, nn.Linear):
        if (layer.out_features, layer.in_features) == (out, into):
            return
        layer.out_features, layer.in_features = out, into
        inner = into
    else:
        if (layer.out_channels, layer.in_channels) == (out, into):
            return
        layer.out_channels, layer.in_channels = out, into
        layer.groups = priced.groups or into
        inner = into // layer.groups
    shape = (out, inner, *old.shape[2:])
    bound = (inner * priced.taps) ** -0.5  # as torch draws them

    def drawn(shape: Sequence[int], what: str) -> Tensor:
        count = int(np.prod(shape))
        values = (2.0 * uniform(count, "rewire", what, seed, name) - 1.0) * bound
        return torch.from_numpy(values).to(old).reshape(tuple(shape))

    weight = (
        torch.empty(shape, dtype=old.dtype, device="meta")
        if priced.wired
        else drawn(shape, "weight")
    )
    layer.weight = nn.Parameter(weight, requires_grad=old.requires_grad)
    if layer.bias is not None:
        fresh = drawn((out,), "bias")
        layer.bias = nn.Parameter(fresh, requires_grad=layer.bias.requires_grad)


def _resize_norm(module: nn.Module, width: int) -> None:
    for name in ("num_features", "num_channels", "num_parameters"):
        if name in vars(module):
            setattr(module, name, width)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        module.normalized_shape = (width,)
    for name, value in list(module._parameters.items()):
        if value is not None and len(value) != width:
            module._parameters[name] = _filled(value, (width,))
    for name, value in list(module._buffers.items()):
        if value is not None and value.dim() == 1 and len(value) != width:
            fresh = torch.zeros if name == "running_mean" else torch.ones
            module._buffers[name] = fresh(width, dtype=value.dtype, device=value.device)


def _filled(old: Tensor, shape: Sequence[int]) -> nn.Parameter:
    """A parameter of another size: all of its mean, which keeps one that is the same everywhere."""
    value = old.double().mean().item()
    made = torch.full(tuple(shape), value, dtype=old.dtype, device=old.device)
    return nn.Parameter(made, requires_grad=old.requires_grad)
