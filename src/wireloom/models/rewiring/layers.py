"""Which layers of a model can be wired, and the wired layers that take their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wireloom.base import InvalidValue, nearest
from wireloom.compute import Pattern
from wireloom.models.rewiring.groups import LAYERS
from wireloom.nn import WiredConv2d, WiredLinear
from wireloom.wiring import Wiring

# Modules that hand their layers' weights to a fused kernel instead of calling the layers.
_READERS = (nn.MultiheadAttention, nn.TransformerEncoderLayer)


def is_layer(module: nn.Module) -> bool:
    """Whether a module is one that the table has a row for."""
    quantised = "quantized" in type(module).__module__ and hasattr(module, "weight")
    return isinstance(module, (*LAYERS, nn.MultiheadAttention)) or quantised


def kept_names(
    named: dict[str, nn.Module], keep: str | Iterable[str], order: Sequence[str]
) -> set[str]:
    """The names that ``keep`` fits; "first" and "last" are meant in ``order``."""
    kept: set[str] = set()
    ends = [n for n in order if isinstance(named[n], LAYERS)]
    for pattern in [keep] if isinstance(keep, str) else list(keep):
        if pattern in ("first", "last"):
            kept.update(ends[:1] if pattern == "first" else ends[-1:])
            continue
        fits = {name for name in named if fnmatchcase(name, pattern)}
        if not fits:
            raise InvalidValue(
                f"`keep` of rewire must fit the name of a layer, or be 'first' or 'last'; "
                f"got {pattern!r}{nearest(pattern, list(named))}"
            )
        kept |= fits
    return kept


def reasons(
    model: nn.Module, named: dict[str, nn.Module], wiring: Wiring, kept: set[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Why each layer is kept, "" where it is not; and why some must not be widened either."""
    held = (p for m in model.modules() for p in m._parameters.values())
    owners = Counter(_memory(p) for p in held if p is not None)
    read = {
        id(part): type(reader).__name__
        for reader in model.modules()
        if isinstance(reader, _READERS)
        for part in reader.modules()
        if part is not reader
    }
    why, fixed = {}, {}
    for name, layer in named.items():
        odd = _odd(layer, owners)
        if id(layer) in read:
            odd = f"{read[id(layer)]} reads its weights itself"
        if odd:
            fixed[name] = odd
        why[name] = "named in `keep`" if name in kept else odd or _unfit(layer, wiring)
    return why, fixed


def _memory(parameter: Tensor) -> int:
    """The same for two parameters that share their memory."""
    if isinstance(parameter, nn.UninitializedParameter) or parameter.is_meta:
        return id(parameter)
    return parameter.untyped_storage().data_ptr() or id(parameter)


def _odd(layer: nn.Module, owners: Counter[int]) -> str:
    """Why a layer is not just a matrix, a bias and a rule, "" where it is."""
    if any(isinstance(p, nn.UninitializedParameter) for p in layer._parameters.values()):
        return "is lazy: run the model once before"
    if parametrize.is_parametrized(layer):
        return "is parametrised"
    if "quantized" in type(layer).__module__:
        return "is quantised"
    if type(layer) not in LAYERS:
        return f"is a {type(layer).__name__}, for which there is no rule"
    weight = layer._parameters.get("weight")
    if weight is None:
        return "computes its weight from others, as weight normalisation and pruning do"
    own = [p for p in layer._parameters.values() if p is not None]
    if any(owners[_memory(p)] > 1 for p in own):
        return "shares a parameter with another layer"
    if set(layer._parameters) - {"weight", "bias"} or layer._buffers or layer._modules:
        return "holds more than a weight and a bias"
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
        return "has hooks"
    if "forward" in layer.__dict__:
        return "has a forward function of its own"
    if not weight.is_floating_point():
        return f"has weights of {weight.dtype}"
    return ""


def _unfit(layer: nn.Module, wiring: Wiring) -> str:
    """Why a plain layer cannot be wired, "" where it can."""
    if not isinstance(layer, nn.Linear | nn.Conv2d):
        return f"is a {type(layer).__name__}, for which there is no rule"
    if isinstance(layer, nn.Conv2d):
        if layer.groups > 1:
            depthwise = layer.groups == layer.in_channels
            return f"is {'depthwise' if depthwise else f'of {layer.groups} groups'}"
        if layer.padding_mode != "zeros":
            return f"pads by {layer.padding_mode}, not by zeros"
        if _padding(layer) is None:
            return "pads one side more than the other"
    out, into = channels_of(layer)
    if min(out, into) < wiring.nodes:
        return f"has {min(out, into)} channels, fewer than the wiring's {wiring.nodes} nodes"
    return ""


def channels_of(layer: nn.Module) -> tuple[int, int]:
    """Channels that a layer writes and reads; (0, 0) where it does not say."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return layer.out_channels, layer.in_channels
    return 0, 0


def _padding(layer: nn.Conv2d) -> tuple[int, int] | None:
    """Zeros on either side, (height, width); None where the sides differ."""
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "same":
        reach = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return None if any(r % 2 for r in reach) else (reach[0] // 2, reach[1] // 2)
    height, width = layer.padding
    return int(height), int(width)


def wired_layer(
    name: str,
    layer: nn.Module,
    wiring: Wiring,
    *,
    distil: bool,
    seed: int,
    device: torch.device,
) -> WiredLinear | WiredConv2d:
    """The wired layer that takes the place of ``layer``, whose weight may be without memory."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    out, into = channels_of(layer)
    pattern = Pattern.from_wiring(wiring, out=out, into=into)
    bias = layer.bias is not None
    where = {"device": "meta", "dtype": layer.weight.dtype}  # weights are drawn once, below
    if isinstance(layer, nn.Linear):
        new: WiredLinear | WiredConv2d = WiredLinear(pattern, bias, **where)
    else:
        padding = _padding(layer)
        assert padding is not None
        new = WiredConv2d(
            pattern,
            (layer.kernel_size[0], layer.kernel_size[1]),
            stride=(layer.stride[0], layer.stride[1]),
            padding=padding,
            dilation=(layer.dilation[0], layer.dilation[1]),
            bias=bias,
            **where,
        )
    new.to_empty(device=device)
    with torch.no_grad():
        if distil:
            entries = torch.from_numpy(pattern.mask()).to(layer.weight.device)
            new.weight.copy_(layer.weight.reshape(out, into, -1)[entries].reshape(-1))
            new.weight /= pattern.density**0.5
        else:
            new.initialise([seed], f"{name}.")
        if new.bias is not None and layer.bias is not None:
            new.bias.copy_(layer.bias)
            new.bias.requires_grad_(layer.bias.requires_grad)
    new.weight.requires_grad_(layer.weight.requires_grad)
    return new.train(layer.training)
