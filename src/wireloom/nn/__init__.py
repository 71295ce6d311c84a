"""Layers whose weights hold the blocks of a wiring and no more."""

from wireloom.nn.convolutions import WiredConv2d
from wireloom.nn.graphs import Exchange, SharedLinear
from wireloom.nn.layers import WiredLinear
from wireloom.nn.norms import FeatureNorm
from wireloom.nn.spans import Spanned, spans

__all__ = [
    "Exchange",
    "FeatureNorm",
    "SharedLinear",
    "Spanned",
    "WiredConv2d",
    "WiredLinear",
    "spans",
]
