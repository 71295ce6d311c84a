"""Widths that bring a wired network to the cost of its dense baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from wireloom.base import InvalidValue

TOLERANCE = 0.05  # share of the target by which the matched cost may miss it


def match_widths(
    cost: Callable[[Sequence[int]], int], widths: Sequence[int], target: int, *, rounds: int = 9
) -> list[int]:
    """Stage widths whose cost comes nearest above ``target`` by the published rule.

    Scales all stages by rounded square roots of target / cost, then steps the first width by one
    until the cost crosses the target, then trims the later stages one by one. For one stage the
    result is the smallest width whose cost reaches the target.

    Args:
        cost: multiply-adds at given stage widths.
        widths: the baseline's stage widths, from which the search starts.
        target: multiply-adds to reach.
        rounds: scaling rounds; the published code has 9, and 15 for the MLP.

    Raises:
        InvalidValue: where the nearest cost misses the target by more than 5 %.

    Source: You et al. 2020, section 4.1 and its published code.
    """
    current = list(widths)
    now = cost(current)
    if now == target:
        return current
    for _ in range(rounds):
        factor = round(math.sqrt(target / now), 2)
        current = _scaled(current, round(current[0] * factor))
        now = cost(current)
    if now != target:
        step = 1 if now < target else -1
        while (now < target) if step > 0 else (now > target):
            current = _scaled(current, current[0] + step)
            now = cost(current)
        if step < 0 and now < target:
            current = _scaled(current, current[0] + 1)
            now = cost(current)
        current, now = _trim(cost, current, now, target)
    if abs(now - target) > TOLERANCE * target:
        raise InvalidValue(
            f"no width meets the budget of {target:,} within {TOLERANCE:.0%}; "
            f"the nearest, {' '.join(map(str, current))}, costs {now:,}"
        )
    return current


def _scaled(widths: Sequence[int], first: int) -> list[int]:
    """``widths`` with the first replaced and the ratios of the others kept."""
    return [first, *(round(first * (w / widths[0])) for w in widths[1:])]


def _trim(
    cost: Callable[[Sequence[int]], int], widths: list[int], now: int, target: int
) -> tuple[list[int], int]:
    step = -1 if now >= target else 1
    caps = [round(w / widths[0]) for w in widths]
    for stage in range(1, len(widths)):
        for _ in range(caps[stage]):
            tried = list(widths)
            tried[stage] += step
            at = cost(tried)
            if (at < target) if step < 0 else (at > target):
                break
            widths, now = tried, at
    return widths, now
