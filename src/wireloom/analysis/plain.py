"""Results as plain values, such as JSON has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """A result as dictionaries, lists, strings, numbers, True, False and None.

    A dataclass becomes its fields, then its properties, by name. A number that is NaN or infinite
    becomes None; an id that is neither text nor a number becomes text.

    Example:
        >>> from wireloom.analysis.parts import Best
        >>> plain(Best(0.3, 2.0, float("nan"), 5, (1, 2)))["wiring"]
        [1, 2]
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _names(kind: type) -> list[str]:
    return [
        *(field.name for field in fields(kind)),
        *(name for name, has in vars(kind).items() if isinstance(has, property)),
    ]
