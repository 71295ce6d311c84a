"""Families of wirings on a plane of two measures, as one SVG picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from wireloom.base import InvalidValue
from wireloom.page.axes import INK, SOFT, Frame, word
from wireloom.page.family import Family, axis_of, families_of, pixels
from wireloom.page.markup import places, text

_PAGE, _GROUND = "#fdfdfb", "#d5d9e0"
_FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial,"
    " sans-serif"
)
_NAME, _BOLD = f' font-size="13" fill="{INK}"', ' font-weight="600"'
_QUIET = f' font-size="13" fill="{SOFT}"'
_LEFT, _RIGHT, _BELOW, _TITLE = 58, 14, 50, 34  # around the planes, for the texts
_LEAST = 60  # pixels of a plane either way
_GAP, _HEAD = 28, 32  # between panels, and above each for its name


def plane_svg(
    series: Iterable[Mapping[str, Any]],
    *,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    title: str = "",
    size: tuple[float, float] = (900, 560),
    panels: bool = True,
) -> str:
    """Draw families of wirings on a plane of two measures, such as C and L.

    The first of several series is the ground: light grey squares beneath the others, so it should
    be the one that covers most. The others have colours that any colour vision tells apart and
    marks of different shapes; points that fall on one pixel are drawn once.

    Families that meet hide each other, so each has a panel of its own over the same ground. With
    ``panels`` False all are on one plane, a small family on top of a large one; that reads well up
    to three or four families, or where they keep apart.

    Args:
        series: each has ``label``, ``points`` [m, 2] and perhaps ``share``, the part of the plane's
            cells that it covers, in [0, 1], which is shown beside its name. Points that are not
            finite or lie outside the axes are left out.
        x: the measure across: ``label`` and perhaps ``range`` [low, high]; without it, the range
            of the points.
        y: the measure up, likewise.
        title: what the picture shows.
        size: width and height in pixels.
        panels: a small plane for each series instead of one for all.

    Returns:
        The text of a standalone SVG file with a light background. Cost O(m log m).

    Raises:
        InvalidValue: if a key is missing or unknown, the points are no pairs, a share or range is
            none, or ``size`` leaves too little room.

    Example:
        >>> ground = {"label": "all", "points": [[0.1, 2.0], [0.5, 2.5]], "share": 1.0}
        >>> ring = {"label": "ring", "points": [[0.5, 2.5]], "share": 0.5}
        >>> picture = plane_svg([ground, ring], x={"label": "C", "range": [0, 1]}, y={"label": "L"})
        >>> "50 % of cells" in picture
        True
    """
    families = families_of(series)
    everything = np.concatenate([family.points for family in families])
    across, up = axis_of(x, "x", everything[:, 0]), axis_of(y, "y", everything[:, 1])
    width, height = size
    top = _TITLE if title or (panels and len(families) > 1) else _RIGHT
    room = Frame(_LEFT, top, width - _RIGHT, height - _BELOW, across, up)
    _check_room(room.right - room.left, room.bottom - room.top)
    body = (_panels if panels else _together)(families, room)
    names = ", ".join(family.label for family in families)
    about = f"{title}{title and ': '}{up.label} against {across.label}, for {names}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text(about)}"'
        f' font-family="{_FONT}" font-size="12.5">'
    )
    lines = [head, f'<rect width="{width:g}" height="{height:g}" fill="{_PAGE}"/>']
    if title:
        lines.append(word(_LEFT, 23, title, more=f' font-size="15" fill="{INK}"{_BOLD}'))
    return "\n".join([*lines, *body, "</svg>"]) + "\n"


def _panels(families: list[Family], room: Frame) -> list[str]:
    """A plane for each family, over the ground."""
    ground, shown = (families[0], families[1:]) if len(families) > 1 else (None, families)
    width, height = room.right - room.left, room.bottom - room.top
    columns = min(len(shown), max(1, round(math.sqrt(len(shown) * width / height))))
    lines = math.ceil(len(shown) / columns)
    wide = (width + _GAP) / columns - _GAP
    high = height / lines - _HEAD
    _check_room(wide, high)
    x, y = replace(room.x, count=min(5, int(wide / 50))), replace(room.y, count=int(high / 32))
    body = [room.names()]
    if ground:
        words = ", ".join(filter(None, (f"in grey: {ground.label}", _share(ground))))
        body.append(word(room.right - 17, 23, words, "end", _QUIET))
        body.append(_swatch(room.right - 6, 18.5))
    for k, family in enumerate(shown):
        line, column = divmod(k, columns)
        left = room.left + (wide + _GAP) * column
        top = room.top + _HEAD + (high + _HEAD) * line
        frame = Frame(left, top, left + wide, top + high, x, y)
        body.append(frame.grid(below=k + columns >= len(shown), beside=column == 0))
        body += [_ground(frame, ground.points, 3)] if ground else []
        body.append(family.marks(frame)[1])
        body.append(family.mark(left + 5, top - 14))
        body.append(word(left + 16, top - 9.5, family.label, more=_NAME + _BOLD))
        body.append(word(frame.right, top - 9.5, _share(family), "end", _QUIET))
    return body


def _together(families: list[Family], room: Frame) -> list[str]:
    """All families on one plane, with a key beside it."""
    ground, shown = (families[0], families[1:]) if len(families) > 1 else (None, families)
    shares = any(family.percent for family in families)
    letters = max(len(family.label) for family in families)
    key = min(7.2 * letters + (70 if shares else 0) + 32, 0.5 * (room.right - room.left))
    frame = replace(room, right=room.right - key)
    _check_room(frame.right - frame.left, frame.bottom - frame.top)
    body = [frame.grid(), frame.names()]
    body += [_ground(frame, ground.points, 4)] if ground else []
    drawn = sorted((family.marks(frame) for family in shown), key=lambda one: -one[0])
    body += [path for _, path in drawn]
    left, top = frame.right + 24, room.top + 12
    if shares:
        body.append(word(room.right, top, "share of cells", "end", _QUIET))
    for k, family in enumerate(families):
        y = top + 25 * (k + shares)
        body.append(_swatch(left, y - 4.5) if family is ground else family.mark(left, y - 4.5))
        body.append(word(left + 14, y, family.label, more=_NAME))
        body.append(word(room.right, y, family.percent, "end", _QUIET))
    return body


def _ground(frame: Frame, points: np.ndarray, cell: int) -> str:
    """The points as squares of ``cell`` pixels, those side by side drawn as one."""
    cells = pixels(frame, points, cell)
    breaks = np.diff(cells, axis=0, prepend=-2) != (1, 0)
    starts = np.flatnonzero(breaks.any(axis=1))
    lengths = np.diff(starts, append=len(cells)) * cell
    runs = zip((cells[starts] * cell).tolist(), lengths.tolist(), strict=True)
    path = "".join(f"M{x - cell / 2:g} {y}h{length}" for (x, y), length in runs)
    return f'<path fill="none" stroke="{_GROUND}" stroke-width="{cell}" d="{path}"/>'


def _swatch(x: float, y: float) -> str:
    """The ground's mark in a key."""
    return f'<path fill="{_GROUND}" d="M{places(x - 5.5, y - 5.5)}h11v11h-11z"/>'


def _share(family: Family) -> str:
    return f"{family.percent} of cells" if family.percent else ""


def _check_room(width: float, height: float) -> None:
    if not (_LEAST <= width < math.inf and _LEAST <= height < math.inf):
        raise InvalidValue(
            f"`size` must leave each plane at least {_LEAST} by {_LEAST} pixels; got {width:.0f} by"
            f" {height:.0f} beside the texts"
        )
