"""The way back: the wiring that trained weights amount to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, overload

import numpy as np
from torch import Tensor, nn

from wireloom.base import InvalidValue, is_whole
from wireloom.models.matrices import Layer, layers_of, named_like
from wireloom.models.members import Population
from wireloom.wiring import Wiring, block_sizes

COMBINE = ("weights", "norms")
Levels = float | Sequence[float] | np.ndarray


def strengths(
    model: nn.Module | Mapping[str, Tensor],
    *,
    nodes: int,
    layers: str | Iterable[str] | None = None,
    combine: str = "weights",
) -> np.ndarray:
    """How strongly the weights join each pair of ``nodes`` groups of channels.

    The channels of each layer are shared out over the nodes by its own widths (`block_sizes`), so
    block (i, j) of a weight W leads from node j to node i; a convolution's has its kernel as well.
    With ``combine="weights"``, the paper's order of steps, the layers are summed (signed), grouped,
    the transpose is added, and the Frobenius norm taken:

        M = sum of W_l,   strength(i, j) = || M[i, j] + M[j, i]^T ||

    where the transpose of a convolution turns its kernel about, as that of the map itself does.
    What has different shapes cannot be added: then the squares of the norms are, over the sums of
    each shape, and over a rectangular M's blocks (i, j) and (j, i). With ``combine="norms"``
    weights of opposite signs in different layers do not cancel:

        strength(i, j) = sum of || W_l[i, j] || + || W_l[j, i] ||

    Layers are not scaled: one with larger weights counts for more. Blocks of uneven sizes are
    brought to the mean size, a norm times sqrt(mean entries / entries), so that equal weights give
    equal strengths; where the widths divide by the nodes this changes nothing.

    Args:
        model: a network of torch's linear layers and convolutions, wired or not; a population; or
            a state dict (see `layers_of` for what that cannot tell).
        nodes: number of groups, from 2 to the narrowest layer's width.
        layers: glob patterns on the names of modules; by default the hidden layers, all but the
            first and the last that are registered.
        combine: "weights" or "norms".

    Returns:
        float64 [nodes, nodes], symmetric, the nodes' ties to themselves on the diagonal; of a
        `Population` [members, nodes, nodes].

    Raises:
        InvalidValue: for more nodes than the narrowest layer, no such layer, or weights that are
            not finite.

    Cost: O(entries of the dense matrices); a few of one shape are in memory at a time.

    Source: You et al. 2020, section 7, for "weights" on square layers of one shape.
    """
    _check_nodes(nodes)
    every = [
        _strengths(_chosen(of_member, layers), nodes, combine) for of_member in layers_of(model)
    ]
    return np.stack(every) if isinstance(model, Population) or len(every) > 1 else every[0]


@overload
def extract(  # pyright: ignore[reportOverlappingOverload]
    model: Population,
    *,
    nodes: int,
    density: Levels | None = ...,
    degree: Levels | None = ...,
    threshold: Levels | None = ...,
    layers: str | Iterable[str] | None = ...,
    combine: str = ...,
) -> list[Any]: ...
@overload
def extract(  # pyright: ignore[reportOverlappingOverload]
    model: nn.Module | Mapping[str, Tensor],
    *,
    nodes: int,
    density: float | None = ...,
    degree: float | None = ...,
    threshold: float | None = ...,
    layers: str | Iterable[str] | None = ...,
    combine: str = ...,
) -> Wiring: ...
@overload
def extract(
    model: nn.Module | Mapping[str, Tensor],
    *,
    nodes: int,
    density: Levels | None = ...,
    degree: Levels | None = ...,
    threshold: Levels | None = ...,
    layers: str | Iterable[str] | None = ...,
    combine: str = ...,
) -> list[Wiring]: ...
def extract(
    model: nn.Module | Mapping[str, Tensor],
    *,
    nodes: int,
    density: Levels | None = None,
    degree: Levels | None = None,
    threshold: Levels | None = None,
    layers: str | Iterable[str] | None = None,
    combine: str = "weights",
) -> Wiring | list[Any]:
    """The wiring of the pairs of nodes that trained weights join most strongly.

    The `strengths` cut at exactly one of density, degree and threshold. Of pairs equally strong
    the first by (i, j) is taken. Self-loops are implied, as in every wiring. The result may be
    disconnected; its C and L then raise.

    Args:
        model, nodes, layers, combine: as for `strengths`.
        density: keep the m strongest pairs, (2m + n) / n^2 nearest to this; in [1/n, 1].
        degree: keep the round(degree n / 2) strongest pairs; in [0, n - 1].
        threshold: keep the pairs stronger than this, at least 0.
            A sequence of levels, of whichever of the three, gives as many wirings.

    Returns:
        An undirected `Wiring`; a list of them for a sequence of levels; of a population a list
        with one such result for each member.

    Raises:
        InvalidValue: as `strengths`; unless exactly one cut is given and in its range; if it asks
            for more pairs than any weight joins.

    When not to use it: on layers whose channels are in no common order. In a net without skip
    connections, what a unit is called in one layer says nothing about its namesake in the next.

    Example:
        >>> net = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(4)))
        >>> extract(net, nodes=8, degree=3)
        Wiring(nodes=8, edges=12)

    Source: You et al. 2020, section 7.
    """
    cuts = {"density": density, "degree": degree, "threshold": threshold}
    given = {name: level for name, level in cuts.items() if level is not None}
    if len(given) != 1:
        raise InvalidValue(
            "extract needs exactly one of density, degree and threshold; got "
            f"{' and '.join(given) or 'none'}"
        )
    ((name, levels),) = given.items()
    _check_nodes(nodes)
    several = isinstance(levels, Sequence | np.ndarray) and not isinstance(levels, str)
    listed = list(cast(Sequence[float], levels)) if several else [cast(float, levels)]
    wanted = [_level(name, level, nodes) for level in listed]
    found = strengths(model, nodes=nodes, layers=layers, combine=combine)
    wirings = [
        [_cut(matrix, name, level) for level in wanted]
        for matrix in found.reshape(-1, nodes, nodes)
    ]
    results = wirings if several else [one for (one,) in wirings]
    return results if found.ndim == 3 else results[0]


def _chosen(layers: list[Layer], patterns: str | Iterable[str] | None) -> list[Layer]:
    if patterns is not None:
        return named_like(layers, patterns)
    if len(layers) < 3:
        known = ", ".join(f"'{layer.name}'" for layer in layers)
        raise InvalidValue(
            "`layers` must be given for a network of fewer than three layers, which has none "
            f"between the first and the last; got {known}"
        )
    return layers[1:-1]


def _check_widths(layers: list[Layer], nodes: int) -> None:
    narrowest = min(layers, key=lambda layer: min(layer.out, layer.into))
    if nodes > min(narrowest.out, narrowest.into):
        raise InvalidValue(
            f"`nodes` of extract must not exceed the narrowest layer; got {nodes} nodes, and "
            f"{narrowest.title} has {narrowest.into} input and {narrowest.out} output channels"
        )


def _check_nodes(nodes: int) -> None:
    if not is_whole(nodes) or nodes < 2:
        raise InvalidValue(
            f"`nodes` of extract must be a whole number of at least 2; got {nodes!r}"
        )


def _level(name: str, level: float, nodes: int) -> float:
    """The level as a number, known to be one and in its range."""
    low = 1 / nodes if name == "density" else 0.0
    high = {"density": 1.0, "degree": nodes - 1.0}.get(name, math.inf)
    number = isinstance(level, float | np.floating) or is_whole(level)
    if not (number and math.isfinite(level) and low <= level <= high):
        rule = f"in [{low:g}, {high:g}]" if high < math.inf else "a finite number of at least 0"
        raise InvalidValue(f"`{name}` of extract must be {rule}; got {level} (nodes={nodes})")
    return float(level)


def _strengths(layers: list[Layer], nodes: int, combine: str) -> np.ndarray:
    """As `strengths`, of one member's chosen layers: float64 [nodes, nodes]."""
    if combine not in COMBINE:
        raise InvalidValue(f"`combine` must be one of {', '.join(COMBINE)}; got {combine!r}")
    _check_widths(layers, nodes)
    if combine == "norms":
        norms = np.zeros((nodes, nodes))
        for layer in layers:
            norms += np.sqrt(_block_squares(_weights(layer), nodes))
        return norms + norms.T
    shapes = dict.fromkeys((layer.out, layer.into, layer.kernel) for layer in layers)
    squares = np.zeros((nodes, nodes))
    for shape in shapes:
        like = [one for one in layers if (one.out, one.into, one.kernel) == shape]
        total = sum(map(_weights, like[1:]), start=_weights(like[0]))
        if shape[0] == shape[1]:
            turned = total.transpose(1, 0, 2)[:, :, ::-1]  # a flipped kernel's taps in order
            # Half, since both blocks of a pair then have this norm, up to rounding.
            part = _block_squares(total + turned, nodes) / 2
        else:
            part = _block_squares(total, nodes)
        squares += part + part.T
    return np.sqrt(squares)


