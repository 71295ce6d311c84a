"""Block structures and the operators on them: the product and the outer product."""

from wireloom.compute.ops import cross_entropy, norm, outer, product
from wireloom.compute.pattern import Pattern, block_sizes

__all__ = ["Pattern", "block_sizes", "cross_entropy", "norm", "outer", "product"]
