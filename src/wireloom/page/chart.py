"""Small line charts for the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from wireloom.base import InvalidValue
from wireloom.page.axes import Axis, Frame, extent, word
from wireloom.page.keys import check_keys
from wireloom.page.marks import HUES, marks_path
from wireloom.page.markup import is_known, places, short, text

SIZE = 400, 290
BOX = 58, 8, 392, 244  # left, top, right, bottom: room for the ticks and the names
_MANY = 60  # points of a line, above which they are not marked one by one
_RADIUS = 3.6  # of a mark

Point = tuple[float, float]


def charts_html(charts: Iterable[Mapping[str, Any]] | None) -> str:
    """The charts as figures of the page, each with a key to its lines and its note.

    Args:
        charts: each has ``title``; ``x`` and ``y``, the names of the axes; ``lines``, each with
            ``label`` and ``points`` [[x, y], ...]; and perhaps ``note``, and ``log_x``, true for
            an axis on which equal steps are equal ratios. A point with an unknown number leaves a
            gap in its line.

    Raises:
        InvalidValue: if a key is missing or unknown, a point is not a pair, or ``log_x`` is asked
            for where an x is not above 0.
    """
    return "\n".join(map(_chart, charts or ()))


def figure(title: str, about: str, picture: Iterable[str], *after: str) -> str:
    """A picture of the page with its title.

    Args:
        title: what it shows.
        about: the same for those who cannot see it.
        picture: SVG markup, for a picture as large as ``SIZE``.
        after: HTML markup below the picture.
    """
    width, height = SIZE
    head = (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="{text(about)}">'
    )
    return "\n".join(
        [f"<figure><h3>{text(title)}</h3>", head, *picture, "</svg>", *after, "</figure>"]
    )


def known(points: Iterable[Sequence[Any]]) -> list[Point]:
    """The points whose two numbers are both known."""
    return [(x, y) for x, y in points if is_known(x) and is_known(y)]


def _chart(chart: Mapping[str, Any]) -> str:
    name = f"the chart '{chart.get('title', '?')}'"
    check_keys(chart, name, ("title", "x", "y", "lines"), ("note", "log_x"))
    lines = [_checked(line, name) for line in chart["lines"]]
    seen = [point for _, points in lines for point in known(points)]
    across, up = [x for x, _ in seen], [y for _, y in seen]
    log = bool(chart.get("log_x") and seen)
    if log and min(across) <= 0:
        raise InvalidValue(f"{name} has `log_x`: x must be above 0; got {min(across):g}")
    low, high = extent(map(math.log, across) if log else across, 0.04)
    if log:
        low, high = math.exp(low), math.exp(high)
    frame = Frame(
        *BOX, Axis(str(chart["x"]), low, high, 6, log), Axis(str(chart["y"]), *extent(up, 0.08))
    )
    picture = [
        frame.grid(),
        frame.names(),
        *(_line(frame, k, points) for k, (_, points) in enumerate(lines)),
    ]
    if not seen:
        picture.append(word(225, 126, "No number to show yet", "middle"))
    after = []
    if any(label for label, _ in lines):
        entries = "".join(_entry(k, label) for k, (label, _) in enumerate(lines))
        after.append(f'<p class="entries">{entries}</p>')
    if chart.get("note"):
        after.append(f"<figcaption>{text(chart['note'])}</figcaption>")
    course = "; ".join(_course(label, known(points)) for label, points in lines)
    about = f"{chart['title']}: {chart['y']} against {chart['x']}. {course}"
    return figure(chart["title"], about, picture, *after)


def _checked(line: Mapping[str, Any], owner: str) -> tuple[str, list[Sequence[Any]]]:
    name = f"the line '{line.get('label', '?')}' of {owner}"
    check_keys(line, name, ("label", "points"))
    for point in line["points"]:
        if len(point) != 2:
            raise InvalidValue(f"a point of {name} must be a pair of numbers; got {list(point)!r}")
    return str(line["label"] or ""), list(line["points"])


def _line(frame: Frame, k: int, points: list[Sequence[Any]]) -> str:
    """The line, broken where a number is unknown, and its marks."""
    paths = []
    for there, run in groupby(points, lambda point: bool(known([point]))):
        if there:
            paths.append("M" + "L".join(places(*frame.at(x, y)) for x, y in run))
    ends = known(points)
    centres = [frame.at(x, y) for x, y in ends] if len(ends) <= _MANY else []
    dashed = " dashed" if k >= len(HUES) else ""
    return (
        f'<g class="hue-{k % len(HUES)}"><path class="trend{dashed}" d="{"".join(paths)}"/>'
        f'<path class="marks" d="{marks_path(centres, k, _RADIUS)}"/></g>'
    )


def _entry(k: int, label: str) -> str:
    dashed = " dashed" if k >= len(HUES) else ""
    return (
        f'<span class="hue-{k % len(HUES)}"><svg viewBox="0 0 28 12" width="28" height="12"'
        f' aria-hidden="true"><path class="trend{dashed}" d="M1 6H27"/>'
        f'<path class="marks" d="{marks_path([(14, 6)], k, _RADIUS)}"/></svg>{text(label)}</span>'
    )


def _course(label: str, points: list[Point]) -> str:
    """The line in words."""
    if not points:
        return f"{label}: no number"
    (x0, y0), (x1, y1) = points[0], points[-1]
    start = f"{label}: {short(y0)} at {short(x0)}"
    return start if len(points) == 1 else f"{start} to {short(y1)} at {short(x1)}"
