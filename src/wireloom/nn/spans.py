"""Spans: which part of each tensor belongs to which member of a population.

A layer of a population is the layers of its members side by side. Every parameter and buffer holds
member after member along its first dimension, so one list of boundaries a tensor is all that
picking, splitting, merging and per-member optimisation need.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Spanned(nn.Module):
    """A layer that knows where its members lie in its tensors."""

    @abstractmethod
    def spans(self) -> dict[str, Tensor]:
        """For each own parameter and buffer: int64 [members + 1], the members' boundaries."""


def boundaries(sizes: Sequence[int]) -> Tensor:
    """Where parts of the given sizes begin, and the end: int64 [parts + 1]."""
    return torch.tensor([0, *sizes], dtype=torch.int64).cumsum(0)


def spans(net: nn.Module) -> dict[str, Tensor]:
    """The spans of every tensor of a net, by its full name: int64 [members + 1] each."""
    return {
        f"{prefix}.{name}" if prefix else name: found
        for prefix, module in net.named_modules()
        if isinstance(module, Spanned)
        for name, found in module.spans().items()
    }


def take(tensor: Tensor, span: Tensor, members: Sequence[int]) -> Tensor:
    """The parts of ``tensor`` that belong to ``members``, in that order, copied."""
    return torch.cat([tensor[span[m] : span[m + 1]] for m in members])
