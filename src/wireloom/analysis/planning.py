"""How many seeds and wirings it takes to see a difference, from the spread of a table at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from wireloom.analysis.statistics import Moments
from wireloom.analysis.table import read
from wireloom.base import InvalidValue, is_whole

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_MOST = 1 << 40  # runs that no one will make; beyond, the count is refused
_POINTS = 256


@dataclass(frozen=True)
class Power:
    """What a table's spread says about the runs that a question needs."""

    effect: float | None
    """Difference of error to be seen, in the table's units; None if none was given and the
    wirings do not differ beyond their seeds."""
    chance: float
    """Chance that the test sees it, 0 to 1."""
    level: float
    """Chance that the test sees a difference where there is none: of a one-tailed test."""
    between: float
    """Standard deviation of the wirings' true errors; 0 if seeds explain all differences."""
    within: float
    """Standard deviation of the error between seeds of one wiring."""
    freedom: int
    """Degrees of freedom behind ``within``: runs less wirings."""
    wirings: int
    """Wirings of the table, baseline not counted."""
    seeds: float
    """Mean runs a wiring."""
    reliability: float | None
    """Share of the variance of the wirings' means that is not seed noise, averaged over the
    wirings; None if the errors are all equal."""
    seeds_to_compare: int | None
    """Seeds that each of two wirings needs, to see ``effect`` between them."""
    wirings_a_bin: int | None
    """Wirings that each of two bins needs, at the table's seeds a wiring, to see ``effect``
    between the bins' means; cautious, for the wirings of a bin differ less than all wirings."""
    seeds_for_80: int | None
    """Seeds a wiring for a reliability of .8; None if ``between`` is 0."""
    seeds_for_90: int | None
    """Seeds a wiring for a reliability of .9; None if ``between`` is 0."""
    correlation: float
    """Size of the correlation to be seen, between a measure and the wirings' mean errors."""
    wirings_to_correlate: int
    """Wirings needed to see it."""
    smallest: float | None
    """Smallest difference between two wirings that the table's typical (median) seeds show;
    None if a typical wiring has one run."""
    typical: int
    """Those seeds: the median runs of a wiring, rounded down."""

    def verdict(self) -> list[str]:
        """Say in plain sentences how many runs it takes: the answer first."""
        return _in_words(self)


def power(
    table: pd.DataFrame | pa.Table | Mapping[str, Any],
    effect: float | None = None,
    *,
    chance: float = 0.8,
    level: float = 0.05,
    correlation: float = 0.3,
) -> Power:
    """Say how many seeds and wirings it takes to see a difference of ``effect`` in error.

    The error of a run is taken as mean + wiring + seed, both parts random with variances b^2 and
    w^2, estimated without bias from the mean squares between and within wirings, gaps allowed:
    w^2 = MSW, b^2 = (MSB - MSW) / n0, n0 = (N - sum n_i^2 / N) / (a - 1). The answers hold for one
    test planned beforehand; the best of many wirings, picked and tested by the same runs, takes
    more. A seed that moves all wirings alike counts as noise here.

    Args:
        table: as for `sweet_spot`.
        effect: difference of error, in the table's units, > 0; by default the standard deviation
            between wirings, the size of difference that the table itself holds.
        chance: of seeing it, above ``level`` and below 1.
        level: of the one-tailed test, above 0 and at most 0.5.
        correlation: size of the correlation that `Power.wirings_to_correlate` is for, in (0, 1).

    Returns:
        The counts, smallest whole numbers that reach the chance.

    Raises:
        InvalidValue: for a table that `sweet_spot` refuses, one without a wiring that was run
            twice, or an argument out of range.

    Cost: O(rows log rows), a few milliseconds beyond.

    Source: Searle, Casella, McCulloch, "Variance Components" (1992), chapter 3; Cohen,
    "Statistical Power Analysis" (1988), chapter 2.

    Example:
        >>> table = {"C": [0.2, 0.2, 0.4, 0.4, 0.9, 0.9], "L": [2.0, 2, 2, 2, 3, 3],
        ...          "error": [5.0, 5.2, 4.0, 4.2, 9.0, 9.2],
        ...          "seed": [0, 1] * 3, "wiring": [0, 0, 1, 1, 2, 2]}
        >>> power(table, 0.5).seeds_to_compare
        3
    """
    check_effect(effect)
    _check("level", level, 0.0, 0.5, closed=True)
    _check("chance", chance, level, 1.0)
    _check("correlation", correlation, 0.0, 1.0)
    runs = read(table)
    count = np.bincount(runs.wiring).astype(np.float64)
    freedom = len(runs.error) - len(count)
    if not freedom:
        raise InvalidValue("`table` must hold a wiring with two runs or more; each has one")
    between, within = variance_components(runs.error, runs.wiring)
    between = max(0.0, between)
    seeds, noise = float(count.mean()), within * float(np.mean(1 / count))
    if effect is None and between > 0:
        effect = float(np.sqrt(between))
    typical = int(np.median(count))
    spread = between + within / count

    def needed(deviation: float) -> int | None:
        return None if effect is None else runs_needed(effect, deviation, chance, level)

    def seeds_for(reliability: float) -> int | None:
        if between <= 0:
            return None
        odds = reliability / (1 - reliability)
        return max(1, int(np.ceil(within / between * odds - 1e-9)))

    return Power(
        effect=None if effect is None else float(effect),
        chance=float(chance),
        level=float(level),
        between=float(np.sqrt(between)),
        within=float(np.sqrt(within)),
        freedom=freedom,
        wirings=len(count),
        seeds=seeds,
        reliability=float(np.mean(between / spread)) if spread.max() > 0 else None,
        seeds_to_compare=needed(np.sqrt(within)),
        wirings_a_bin=needed(np.sqrt(between + noise)),
        seeds_for_80=seeds_for(0.8),
        seeds_for_90=seeds_for(0.9),
        correlation=float(correlation),
        wirings_to_correlate=wirings_needed(correlation, chance, level),
        smallest=smallest_seen(typical, np.sqrt(within), chance, level) if typical > 1 else None,
        typical=typical,
    )


