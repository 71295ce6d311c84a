"""Batch normalisation with its activation, for one network or for a population of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wireloom.compute import norm
from wireloom.compute.normalisation import check_activation
from wireloom.nn.spans import Spanned, boundaries


class FeatureNorm(Spanned):
    """activation(normalise(x) + residual), batch normalisation of each feature.

    Args:
        features: how many, or one number for each member of a population.
        activation: "none", "relu" or "silu".
        momentum: share of the new in the running values.
        epsilon: added to the variance.

    Shape: `features` takes feature-major [features, batch] or maps [channels, images, height,
    width], without any copy; `forward` torch's own [batch, features] or [images, channels, height,
    width]. A residual has the input's shape.

    Example:
        >>> FeatureNorm(3, activation="silu")(torch.randn(5, 3)).shape
        torch.Size([5, 3])
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(
        self,
        features: int | Sequence[int],
        *,
        activation: str = "relu",
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_activation(activation)
        self.members = (features,) if isinstance(features, int) else tuple(features)
        self.activation, self.momentum, self.epsilon = activation, momentum, epsilon
        total = sum(self.members)
        self.scale = nn.Parameter(torch.ones(total, device=device, dtype=dtype))
        self.shift = nn.Parameter(torch.zeros(total, device=device, dtype=dtype))
        self.register_buffer("running_mean", torch.zeros(total, device=device, dtype=dtype))
        self.register_buffer("running_variance", torch.ones(total, device=device, dtype=dtype))

    def spans(self) -> dict[str, Tensor]:
        """Members' boundaries in the parameters and the running values."""
        names = ("scale", "shift", "running_mean", "running_variance")
        return dict.fromkeys(names, boundaries(self.members))

    def features(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """[features, anything...] to the same."""
        return norm(
            x,
            self.scale,
            self.shift,
            self.running_mean,
            self.running_variance,
            training=self.training,
            activation=self.activation,
            residual=residual,
            momentum=self.momentum,
            epsilon=self.epsilon,
        )

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """[batch, features, anything...] to the same."""
        if residual is not None:
            residual = residual.transpose(0, 1)
        return self.features(x.transpose(0, 1), residual).transpose(0, 1)

    def extra_repr(self) -> str:
        return f"{sum(self.members)}, activation={self.activation!r}"
