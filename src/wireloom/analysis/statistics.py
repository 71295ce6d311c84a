"""The statistics behind a map of wirings: moments, tests, the kept region, fits, seed splits.

Everything here takes and gives arrays; nothing knows of tables. A number that the data cannot
give is None (or NaN inside an array), never a warning.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from wireloom.analysis.correction import Correction, corrected
from wireloom.base.streams import permutation, uniform

_TIE = 1e-9
_ROUNDING = 1e-12

WORSE = 0.05
"""A bin is worse than the reference if the test's p is below this."""

_ALL_SPLITS_UP_TO = 8
_SAMPLED_SPLITS = 200


def tie(means: np.ndarray) -> float:
    """How close two of ``means`` [n] may be and count as one, in their own units; NaN is passed by.

    A billionth of the lowest's size or of the median distance from it, which a few huge ones do
    not move. O(n).
    """
    known = means[np.isfinite(means)]
    if not len(known):
        return 0.0
    low = known.min()
    return float(_TIE * max(np.median(known - low), abs(low)))


def constant(values: np.ndarray) -> bool:
    """True if ``values`` [n] differ by no more than rounding does, 1e-12 of the largest."""
    return bool(np.ptp(values) <= _ROUNDING * np.abs(values).max())


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of groups of numbers."""

    count: np.ndarray
    """Numbers in each group: float64 [groups]."""
    mean: np.ndarray
    """Mean of each group, NaN where the group is empty: float64 [groups]."""
    squares: np.ndarray
    """Sum of squared deviations from the group's mean: float64 [groups]."""

    @classmethod
    def of(cls, values: np.ndarray, group: np.ndarray, groups: int) -> Moments:
        """Moments of ``values`` [n] by ``group`` [n], integers in [0, groups). O(n)."""
        ones = np.ones(len(values))
        return cls(ones, values, np.zeros(len(values))).merged(group, groups, ones)

    def merged(self, group: np.ndarray, groups: int, weight: np.ndarray) -> Moments:
        """Moments after this one's groups are pooled by ``group`` [n] into ``groups`` larger ones.

        ``weight`` [n] says how many times each counts; 0 leaves it out. The squares come from
        deviations, not from the difference of two large sums, so equal values give 0. O(n).
        """
        size = weight * self.count
        count = np.bincount(group, size, groups)
        total = np.bincount(group, np.where(size > 0, size * self.mean, 0.0), groups)
        mean = np.divide(total, count, out=np.full(groups, np.nan), where=count > 0)
        spread = weight * self.squares + size * (self.mean - mean[group]) ** 2
        return Moments(count, mean, np.bincount(group, np.where(size > 0, spread, 0.0), groups))


def worse_p_values(moments: Moments, reference: int) -> np.ndarray:
    """Test each group's mean against one group's: is it higher?

    Student's t with equal variances, one tail: t = (mean - mean_ref) / sqrt(s^2 (1/n + 1/n_ref)),
    s^2 pooled over both on n + n_ref - 2 degrees of freedom. A group of one number adds nothing
    to s^2 and is tested by the reference's own spread. Means that tie give p = 0.5; two
    groups without any spread and with different means give 0 or 1.

    Args:
        moments: of [groups].
        reference: index of the group that the others are held against.

    Returns:
        p-values, float64 [groups]; NaN where there are no degrees of freedom or no numbers.

    Cost: O(groups).
    """
    from scipy.special import stdtr

    freedom = moments.count + moments.count[reference] - 2
    testable = (moments.count > 0) & (freedom > 0)
    difference = np.where(testable, moments.mean - moments.mean[reference], 0.0)
    difference[np.abs(difference) <= tie(moments.mean)] = 0.0
    variance = (moments.squares + moments.squares[reference]) / np.where(testable, freedom, 1.0)
    inverse = 1 / np.where(testable, moments.count, 1.0) + 1 / moments.count[reference]
    scale = np.sqrt(variance * inverse)
    t = np.divide(difference, scale, out=np.copysign(np.inf, difference), where=scale > 0)
    t[difference == 0] = 0.0
    return np.where(testable, stdtr(np.where(testable, freedom, 1.0), -t), np.nan)


