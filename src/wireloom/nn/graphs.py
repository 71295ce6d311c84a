"""Layers on the nodes of a wiring themselves: equation 1 of the paper, and its special case.

A wired layer has a weight of its own for each edge. Here messages are functions: one that all edges
share (a graph convolution), or any function of the user's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue, is_whole, nearest, normal
from wireloom.compute import Pattern, product
from wireloom.wiring import Wiring

AGGREGATES = ("sum", "mean", "max")
SCALES = ("none", "mean", "symmetric")
Message = Callable[[Tensor, Tensor, Tensor], Tensor]


def _checked(x: Tensor, wiring: Wiring, channels: int | None, name: str) -> None:
    fits = x.dim() == 3 and x.shape[1] == wiring.nodes
    if not fits or (channels is not None and x.shape[2] != channels):
        wanted = f"[batch, {wiring.nodes}, {'channels' if channels is None else channels}]"
        raise InvalidValue(f"`x` of {name} must be {wanted}; got {list(x.shape)}")


class SharedLinear(nn.Module):
    """A wired layer whose edges share one weight: a graph convolution on the wiring.

        y[v] = sum over u in N(v) and v itself of s[v, u] W x[u]  (+ b)

    The scale s is 1 ("none"), 1 / d(v) ("mean"), or 1 / sqrt(d(v) d(u)) ("symmetric", as in the
    graph convolutional networks of Kipf and Welling 2017), where d counts a node itself too. Of a
    directed wiring d counts senders, for u as for v.

    Args:
        wiring: the graph.
        into, out: channels of a node before and after.
        scale: of the messages.
        bias: whether a bias [out] is added.
        seed: of the weight, drawn from N(0, 1 / into).

    Shape: [batch, nodes, into] to [batch, nodes, out].

    Raises:
        InvalidValue: for channels below 1 or an unknown scale; when called, for another shape.

    Cost: (blocks + nodes * out) * into multiply-adds a sample, where the blocks are the edges,
    undirected ones twice, and the nodes.

    Source: You et al. 2020, sections 2.3 and 7 (graph neural networks as relational graphs).

    Example:
        >>> SharedLinear(ring(nodes=6), into=3, out=2, scale="symmetric")(torch.ones(5, 6, 3)).shape
        torch.Size([5, 6, 2])
    """

    scales: Tensor

    def __init__(
        self,
        wiring: Wiring,
        *,
        into: int,
        out: int,
        scale: str = "symmetric",
        bias: bool = True,
        seed: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("into", into), ("out", out)):
            if not is_whole(value) or value < 1:
                raise InvalidValue(
                    f"`{name}` of a shared layer must be a whole number of at least 1; "
                    f"got {value!r}"
                )
        if scale not in SCALES:
            raise InvalidValue(f"`scale` '{scale}' is not known{nearest(str(scale), SCALES)}")
        self.wiring, self.into, self.out, self.scale = wiring, into, out, scale
        ones = [1] * wiring.nodes
        self.pattern = Pattern(ones, ones, wiring.blocks())
        receivers, senders = self.pattern.edges.T
        counts = np.bincount(receivers, minlength=wiring.nodes).astype(np.float64)
        found = {
            "none": np.ones(len(receivers)),
            "mean": 1 / counts[receivers],
            "symmetric": 1 / np.sqrt(counts[receivers] * counts[senders]),
        }[scale]
        where = {"device": device, "dtype": dtype or torch.get_default_dtype()}
        self.register_buffer("scales", torch.as_tensor(found, **where))
        drawn = torch.from_numpy(normal(out * into, seed, "weight")).view(out, into)
        self.weight = nn.Parameter(torch.as_tensor(drawn / math.sqrt(into), **where))
        self.bias = nn.Parameter(torch.zeros(out, **where)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[batch, nodes, into] to [batch, nodes, out]."""
        _checked(x, self.wiring, self.into, "a SharedLinear")
        batch, nodes, _ = x.shape
        # Fewer channels travel along the edges: before the weight, or after it.
        first = self.out < self.into
        y = x @ self.weight.t() if first else x
        flat = y.transpose(0, 1).reshape(nodes, -1)  # [nodes, batch * channels]
        y = product(self.pattern, self.scales, flat).view(nodes, batch, -1).transpose(0, 1)
        y = y if first else y @ self.weight.t()
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.wiring!r}, into={self.into}, out={self.out}, scale={self.scale!r}"


class Exchange(nn.Module):
    """The general message exchange: x'[v] = aggregate over u in N(v) and v itself of f(x[v], x[u]).

    The way for messages that are no weights: any function, at the cost of holding all messages at
    once, in plain torch. Where a message is a weight of each edge, `WiredLinear` does the same at
    the speed of its multiply-adds.

    Args:
        wiring: the graph.
        message: from x[v] and x[u], [batch, blocks, channels] each, and the blocks' (receiver,
            sender) pairs int64 [blocks, 2], to messages [batch, blocks, ...]. A module's parameters
            are trained along.
        aggregate: "sum", "mean" or "max".

    Shape: [batch, nodes, channels] to [batch, nodes, ...].

    Raises:
        InvalidValue: for an unknown aggregate; when called, for another shape, or messages that are
            not one a block.

    Source: You et al. 2020, equation 1.

    Example:
        >>> layer = Exchange(ring(nodes=6), lambda v, u, edges: u - v, aggregate="max")
        >>> layer(torch.randn(5, 6, 3)).shape
        torch.Size([5, 6, 3])
    """

    blocks: Tensor

    def __init__(self, wiring: Wiring, message: Message, *, aggregate: str = "sum") -> None:
        super().__init__()
        if aggregate not in AGGREGATES:
            raise InvalidValue(
                f"`aggregate` '{aggregate}' is not known{nearest(str(aggregate), AGGREGATES)}"
            )
        if not callable(message):
            raise InvalidValue(f"`message` of an exchange must be a function; got {message!r}")
        self.wiring, self.message, self.aggregate = wiring, message, aggregate
        pairs = torch.from_numpy(np.array(wiring.blocks(), dtype=np.int64))
        self.register_buffer("blocks", pairs, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, nodes, channels] to [batch, nodes, ...]."""
        _checked(x, self.wiring, None, "an Exchange")
        receivers, senders = self.blocks.unbind(1)
        messages = self.message(x[:, receivers], x[:, senders], self.blocks)
        if messages.dim() < 2 or messages.shape[:2] != (len(x), len(receivers)):
            raise InvalidValue(
                f"`message` of an exchange must give [{len(x)}, {len(receivers)}, ...], one for "
                f"each block; got {list(messages.shape)}"
            )
        shape = (len(x), self.wiring.nodes, *messages.shape[2:])
        if self.aggregate == "max":
            into = receivers.view(1, -1, *[1] * (messages.dim() - 2)).expand_as(messages)
            empty = messages.new_full(shape, -math.inf)
            return empty.scatter_reduce(1, into, messages, "amax")
        total = messages.new_zeros(shape).index_add(1, receivers, messages)
        if self.aggregate == "sum":
            return total
        counts = torch.bincount(receivers, minlength=self.wiring.nodes).to(total)
        return total / counts.view(-1, *[1] * (messages.dim() - 2))

    def extra_repr(self) -> str:
        return f"{self.wiring!r}, aggregate={self.aggregate!r}"
