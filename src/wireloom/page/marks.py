"""Colours and marks that tell the parts of a picture from each other."""

from __future__ import annotations

from collections.abc import Iterable

from wireloom.page.markup import places

# Apart for every kind of colour vision. The style sheet has them as --hue-0 to --hue-5, and others
# for a dark page.
HUES = ("#3b5fdf", "#c2410c", "#0ea5a5", "#d6980a", "#7d2f79", "#1b2230")

# Corners around the centre, for marks that look as wide as a disc of radius 1.
_CORNERS = (
    (),  # the disc itself
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0.0, -1.2), (1.2, 0.9), (-1.2, 0.9)),
    ((0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)),
    ((0.0, 1.2), (1.2, -0.9), (-1.2, -0.9)),
    (
        *((-0.4, -1.2), (0.4, -1.2), (0.4, -0.4), (1.2, -0.4), (1.2, 0.4), (0.4, 0.4)),
        *((0.4, 1.2), (-0.4, 1.2), (-0.4, 0.4), (-1.2, 0.4), (-1.2, -0.4), (-0.4, -0.4)),
    ),
)


def marks_path(centres: Iterable[tuple[float, float]], kind: int, radius: float) -> str:
    """Marks as the ``d`` of one SVG path.

    Args:
        centres: where they are, in pixels.
        kind: 0 disc, 1 square, 2 triangle, 3 diamond, 4 triangle on its tip, 5 cross; beyond that
            they come round again.
        radius: half of a mark's width in pixels.
    """
    corners = [(radius * x, radius * y) for x, y in _CORNERS[kind % len(_CORNERS)]]
    if corners:
        (left, top), *others = corners
        steps, (x, y) = [], (left, top)
        for to_x, to_y in others:
            steps.append(places(to_x - x, to_y - y))
            x, y = to_x, to_y
        outline = f"l{' '.join(steps)}z"
    else:
        left, top = -radius, 0.0
        half = f"{places(radius, radius)} 0 1 1"
        outline = f"a{half} {places(2 * radius)} 0a{half} {places(-2 * radius)} 0z"
    return "".join(f"M{places(x + left, y + top)}{outline}" for x, y in centres)
