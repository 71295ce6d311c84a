"""Values as markup: strings escaped, numbers as the page writes them."""

from __future__ import annotations

import html
import math
import re
from numbers import Integral, Real
from typing import Any

# What XML, and so an SVG file, cannot hold: half a surrogate pair, most control characters.
_UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TINY = 1e-4  # numbers below it are written with a power of ten


def text(value: Any) -> str:
    """The value as text for HTML and XML, also within an attribute; what XML lacks becomes "?"."""
    return html.escape(_UNFIT.sub("?", str(value)))


def is_known(value: Any) -> bool:
    """Whether the value is a finite number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def fixed(value: float, digits: int) -> str:
    """A finite number with so many decimals, commas between thousands and a true minus sign."""
    return f"{value:,.{digits}f}".replace("-", "−")


def decimals(value: float) -> int:
    """How many decimals show four significant digits of a number and no needless zero."""
    if isinstance(value, Integral) or not _TINY <= abs(value) < 1000:
        return 0
    count = max(0, 3 - math.floor(math.log10(abs(value))))
    return len(f"{value:.{count}f}".rstrip("0").partition(".")[2])


def short(value: float, digits: int | None = None) -> str:
    """A finite number with ``digits`` decimals, or as many as it needs; a tiny one with a power."""
    if isinstance(value, Integral):
        return fixed(int(value), 0)
    if 0 < abs(value) < _TINY:
        head, _, power = f"{value:.1e}".partition("e")
        return f"{head} × 10".replace("-", "−") + str(int(power)).translate(_RAISED)
    return fixed(value, decimals(value) if digits is None else digits)


def places(*numbers: float) -> str:
    """Coordinates for SVG, to a tenth of a pixel and no longer than need be."""
    return " ".join(f"{number:.1f}".removesuffix(".0") for number in numbers)