def check_effect(effect: float | None) -> None:
    """Raise unless ``effect`` is a difference to be seen, above 0, or None."""
    if effect is not None:
        _check("effect", effect, 0.0, np.inf)


def variance_components(values: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """Variances of the groups' true levels and of the values about them, without bias.

    Args:
        values: float64 [n].
        group: of each value, integers from 0 with none left out: [n].

    Returns:
        Between and within; the former is below 0 by chance where groups differ little.

    Cost: O(n). Source: Searle, Casella, McCulloch (1992), section 3.6.
    """
    moments = Moments.of(values, group, int(group.max()) + 1)
    count, n = moments.count, len(values)
    groups = len(count)
    within = float(moments.squares.sum()) / (n - groups)
    middle = float(count @ moments.mean) / n
    between = float(count @ (moments.mean - middle) ** 2) / (groups - 1)
    size = (n - float(count @ count) / n) / (groups - 1)
    return (between - within) / size, within


def chance_of_seeing(
    effect: float | np.ndarray, spread: float, size: int, level: float = 0.05
) -> np.ndarray:
    """Chance that a one-tailed, equal-variance t test of two samples sees their difference.

    Args:
        effect: true difference of the means, of any shape.
        spread: standard deviation of both populations, > 0.
        size: numbers in each sample, >= 2.
        level: of the test.

    Returns:
        The exact chance, by the noncentral t distribution on 2 size - 2 degrees of freedom with
        noncentrality effect / (spread sqrt(2 / size)): float64, of the shape of ``effect``.
    """
    from scipy.special import stdtrit

    freedom = 2.0 * size - 2.0
    shift = np.asarray(effect, np.float64) / spread * np.sqrt(size / 2)
    return _beyond(shift, freedom, float(stdtrit(freedom, 1 - level)))


def runs_needed(effect: float, spread: float, chance: float = 0.8, level: float = 0.05) -> int:
    """Numbers that each of two samples needs, to see a difference of their means.

    Args:
        effect: true difference of the means, > 0.
        spread: standard deviation of both populations; with 0, two of each do.
        chance: of seeing it.
        level: of the one-tailed, equal-variance t test.

    Returns:
        The smallest whole number, at least 2.

    Raises:
        InvalidValue: if more than 2^40 would be needed.
    """
    if spread <= 0:
        return 2
    return _smallest(
        2,
        lambda size: float(chance_of_seeing(effect, spread, size, level)) >= chance,
        f"`effect` must be large enough to be seen; got {effect:g} beside a spread of {spread:.3g}",
    )


def smallest_seen(size: int, spread: float, chance: float = 0.8, level: float = 0.05) -> float:
    """Smallest difference of two means that samples of ``size`` >= 2 each show; see `runs_needed`.

    The difference is in the units of ``spread``.
    """
    if spread <= 0:
        return 0.0
    low, high = 0.0, 1.0
    while chance_of_seeing(high, 1.0, size, level) < chance:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        below = chance_of_seeing(middle, 1.0, size, level) < chance
        low, high = (middle, high) if below else (low, middle)
    return float(spread) * high


def chance_of_correlation(correlation: float, wirings: int, level: float = 0.05) -> float:
    """Chance that a one-tailed test sees a correlation of two normal variables.

    Given the measure, t = r sqrt((n - 2) / (1 - r^2)) is noncentral t on n - 2 degrees of freedom
    with noncentrality rho / sqrt(1 - rho^2) times a chi of n - 1; the chance is its mean over chi,
    by Gauss-Legendre quadrature over the chi's quantiles, good to 1e-6.

    Args:
        correlation: the true one, rho in (0, 1).
        wirings: n >= 3.
        level: of the test.
    """
    from scipy.special import chdtri, stdtrit

    nodes, weights = _quadrature()
    chi = np.sqrt(chdtri(wirings - 1.0, (nodes + 1) / 2))
    shift = correlation / np.sqrt(1 - correlation**2) * chi
    critical = float(stdtrit(wirings - 2.0, 1 - level))
    return float(weights / 2 @ _beyond(shift, wirings - 2.0, critical))


def wirings_needed(correlation: float, chance: float = 0.8, level: float = 0.05) -> int:
    """Wirings needed to see a true correlation, in (0, 1), in a direction named beforehand.

    Returns:
        The smallest whole number that reaches the chance, at least 3.

    Raises:
        InvalidValue: if more than 2^40 would be needed.
    """
    return _smallest(
        3,
        lambda wirings: chance_of_correlation(correlation, wirings, level) >= chance,
        f"`correlation` must be large enough to be seen; got {correlation:g}",
    )


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Legendre quadrature, which take longer than all else here."""
    return np.polynomial.legendre.leggauss(_POINTS)


def _beyond(shift: np.ndarray, freedom: float, critical: float) -> np.ndarray:
    """Chance that noncentral t exceeds a value, normal where the exact series gives up.

    That is for 10^6 degrees of freedom and more, where both agree to 1e-6, and far in the tail,
    where the chance is 1 but for rounding.
    """
    from scipy.special import nctdtr, ndtr

    normal = ndtr((shift - critical) / np.sqrt(1 + critical**2 / (2 * freedom)))
    if freedom > 1e6:
        return normal
    chance = 1 - nctdtr(freedom, shift, critical)
    return np.where(np.isnan(chance), normal, chance)


def _smallest(low: int, enough: Callable[[int], bool], refusal: str) -> int:
    """The smallest whole number from ``low`` that is enough, for a rule that stays true."""
    high = low
    while not enough(high):
        low, high = high + 1, 2 * high
        if high > _MOST:
            raise InvalidValue(refusal)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _check(name: str, value: Any, low: float, high: float, *, closed: bool = False) -> None:
    number = is_whole(value) or isinstance(value, (float, np.floating))
    if not number or not low < value or not (value <= high if closed else value < high):
        upper = "" if high == np.inf else f" and {'at most' if closed else 'below'} {high:g}"
        raise InvalidValue(f"`{name}` must be a number above {low:g}{upper}; got {value!r}")


def _in_words(found: Power) -> list[str]:
    said = []
    test = f"with a chance of {found.chance:.0%} (one-tailed test, p < {found.level:g})"
    if found.effect is None:
        said.append(
            "The wirings do not differ beyond their seeds, so there is no difference to aim at; "
            "give `effect` the one that matters to you."
        )
    else:
        said.append(
            f"To see a difference in error of {found.effect:.3g} between two wirings takes "
            f"{found.seeds_to_compare} seeds of each {test}; to see it between two bins of the map "
            f"takes {found.wirings_a_bin} wirings in each, at {found.seeds:.3g} "
            f"{'seed' if found.seeds == 1 else 'seeds'} a wiring."
        )
    if found.smallest is None:
        said.append("A typical wiring has one run, so no two wirings can be told apart.")
    else:
        said.append(
            f"The {found.typical} seeds that a wiring has show, with that chance, differences of "
            f"{found.smallest:.3g} and more."
        )
    if found.seeds_for_80 is None or found.reliability is None:
        said.append("No number of seeds is known to make the map repeat.")
    else:
        said.append(
            f"The map's reliability by variances, not by halves of the seeds, is "
            f"{found.reliability:.2f}; .8 takes "
            f"{_seeds(found.seeds_for_80)} a wiring, .9 takes {_seeds(found.seeds_for_90 or 1)}."
        )
    said.append(
        f"The error spreads by {found.between:.3g} between wirings and {found.within:.3g} between "
        f"seeds of one wiring (standard deviations; {found.wirings} wirings, {found.freedom} "
        f"degree{'' if found.freedom == 1 else 's'} of freedom for the seeds)."
    )
    said.append(
        f"To see a correlation of {found.correlation:g} between mean error and a measure takes "
        f"{found.wirings_to_correlate} wirings."
    )
    said.append(
        "This holds for one comparison planned beforehand: the best of many, tested by the runs "
        "that picked it, takes more."
    )
    return said


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"
