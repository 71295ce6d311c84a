"""Widths that bring a wired network to the cost of its dense baseline."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Sequence

from wireloom.base import InvalidValue, nearest

TOLERANCE = 0.05  # share of the target by which the matched cost may miss it
MATCHES = ("published", "closest", "under", "over")

Price = Callable[[Sequence[int]], int]


def match_widths(
    cost: Price,
    widths: Sequence[int],
    target: int,
    *,
    rounds: int = 9,
    match: str = "published",
    reach: float = 1 / 32,
) -> list[int]:
    """Stage widths whose cost meets ``target``.

    "published": scales all stages by rounded square roots of target / cost, then steps the first
    width by one until the cost crosses the target, then trims the later stages one by one. For one
    stage the result is the smallest width whose cost reaches the target.

    "closest", "under" (at most the target) and "over" (at least): scales all stages by one factor,
    then moves single stages and pairs of them by a channel or two while the cost comes nearer.
    Of several stages they come far closer than the published rule (a hundredth of a percent).

    Args:
        cost: multiply-adds at given stage widths, rising with each of them.
        widths: the baseline's stage widths, from which the search starts.
        target: multiply-adds to reach.
        rounds: scaling rounds of the published rule; its code has 9, and 15 for the MLP.
        match: which rule.
        reach: share of a width by which "closest", "under" and "over" may leave the common scale;
            always two channels.

    Raises:
        InvalidValue: where the nearest cost misses the target by more than 5 %.

    Source: You et al. 2020, section 4.1 and its published code, for the first rule.
    """
    if match not in MATCHES:
        raise InvalidValue(f"`match` of widths is not known: {match!r}{nearest(match, MATCHES)}")
    if match == "published":
        found = _published(cost, list(widths), target, rounds)
    else:
        found = _closest(cost, widths, target, rounds, match, reach)
    now = cost(found)
    if abs(now - target) > TOLERANCE * target:
        raise InvalidValue(
            f"no width meets the budget of {target:,} within {TOLERANCE:.0%}; "
            f"the nearest, {' '.join(map(str, found))}, costs {now:,}"
        )
    return found


# ---- the published rule ----------------------------------------------------------------------


def _published(cost: Price, current: list[int], target: int, rounds: int) -> list[int]:
    now = cost(current)
    if now == target:
        return current
    for _ in range(rounds):
        factor = round(math.sqrt(target / now), 2)
        current = _scaled(current, round(current[0] * factor))
        now = cost(current)
    if now == target:
        return current
    step = 1 if now < target else -1
    while (now < target) if step > 0 else (now > target):
        current = _scaled(current, current[0] + step)
        now = cost(current)
    if step < 0 and now < target:
        current = _scaled(current, current[0] + 1)
        now = cost(current)
    return _trim(cost, current, now, target)


def _scaled(widths: Sequence[int], first: int) -> list[int]:
    """``widths`` with the first replaced and the ratios of the others kept."""
    return [first, *(round(first * (w / widths[0])) for w in widths[1:])]


def _trim(cost: Price, widths: list[int], now: int, target: int) -> list[int]:
    step = -1 if now >= target else 1
    caps = [round(w / widths[0]) for w in widths]
    for stage in range(1, len(widths)):
        for _ in range(caps[stage]):
            tried = list(widths)
            tried[stage] += step
            at = cost(tried)
            if (at < target) if step < 0 else (at > target):
                break
            widths = tried
    return widths


# ---- the closest widths ----------------------------------------------------------------------


class _Misses:
    """How far widths are from the target, each cost asked for once."""

    def __init__(self, cost: Price, target: int, side: str) -> None:
        self.cost, self.target, self.side = cost, target, side
        self._known: dict[tuple[int, ...], float] = {}

    def off(self, widths: tuple[int, ...]) -> float:
        """Cost less target; minus infinity for widths too narrow for the wiring."""
        if widths not in self._known:
            try:
                self._known[widths] = self.cost(widths) - self.target
            except InvalidValue:
                self._known[widths] = -math.inf
        return self._known[widths]

    def weighed(self, off: float) -> float:
        """A distance from the target; beyond its wrong side by all of the target more."""
        wrong = off > 0 if self.side == "under" else off < 0 and self.side == "over"
        return abs(off) + self.target * wrong

    def __call__(self, widths: tuple[int, ...]) -> float:
        return self.weighed(self.off(widths))


def _closest(
    cost: Price, base: Sequence[int], target: int, rounds: int, side: str, reach: float
) -> list[int]:
    miss = _Misses(cost, target, side)
    starts = _scales(miss, base)
    with contextlib.suppress(InvalidValue):
        starts.append(tuple(_published(cost, list(base), target, rounds)))
    best = min(starts, key=miss)
    spans = [max(2, int(w * reach)) for w in best]
    limits = [(w - span, w + span) for w, span in zip(best, spans, strict=True)]
    while miss(best) > 0:
        found = min(_neighbours(miss, best, limits), key=miss, default=best)
        if miss(found) >= miss(best):
            break
        best = found
    return list(best)


def _scales(miss: _Misses, base: Sequence[int]) -> list[tuple[int, ...]]:
    """The widest scaling of ``base`` that costs less than the target, and the narrowest above."""

    def below(first: int) -> bool:
        return miss.off(tuple(_scaled(base, first))) < 0

    low, high = 0, base[0]
    while below(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return [tuple(_scaled(base, first)) for first in (low, high) if first > 0]


MOST_PAIRS = 12  # of the pairs of stages that promise most, so many are tried


def _neighbours(
    miss: _Misses, at: tuple[int, ...], limits: Sequence[tuple[int, int]]
) -> list[tuple[int, ...]]:
    """Widths with one stage a channel or two off, and the most promising with two stages off."""

    def moved(widths: tuple[int, ...], stage: int, step: int) -> tuple[int, ...]:
        return (*widths[:stage], widths[stage] + step, *widths[stage + 1 :])

    single = [
        (stage, step)
        for stage, (low, high) in enumerate(limits)
        for step in (-2, -1, 1, 2)
        if max(1, low) <= at[stage] + step <= high
    ]
    change = {move: miss.off(moved(at, *move)) - miss.off(at) for move in single}
    pairs = [(a, b) for a, b in itertools.combinations(single, 2) if a[0] != b[0]]
    # Changes of two stages nearly add up.
    pairs.sort(key=lambda two: miss.weighed(miss.off(at) + change[two[0]] + change[two[1]]))
    return [
        *(moved(at, *move) for move in single),
        *(moved(moved(at, *a), *b) for a, b in pairs[:MOST_PAIRS]),
    ]
