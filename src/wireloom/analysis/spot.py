"""Find the region of the (C, L) plane where wirings do best, and say how far to trust it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from wireloom.analysis.correction import CORRECTIONS, Correction
from wireloom.analysis.parts import (
    Best,
    Bin,
    Corrected,
    Correlation,
    Interval,
    Measure,
    Range,
    Slice,
)
from wireloom.analysis.statistics import (
    Groups,
    Moments,
    Region,
    bootstrap,
    compare,
    fit_quadratic,
    lowest,
    pearson,
    picked_error,
    split_half_reliability,
    tie,
)
from wireloom.analysis.table import check_grid, read
from wireloom.analysis.verdict import in_words
from wireloom.base import InvalidValue, is_whole, nearest

if TYPE_CHECKING:
    from wireloom.analysis.columns import Table

_BY = ("bin", "wiring")
_RELIABLE = 0.5
# Middling C and L (source: the paper, section 5).
_SLICE_CLUSTERING = (0.4, 0.6)
_SLICE_PATH_LENGTH = (2.0, 2.5)


@dataclass(frozen=True)
class SweetSpot:
    """The region where wirings do best, with what speaks for and against it."""

    by: Literal["bin", "wiring"]
    """What was compared."""
    clustering: Range
    """C of the sweet spot, (lo, hi): of the kept bins' centres, or of the kept wirings."""
    path_length: Range
    """L of the sweet spot, (lo, hi): likewise."""
    best: Best
    """The best bin or the best wiring, by ``by``."""
    best_wiring: Best
    """The wiring of lowest mean error, whatever ``by``."""
    reference: Hashable
    """Id of the wiring that the others were held against; None by bin."""
    baseline: float | None
    """Mean error of the dense baseline; None without baseline rows."""
    gain: float | None
    """``baseline - best_wiring.mean``: raw, and too high, because the best was picked by it."""
    honest_gain: float | None
    """``baseline`` less the error of wirings picked on some seeds and judged on the others;
    None without a baseline or with one seed."""
    better_than_baseline: float | None
    """Share of the wirings whose mean error is below the baseline's, 0 to 1."""
    reliability: float | None
    """How well the wirings' means would repeat with new seeds, 0 to 1; None with one seed, no
    seed shared by three wirings, or equal errors."""
    correlation: Correlation
    """How error moves with C, L and density."""
    slices: tuple[Slice, Slice] = field(repr=False)
    """Error on L for C in [0.4, 0.6]; error on C for L in [2, 2.5]."""
    bins: tuple[Bin, ...] = field(repr=False)
    """All that was compared, by rising (C, L) cell or wiring id."""
    wirings: int
    """Number of wirings, baseline not counted."""
    seeds: int
    """Number of training seeds, baseline not counted."""
    left_out: int
    """Rows without a finite error, C or L, or without a seed or wiring; baseline ones too; and
    runs that end before the last epoch, if the table holds curves."""
    left_out_of: tuple[tuple[Hashable, int], ...]
    """Of which wirings: (id, rows), by rising id; (None, rows) last for rows without an id."""
    lost: tuple[Hashable, ...]
    """Wirings of which no row is left: the map knows nothing of them."""
    outside: int
    """Wirings off the grid, by bin: they count for all but the rectangle and the bins."""
    sparse: int
    """Bins ignored because they hold fewer wirings than ``min_wirings``."""
    interval: Interval | None
    """Uncertainty of the rectangle; None unless ``resamples`` was given."""
    correction: Correction
    """What the p-values of the kept bins were corrected by."""
    corrected: Corrected
    """The rectangle under correction: by Holm, or by ``correction`` where one was asked for."""
    epoch: float | None
    """The epoch read, the last one; None unless the table holds learning curves."""
    merged: int
    """Rows that repeat a wiring and seed, the baseline's too: a run is the mean of its rows."""

    @property
    def is_noise(self) -> bool:
        """True if the reliability is unknown or below 0.5: the map shows seeds, not wirings."""
        return self.reliability is None or self.reliability < _RELIABLE

    def verdict(self) -> list[str]:
        """Say in plain sentences what the map shows and how far to trust it: the answer first."""
        return in_words(self)


