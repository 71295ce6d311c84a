"""Slices through the plane: error against C or L, with the fit through its points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from wireloom.base import InvalidValue
from wireloom.page.axes import Axis, Frame, extent, word
from wireloom.page.chart import BOX, figure, known
from wireloom.page.keys import check_keys
from wireloom.page.markup import fixed, is_known, places, text

_AXES = {"C": "clustering C", "L": "path length L"}
_STEPS = 60  # of the fitted curve


def slices_html(
    slices: Iterable[Mapping[str, Any]] | None, error_name: str, dense: float | None
) -> str:
    """The slices as figures of the page.

    Args:
        slices: each has ``title``, ``axis`` ("C" or "L"), ``points`` [[value, error], ...] and
            perhaps ``fit``: ``coefficients`` [3] of a parabola, highest power first, ``r2`` and
            ``vertex``.
        error_name: what the errors are.
        dense: error of the dense baseline, or None.

    Raises:
        InvalidValue: if a key is missing or unknown, or ``axis`` is no axis of the plane.
    """
    return "\n".join(_slice(one, error_name, dense) for one in slices or ())


def _slice(one: Mapping[str, Any], error_name: str, dense: float | None) -> str:
    name = f"the slice '{one.get('title', '?')}'"
    check_keys(one, name, ("title", "axis", "points"), ("fit",))
    if one["axis"] not in _AXES:
        raise InvalidValue(f"`axis` of {name} must be 'C' or 'L'; got {one['axis']!r}")
    points, fit = known(one["points"]), one.get("fit")
    if fit and not all(map(is_known, fit["coefficients"])):
        fit = None
    low, high = extent((x for x, _ in points), 0.04)
    curve = []
    if fit:
        a, b, c = fit["coefficients"]
        curve = [low + (high - low) * k / _STEPS for k in range(_STEPS + 1)]
        curve = [(x, (a * x + b) * x + c) for x in curve]
    floor, ceiling = extent((y for _, y in (*points, *curve)), 0.08)
    frame = Frame(*BOX, Axis(_AXES[one["axis"]], low, high, 6), Axis(error_name, floor, ceiling))
    picture = [frame.grid(), frame.names()]
    if dense is not None and is_known(dense) and floor < dense < ceiling:
        y = frame.at(low, dense)[1]
        picture.append(f'<path class="level" d="M{frame.left} {places(y)}H{frame.right}"/>')
        picture.append(word(frame.right - 2, y - 5, "dense", "end"))
    # Dots of their own, each seen through the others, so that a crowd shows darker.
    width = max(3.2, min(9, 60 / math.sqrt(len(points) or 1)))
    dots = (f'<path d="M{places(*frame.at(x, y))}h0"/>' for x, y in points)
    picture.append(f'<g class="cloud" stroke-width="{width:.1f}">{"".join(dots)}</g>')
    words = "Too few points for a fit."
    if fit:
        vertex = fit["vertex"]
        turns = is_known(vertex) and low < vertex < high
        if turns:
            x = places(frame.at(vertex, floor)[0])
            picture.append(f'<path class="vertex" d="M{x} {frame.top}V{frame.bottom}"/>')
        path = "L".join(places(*frame.at(x, y)) for x, y in curve)
        picture.append(f'<path class="fit" d="M{path}"/>')
        words = "no turning point within the data."
        if turns:
            extreme = "highest" if fit["coefficients"][0] < 0 else "lowest"
            words = f"{extreme} at {one['axis']} = {fixed(vertex, 2)}."
        words = f"Second-degree fit, R² {_quality(fit['r2'])}; {words}"
    about = f"{one['title']}: {error_name} by {_AXES[one['axis']]}. {words}"
    return figure(one["title"], about, picture, f"<figcaption>{text(words)}</figcaption>")


def _quality(r2: Any) -> str:
    return fixed(r2, 2) if is_known(r2) else "unknown"
