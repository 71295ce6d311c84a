"""Families of wirings as a figure has them: checked, with their colours and marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wireloom.base import InvalidValue
from wireloom.page.axes import Axis, Frame, extent
from wireloom.page.keys import check_keys
from wireloom.page.marks import HUES, marks_path
from wireloom.page.markup import is_known


@dataclass(frozen=True)
class Family:
    """A series of a figure.

    Attributes:
        label: its name.
        points: pairs of finite numbers, float64 [m, 2].
        share: part of the plane's cells that it covers, in [0, 1], or None.
        rank: its place among the coloured series, from 0; it decides the colour and the mark.
    """

    label: str
    points: np.ndarray
    share: float | None
    rank: int

    @property
    def percent(self) -> str:
        """The share in per cent, or nothing; only the whole is 100 %."""
        if self.share is None:
            return ""
        percent = 100 * self.share
        if 0 < percent < 0.1:
            return "< 0.1 %"
        if 99.5 <= percent < 100:
            return "> 99 %"
        return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"

    def mark(self, x: float, y: float) -> str:
        """One mark, for a key."""
        return f'<path fill="{self._colour}" d="{marks_path([(x, y)], self.rank, 4.2)}"/>'

    def marks(self, frame: Frame) -> tuple[int, str]:
        """How many marks the family has within a frame, and the path of them all."""
        centres = pixels(frame, self.points).tolist()
        radius = min(4.5, max(1.8, 7 / (len(centres) or 1) ** 0.2))
        if self.rank % len(HUES) == 0:
            # A disc as the round end of a line of no length: a few bytes, and there may be many.
            dots = "".join(f"M{x} {y}h0" for x, y in centres)
            return len(centres), (
                f'<path class="family" fill="none" stroke="{self._colour}" stroke-linecap="round"'
                f' stroke-width="{2 * radius:.1f}" d="{dots}"/>'
            )
        return len(centres), (
            f'<path class="family" fill="{self._colour}" stroke="#fff" paint-order="stroke"'
            f' d="{marks_path(centres, self.rank, radius)}"/>'
        )

    @property
    def _colour(self) -> str:
        return HUES[self.rank % len(HUES)]


def families_of(series: Iterable[Mapping[str, Any]]) -> list[Family]:
    """The series, checked. The first of several has no rank of its own, for it is the ground.

    Raises:
        InvalidValue: if there is none, a key is missing or unknown, or a value is no such thing.
    """
    series = list(series)
    if not series:
        raise InvalidValue("`series` of a plane must hold at least one family; got none")
    return [
        _family(one, max(0, place - 1) if len(series) > 1 else 0)
        for place, one in enumerate(series)
    ]


def axis_of(axis: Mapping[str, Any], name: str, values: np.ndarray) -> Axis:
    """The axis that the caller describes, over the range of the values unless it gives another.

    Raises:
        InvalidValue: if a key is missing or unknown or the range is none.
    """
    check_keys(axis, f"`{name}` of a plane", ("label",), ("range",))
    given = axis.get("range")
    low, high = extent(values.tolist(), 0.04) if given is None else given
    if not (is_known(low) and is_known(high) and low < high):
        raise InvalidValue(f"`range` of `{name}` must rise from low to high; got {[low, high]}")
    return Axis(str(axis["label"]), float(low), float(high))


def pixels(frame: Frame, points: np.ndarray, size: int = 1) -> np.ndarray:
    """The distinct pixels of ``size`` that points within a frame fall on, int [m, 2], by rows."""
    x, y = frame.at(points[:, 0], points[:, 1])
    inside = (x > frame.left - 0.01) & (x < frame.right + 0.01)
    inside &= (y > frame.top - 0.01) & (y < frame.bottom + 0.01)
    rows = np.rint(np.stack([y[inside], x[inside]], axis=1) / size).astype(int)  # [m, (y, x)]
    return np.unique(rows, axis=0)[:, ::-1]


def _family(one: Mapping[str, Any], rank: int) -> Family:
    name = f"the series '{one.get('label', '?')}'"
    check_keys(one, name, ("label", "points"), ("share",))
    share = one.get("share")
    if share is not None and not (is_known(share) and 0 <= share <= 1):
        raise InvalidValue(f"`share` of {name} must be in [0, 1] or None; got {share!r}")
    try:
        points = np.asarray(one["points"], dtype=np.float64)
    except ValueError:
        raise InvalidValue(f"`points` of {name} must be pairs of numbers [m, 2]") from None
    if points.size == 0:
        points = points.reshape(0, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InvalidValue(f"`points` of {name} must be pairs [m, 2]; got {[*points.shape]}")
    return Family(str(one["label"]), points[np.isfinite(points).all(axis=1)], share, rank)
