"""Where the layers of a network stand on the (C, L) plane by the connections that they have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from wireloom.base import InvalidValue, is_whole
from wireloom.models.matrices import Layer, layers_of
from wireloom.nn import FeatureNorm
from wireloom.wiring import Wiring, block_sizes

# What leaves every channel to itself, so that a sequence's connections pass through it.
_CHANNELWISE = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, FeatureNorm, nn.Identity),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish),
    *(nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.ZeroPad2d),
)


@dataclass(frozen=True)
class Place:
    """Where a layer, or a sequence of layers, stands on the plane.

    module: its name in the model.
    kind: "linear", "grouped conv2d", "depthwise conv2d", "wired linear", "sequence of 2", ...
    channels: that it writes and reads, (out, into).
    nodes: groups of channels that it was seen as, 0 if it was not.
    density: share of the nodes' blocks that exist, (2m + n) / n^2, directed (m + n) / n^2; NaN
        without nodes.
    clustering, path_length: C and L, of the undirected form; NaN without a place.
    connected: whether every node reaches every other, in the undirected form.
    why_not: why it has no place, in words; "" if it has one.
    wiring: the relational graph itself; None where there is none, or where a plain layer's is
        complete.
    """

    module: str
    kind: str
    channels: tuple[int, int]
    nodes: int
    density: float
    clustering: float
    path_length: float
    connected: bool
    why_not: str
    wiring: Wiring | None


def place(
    model: nn.Module, *, nodes: int | None = None, sequences: str | Iterable[str] = ()
) -> list[Place]:
    """Where a network's own layers stand on the (C, L) plane, by which weights exist.

    The values of the weights do not matter, but that one which is exactly 0 is absent: pruned.
    The channels of a layer are cut into ``nodes`` blocks at its input and its output; node j is
    joined to node i where a weight leads from input block j to output block i. Where the two ways
    differ the wiring is directed, and C and L are those of its undirected form, the union of the
    pattern and its transpose.

    - A dense layer is the complete graph: C = L = 1.
    - A grouped convolution joins only blocks of one group, so it falls into as many parts and has
      no place alone; a depthwise one joins no two nodes at all. Between two of them a shuffle
      decides what the pair does: place the sequence.
    - A sequence of layers joins what a path through all of them joins: the product of their
      patterns.
    - Wired layers stand at their wiring, on its own nodes.

    Args:
        model: a network of torch's linear layers and convolutions, and wired ones.
        nodes: blocks to cut into; by default as many as the layer's narrower side has channels, or
            for grouped convolutions the greatest common divisor of both sides, whose blocks never
            straddle two groups.
        sequences: names of `torch.nn.Sequential` modules whose layers are placed as one: layers,
            `torch.nn.ChannelShuffle`, and what leaves each channel to itself. "" is the model.

    Returns:
        A `Place` for each layer in the order in which they are registered, then one for each
        sequence. Modules whose weights have no rule here, such as LSTM, are listed without a place.

    Raises:
        InvalidValue: for a population, ``nodes`` below 3, or a name in ``sequences`` that is no
            sequence, or one with a module that mixes channels in a way unknown here.

    Cost: O(out into taps) a layer, then that of C and L on its nodes, O(nodes * edges).

    Example:
        >>> [(p.clustering, p.path_length) for p in place(nn.Linear(8, 8))]
        [(1.0, 1.0)]

    Source: You et al. 2020, section 2 (layers as relational graphs); sequences are ours.
    """
    if nodes is not None and (not is_whole(nodes) or nodes < 3):
        raise InvalidValue(f"`nodes` of place must be a whole number of at least 3; got {nodes!r}")
    if not isinstance(model, nn.Module):
        raise InvalidValue(f"`model` of place must be a torch module; got {type(model).__name__}")
    members = layers_of(model)
    if len(members) != 1:
        raise InvalidValue(
            f"`model` of place must be one network; got a population of {len(members)}: "
            "place(population[i]) takes one of them"
        )
    named = {layer.name: layer for layer in members[0]}
    layers = {id(m): named[name] for name, m in model.named_modules() if name in named}
    found: list[Place] = []
    for name, module in model.named_modules():
        if id(module) in layers:
            found.append(_of_layer(layers[id(module)], nodes))
        elif any(p.dim() > 1 for p in module.parameters(recurse=False)):
            kind = type(module).__name__
            found.append(_nowhere(name, kind, (0, 0), f"there is no rule for {kind}"))
    asked = [sequences] if isinstance(sequences, str) else sequences
    return found + [_of_sequence(model, name, layers, nodes) for name in asked]


def _of_layer(layer: Layer, nodes: int | None) -> Place:
    exists = _exists(layer)
    if layer.pattern is not None:
        receivers, senders = layer.pattern.out_sizes, layer.pattern.in_sizes
        if 2 < len(receivers) == len(senders):  # on a wiring's own nodes
            blocks = _blocks(exists, receivers, senders)
            return _on_graph(layer.name, f"wired {layer.kind}", exists.shape, blocks)
    if layer.groups == 1:
        return _on_blocks(layer.name, layer.kind, exists, nodes)
    groups, (out, into) = layer.groups, exists.shape
    kind = f"{'depthwise' if groups == into else 'grouped'} {layer.kind}"
    count = nodes or math.gcd(out, into)
    if out % count or into % count or (count % groups and groups % count):
        why = f"blocks of {count} nodes straddle its {groups} groups"
        return _nowhere(layer.name, kind, exists.shape, why)
    return _on_blocks(layer.name, kind, exists, count)


def _exists(layer: Layer) -> np.ndarray:
    """Which entries have a weight other than 0: bool [out, into]."""
    exists = layer.matrix() != 0
    return (exists[:, :, 0] if exists.shape[2] == 1 else exists.any(2)).numpy()


def _of_sequence(model: nn.Module, name: str, layers: dict[int, Layer], nodes: int | None) -> Place:
    module = dict(model.named_modules(remove_duplicate=False)).get(name)
    if not isinstance(module, nn.Sequential):
        kind = "nothing of that name" if module is None else type(module).__name__
        raise InvalidValue(f"`sequences` must name Sequential modules; '{name}' is {kind}")
    steps: list[Layer | int] = []  # a layer, or the groups of a shuffle
    for key, part in module.named_modules(remove_duplicate=False):
        if id(part) in layers:
            steps.append(layers[id(part)])
        elif isinstance(part, nn.ChannelShuffle):
            steps.append(part.groups)
        elif not isinstance(part, (nn.Sequential, *_CHANNELWISE)):
            raise InvalidValue(
                f"the sequence '{name}' must be of layers, ChannelShuffle and what leaves channels "
                f"to themselves; '{key}' in it is {type(part).__name__}"
            )
    chain = [step for step in steps if isinstance(step, Layer)]
    if not chain:
        raise InvalidValue(f"the sequence '{name}' has no layer")
    reach = np.eye(chain[0].into, dtype=bool)  # [channels now, channels at the start]
    for step in steps:
        width = step.into if isinstance(step, Layer) else len(reach) // step * step
        if width != len(reach):
            asks = f"reads {width}" if isinstance(step, Layer) else f"shuffles {step} groups"
            raise InvalidValue(
                f"the sequence '{name}' does not fit: {len(reach)} channels reach what {asks}"
            )
        if isinstance(step, Layer):
            reach = _exists(step).astype(np.float32) @ reach.astype(np.float32) > 0
        else:
            reach = reach[np.arange(width).reshape(step, -1).T.ravel()]
    out, into = reach.shape
    grouped = any(layer.groups > 1 for layer in chain)
    count = nodes or (math.gcd(out, into) if grouped else min(out, into))
    return _on_blocks(name, f"sequence of {len(chain)}", reach, count)


def _on_blocks(name: str, kind: str, exists: np.ndarray, nodes: int | None) -> Place:
    """The place of a pattern cut into even blocks, by default as small as its channels."""
    out, into = exists.shape
    count = nodes or min(out, into)
    if count > min(out, into):
        why = f"it has fewer channels than the {count} nodes asked for"
        return _nowhere(name, kind, (out, into), why)
    if count < 3:
        why = f"it has {count} node{'s' * (count > 1)}, and C needs 3"
        return _nowhere(name, kind, (out, into), why)
    blocks = _blocks(exists, block_sizes(out, count), block_sizes(into, count))
    if (blocks | blocks.T).all():  # told without measuring: wide layers have many edges
        np.fill_diagonal(blocks, True)
        density = float(blocks.mean())
        return Place(name, kind, (out, into), count, density, 1.0, 1.0, True, "", None)
    return _on_graph(name, kind, (out, into), blocks)


def _blocks(exists: np.ndarray, receivers: Sequence[int], senders: Sequence[int]) -> np.ndarray:
    """Which blocks of the given sizes hold an entry: bool [receivers, senders]."""
    starts = [np.cumsum([0, *sizes[:-1]]) for sizes in (receivers, senders)]
    rows = np.add.reduceat(exists, starts[0], axis=0, dtype=bool)
    return np.add.reduceat(rows, starts[1], axis=1, dtype=bool)


def _on_graph(name: str, kind: str, channels: tuple[int, ...], blocks: np.ndarray) -> Place:
    """The place of the graph whose arrows are the blocks [receiver, sender]."""
    from scipy.sparse.csgraph import connected_components  # slow to load

    arcs = np.argwhere(blocks)[:, ::-1]  # (sender, receiver)
    directed = bool((blocks != blocks.T).any())
    wiring = Wiring.from_edges(len(blocks), arcs[arcs[:, 0] != arcs[:, 1]], directed=directed)
    parts, _ = connected_components(blocks, directed=False)
    if parts > 1:
        return replace(
            _nowhere(name, kind, channels, f"it falls into {parts} parts that never meet"),
            nodes=wiring.nodes,
            density=wiring.density,
            wiring=wiring,
        )
    out, into = channels
    return Place(
        *(name, kind, (out, into), wiring.nodes, wiring.density),
        *(wiring.clustering, wiring.path_length, True, "", wiring),
    )


def _nowhere(name: str, kind: str, channels: tuple[int, ...], why: str) -> Place:
    out, into = channels
    return Place(name, kind, (out, into), 0, math.nan, math.nan, math.nan, False, why, None)