def lowest(means: np.ndarray) -> tuple[int, np.ndarray]:
    """Find the lowest of ``means`` [n] and all that tie with it.

    Returns:
        The first such index, and every such index in order, int [ties]. NaN never wins.
    """
    ties = np.flatnonzero(means <= np.nanmin(means) + tie(means))
    return int(ties[0]), ties


@dataclass(frozen=True)
class Groups:
    """How wirings fall into the bins that are compared."""

    member: np.ndarray
    """Position of each wiring's bin; ``len(self)`` for a wiring in none: int [wirings]."""
    clustering: np.ndarray
    """C at the bin's edges: float64 [bins, 2]."""
    path_length: np.ndarray
    """L at the bin's edges: float64 [bins, 2]."""
    min_wirings: int = 1
    """Bins with fewer wirings are not compared."""

    def __len__(self) -> int:
        return len(self.clustering)

    def centre(self, i: int) -> tuple[float, float]:
        """(C, L) in the middle of bin ``i``."""
        return float(self.clustering[i].mean()), float(self.path_length[i].mean())


@dataclass(frozen=True)
class Region:
    """One comparison of bins and the rectangle round the kept ones."""

    clustering: tuple[float, float]
    """Least and greatest C of the kept bins' centres."""
    path_length: tuple[float, float]
    """Least and greatest L of the kept bins' centres."""
    moments: Moments
    """Of the runs in each bin: [bins]."""
    wirings: np.ndarray
    """Different wirings in each bin: int [bins]."""
    used: np.ndarray
    """False for a bin with too few wirings: bool [bins]."""
    p_values: np.ndarray
    """Of being worse than the reference, NaN if untested: float64 [bins]."""
    p_corrected: np.ndarray
    """The same after the correction, NaN too for the reference: float64 [bins]."""
    kept: np.ndarray
    """True if used and not worse: bool [bins]."""
    reference: int
    """Position of the bin that the others were held against."""


def compare(
    groups: Groups,
    per_wiring: Moments,
    weight: np.ndarray,
    reference: int | None = None,
    correction: Correction = "none",
) -> Region | None:
    """Hold each bin against the reference bin and keep those that are not worse (p < 0.05).

    Args:
        groups: the bins.
        per_wiring: moments of each wiring's runs: [wirings].
        weight: how many times each wiring counts: float64 [wirings].
        reference: position of a bin; None for the one of lowest mean.
        correction: of the p-values, for the number of used bins that are held against it.

    Returns:
        The region; None if every bin has too few wirings.

    Cost: O(wirings + bins), and the sorting of the bins for a correction.
    """
    bins = len(groups)
    pooled = per_wiring.merged(groups.member, bins + 1, weight)
    moments = Moments(pooled.count[:bins], pooled.mean[:bins], pooled.squares[:bins])
    wirings = np.bincount(groups.member, weight > 0, bins + 1)[:bins].astype(np.int64)
    used = wirings >= groups.min_wirings
    if not used.any():
        return None
    if reference is None:
        reference, _ = lowest(np.where(used, moments.mean, np.nan))
    p_values = worse_p_values(moments, reference)
    tested = used & np.isfinite(p_values) & (np.arange(bins) != reference)
    p_corrected = corrected(p_values, tested, correction)
    kept = used & ~(p_corrected < WORSE)
    c, ell = groups.clustering[kept].mean(1), groups.path_length[kept].mean(1)
    return Region(
        clustering=(float(c.min()), float(c.max())),
        path_length=(float(ell.min()), float(ell.max())),
        moments=moments,
        wirings=wirings,
        used=used,
        p_values=p_values,
        p_corrected=p_corrected,
        kept=kept,
        reference=reference,
    )


