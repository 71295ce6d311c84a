"""Corrections of p-values for the number of tests made."""

from __future__ import annotations

from typing import Literal

import numpy as np

Correction = Literal["none", "holm", "fdr"]
CORRECTIONS = ("none", "holm", "fdr")


def corrected(p_values: np.ndarray, tested: np.ndarray, correction: Correction) -> np.ndarray:
    """Correct p-values for their number, so that they can be held against one level together.

    With p sorted upwards, p_1 to p_m: "holm" gives max over j <= i of (m - j + 1) p_j, which
    bounds the chance of a single false rejection; "fdr" (Benjamini-Hochberg) gives min over
    j >= i of m p_j / j, which bounds the expected share of false ones among the rejections.
    Both are cut off at 1, and p <= fdr <= holm.

    Args:
        p_values: float64 [n].
        tested: which of them are tests, bool [n].
        correction: "none" gives them back as they are.

    Returns:
        float64 [n]; NaN where not tested.

    Cost: O(n log n).

    Source: Holm, Scandinavian Journal of Statistics 6, 1979; Benjamini and Hochberg, Journal of
    the Royal Statistical Society B 57, 1995.

    Example:
        >>> corrected(np.array([0.04, 0.01, 0.02]), np.ones(3, bool), "holm").tolist()
        [0.04, 0.03, 0.04]
    """
    result = np.full(len(p_values), np.nan)
    where = np.flatnonzero(tested)
    order = where[np.argsort(p_values[where], kind="stable")]
    p, rank = p_values[order], np.arange(1, len(order) + 1)
    if correction == "holm":
        p = np.maximum.accumulate((len(p) + 1 - rank) * p)
    elif correction == "fdr":
        p = np.minimum.accumulate((len(p) * p / rank)[::-1])[::-1]
    result[order] = np.minimum(p, 1.0)
    return result
