"""The weight matrices of a network's layers, whatever form the layers keep them in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue, nearest
from wireloom.compute import Pattern
from wireloom.models.members import Population
from wireloom.nn import WiredConv2d, WiredLinear

_PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_KINDS = {2: "linear", 3: "conv1d", 4: "conv2d", 5: "conv3d"}  # by the weight's dimensions


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer or convolution with its weights.

    name: of the module, "" if it is the model itself.
    kind: "linear", "conv1d", "conv2d" or "conv3d".
    out, into: channels that it writes and reads.
    stored: the weights as the layer keeps them: [out, into / groups, *kernel], or those of the
        pattern's entries, [weights, taps].
    groups: of a plain convolution.
    kernel: sizes of the kernel; () where there is one tap.
    pattern: of a wired layer.
    """

    name: str
    kind: str
    out: int
    into: int
    stored: Tensor
    groups: int = 1
    kernel: tuple[int, ...] = ()
    pattern: Pattern | None = None

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"layer '{self.name}'" if self.name else "the model's one layer"

    def matrix(self) -> Tensor:
        """The whole matrix, zero where no weight exists: [out, into, taps].

        Raises:
            InvalidValue: for weights without values, as on torch's meta device.
        """
        if self.stored.is_meta:
            raise InvalidValue(f"the weights of {self.title} have no values: {self.stored.device}")
        stored = self.stored.detach().cpu()
        taps = math.prod(self.kernel)
        if self.pattern is not None:
            full = stored.new_zeros(self.out, self.into, taps)
            full[torch.from_numpy(self.pattern.mask())] = stored.view(-1, taps)
            return full
        if self.groups == 1:
            return stored.reshape(self.out, self.into, taps)
        g, rows, columns = self.groups, self.out // self.groups, self.into // self.groups
        full = stored.new_zeros(g, rows, g, columns, taps)
        own = torch.arange(g)
        full[own, :, own] = stored.reshape(g, rows, columns, taps)
        return full.view(self.out, self.into, taps)


def layers_of(model: nn.Module | Mapping[str, Tensor]) -> list[list[Layer]]:
    """The layers of each member of a model, in the order in which they are registered.

    A network alone, and a state dict, has one member. In a state dict every tensor called
    "weight" of two to five dimensions is a layer, a convolution having one group, since nothing
    there says more; the flat weights of wired layers cannot be read from it.

    Raises:
        InvalidValue: for anything else, or a network without such layers.
    """
    if isinstance(model, nn.Module):
        found = _of_modules(model)
    elif isinstance(model, Mapping):
        found = [_of_state(model)]
    else:
        raise InvalidValue(
            f"`model` must be a torch module or a state dict; got {type(model).__name__}"
        )
    if not any(found):
        flat = isinstance(model, Mapping) and any(
            name.rpartition(".")[2] == "weight" for name in model
        )
        why = "; flat weights, as wired layers keep them, need the network itself" if flat else ""
        raise InvalidValue(f"`model` has no linear layer and no convolution{why}")
    return found


def _of_modules(model: nn.Module) -> list[list[Layer]]:
    found: list[list[Layer]] = []
    net = model.net if isinstance(model, Population) else model
    for name, module in net.named_modules():
        if isinstance(module, WiredLinear | WiredConv2d):
            layers = _wired(name, module)
        elif isinstance(module, _PLAIN):
            if isinstance(module.weight, nn.UninitializedParameter):
                raise InvalidValue(f"the weights of layer '{name}' have no values: it is lazy")
            groups = 1 if isinstance(module, nn.Linear) else module.groups
            layers = [_plain(name, module.weight, groups)]
        else:
            continue
        if found and len(layers) != len(found):
            raise InvalidValue(
                f"the layers of `model` must have equally many members; layer '{name}' has "
                f"{len(layers)}, those before it {len(found)}"
            )
        found = found or [[] for _ in layers]
        for member, layer in zip(found, layers, strict=True):
            member.append(layer)
    return found


def _of_state(state: Mapping[str, Tensor]) -> list[Layer]:
    return [
        _plain(key.rpartition(".")[0], tensor, 1)
        for key, tensor in state.items()
        if key.rpartition(".")[2] == "weight" and tensor.dim() in _KINDS
    ]


def _plain(name: str, weight: Tensor, groups: int) -> Layer:
    out, into, *kernel = weight.shape
    return Layer(
        name=name,
        kind=_KINDS[weight.dim()],
        out=out,
        into=into * groups,
        stored=weight,
        groups=groups,
        kernel=tuple(kernel) if math.prod(kernel) > 1 else (),
    )


def _wired(name: str, module: WiredLinear | WiredConv2d) -> list[Layer]:
    kernel = module.window.size if isinstance(module, WiredConv2d) else ()
    sizes = module.spans()["weight"].diff().tolist()
    return [
        Layer(
            name=name,
            kind="conv2d" if isinstance(module, WiredConv2d) else "linear",
            out=pattern.shape[0],
            into=pattern.shape[1],
            stored=part,
            kernel=tuple(kernel) if math.prod(kernel) > 1 else (),
            pattern=pattern,
        )
        for pattern, part in zip(module.members, module.weight.split(sizes), strict=True)
    ]


def named_like(layers: Sequence[Layer], patterns: str | Iterable[str]) -> list[Layer]:
    """The layers whose names fit one of the glob patterns, in the model's order.

    Raises:
        InvalidValue: for a pattern that fits none; the message names the layers.
    """
    asked = [patterns] if isinstance(patterns, str) else list(patterns)
    if not asked:
        raise InvalidValue("`layers` must name at least one layer; got none")
    for pattern in asked:
        if not any(fnmatchcase(layer.name, pattern) for layer in layers):
            known = [layer.name for layer in layers]
            raise InvalidValue(
                f"`layers` must fit the name of a layer; got {pattern!r}{nearest(pattern, known)}"
            )
    return [one for one in layers if any(fnmatchcase(one.name, p) for p in asked)]
