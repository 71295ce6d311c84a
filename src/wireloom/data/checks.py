"""Checks of arguments that several loaders share."""

from __future__ import annotations

import operator
from typing import Any

from wireloom.base import InvalidValue


def whole(name: str, value: Any, *, least: int | None = None) -> int:
    """``value`` as a plain int, so that ``numpy.int64(3)`` keys the same random stream as ``3``.

    Raises:
        InvalidValue: if it is not an integer, is a bool, or is below ``least``.
    """
    rule = "an integer" if least is None else f"an integer >= {least}"
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or (least is not None and number < least):
        raise InvalidValue(f"`{name}` must be {rule}; got {value!r}")
    return int(number)
