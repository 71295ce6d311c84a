"""A population: many networks as one, each of them as if it were alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue
from wireloom.models.costs import Cost
from wireloom.models.member import Member
from wireloom.models.net import Net
from wireloom.nn import spans
from wireloom.nn.spans import take


def _tensors(net: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach() for name, t in [*net.named_parameters(), *net.named_buffers()]}


class Population(nn.Module):
    """Networks of one architecture, trained and evaluated together.

    The union of the members' patterns is one pattern, so one product runs them all. A member's
    numbers do not depend on its company: its parameters are drawn by its own seed, nothing is
    summed across members, and nothing of a neighbour is read.

    Args:
        members: the networks, at least one; or their joint network, where it is made already.

    Shape: [batch, ...] to [members, batch, classes].

    Example:
        >>> pop = population("mlp", [ring(nodes=8)], seeds=range(3), classes=2, image=(1, 2, 2),
        ...                  width=16, stem=16)
        >>> pop(torch.zeros(5, 1, 2, 2)).shape
        torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        members: Sequence[Member] | Net,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        made = isinstance(members, Net)
        self.net = members if made else Net(members, device=device, dtype=dtype)
        self.members = self.net.members
        self.spans = spans(self.net)

    def __len__(self) -> int:
        return len(self.members)

    def features(self, x: Tensor) -> Tensor:
        """[inputs, batch] to [members, classes, batch]."""
        return self.net.features(x)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x)
        return logits[None] if len(self) == 1 else logits

    def cost(self) -> Cost:
        """Multiply-adds and parameters of all members together."""
        return self.net.cost()

    def _index(self, member: int) -> int:
        if not -len(self) <= member < len(self):
            raise IndexError(f"a population of {len(self)} has no member {member}")
        return member % len(self)

    def __getitem__(self, member: int) -> Net:
        """Member ``member`` as a network of its own, with copies of its parameters and buffers."""
        return self.keep([member]).net

    def keep(self, ids: Iterable[int]) -> Population:
        """A population of the members ``ids``, in that order, with copies of their state."""
        chosen = [self._index(i) for i in ids]
        like = next(self.net.parameters())
        kept = Population([self.members[i] for i in chosen], device=like.device, dtype=like.dtype)
        kept.train(self.training)
        mine = _tensors(self.net)
        for name, tensor in _tensors(kept.net).items():
            tensor.copy_(take(mine[name], self.spans[name], chosen))
        return kept

    def split(self, sizes: Sequence[int]) -> list[Population]:
        """Consecutive parts of the given sizes, which must add up to the whole."""
        if sum(sizes) != len(self) or min(sizes, default=0) < 1:
            raise InvalidValue(
                f"`sizes` of a split must be positive and add up to {len(self)}; got {list(sizes)}"
            )
        ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
        return [self.keep(range(a, b)) for a, b in itertools.pairwise(ends)]

    @staticmethod
    def merge(parts: Sequence[Population]) -> Population:
        """One population of all members of ``parts``, with copies of their state."""
        if not parts:
            raise InvalidValue("`parts` of a merge must be at least one population; got none")
        like = next(parts[0].net.parameters())
        merged = Population(
            [m for part in parts for m in part.members], device=like.device, dtype=like.dtype
        )
        merged.train(parts[0].training)
        theirs = [_tensors(part.net) for part in parts]
        for name, tensor in _tensors(merged.net).items():
            tensor.copy_(torch.cat([t[name] for t in theirs]))
        return merged

    def load(self, start: int, part: Population) -> None:
        """Copy the state of ``part`` over the members that begin at ``start``.

        Raises:
            InvalidValue: unless ``part`` has the same shapes on the same wirings as those members.
        """
        over = self.members[start : start + len(part)] if start >= 0 else ()
        if [(m.shape, m.wiring) for m in over] != [(m.shape, m.wiring) for m in part.members]:
            raise InvalidValue(
                f"`part` must have the shapes and wirings of {len(part)} members from {start} on"
            )
        mine = _tensors(self.net)
        for name, tensor in _tensors(part.net).items():
            begin = int(self.spans[name][start])
            mine[name][begin : begin + len(tensor)].copy_(tensor)