def bootstrap(
    groups: Groups,
    per_wiring: Moments,
    reference: int | None,
    resamples: int,
    seed: int,
    correction: Correction = "none",
) -> np.ndarray:
    """Draw the wirings again, with replacement, and find the rectangle each time.

    Returns:
        Its ends, float64 [draws, 4]: C lo, C hi, L lo, L hi. A draw that leaves every bin with
        too few wirings is dropped. The reference wiring, if one was named, is always drawn.

    Cost: O(resamples x wirings).
    """
    wirings = len(per_wiring.count)
    ends = []
    for i in range(resamples):
        drawn = (uniform(wirings, "sweet spot", seed, i) * wirings).astype(np.int64)
        weight = np.bincount(drawn, minlength=wirings).astype(np.float64)
        if reference is not None:
            weight[reference] = max(weight[reference], 1.0)
        region = compare(groups, per_wiring, weight, reference, correction)
        if region is not None:
            ends.append((*region.clustering, *region.path_length))
    return np.array(ends).reshape(-1, 4)


def pearson(x: np.ndarray, y: np.ndarray) -> float | None:
    """Correlation of ``x`` [n] and ``y`` [n]; None under three points or if either is constant."""
    if len(x) < 3 or constant(x) or constant(y):
        return None
    x = (x - x.mean()) / np.ptp(x)
    y = (y - y.mean()) / np.ptp(y)
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


@dataclass(frozen=True)
class Quadratic:
    """A least-squares parabola, y = a x^2 + b x + c."""

    coefficients: tuple[float, float, float]
    """(a, b, c), in the units of y over those of x."""
    r2: float
    """Share of the variance of y that the parabola explains, 0 to 1."""
    vertex: float | None
    """The x of the turning point, -b / 2a; None for a straight line."""
    opens_up: bool
    """True if the vertex is a lowest point."""


def fit_quadratic(x: np.ndarray, y: np.ndarray) -> Quadratic | None:
    """Fit a parabola to points ``x`` [n], ``y`` [n].

    Returns:
        The fit; None under four points, under three different x, or if y is constant.

    Cost: O(n).
    """
    if len(x) < 4 or constant(y) or np.sum(np.diff(np.sort(x)) > _TIE) < 2:
        return None
    middle, reach = x.mean(), np.ptp(x)
    u = (x - middle) / reach
    a, b, c = np.linalg.lstsq(np.vander(u, 3), y, rcond=None)[0]
    residual = y - np.polyval((a, b, c), u)
    deviation = y - y.mean()
    r2 = 1 - (residual @ residual) / (deviation @ deviation)
    straight = abs(a) <= 1e-9 * np.ptp(y)
    slope = b / reach - 2 * a * middle / reach**2
    level = c - b * middle / reach + a * (middle / reach) ** 2
    return Quadratic(
        coefficients=(float(a / reach**2), float(slope), float(level)),
        r2=float(np.clip(r2, 0.0, 1.0)),
        vertex=None if straight else float(middle - reach * b / (2 * a)),
        opens_up=bool(a > 0 and not straight),
    )


def splits(seeds: int, size: int, most: int = _SAMPLED_SPLITS) -> list[tuple[np.ndarray, ...]]:
    """Pairs of disjoint sets of ``size`` of the seeds: all of them, or fixed ones beyond 8 seeds.

    ``most`` bounds the number of fixed ones.
    """
    if seeds > _ALL_SPLITS_UP_TO:
        orders = [permutation(seeds, "halves", seeds, i) for i in range(most)]
        return [(order[:size], order[size : 2 * size]) for order in orders]
    return [
        (np.array(one), np.array(other))
        for one in itertools.combinations(range(seeds), size)
        for other in itertools.combinations(sorted(set(range(seeds)) - set(one)), size)
        if one < other
    ]


def spearman_brown(r: float, factor: float) -> float:
    """Reliability of a mean over ``factor`` times as many seeds: f r / (1 + (f - 1) r).

    Source: Spearman, Brown, British Journal of Psychology 3, 1910.
    """
    return float(factor * r / (1 + (factor - 1) * r))


