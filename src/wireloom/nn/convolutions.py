"""Convolutions of a wired network, for one network or for a population of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wireloom.base import normal
from wireloom.compute import Pattern, Window, convolution, convolution_features
from wireloom.nn.spans import Spanned, boundaries


class WiredConv2d(Spanned):
    """A convolution on a pattern: torch's conv2d over the blocks that exist.

    The weight is one flat parameter, the pattern's entries row by row (see `Pattern`), each with
    its kernel row by row; no absent entry is stored, multiplied or trained. Drawn from
    N(0, 2 / (kernel pixels * out * density)) by a stream keyed by (seed, "weight"); the bias
    starts at zero.

    Args:
        pattern: the blocks, or one pattern for each member of a population.
        kernel_size, stride, padding, dilation: a whole number, or (height, width).
        bias: whether to add a bias [rows].
        shared_input: for a population, whether its members all read the same input.
        density: share of existing entries that the initial variance reckons with; None for the
            pattern's own.
        seed: of the initial weights, of a single network.

    Shape: [images, columns, height, width] to [images, rows, output height, output width], in any
    memory format; the result lies channel-major in memory, so the next layer reads it without a
    copy. `features` is the same on channel-major [columns, images, height, width].

    Raises:
        InvalidValue: for a kernel or step out of range; when called, for a wrong number of
            channels or a map smaller than the window.

    When not to use it: for a pattern denser than about 0.7, torch's own convolution is faster.

    Example:
        >>> layer = WiredConv2d(Pattern([2, 2], [3, 3], [(0, 0), (0, 1), (1, 1)]), 3, padding=1)
        >>> layer(torch.ones(5, 6, 8, 8)).shape
        torch.Size([5, 4, 8, 8])

    Source: You et al. 2020, published code, for the initial weights.
    """

    def __init__(
        self,
        pattern: Pattern | Sequence[Pattern],
        kernel_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = False,
        shared_input: bool = False,
        density: float | None = None,
        seed: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self._density = density
        self.window = Window.of(kernel_size, stride=stride, padding=padding, dilation=dilation)
        self.members = (pattern,) if isinstance(pattern, Pattern) else tuple(pattern)
        self.pattern = Pattern.union(self.members, shared_input=shared_input)
        rows, _ = self.pattern.shape
        size = self.pattern.weights * self.window.taps
        self.weight = nn.Parameter(torch.empty(size, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
        if len(self.members) == 1:
            self.initialise([seed], "")

    def _sizes(self) -> list[int]:
        return [p.weights * self.window.taps for p in self.members]

    def initialise(self, seeds: Sequence[int], name: str) -> None:
        """Draw each member's weights from the stream keyed by (its seed, ``name`` + "weight")."""
        with torch.no_grad():
            parts = self.weight.split(self._sizes())
            for part, pattern, seed in zip(parts, self.members, seeds, strict=True):
                if len(part) == 0:  # no block exists
                    continue
                part.copy_(torch.from_numpy(normal(len(part), seed, f"{name}weight")))
                density = pattern.density if self._density is None else self._density
                part *= math.sqrt(2.0 / (self.window.taps * pattern.shape[0] * density))
            if self.bias is not None:
                self.bias.zero_()

    def spans(self) -> dict[str, Tensor]:
        """Members' boundaries in the weight and the bias."""
        found = {"weight": boundaries(self._sizes())}
        if self.bias is not None:
            found["bias"] = boundaries([p.shape[0] for p in self.members])
        return found

    def features(self, x: Tensor) -> Tensor:
        """[columns, images, height, width] to [rows, images, output height, output width]."""
        y = convolution_features(self.pattern, self.window, self.weight, x)
        return y if self.bias is None else y + self.bias[:, None, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """[images, columns, height, width] to [images, rows, output height, output width]."""
        y = convolution(self.pattern, self.window, self.weight, x)
        return y if self.bias is None else y + self.bias[:, None, None]

    def extra_repr(self) -> str:
        window = self.window
        return (
            f"{self.pattern!r}, {window.size}, stride={window.stride}, "
            f"padding={window.padding}, dilation={window.dilation}, bias={self.bias is not None}"
        )
