"""A frame with axes, ticks and a grid: what every chart of the page and its figures stand on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wireloom.page.markup import fixed, places, text

_LONGEST = 7  # characters of a tick's text, such as 100,000: more find no room beside the frame
INK, SOFT, FAINT = "#1b2230", "#5b6475", "#eceef1"  # as in the style sheet, which may overrule them


@dataclass(frozen=True)
class Axis:
    """One side of a frame.

    Attributes:
        label: what is measured.
        low: value at the start of the axis.
        high: value at its end, above ``low``.
        count: about how many ticks to draw.
        log: whether equal steps are equal ratios; ``low`` is then positive.
    """

    label: str
    low: float
    high: float
    count: int = 5
    log: bool = False

    def share(self, value: Any) -> Any:
        """Where ``value``, a number or an array, lies between the axis' start (0) and end (1)."""
        if self.log:
            return (np.log(value) - math.log(self.low)) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """The round values on the axis, with their texts."""
        if self.log:
            yield from self._decades()
            return
        rough = (self.high - self.low) / self.count
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough * 0.999)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [k * step for k in range(first, last + 1)]
        words = [fixed(value, digits) for value in values]
        if max(map(len, words), default=0) > _LONGEST:
            words = [_power(value, step) for value in values]
        yield from zip(values, words, strict=True)

    def _decades(self) -> Iterator[tuple[float, str]]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            values = [f * 10.0**power for power in powers for f in factors]
            values = [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]
            if len(values) <= self.count + 2:
                break
        for value in values:
            label = fixed(value, max(0, -math.floor(math.log10(value) + 1e-9)))
            yield value, label if len(label) <= _LONGEST else _power(value, value / 10)


@dataclass(frozen=True)
class Frame:
    """A rectangle of a picture, in pixels, and the two axes along its lower and left sides."""

    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def at(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The place in the picture of a pair of values, numbers or arrays."""
        across = self.left + self.x.share(x) * (self.right - self.left)
        return across, self.bottom - self.y.share(y) * (self.bottom - self.top)

    def grid(self, *, below: bool = True, beside: bool = True) -> str:
        """Lines at the ticks and, unless told otherwise, the ticks' texts below and beside them."""
        lines, words = [], []
        for value, label in self.x.ticks():
            x = self.at(value, self.y.low)[0]
            lines.append(f"M{places(x, self.top)}V{places(self.bottom)}")
            if below:
                words.append(word(x, self.bottom + 18, label, "middle"))
        for value, label in self.y.ticks():
            y = self.at(self.x.low, value)[1]
            lines.append(f"M{places(self.left, y)}H{places(self.right)}")
            if beside:
                words.append(word(self.left - 8, y + 4, label, "end"))
        return "\n".join(
            [
                f'<g class="axes" fill="{SOFT}" aria-hidden="true">'
                f'<path fill="none" stroke="{FAINT}" d="{"".join(lines)}"/>',
                *words,
                "</g>",
            ]
        )

    def names(self) -> str:
        """The axes' names."""
        middle, side = (self.top + self.bottom) / 2, self.left - 45
        turned = f' transform="rotate(-90 {places(side, middle)})"'
        x = word((self.left + self.right) / 2, self.bottom + 40, self.x.label, "middle")
        y = word(side, middle, self.y.label, "middle", turned)
        return f'<g class="names" font-size="13.5" fill="{INK}" aria-hidden="true">{x}{y}</g>'


def _power(value: float, step: float) -> str:
    """A number with a power of ten, such as 1.5e6, to the digit that ``step`` changes."""
    if abs(value) < step / 2:
        return "0"
    digits = max(0, math.floor(math.log10(abs(value)) + 1e-9) - math.floor(math.log10(step) + 1e-9))
    head, _, power = f"{value:.{digits}e}".partition("e")
    head = head.rstrip("0").removesuffix(".") if "." in head else head
    return f"{head}e{int(power)}".replace("-", "−")


def extent(values: Iterable[float], margin: float) -> tuple[float, float]:
    """The range of the values, widened on both sides by a share of itself; (0, 1) if none."""
    values = list(values)
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    pad = (high - low) * margin if high > low else abs(low) * 0.05 or 0.5
    return low - pad, high + pad


def word(x: float, y: float, words: object, anchor: str = "start", more: str = "") -> str:
    """A text of a picture; ``more`` holds further attributes, each with a space before it."""
    return (
        f'<text x="{places(x)}" y="{places(y)}" text-anchor="{anchor}"{more}>{text(words)}</text>'
    )