def split_correlation(errors: np.ndarray, size: int) -> tuple[float, float] | None:
    """Correlate the rows' means over ``size`` seeds with those over ``size`` other seeds.

    Args:
        errors: float64 [rows, seeds], NaN where a row lacks a seed. A row takes part in a split
            when it has a seed on each side.
        size: seeds on each side.

    Returns:
        The mean correlation over splits, and the mean number of seeds that a row has on a side;
        None where no split can be compared.

    Cost: O(rows x splits).
    """
    have = ~np.isnan(errors)
    filled = np.where(have, errors, 0.0)
    correlations, sizes = [], []
    for sides in splits(errors.shape[1], size):
        counts = [have[:, side].sum(1) for side in sides]
        both = (counts[0] > 0) & (counts[1] > 0)
        sums = [filled[:, side].sum(1) for side in sides]
        one, other = (s[both] / c[both] for s, c in zip(sums, counts, strict=True))
        r = pearson(one, other)
        if r is not None:
            correlations.append(r)
            sizes.append((counts[0][both].mean() + counts[1][both].mean()) / 2)
    if not correlations:
        return None
    return float(np.mean(correlations)), float(np.mean(sizes))


def seeds_each(errors: np.ndarray) -> float:
    """Mean number of seeds of the rows of ``errors`` [rows, seeds] that have any."""
    have = ~np.isnan(errors)
    return float(have.sum(1)[have.any(1)].mean())


def split_half_reliability(errors: np.ndarray) -> float | None:
    """Say how well the rows' means over seeds would repeat with new seeds: 0 (noise) to 1.

    The seeds are split into two disjoint halves of floor(S / 2) (all such pairs up to 8 seeds,
    200 fixed ones beyond); r is the mean over splits of the correlation between the rows' means
    in the two halves. Spearman-Brown steps r up from a half to all seeds:
    f r / (1 + (f - 1) r), f = seeds a row / seeds a half. A negative r counts as 0.

    Args:
        errors: float64 [rows, seeds], NaN where a row lacks a seed. A row takes part in a split
            when it has a seed in each half.

    Returns:
        The reliability; None with fewer than two seeds, fewer than three rows to compare, or
        rows that are all equal.

    Cost: O(rows x splits).
    """
    if errors.shape[1] < 2:
        return None
    halves = split_correlation(errors, errors.shape[1] // 2)
    if halves is None:
        return None
    r, size = halves
    return spearman_brown(max(r, 0.0), seeds_each(errors) / size)


def _picks(seeds: int) -> list[np.ndarray]:
    """Sets of seeds to pick on: all of the right size, or 200 fixed ones beyond 8 seeds."""
    size = min(seeds - 1, max(2, seeds // 2))
    if seeds > _ALL_SPLITS_UP_TO:
        return [permutation(seeds, "picks", seeds, i)[:size] for i in range(_SAMPLED_SPLITS)]
    return [np.array(pick) for pick in itertools.combinations(range(seeds), size)]


def picked_error(errors: np.ndarray) -> float | None:
    """Error of the row that looks best on some seeds, measured on the seeds it was not picked by.

    The row of lowest mean over the picking seeds (half of all seeds, at least two where there
    are three; the lowest index on a tie) is judged by its mean over the others. The answer is
    the mean over all such choices of picking seeds (200 fixed ones beyond 8 seeds). Of rows
    that lack seeds, those with the most picking seeds compete.

    Args:
        errors: float64 [rows, seeds], NaN where a row lacks a seed.

    Returns:
        The mean error; None with fewer than two seeds, or if no row has a seed on both sides.

    Cost: O(rows x splits).
    """
    seeds = errors.shape[1]
    if seeds < 2:
        return None
    have = ~np.isnan(errors)
    filled = np.where(have, errors, 0.0)
    judged = []
    for pick in _picks(seeds):
        rest = np.setdiff1d(np.arange(seeds), pick)
        seen = have[:, pick].sum(1) * have[:, rest].any(1)
        if not seen.any():
            continue
        fair = seen == seen.max()
        means = np.where(fair, filled[:, pick].sum(1) / seen.max(), np.nan)
        winner, _ = lowest(means)
        judged.append(filled[winner, rest].sum() / have[winner, rest].sum())
    return float(np.mean(judged)) if judged else None
