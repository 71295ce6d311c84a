"""A network as a plain torch module: code and state free of Wireloom, absent blocks as zeros."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from wireloom.base import InvalidValue
from wireloom.models.members import Population
from wireloom.models.net import Block, Net, Unit
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
from wireloom.nn import ChannelNorm, PositionEmbedding, WiredConv2d, WiredLinear


def to_torch(net: Net | Population, *, fold: bool = False) -> fx.GraphModule:
    """The same function as a graph of torch's own modules and functions.

    It is a copy, in the mode (training or evaluation) that the network is in; ``.code`` shows it
    as Python, and pickling, `torch.export` and ONNX need nothing of Wireloom's. Layers are dense
    there: absent blocks are zeros that are multiplied, so it costs the square of the width.
    Trained on, they do not stay zero.

    Args:
        net: a network; a population of one counts.
        fold: whether batch normalisations are folded into the layers before them, for inference.

    Raises:
        InvalidValue: for another module, or a population of several.

    Shape: [batch, channels, height, width] to [batch, classes].
    """
    inner = net.net if isinstance(net, Population) else net
    if not isinstance(inner, Net) or len(inner.members) != 1:
        what = f"{len(inner.members)} of them" if isinstance(inner, Net) else type(net).__name__
        raise InvalidValue(f"`net` of to_torch must be one network of Wireloom; got {what}")
    writer = _Writer(inner, fold)
    shape = inner.members[0].shape
    x = writer.graph.placeholder("x")
    if not inner.maps:
        x = writer.graph.call_function(torch.flatten, (x, 1))
    x = writer.chain(shape.parts(), inner, "", x)
    writer.graph.output(x)
    found = fx.GraphModule(writer.root, writer.graph, shape.model)
    return found.train(net.training and not fold)


class _Writer:
    """Writes the graph part by part, beside the modules that hold the parts' tensors."""

    def __init__(self, net: Net, fold: bool) -> None:
        self.root, self.graph, self.fold = nn.Module(), fx.Graph(), fold
        self.size = (1, 1)  # of the map that attention works on
        like = next(net.parameters())
        self.where: dict[str, Any] = {"device": like.device, "dtype": like.dtype}

    def module(self, name: str, module: nn.Module, x: fx.Node) -> fx.Node:
        """A call of a module, kept under a name."""
        *path, last = name.split(".")
        place = self.root
        for step in path:
            if not hasattr(place, step):
                place.add_module(step, nn.Module())
            place = place.get_submodule(step)
        place.add_module(last, module)
        return self.graph.call_module(name, (x,))

    def chain(self, parts: tuple[Part, ...], module: nn.Module, within: str, x: fx.Node) -> fx.Node:
        """Parts one after another."""
        for part in parts:
            x = self.part(part, module.get_submodule(part.name), f"{within}{part.name}", x)
        return x

    def part(self, part: Part, module: Any, at: str, x: fx.Node) -> fx.Node:
        """One part."""
        graph = self.graph
        if isinstance(part, Layer):
            return self.layer(part, module, at, x)
        if isinstance(part, Chain):
            return self.chain(part.parts, module, f"{at}.", x)
        if isinstance(part, Residual):
            return self.residual(part, module, at, x)
        if isinstance(part, Added):
            y = self.chain(part.body, module, f"{at}.", x)
            return graph.call_function(operator.add, (x, y))
        if isinstance(part, Gate):
            return self.gate(part, module, at, x)
        if isinstance(part, Largest):
            w = part.window
            return self.module(at, nn.MaxPool2d(w.size, w.stride, w.padding, w.dilation), x)
        if isinstance(part, Mean):
            return graph.call_method("mean", (x, (2, 3)))
        if isinstance(part, Positions):
            self.size = part.size
            return self.positions(module, at, x)
        if isinstance(part, Standard):
            return self.standard(module, at, x)
        assert isinstance(part, Attention)
        return self.attention(part, module, at, x)

    def layer(
        self, layer: Layer, unit: Unit, at: str, x: fx.Node, residual: fx.Node | None = None
    ) -> fx.Node:
        """Linear layer or convolution, normalisation, sum with a residual, activation."""
        core, norm = _core(layer, unit.core, self.where), None
        if unit.norm is not None:
            kind = nn.BatchNorm1d if layer.window is None else nn.BatchNorm2d
            norm = kind(layer.out, unit.norm.epsilon, unit.norm.momentum, **self.where)
            with torch.no_grad():
                norm.weight.copy_(unit.norm.scale)
                norm.bias.copy_(unit.norm.shift)
                norm.running_mean.copy_(unit.norm.running_mean)  # pyright: ignore[reportOptionalMemberAccess]
                norm.running_var.copy_(unit.norm.running_variance)  # pyright: ignore[reportOptionalMemberAccess]
            if self.fold:
                core, norm = _folded(core, norm), None
        y = self.module(f"{at}.{'linear' if layer.window is None else 'conv'}", core, x)
        if norm is not None:
            y = self.module(f"{at}.norm", norm, y)
        if residual is not None:
            y = self.graph.call_function(operator.add, (y, residual))
        return self.activation(layer.activation, y)

    def activation(self, name: str, x: fx.Node) -> fx.Node:
        """An activation by name."""
        graph = self.graph
        if name == "none":
            return x
        if name == "quick_gelu":
            steep = graph.call_function(operator.mul, (x, 1.702))
            return graph.call_function(
                operator.mul, (x, graph.call_function(torch.sigmoid, (steep,)))
            )
        return graph.call_function({"relu": F.relu, "silu": F.silu}[name], (x,))

    def residual(self, part: Residual, block: Block, at: str, x: fx.Node) -> fx.Node:
        """Parts whose result is added to their input before the last activation."""
        *body, last = part.body
        assert isinstance(last, Layer)
        y = self.chain(tuple(body), block, f"{at}.", x)
        beside = x
        if part.skip is not None:
            beside = self.layer(part.skip, block.get_submodule("skip"), f"{at}.skip", x)  # pyright: ignore[reportArgumentType]
        return self.layer(last, block.get_submodule(last.name), f"{at}.{last.name}", y, beside)  # pyright: ignore[reportArgumentType]

    def gate(self, part: Gate, module: Any, at: str, x: fx.Node) -> fx.Node:
        """Squeeze-and-excitation."""
        graph = self.graph
        y = graph.call_method("mean", (x, (2, 3)))
        for layer in part.layers:
            y = self.layer(layer, module.get_submodule(layer.name), f"{at}.{layer.name}", y)
        y = graph.call_function(torch.sigmoid, (y,))
        y = graph.call_method("unsqueeze", (graph.call_method("unsqueeze", (y, 2)), 3))
        return graph.call_function(operator.mul, (x, y))

    def positions(self, module: PositionEmbedding, at: str, x: fx.Node) -> fx.Node:
        """A vector added to each pixel."""
        name = at.replace(".", "_")
        self.root.register_parameter(name, nn.Parameter(module.weight.detach().clone()))
        return self.graph.call_function(operator.add, (x, self.graph.get_attr(name)))

    def standard(self, module: ChannelNorm, at: str, x: fx.Node) -> fx.Node:
        """Layer normalisation of each pixel's channels."""
        norm = nn.LayerNorm(len(module.scale), module.epsilon, **self.where)
        with torch.no_grad():
            norm.weight.copy_(module.scale)
            norm.bias.copy_(module.shift)
        last = self.graph.call_method("permute", (x, 0, 2, 3, 1))
        return self.graph.call_method("permute", (self.module(at, norm, last), 0, 3, 1, 2))

    def attention(self, part: Attention, module: Any, at: str, x: fx.Node) -> fx.Node:
        """Softmax attention between pixels."""
        graph = self.graph
        heads = []
        for layer in part.layers[:3]:
            y = self.layer(layer, module.get_submodule(layer.name), f"{at}.{layer.name}", x)
            y = graph.call_function(torch.flatten, (y, 2))
            y = graph.call_method("unflatten", (y, 1, (part.heads, part.inner // part.heads)))
            heads.append(graph.call_method("transpose", (y, 2, 3)))  # [batch, heads, pixels, ...]
        mixed = graph.call_function(F.scaled_dot_product_attention, tuple(heads))
        mixed = graph.call_function(
            torch.flatten, (graph.call_method("transpose", (mixed, 2, 3)), 1, 2)
        )
        mixed = graph.call_method("unflatten", (mixed, 2, self.size))
        back = part.layers[3]
        return self.layer(back, module.get_submodule(back.name), f"{at}.{back.name}", mixed)


def _core(
    layer: Layer, core: WiredLinear | WiredConv2d, where: dict[str, Any]
) -> nn.Linear | nn.Conv2d:
    """The dense layer whose absent blocks are zeros."""
    bias = core.bias is not None
    if layer.window is None:
        made: nn.Linear | nn.Conv2d = nn.Linear(layer.into, layer.out, bias, **where)
    else:
        w = layer.window
        made = nn.Conv2d(
            layer.into, layer.out, w.size, w.stride, w.padding, w.dilation,
            layer.into if layer.joins == "self" else 1, bias, **where,
        )  # fmt: skip
    with torch.no_grad():
        made.weight.copy_(_dense(layer, core))
        if made.bias is not None and core.bias is not None:
            made.bias.copy_(core.bias)
    return made


def _dense(layer: Layer, core: WiredLinear | WiredConv2d) -> Tensor:
    size = () if layer.window is None else layer.window.size
    entries = core.weight.detach().view(-1, *size)
    if layer.joins == "self":
        return entries[:, None]
    mask = torch.from_numpy(core.pattern.mask()).to(entries.device)
    return entries.new_zeros(*mask.shape, *size).index_put((mask,), entries)


def _folded(core: nn.Linear | nn.Conv2d, norm: Any) -> nn.Linear | nn.Conv2d:
    fuse = fuse_linear_bn_weights if isinstance(core, nn.Linear) else fuse_conv_bn_weights
    core.weight, core.bias = fuse(
        core.weight, core.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight,
        norm.bias,
    )  # fmt: skip
    return core