def sweet_spot(
    table: Table,
    by: Literal["bin", "wiring"] = "bin",
    *,
    against: Hashable = None,
    cells: int = 15,
    longest: float = 4.5,
    min_wirings: int = 1,
    correction: Correction = "none",
    resamples: int = 0,
    seed: int = 0,
) -> SweetSpot:
    """Find where in the (C, L) plane wirings have the lowest error.

    By bin, all runs are pooled into ``cells`` x ``cells`` cells over C in [0, 1] (open below,
    closed above; C = 0 belongs to the first) and L in [1, ``longest``] (closed below, open
    above; ``longest`` belongs to the last). The reference is the bin of lowest mean error; a
    bin is kept unless a one-tailed, equal-variance t-test says that it is worse (p < 0.05). The
    sweet spot is the rectangle round the kept bins' centres. By wiring, each wiring is its own
    bin, and the rectangle goes from the least to the greatest C and L of the kept ones.

    A bin is kept for want of proof, so a bin with few runs is easily kept, and a correction for
    the number of tests, which asks for more proof, keeps more: ``.corrected`` has what Holm's
    keeps, beside the paper's own reading without one. No correction makes up for the reference
    having been picked by the same runs, which makes the others look worse than they are.

    Not for a single family of wirings, whose C and L lie on a curve: the rectangle then covers
    ground that no wiring stands on. Nor for tables with one seed: nothing tells seed from wiring.

    Args:
        table: a pandas frame, pyarrow table or mapping of columns, a row a run. Columns: C, L;
            error (or top1_err), in any unit, lower is better; seed (or train_seed); wiring (or
            graph_id). C, L and wiring may be lacking where n (or nodes), k, p and graph_seed name
            WS-flex wirings: these are then drawn and measured. Rows of the dense baseline have
            ``is_complete_graph_baseline``, if there is such a column, else C = L = 1; they serve
            for gains only. For the correlation with density: density, or n and k, or sparsity
            (k / n). Of learning curves, told by an epoch column, the last epoch is read. Rows that
            repeat a wiring and seed are averaged into one run.
        by: "bin", or "wiring" for tables of few wirings.
        against: with ``by="wiring"``, the id of the wiring to hold the others against instead of
            the one of lowest mean.
        cells: by bin, cells of the grid along each measure.
        longest: by bin, upper end of the grid in L (2.5 suits wirings of 16 nodes).
        min_wirings: by bin, bins with fewer wirings are ignored; 3 takes odd single ones out.
        correction: of the p-values that decide what is kept, for the number of tests: "none",
            "holm", or "fdr" (Benjamini-Hochberg).
        resamples: bootstrap draws of the wirings for ``.interval``; 0 for none, 200 is enough.
        seed: of the bootstrap.

    Returns:
        The result; it does not depend on the order of the rows. On a tie (means apart by no
        more than a billionth) the lowest wiring id, or the cell of lowest C, then L,
        is the best, and the others are reported.

    Raises:
        InvalidValue: for a missing column, fewer than three wirings, a wiring with two values of
            C, L or density, a value out of range, or an argument out of range.

    Cost: O(rows log rows), about 0.1 s for 20,000 rows; the bootstrap O(resamples x wirings).

    Source: You, Leskovec, He, Xie, "Graph Structure of Neural Networks", ICML 2020, section 5.

    Example:
        >>> table = {"C": [0.2, 0.4, 0.9] * 2, "L": [2.0, 2.2, 3.0] * 2,
        ...          "error": [5.0, 4.0, 9.0, 5.1, 4.2, 9.1],
        ...          "seed": [0, 0, 0, 1, 1, 1], "wiring": [0, 1, 2] * 2}
        >>> sweet_spot(table, by="wiring").best.wiring
        1
    """
    _check_arguments(by, against, cells, longest, min_wirings, resamples)
    check_correction(correction)
    runs = read(table)
    if against is not None and against not in runs.ids:
        raise InvalidValue(f"`against` must be the id of a wiring in `table`; got {against!r}")
    reference = None if against is None else runs.ids.index(against)
    per_wiring = Moments.of(runs.error, runs.wiring, len(runs.ids))
    single = runs.one_by_one()
    groups = runs.on_grid(cells, longest, min_wirings) if by == "bin" else single
    ids = None if by == "bin" else runs.ids
    once = np.ones(len(runs.ids))
    region = compare(groups, per_wiring, once, reference, correction)
    method: Literal["holm", "fdr"] = "holm" if correction == "none" else correction
    strict = compare(groups, per_wiring, once, reference, method)
    if region is None or strict is None:
        raise InvalidValue(f"`min_wirings` must leave a bin to compare; got {min_wirings}")
    best_wiring = _best(single, per_wiring, np.ones(len(single), bool), runs.ids)
    baseline = float(runs.baseline.mean()) if len(runs.baseline) else None
    judged = picked_error(runs.by_seed)
    c, ell, mean = runs.clustering, runs.path_length, per_wiring.mean
    known = np.isfinite(runs.log_density)
    return SweetSpot(
        by=by,
        clustering=region.clustering,
        path_length=region.path_length,
        best=_best(groups, region.moments, region.used, ids),
        best_wiring=best_wiring,
        reference=None if ids is None else ids[region.reference],
        baseline=baseline,
        gain=None if baseline is None else baseline - best_wiring.mean,
        honest_gain=None if baseline is None or judged is None else baseline - judged,
        better_than_baseline=(
            None if baseline is None else float(np.mean(mean < baseline - tie(mean)))
        ),
        reliability=split_half_reliability(runs.by_seed),
        correlation=Correlation(
            clustering=pearson(c, mean),
            path_length=pearson(ell, mean),
            log_density=pearson(runs.log_density[known], mean[known]),
        ),
        slices=(
            _slice("path_length", ell, c, _SLICE_CLUSTERING, mean),
            _slice("clustering", c, ell, _SLICE_PATH_LENGTH, mean),
        ),
        bins=_bins(groups, region, strict, ids),
        wirings=len(runs.ids),
        seeds=runs.seeds,
        left_out=runs.left_out,
        left_out_of=runs.left_out_of,
        lost=runs.lost,
        outside=int(np.sum(groups.member == len(groups))),
        sparse=len(groups) - int(region.used.sum()),
        interval=_interval(
            bootstrap(groups, per_wiring, reference, resamples, int(seed), correction)
        ),
        correction=correction,
        corrected=Corrected(
            correction=method,
            clustering=strict.clustering,
            path_length=strict.path_length,
            kept=int(strict.kept.sum()),
            tested=int(np.isfinite(strict.p_corrected).sum()),
        ),
        epoch=runs.epoch,
        merged=runs.merged,
    )


