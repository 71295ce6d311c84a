"""A matrix of correlations as one SVG picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wireloom.base import InvalidValue
from wireloom.page.axes import INK, SOFT, word
from wireloom.page.markup import fixed, is_known, places, text

_CELL, _LETTER, _TOP = 64, 7.2, 44
_PAGE = "#fdfdfb"
_ABOVE, _BELOW = (37, 83, 168), (178, 70, 20)  # of 1 and -1; 0 is white
_DARK = 0.75  # strength above which letters are white


def matrix_svg(
    names: Sequence[str], values: Sequence[Sequence[float | None]], *, title: str = ""
) -> str:
    """Draw a square matrix of correlations, each as a coloured cell with its number.

    Args:
        names: of the rows, and of the columns alike.
        values: [names, names], in [-1, 1]; an unknown one is an empty cell.
        title: what the picture shows.

    Returns:
        The text of a standalone SVG file with a light background. Cost O(names^2).

    Raises:
        InvalidValue: if the values are no square of as many rows as names, or one is out of range.

    Example:
        >>> matrix_svg(["a", "b"], [[1.0, 0.5], [0.5, 1.0]]).count(">0.50<")
        2
    """
    size = len(names)
    if size == 0 or len(values) != size or any(len(row) != size for row in values):
        raise InvalidValue(
            f"`values` of a drawn matrix must be a row and a column for each of {size} names; got "
            f"{[len(row) for row in values]}"
        )
    beside = 24 + _LETTER * max(map(len, names))
    width, height = beside + _CELL * size + 24, _TOP + _CELL * size + beside * 0.72 + 16
    about = title or f"correlations of {', '.join(names)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{text(about)}"'
        ' font-family="system-ui, sans-serif" font-size="12.5">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="{_PAGE}"/>',
        word(14, 24, title, more=f' fill="{INK}" font-size="14"'),
    ]
    for i, (name, row) in enumerate(zip(names, values, strict=True)):
        y = _TOP + _CELL * i
        lines.append(word(beside - 10, y + _CELL / 2 + 4, name, "end", f' fill="{INK}"'))
        for j, value in enumerate(row):
            lines += _cell(beside + _CELL * j, y, value)
        x, below = beside + _CELL * (i + 0.5), _TOP + _CELL * size + 16
        turned = f' fill="{INK}" transform="rotate(-40 {places(x, below)})"'
        lines.append(word(x, below, name, "end", turned))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _cell(x: float, y: float, value: float | None) -> list[str]:
    corner = f'<rect x="{places(x + 1)}" y="{places(y + 1)}" width="{_CELL - 2}"'
    corner += f' height="{_CELL - 2}"'
    if value is None or not is_known(value):
        middle = word(x + _CELL / 2, y + _CELL / 2 + 4, "–", "middle", f' fill="{SOFT}"')
        return [f'{corner} fill="none" stroke="{SOFT}" stroke-opacity="0.3"/>', middle]
    if not abs(value) <= 1 + 1e-9:
        raise InvalidValue(f"`values` of a drawn matrix must be in [-1, 1]; got {value}")
    strength = math.sqrt(min(1.0, abs(value)))
    end = _ABOVE if value >= 0 else _BELOW
    red, green, blue = (round(255 + (part - 255) * strength) for part in end)
    ink = "#ffffff" if strength > _DARK else INK
    middle = (x + _CELL / 2, y + _CELL / 2 + 4)
    return [
        f'{corner} fill="rgb({red},{green},{blue})"/>',
        word(*middle, fixed(value, 2), "middle", f' fill="{ink}"'),
    ]
