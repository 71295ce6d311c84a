"""Linear layers on a pattern, for one network or for a population of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue, normal
from wireloom.compute import Pattern, product
from wireloom.nn.spans import Spanned, boundaries

LINEAR_SD = 0.01  # of every linear layer's initial weights (You et al. 2020, published code)


class WiredLinear(Spanned):
    """A linear layer on a pattern: y = x W^T + b over the blocks that exist.

    The weight is one flat parameter, the entries of W in CSR order (see `Pattern`); no absent
    entry is stored, multiplied or trained. Drawn from N(0, 0.01^2) by a stream keyed by
    (seed, "weight"); the bias starts at zero.

    Args:
        pattern: the blocks, or one pattern for each member of a population.
        bias: whether to add a bias [rows].
        shared_input: for a population, whether its members all read the same input.
        seed: of the initial weights, of a single network.

    Shape: [..., columns] to [..., rows]; `features` is the same on feature-major
    [columns, batch], without any copy.

    When not to use it: for a pattern denser than about 0.7, torch's own linear layer is faster.

    Example:
        >>> layer = WiredLinear(Pattern([2, 2], [3, 3], [(0, 0), (0, 1), (1, 1)]))
        >>> layer(torch.ones(5, 6)).shape
        torch.Size([5, 4])
    """

    def __init__(
        self,
        pattern: Pattern | Sequence[Pattern],
        bias: bool = False,
        *,
        shared_input: bool = False,
        seed: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.members = (pattern,) if isinstance(pattern, Pattern) else tuple(pattern)
        self.pattern = Pattern.union(self.members, shared_input=shared_input)
        rows, _ = self.pattern.shape
        size = self.pattern.weights
        self.weight = nn.Parameter(torch.empty(size, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        if len(self.members) == 1:
            self.initialise([seed], "")

    def initialise(self, seeds: Sequence[int], name: str) -> None:
        """Draw each member's weights from the stream keyed by (its seed, ``name`` + "weight")."""
        with torch.no_grad():
            drawn = [
                normal(pattern.weights, seed, f"{name}weight")
                for pattern, seed in zip(self.members, seeds, strict=True)
            ]
            for part, values in zip(self.weight.split([len(v) for v in drawn]), drawn, strict=True):
                part.copy_(torch.from_numpy(values))
            self.weight *= LINEAR_SD
            if self.bias is not None:
                self.bias.zero_()

    def spans(self) -> dict[str, Tensor]:
        """Members' boundaries in the weight and the bias."""
        found = {"weight": boundaries([p.weights for p in self.members])}
        if self.bias is not None:
            found["bias"] = boundaries([p.shape[0] for p in self.members])
        return found

    def features(self, x: Tensor) -> Tensor:
        """[columns, batch] to [rows, batch]."""
        y = product(self.pattern, self.weight, x)
        return y if self.bias is None else y + self.bias[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """[..., columns] to [..., rows]."""
        rows, columns = self.pattern.shape
        if x.dim() == 2:
            return self.features(x.t()).t()
        if x.dim() == 0 or x.shape[-1] != columns:
            raise InvalidValue(
                f"`x` of a WiredLinear must be [batch, {columns}] or [..., {columns}]; "
                f"got {list(x.shape)}"
            )
        y = self.features(x.reshape(-1, columns).t()).t()  # [batch, rows]
        return y.reshape(*x.shape[:-1], rows)

    def extra_repr(self) -> str:
        return f"{self.pattern!r}, bias={self.bias is not None}"