def check_by(by: str) -> None:
    """Raise unless ``by`` is one of the two ways to compare."""
    if by not in _BY:
        raise InvalidValue(f"`by` must be bin or wiring; got {by!r}{nearest(str(by), _BY)}")


def check_correction(correction: str) -> None:
    """Raise unless ``correction`` is one that is known."""
    if correction not in CORRECTIONS:
        raise InvalidValue(
            f"`correction` must be none, holm or fdr; got {correction!r}"
            f"{nearest(str(correction), CORRECTIONS)}"
        )


def _check_arguments(
    by: str, against: Hashable, cells: int, longest: float, min_wirings: int, resamples: int
) -> None:
    check_by(by)
    if against is not None and by == "bin":
        raise InvalidValue(f"`against` needs by='wiring'; got {against!r} with by='bin'")
    check_grid(cells, longest)
    for name, value, low in (("min_wirings", min_wirings, 1), ("resamples", resamples, 0)):
        if not is_whole(value) or value < low:
            raise InvalidValue(f"`{name}` must be a whole number of at least {low}; got {value!r}")


def _best(groups: Groups, moments: Moments, used: np.ndarray, ids: list[Hashable] | None) -> Best:
    """The used bin of lowest mean: a wiring if the bins have ids."""
    first, tied = lowest(np.where(used, moments.mean, np.nan))
    clustering, path_length = groups.centre(first)
    return Best(
        clustering=clustering,
        path_length=path_length,
        mean=float(moments.mean[first]),
        runs=int(moments.count[first]),
        wiring=None if ids is None else ids[first],
        ties=tuple(groups.centre(i) if ids is None else ids[i] for i in tied[1:]),
    )


def _bins(
    groups: Groups, region: Region, strict: Region, ids: list[Hashable] | None
) -> tuple[Bin, ...]:
    edges_c, edges_l = groups.clustering.tolist(), groups.path_length.tolist()
    return tuple(
        Bin(
            clustering=(edges_c[i][0], edges_c[i][1]),
            path_length=(edges_l[i][0], edges_l[i][1]),
            mean=float(region.moments.mean[i]),
            runs=int(region.moments.count[i]),
            wirings=int(region.wirings[i]),
            p_value=_known(region.p_values[i]),
            p_corrected=_known(strict.p_corrected[i]),
            kept=bool(region.kept[i]),
            wiring=None if ids is None else ids[i],
        )
        for i in np.flatnonzero(region.used)
    )


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _slice(
    along: Measure, x: np.ndarray, other: np.ndarray, within: Range, mean: np.ndarray
) -> Slice:
    chosen = (other >= within[0]) & (other <= within[1])
    x, y = x[chosen], mean[chosen]
    points = tuple(zip(x.tolist(), y.tolist(), strict=True))
    return Slice(along, within, points, fit_quadratic(x, y))


def _interval(ends: np.ndarray) -> Interval | None:
    """The 5% and 95% points of the rectangle's ends, float64 [draws, 4]; None without draws."""
    if not len(ends):
        return None
    low, high = np.percentile(ends, [5, 95], axis=0).tolist()
    clustering_lo, clustering_hi, path_length_lo, path_length_hi = zip(low, high, strict=True)
    return Interval(clustering_lo, clustering_hi, path_length_lo, path_length_hi, len(ends))
