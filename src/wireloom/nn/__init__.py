"""Layers whose weights hold the blocks of a wiring and no more."""

from wireloom.nn.convolutions import WiredConv2d
from wireloom.nn.graphs import Exchange, SharedLinear
from wireloom.nn.layers import WiredLinear
from wireloom.nn.norms import FeatureNorm
from wireloom.nn.spans import Spanned, spans
from wireloom.nn.tokens import ChannelNorm, PositionEmbedding, attend, quick_gelu

__all__ = [
    "ChannelNorm",
    "Exchange",
    "FeatureNorm",
    "PositionEmbedding",
    "SharedLinear",
    "Spanned",
    "WiredConv2d",
    "WiredLinear",
    "attend",
    "quick_gelu",
    "spans",
]
