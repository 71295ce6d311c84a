"""Block structures and the operators on them: products and convolutions, and their gradients."""

from wireloom.compute.convolution import (
    convolution,
    convolution_features,
    convolution_outer,
)
from wireloom.compute.ops import cross_entropy, norm, outer, product
from wireloom.compute.pattern import Pattern
from wireloom.compute.window import Window

__all__ = [
    "Pattern",
    "Window",
    "convolution",
    "convolution_features",
    "convolution_outer",
    "cross_entropy",
    "norm",
    "outer",
    "product",
]
