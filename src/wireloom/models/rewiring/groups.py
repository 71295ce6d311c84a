"""Which channels of a model must stay equal in number when its widths change, from a trace of it.

Every axis of every value is followed through the traced graph. An axis of channels is a row of
runs, each a group of channels repeated some times: concatenation puts runs side by side, flattening
repeats them, sums and products make their groups one. What cannot be followed keeps its width, and
says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from wireloom.base import InvalidValue

Run = tuple[int, int]  # a group, and how many entries each of its channels makes
Axis = tuple[Run, ...] | None  # None: as it is, such as samples and pixels

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm, nn.PReLU,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.RMSNorm,
)  # fmt: skip
# What treats each channel by itself and leaves the axes as they are.
_PASSING_MODULES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Softplus, nn.Softsign,
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.Upsample, nn.UpsamplingBilinear2d,
    nn.UpsamplingNearest2d, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d,
)  # fmt: skip
_PASSING = {
    *(torch.relu, torch.relu_, torch.sigmoid, torch.tanh, torch.exp, torch.abs, torch.clamp),
    *(F.relu, F.relu6, F.leaky_relu, F.elu, F.selu, F.gelu, F.silu, F.mish, F.hardswish),
    *(F.hardsigmoid, F.hardtanh, F.softplus, F.sigmoid, F.tanh, F.dropout, F.dropout2d),
    *(F.max_pool1d, F.max_pool2d, F.avg_pool1d, F.avg_pool2d, F.adaptive_avg_pool1d),
    *(F.adaptive_avg_pool2d, F.adaptive_max_pool2d, F.interpolate, torch.square, torch.sqrt),
    *("relu", "relu_", "sigmoid", "tanh", "exp", "abs", "clamp", "contiguous", "clone", "float"),
    *("half", "bfloat16", "double", "type_as", "detach", "square", "sqrt"),
}
_OF_TWO = {
    *("add", "iadd", "sub", "isub", "mul", "imul", "truediv", "itruediv", "add_", "mul_", "sub_"),
    *("div", "maximum", "minimum"),
}
_ABOUT_SHAPE = {"size", "dim", "getattr", "ndimension"}


@dataclass
class Group:
    """Channels that are as many everywhere.

    width: how many there are.
    pinned: why they must stay so, "" where they are free.
    multiple: their number must stay a multiple of this.
    """

    width: int
    pinned: str = ""
    multiple: int = 1


@dataclass
class Trace:
    """What a trace found.

    groups: of channels, by number.
    layers: the axes that each layer writes and reads, by the module's name.
    followers: modules (and parameters, as "name") whose sizes follow an axis: the axis of each.
    """

    groups: dict[int, Group] = field(default_factory=dict)
    layers: dict[str, tuple[Axis, Axis]] = field(default_factory=dict)
    followers: dict[str, Axis] = field(default_factory=dict)
    parameters: dict[str, tuple[Axis, ...]] = field(default_factory=dict)


def trace(model: nn.Module, example: tuple[object, ...]) -> Trace:
    """Follow the channels through a model that is called with ``example``.

    Raises:
        InvalidValue: for a model that torch.fx cannot trace.
    """
    try:
        traced = fx.symbolic_trace(model)
    except Exception as error:  # whatever the user's forward function meets with proxies
        raise InvalidValue(_untraceable(model, error)) from error
    with torch.no_grad():
        ShapeProp(traced).propagate(*example)
    return _Walk(traced).done()


def _untraceable(model: nn.Module, error: Exception) -> str:
    said = str(error).strip().split("\n")[0].rstrip(".")
    return (
        f"`model` of rewire must be traceable by torch.fx for a budget; {type(model).__name__} is "
        f'not: {said}. With budget="none" it is wired at its own widths'
    )


def _as_it_is(shape: torch.Size | None) -> list[Axis] | None:
    """Axes of a value that holds no channels."""
    return None if shape is None else [None for _ in shape]


class _Walk:
    """One pass over the nodes of a traced model."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.modules = dict(traced.named_modules())
        self.found = Trace()
        self.parent: dict[int, int] = {}
        self.axes: dict[fx.Node, list[Axis] | None] = {}
        for node in traced.graph.nodes:
            self.axes[node] = self._of(node)

    # ---- groups ------------------------------------------------------------------------------

    def _new(self, width: int, pinned: str = "") -> Axis:
        number = len(self.parent)
        self.parent[number] = number
        self.found.groups[number] = Group(width, pinned)
        return ((number, 1),)

    def _root(self, number: int) -> int:
        while self.parent[number] != number:
            number = self.parent[number]
        return number

    def _pin(self, axis: Axis, why: str) -> None:
        for number, _ in axis or ():
            group = self.found.groups[self._root(number)]
            group.pinned = group.pinned or why

    def _same(self, one: Axis, other: Axis, why: str) -> Axis:
        """Make two axes equal, whatever becomes of their widths."""
        if one is None or other is None:
            self._pin(one or other, why)
            return one or other
        if [k for _, k in one] != [k for _, k in other] or [
            self.found.groups[self._root(n)].width for n, _ in one
        ] != [self.found.groups[self._root(n)].width for n, _ in other]:
            self._pin(one, why)
            self._pin(other, why)
            return one
        for (a, _), (b, _) in zip(one, other, strict=True):
            a, b = self._root(a), self._root(b)
            if a != b:
                kept, gone = self.found.groups[a], self.found.groups.pop(b)
                self.parent[b] = a
                kept.pinned = kept.pinned or gone.pinned
                kept.multiple = math.lcm(kept.multiple, gone.multiple)
        return one

    def done(self) -> Trace:
        """The trace, with the numbers of the groups that are left."""

        def settled(axis: Axis) -> Axis:
            return None if axis is None else tuple((self._root(n), k) for n, k in axis)

        found = self.found
        found.layers = {k: (settled(a), settled(b)) for k, (a, b) in found.layers.items()}
        found.followers = {k: settled(a) for k, a in found.followers.items()}
        found.parameters = {k: tuple(map(settled, a)) for k, a in found.parameters.items()}
        return found

    # ---- nodes -------------------------------------------------------------------------------

    def _shape(self, node: Any) -> torch.Size | None:
        meta = node.meta.get("tensor_meta") if isinstance(node, fx.Node) else None
        return getattr(meta, "shape", None)

    def _inputs(self, node: fx.Node) -> list[fx.Node]:
        return [n for n in node.all_input_nodes if self.axes.get(n) is not None]

    def _stop(self, node: fx.Node, why: str) -> list[Axis] | None:
        """Keep the widths of all that a node reads; its own axes are as they are."""
        for source in self._inputs(node):
            for axis in self.axes[source] or []:
                self._pin(axis, why)
        shape = self._shape(node)
        return _as_it_is(shape)

    def _of(self, node: fx.Node) -> list[Axis] | None:
        shape = self._shape(node)
        if node.op == "placeholder":
            return _as_it_is(shape)
        if node.op == "output":
            return self._stop(node, "is what the model gives out")
        if node.op == "get_attr":
            return self._parameter(str(node.target), shape)
        if node.op == "call_module":
            return self._module(node, str(node.target), self.modules[str(node.target)])
        if shape is None and not self._is_tuple(node):  # numbers, shapes
            return None
        name = node.target if isinstance(node.target, str) else node.target.__name__
        if node.target in _PASSING or name in _PASSING:
            return self._passed(node)
        if name in _OF_TWO:
            return self._of_two(node, name)
        handler: Callable[[fx.Node], list[Axis] | None] | None = {
            "cat": self._cat, "concat": self._cat, "flatten": self._flatten,
            "view": self._reshape, "reshape": self._reshape, "mean": self._reduced,
            "sum": self._reduced, "amax": self._reduced, "softmax": self._passed,
            "permute": self._permute, "transpose": self._transpose, "unsqueeze": self._unsqueeze,
            "pad": self._pad, "expand_as": self._stop_here, "layer_norm": self._stop_here,
        }.get(name)  # fmt: skip
        return handler(node) if handler else self._stop_here(node)

    def _is_tuple(self, node: fx.Node) -> bool:
        return isinstance(node.meta.get("tensor_meta"), tuple) and self._shape(node) is None

    def _stop_here(self, node: fx.Node) -> list[Axis] | None:
        name = node.target if isinstance(node.target, str) else node.target.__name__
        return self._stop(node, f"goes through {name}")

    def _passed(self, node: fx.Node) -> list[Axis] | None:
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or self.axes.get(source) is None:
            return self._stop_here(node)
        axes, shape = self.axes[source] or [], self._shape(node)
        if shape is None or len(shape) != len(axes):
            return self._stop_here(node)
        return list(axes)

    def _parameter(self, name: str, shape: torch.Size | None) -> list[Axis] | None:
        value = self._attribute(name)
        if shape is None or not isinstance(value, nn.Parameter):
            return _as_it_is(shape)
        if name not in self.found.parameters:
            self.found.parameters[name] = tuple(
                self._new(size) if size > 1 else None for size in shape
            )
        return list(self.found.parameters[name])

    def _attribute(self, name: str) -> Any:
        value: Any = self.traced
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def _module(self, node: fx.Node, name: str, module: nn.Module) -> list[Axis] | None:
        source = node.args[0] if node.args else None
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        shape = self._shape(node)
        if axes is None or shape is None:
            return self._stop(node, f"goes through a {type(module).__name__}")
        if type(module) in LAYERS:
            return self._layer(name, module, list(axes), self._shape(source))
        if isinstance(module, _NORMS) and type(module) in _NORMS:
            return self._norm(node, name, module, list(axes))
        if type(module) is nn.Flatten:
            return self._merged(node, list(axes), module.start_dim, module.end_dim)
        if type(module) in _PASSING_MODULES and len(shape) == len(axes):
            return list(axes)
        return self._stop(node, f"goes through a {type(module).__name__}")

    def _layer(
        self, name: str, module: nn.Module, axes: list[Axis], shape: torch.Size | None
    ) -> list[Axis]:
        assert shape is not None
        place = len(axes) - 1
        if not isinstance(module, nn.Linear):
            place = len(axes) - len(module.kernel_size) - 1  # pyright: ignore[reportArgumentType,reportAttributeAccessIssue]
        read = axes[place]
        if read is None:
            read = self._new(shape[place], "is what the model reads or keeps")
        groups = getattr(module, "groups", 1)
        if isinstance(module, nn.Linear):
            wide, into = module.out_features, module.in_features
        else:
            wide, into = int(module.out_channels), int(module.in_channels)  # pyright: ignore[reportArgumentType]
        if groups == into and groups > 1:
            written: Axis = tuple((n, k * (wide // into)) for n, k in read or ())
        else:
            before = self.found.layers.get(name)
            written = before[0] if before else self._new(wide)
            if groups > 1:
                self._several(read, groups)
                self._several(written, groups)
        if name in self.found.layers:
            read = self._same(read, self.found.layers[name][1], f"is read by '{name}' twice")
        self.found.layers[name] = written, read
        axes[place] = written
        for i in range(place + 1, len(axes)):
            if axes[i] is not None:
                self._pin(axes[i], f"is walked over by '{name}'")
                axes[i] = None
        return axes

    def _several(self, axis: Axis, groups: int) -> None:
        """Groups of a convolution must hold equally many channels."""
        runs = list(axis or ())
        if len(runs) != 1 or runs[0][1] > 1:
            self._pin(axis, "is read in groups")
            return
        group = self.found.groups[self._root(runs[0][0])]
        group.multiple = math.lcm(group.multiple, groups)

    def _norm(
        self, node: fx.Node, name: str, module: nn.Module, axes: list[Axis]
    ) -> list[Axis] | None:
        if isinstance(module, nn.PReLU) and module.num_parameters == 1:
            return axes
        if isinstance(module, nn.LayerNorm | nn.RMSNorm):
            if len(module.normalized_shape) > 1:
                return self._stop(node, f"is normalised by '{name}' together with its place")
            place = len(axes) - 1
        else:
            place = 1
        axis = axes[place]
        if axis is None or name in self.found.followers:
            known = self.found.followers.get(name)
            self._same(axis, known, f"is normalised by '{name}' twice")
            return axes
        if isinstance(module, nn.GroupNorm):
            self._several(axis, module.num_groups)
        self.found.followers[name] = axis
        return axes

    def _of_two(self, node: fx.Node, name: str) -> list[Axis] | None:
        shape = self._shape(node)
        assert shape is not None
        result: list[Axis] = [None] * len(shape)
        given = [n for n in node.args[:2] if isinstance(n, fx.Node)]
        sides = [n for n in given if self.axes.get(n) is not None]
        for place in range(len(shape)):
            met: Axis = None
            wide = 0
            for side in sides:
                axes, its = self.axes[side] or [], tuple(self._shape(side) or ())
                i = place - len(shape) + len(axes)
                if i < 0 or its[i] == 1:  # is spread along this axis
                    if i >= 0 and axes[i] is not None:
                        self._pin(axes[i], "is spread over another axis")
                    continue
                met = axes[i] if not wide else self._same(met, axes[i], f"meets another in {name}")
                wide += 1
            result[place] = met
        return result

    def _cat(self, node: fx.Node) -> list[Axis] | None:
        parts, shape = node.args[0], self._shape(node)
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        if not isinstance(parts, list | tuple) or not isinstance(dim, int) or shape is None:
            return self._stop_here(node)
        axes = [self.axes.get(p) if isinstance(p, fx.Node) else None for p in parts]
        if any(a is None for a in axes):
            return self._stop_here(node)
        dim %= len(shape)
        result: list[Axis] = list(axes[0] or [])
        for i in range(len(shape)):
            here = [(a or [])[i] for a in axes]
            if i == dim:
                if all(axis is None for axis in here):
                    result[i] = None
                    continue
                joined: list[Run] = []
                for part, axis in zip(parts, here, strict=True):
                    size = (self._shape(part) or ())[i]
                    joined += axis or self._new(size, "is joined to what is as it is") or ()
                result[i] = tuple(joined)
                continue
            for axis in here[1:]:
                result[i] = self._same(result[i], axis, "meets another in cat")
        return result

    def _merged(self, node: fx.Node, axes: list[Axis], first: int, last: int) -> list[Axis] | None:
        """Axes ``first`` to ``last`` made one: channels come first, or are kept."""
        first, last = first % len(axes), last % len(axes)
        source = self._shape(node.args[0])
        if source is None:
            return self._stop_here(node)
        inner = axes[first + 1 : last + 1]
        if any(axis is not None for axis in inner):
            return self._stop(node, "is flattened together with what stands before it")
        size = math.prod(source[first + 1 : last + 1])
        axis = axes[first]
        merged: Axis = None if axis is None else tuple((n, k * size) for n, k in axis)
        return [*axes[:first], merged, *axes[last + 1 :]]

    def _flatten(self, node: fx.Node) -> list[Axis] | None:
        given = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | node.kwargs
        first, last = given.get("start_dim", 0), given.get("end_dim", -1)
        source = node.args[0]
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        if axes is None or not isinstance(first, int) or not isinstance(last, int):
            return self._stop_here(node)
        return self._merged(node, list(axes), first, last)

    def _reshape(self, node: fx.Node) -> list[Axis] | None:
        """`x.view(x.size(0), -1)` and the like flatten; other sizes are written in the code."""
        source, sizes = node.args[0], node.args[1:]
        if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
            sizes = tuple(sizes[0])
        before, after = self._shape(source), self._shape(node)
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        if axes is None or before is None or after is None:
            return self._stop_here(node)
        last = len(after) - 1
        if len(sizes) == len(after) and sizes[-1] == -1 and before[:last] == after[:last]:
            return self._merged(node, list(axes), last, -1)
        return self._stop(node, "is given sizes that are written in the code")

    def _reduced(self, node: fx.Node) -> list[Axis] | None:
        given = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | node.kwargs
        source = node.args[0]
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        dims, kept = given.get("dim"), given.get("keepdim", False)
        dims = [dims] if isinstance(dims, int) else dims
        if axes is None or not isinstance(dims, list | tuple):
            return self._stop_here(node)
        gone = {int(d) % len(axes) for d in dims}  # pyright: ignore[reportArgumentType]
        if kept:
            return [None if i in gone else axis for i, axis in enumerate(axes)]
        return [axis for i, axis in enumerate(axes) if i not in gone]

    def _permute(self, node: fx.Node) -> list[Axis] | None:
        dims = node.args[1:]
        if len(dims) == 1 and isinstance(dims[0], tuple | list):
            dims = tuple(dims[0])
        source = node.args[0]
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        if axes is None or len(dims) != len(axes) or not all(isinstance(d, int) for d in dims):
            return self._stop_here(node)
        return [axes[int(d)] for d in dims]  # pyright: ignore[reportArgumentType]

    def _transpose(self, node: fx.Node) -> list[Axis] | None:
        source, dims = node.args[0], node.args[1:]
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        if axes is None or len(dims) != 2 or not all(isinstance(d, int) for d in dims):
            return self._stop_here(node)
        turned = list(axes)
        a, b = int(dims[0]), int(dims[1])  # pyright: ignore[reportArgumentType]
        turned[a], turned[b] = turned[b], turned[a]
        return turned

    def _unsqueeze(self, node: fx.Node) -> list[Axis] | None:
        source, shape = node.args[0], self._shape(node)
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
        if axes is None or shape is None or not isinstance(dim, int):
            return self._stop_here(node)
        longer = list(axes)
        longer.insert(dim % len(shape), None)
        return longer

    def _pad(self, node: fx.Node) -> list[Axis] | None:
        source, sizes = node.args[0], node.kwargs.get("pad", node.args[1] if node.args[1:] else ())
        axes = self.axes.get(source) if isinstance(source, fx.Node) else None
        if axes is None or not isinstance(sizes, tuple | list):
            return self._stop_here(node)
        touched = axes[len(axes) - len(sizes) // 2 :]
        if any(axis is not None for axis in touched):
            return self._stop_here(node)
        return list(axes)
