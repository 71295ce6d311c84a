"""What a transformer is made of besides wired layers, on maps [channels, images, height, width].

A pixel is a token. Members of a population are worked on one by one where a sum runs over channels
or tokens, so that a member's bits do not depend on its company.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wireloom.base import normal
from wireloom.compute import sigmoid
from wireloom.nn.spans import Spanned, boundaries

POSITION_SD = 0.02


def quick_gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x): GELU to within 0.021 (Hendrycks and Gimpel 2016, section 2)."""
    return x * sigmoid(1.702 * x)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Softmax attention between the pixels of each image.

    Args:
        query, key, value: [heads * channels, images, height, width].
        heads: how many share the channels.

    Returns:
        The same shape.

    Cost: 2 * pixels^2 * heads * channels multiply-adds an image.

    Source: Vaswani et al. 2017, section 3.2.
    """
    inner, images, height, width = query.shape

    def split(x: Tensor) -> Tensor:
        x = x.reshape(heads, inner // heads, images, height * width)
        return x.permute(2, 0, 3, 1).contiguous()  # [images, heads, pixels, channels]

    q, k, v = split(query), split(key), split(value)
    weights = ((q * (inner // heads) ** -0.5) @ k.transpose(2, 3)).softmax(-1)
    mixed = (weights @ v).permute(1, 3, 0, 2)  # [heads, channels, images, pixels]
    return mixed.reshape(inner, images, height, width)


class ChannelNorm(Spanned):
    """Layer normalisation: each pixel's channels to mean 0 and variance 1, scaled and shifted.

    Args:
        channels: how many, or one number for each member of a population.
        epsilon: added to the variance.

    Shape: `features` takes and gives [channels, images, height, width].
    """

    def __init__(
        self,
        channels: int | Sequence[int],
        *,
        epsilon: float = 1e-6,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.members = (channels,) if isinstance(channels, int) else tuple(channels)
        self.epsilon = epsilon
        total = sum(self.members)
        self.scale = nn.Parameter(torch.ones(total, device=device, dtype=dtype))
        self.shift = nn.Parameter(torch.zeros(total, device=device, dtype=dtype))

    def spans(self) -> dict[str, Tensor]:
        """Members' boundaries in scale and shift."""
        return dict.fromkeys(("scale", "shift"), boundaries(self.members))

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to the same."""
        done = []
        for part in x.split(self.members):
            variance, mean = torch.var_mean(part, 0, correction=0)
            done.append((part - mean) * (variance + self.epsilon).rsqrt())
        return torch.cat(done) * self.scale[:, None, None, None] + self.shift[:, None, None, None]


class PositionEmbedding(Spanned):
    """A trained vector of channels added to each pixel; drawn from N(0, 0.02^2).

    Args:
        channels: how many, or one number for each member of a population.
        size: height and width of the map.

    Shape: `features` takes and gives [channels, images, height, width].
    """

    def __init__(
        self,
        channels: int | Sequence[int],
        size: tuple[int, int],
        *,
        seed: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.members = (channels,) if isinstance(channels, int) else tuple(channels)
        self.size = size
        shape = (sum(self.members), *size)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        if len(self.members) == 1:
            self.initialise([seed], "")

    def initialise(self, seeds: Sequence[int], name: str) -> None:
        """Draw each member's vectors from the stream keyed by (its seed, ``name`` + "weight")."""
        with torch.no_grad():
            for part, seed in zip(self.weight.split(self.members), seeds, strict=True):
                drawn = torch.from_numpy(normal(part.numel(), seed, f"{name}weight"))
                part.copy_(drawn.view(part.shape) * POSITION_SD)

    def spans(self) -> dict[str, Tensor]:
        """Members' boundaries in the vectors."""
        return {"weight": boundaries(self.members)}

    def features(self, x: Tensor) -> Tensor:
        """[channels, images, height, width] to the same."""
        return x + self.weight[:, None]
