"""Checks of values that every room makes."""

from __future__ import annotations

import numpy as np


def is_whole(value: object) -> bool:
    """Whether ``value`` is a whole number; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