def _weights(layer: Layer) -> np.ndarray:
    """The layer's matrix, known to be finite: float64 [out, into, taps]."""
    weights = layer.matrix().double().numpy()
    if not np.isfinite(weights).all():
        bad = weights[~np.isfinite(weights)][0]
        raise InvalidValue(f"the weights of {layer.title} must be finite; got {bad}")
    return weights


def _block_squares(matrix: np.ndarray, nodes: int) -> np.ndarray:
    """Squared Frobenius norms of the blocks, brought to the mean block's size: [nodes, nodes]."""
    sizes = [np.array(block_sizes(width, nodes)) for width in matrix.shape[:2]]
    starts = [np.cumsum(one)[:-1] for one in sizes]
    rows = [np.einsum("oit,oit->i", part, part) for part in np.split(matrix, starts[0])]
    squares = np.add.reduceat(np.stack(rows), [0, *starts[1]], axis=1)
    return squares * (matrix.shape[0] * matrix.shape[1] / nodes**2) / np.outer(*sizes)


def _cut(matrix: np.ndarray, name: str, level: float) -> Wiring:
    nodes = len(matrix)
    pairs = np.stack(np.triu_indices(nodes, 1), axis=1)  # by (i, j)
    strength = matrix[pairs[:, 0], pairs[:, 1]]
    if name == "threshold":
        return Wiring.from_edges(nodes, pairs[strength > level])
    twice = level * nodes if name == "degree" else level * nodes**2 - nodes
    count, joined = round(twice / 2), int((strength > 0).sum())
    if count > joined:
        raise InvalidValue(
            f"`{name}` of extract must not ask for more pairs than the weights join; got {level:g},"
            f" which is {count} pairs, and {joined} are joined"
        )
    order = np.argsort(-strength, kind="stable")  # ties stay in their order
    return Wiring.from_edges(nodes, pairs[order[:count]])
