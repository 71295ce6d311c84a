"""Block structures and the operators on them: the product and the outer product."""

from wireloom.compute.ops import cross_entropy, norm, outer, product
from wireloom.compute.pattern import Pattern

__all__ = ["Pattern", "cross_entropy", "norm", "outer", "product"]
