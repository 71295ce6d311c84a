"""Block structures, and the operators that networks on them are made of, with their gradients."""

from wireloom.compute import counting as _counting  # registers with torch  # noqa: F401
from wireloom.compute.activations import gated, pool, sigmoid, silu
from wireloom.compute.convolution import (
    convolution,
    convolution_features,
    convolution_norm,
    convolution_outer,
)
from wireloom.compute.losses import cross_entropy
from wireloom.compute.normalisation import norm
from wireloom.compute.ops import outer, product
from wireloom.compute.pattern import Pattern
from wireloom.compute.pooling import largest
from wireloom.compute.window import Window

__all__ = [
    "Pattern",
    "Window",
    "convolution",
    "convolution_features",
    "convolution_norm",
    "convolution_outer",
    "cross_entropy",
    "gated",
    "largest",
    "norm",
    "outer",
    "pool",
    "product",
    "sigmoid",
    "silu",
]
