"""Find the region of the (C, L) plane where wirings do best, and say how far to trust it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wireloom.base.errors import InvalidValue, nearest
from wireloom.study.statistics import (
    TIE,
    WORSE,
    Groups,
    Moments,
    Quadratic,
    Region,
    bootstrap,
    compare,
    fit_quadratic,
    lowest,
    pearson,
    picked_error,
    split_half_reliability,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Range = tuple[float, float]

_COLUMNS = {
    "C": ("C",),
    "L": ("L",),
    "error": ("error", "top1_err"),
    "seed": ("seed", "train_seed"),
    "wiring": ("wiring", "graph_id"),
}
_BY = ("bin", "wiring")
_BASELINE = "is_complete_graph_baseline"
_DENSITY = ("density", "sparsity")
_RELIABLE = 0.5
_MOST_SEEDS = 32
_SAME_MEASURE = 1e-6
_SLICE_CLUSTERING = (0.4, 0.6)
_SLICE_PATH_LENGTH = (2.0, 2.5)


@dataclass(frozen=True)
class Bin:
    """Runs compared as one: those of a cell of the (C, L) grid, or of one wiring."""

    clustering: Range
    """Range of C: the cell's edges, or the wiring's C twice."""
    path_length: Range
    """Range of L: the cell's edges, or the wiring's L twice."""
    mean: float
    """Mean error over the runs, in the table's units."""
    runs: int
    """Number of runs."""
    wirings: int
    """Number of different wirings."""
    p_value: float | None
    """One-tailed p of being worse than the reference; None if two single runs meet."""
    kept: bool
    """True if the sweet spot covers it: not worse at p < 0.05."""
    wiring: Hashable = None
    """The wiring's id with ``by="wiring"``, else None."""


@dataclass(frozen=True)
class Best:
    """The lowest mean error of a map."""

    clustering: float
    """C of the wiring, or of the bin's centre."""
    path_length: float
    """L of the wiring, or of the bin's centre."""
    mean: float
    """Mean error over the runs, in the table's units."""
    runs: int
    """Number of runs."""
    wiring: Hashable = None
    """The wiring's id; None for a bin."""
    ties: tuple[Hashable, ...] = ()
    """Others whose mean is within 1e-9: ids of wirings, or (C, L) centres of bins."""


@dataclass(frozen=True)
class Slice:
    """Mean errors of the wirings in a band of the plane, and a parabola through them."""

    along: Literal["clustering", "path_length"]
    """The measure that varies."""
    within: Range
    """Range of the other measure, both ends included."""
    points: tuple[tuple[float, float], ...] = field(repr=False)
    """(measure, mean error) of each wiring, in the order of their ids."""
    fit: Quadratic | None
    """Error as a parabola of the measure; None with fewer than four wirings."""


@dataclass(frozen=True)
class Correlation:
    """Pearson correlations of the wirings' mean errors; positive means more is worse.

    Each is None where it has no meaning: a constant column, fewer than three wirings.
    """

    clustering: float | None
    """With C."""
    path_length: float | None
    """With L."""
    log_density: float | None
    """With log density; None too if the table has no ``density``, ``sparsity``, or n and k."""


@dataclass(frozen=True)
class Interval:
    """Where the rectangle's ends fall when the wirings are drawn again: 5 % and 95 %."""

    clustering_lo: Range
    """Of the lower end of C."""
    clustering_hi: Range
    """Of the upper end of C."""
    path_length_lo: Range
    """Of the lower end of L."""
    path_length_hi: Range
    """Of the upper end of L."""
    resamples: int
    """Number of draws."""


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
    """Rows without a finite error, C or L, or without a seed or wiring; baseline ones too."""
    outside: int
    """Wirings off the grid, by bin: they count for all but the rectangle and the bins."""
    sparse: int
    """Bins ignored because they hold fewer wirings than ``min_wirings``."""
    interval: Interval | None
    """Uncertainty of the rectangle; None unless ``resamples`` was given."""

    @property
    def is_noise(self) -> bool:
        """True if the reliability is unknown or below 0.5: the map shows seeds, not wirings."""
        return self.reliability is None or self.reliability < _RELIABLE

    def verdict(self) -> list[str]:
        """Say in plain sentences what the map shows and how far to trust it."""
        return [
            self._say_reliability(),
            self._say_region(),
            *self._say_uncertainty(),
            *self._say_trends(),
            *self._say_slices(),
            self._say_gain(),
            *self._say_losses(),
        ]

    def _say_reliability(self) -> str:
        if self.reliability is None:
            if self.seeds < 2:
                why = "there is one seed only"
            elif len(self.best_wiring.ties) == self.wirings - 1:
                why = "the errors do not differ"
            else:
                why = "too few wirings share seeds"
            return f"Reliability is unknown, because {why}: treat this map as noise."
        if self.is_noise:
            judgement = "the differences are mostly between seeds: treat this map as noise"
        elif self.reliability < 0.8:
            judgement = "the map is real in its large shape, but single wirings are not settled"
        else:
            judgement = "most of the differences are between wirings, not seeds"
        return f"Reliability over {self.seeds} seeds is {self.reliability:.2f}: {judgement}."

    def _say_region(self) -> str:
        kept = sum(b.kept for b in self.bins)
        what = "bins" if self.by == "bin" else "wirings"
        than = "the best" if self.reference == self.best.wiring else f"wiring {self.reference}"
        return (
            f"The best region is C {_span(self.clustering)}, L {_span(self.path_length)}: "
            f"{kept} of {len(self.bins)} {what} are not worse than {than} (p < {WORSE:g})."
        )

    def _say_uncertainty(self) -> list[str]:
        said = []
        if self.interval is not None:
            ends = self.interval
            said.append(
                f"With other wirings (5-95 % of {ends.resamples} draws) C would start within "
                f"{_span(ends.clustering_lo)} and end within {_span(ends.clustering_hi)}, "
                f"L start within {_span(ends.path_length_lo)} and end within "
                f"{_span(ends.path_length_hi)}."
            )
        untested = sum(b.p_value is None for b in self.bins)
        if untested:
            said.append(f"Kept without a test, for want of a second run: {untested}.")
        if self.by == "bin" and _rests_on_few([b for b in self.bins if b.kept]):
            said.append("An end of the region rests on bins with fewer than 3 wirings.")
        return said

    def _say_trends(self) -> list[str]:
        trends = (
            ("clustering", self.correlation.clustering, "less clustered", "more clustered"),
            ("path length", self.correlation.path_length, "shorter-path", "longer-path"),
            ("density", self.correlation.log_density, "sparser", "denser"),
        )
        said = []
        for measure, r, low, high in trends:
            if r is None:
                continue
            if abs(r) < max(0.1, 2 / np.sqrt(self.wirings)):
                said.append(f"Error has no clear straight trend with {measure} (r = {r:+.2f}).")
            else:
                moves, better = ("rises", low) if r > 0 else ("falls", high)
                said.append(
                    f"Error {moves} with {measure} (r = {r:+.2f}): {better} wirings do better."
                )
        return said

    def _say_slices(self) -> list[str]:
        said = []
        for cut, along, other in zip(self.slices, "LC", "CL", strict=True):
            fit, places = cut.fit, [x for x, _ in cut.points]
            if fit is None or fit.vertex is None or not fit.opens_up:
                continue
            if fit.r2 >= 0.1 and min(places) <= fit.vertex <= max(places):
                said.append(
                    f"For {other} in {_span(cut.within)} a parabola is lowest at {along} = "
                    f"{fit.vertex:.2f} (R2 {fit.r2:.2f}, {len(places)} wirings)."
                )
        return said

    def _say_gain(self) -> str:
        if self.gain is None or self.baseline is None or self.better_than_baseline is None:
            return "There are no runs of the dense baseline, so no gain is given."
        honest = (
            "the honest gain is unknown (wirings share too few seeds)"
            if self.honest_gain is None
            else f"a wiring picked on some seeds {_gains(self.honest_gain)} on the others"
        )
        return (
            f"Against the dense baseline (mean error {self.baseline:.4g}) {honest}; the best "
            f"wiring's raw figure, which flatters it, {_gains(self.gain)}; "
            f"{self.better_than_baseline:.0%} of the wirings beat the baseline."
        )

    def _say_losses(self) -> list[str]:
        said = []
        if self.best_wiring.ties:
            count = len(self.best_wiring.ties)
            said.append(f"{count} more wiring{'s tie' if count > 1 else ' ties'} for the best.")
        if self.left_out:
            said.append(f"Rows left out for missing or infinite values: {self.left_out}.")
        if self.outside:
            said.append(
                f"Wirings off the grid, absent from the region: {self.outside}; "
                "`longest` makes the grid reach further in L."
            )
        return said


def sweet_spot(
    table: pd.DataFrame | pa.Table | Mapping[str, Any],
    by: Literal["bin", "wiring"] = "bin",
    *,
    against: Hashable = None,
    cells: int = 15,
    longest: float = 4.5,
    min_wirings: int = 1,
    resamples: int = 0,
    seed: int = 0,
) -> SweetSpot:
    """Find where in the (C, L) plane wirings have the lowest error.

    By bin, all runs are pooled into ``cells`` x ``cells`` cells over C in [0, 1] (open below,
    closed above; C = 0 belongs to the first) and L in [1, ``longest``] (closed below, open
    above; ``longest`` belongs to the last). The reference is the bin of lowest mean error; a
    bin is kept unless a one-tailed, equal-variance t-test says that it is worse (p < 0.05). The
    sweet spot is the rectangle round the kept bins' centres. By wiring, each wiring is its own
    bin, and the rectangle goes from the least to the greatest C and L of the kept ones. No
    correction is made for the number of tests: a bin with few runs is easily kept.

    Not for a single family of wirings, whose C and L lie on a curve: the rectangle then covers
    ground that no wiring stands on. Nor for tables with one seed: nothing tells seed from wiring.

    Args:
        table: a pandas frame, pyarrow table or mapping of columns, a row a run. Columns: C, L;
            error (or top1_err), in any unit, lower is better; seed (or train_seed); wiring (or
            graph_id). Rows of the dense baseline have ``is_complete_graph_baseline``, if there
            is such a column, else C = L = 1; they serve for gains only. For the correlation with
            density: density, or sparsity, or n and k.
        by: "bin", or "wiring" for tables of few wirings.
        against: with ``by="wiring"``, the id of the wiring to hold the others against instead of
            the one of lowest mean.
        cells: by bin, cells of the grid along each measure.
        longest: by bin, upper end of the grid in L (2.5 suits wirings of 16 nodes).
        min_wirings: by bin, bins with fewer wirings are ignored; 3 takes odd single ones out.
        resamples: bootstrap draws of the wirings for ``.interval``; 0 for none, 200 is enough.
        seed: of the bootstrap.

    Returns:
        The result; it does not depend on the order of the rows. On a tie (1e-9) the lowest
        wiring id, or the cell of lowest C, then L, is the best, and the others are reported.

    Raises:
        InvalidValue: for a missing column, fewer than three wirings, a wiring with two values of
            C or L, or an argument out of range.

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
    runs = _read(table)
    per_wiring = Moments.of(runs.error, runs.wiring, len(runs.ids))
    if by == "bin":
        groups = _grid(runs, cells, longest, min_wirings)
        reference = None
    else:
        groups = _one_by_one(runs)
        reference = None if against is None else _position(runs.ids, against)
    region = compare(groups, per_wiring, np.ones(len(runs.ids)), reference)
    if region is None:
        raise InvalidValue(f"`min_wirings` must leave a bin to compare; got {min_wirings}")
    winner, tied = lowest(per_wiring.mean)
    best_wiring = Best(
        clustering=float(runs.clustering[winner]),
        path_length=float(runs.path_length[winner]),
        mean=float(per_wiring.mean[winner]),
        runs=int(per_wiring.count[winner]),
        wiring=runs.ids[winner],
        ties=tuple(runs.ids[i] for i in tied[1:]),
    )
    baseline = float(runs.baseline.mean()) if len(runs.baseline) else None
    judged = picked_error(runs.by_seed)
    return SweetSpot(
        by=by,
        clustering=region.clustering,
        path_length=region.path_length,
        best=best_wiring if by == "wiring" else _best_bin(groups, region),
        best_wiring=best_wiring,
        reference=runs.ids[region.reference] if by == "wiring" else None,
        baseline=baseline,
        gain=None if baseline is None else baseline - best_wiring.mean,
        honest_gain=None if baseline is None or judged is None else baseline - judged,
        better_than_baseline=(
            None if baseline is None else float(np.mean(per_wiring.mean < baseline - TIE))
        ),
        reliability=split_half_reliability(runs.by_seed),
        correlation=_correlate(runs, per_wiring.mean),
        slices=_slices(runs, per_wiring.mean),
        bins=_bins(groups, region, runs.ids if by == "wiring" else None),
        wirings=len(runs.ids),
        seeds=runs.seeds,
        left_out=runs.left_out,
        outside=int(np.sum(groups.member == len(groups))),
        sparse=len(groups) - int(region.used.sum()),
        interval=_interval(bootstrap(groups, per_wiring, reference, resamples, int(seed))),
    )


def _check_arguments(
    by: str, against: Hashable, cells: int, longest: float, min_wirings: int, resamples: int
) -> None:
    if by not in _BY:
        raise InvalidValue(f"`by` must be bin or wiring; got {by!r}{nearest(str(by), _BY)}")
    if against is not None and by == "bin":
        raise InvalidValue(f"`against` needs by='wiring'; got {against!r} with by='bin'")
    if not isinstance(longest, (int, float)) or not 1 < longest < np.inf:
        raise InvalidValue(f"`longest` must be a finite number above 1; got {longest!r}")
    least = {"cells": (cells, 1), "min_wirings": (min_wirings, 1), "resamples": (resamples, 0)}
    for name, (value, low) in least.items():
        if not isinstance(value, (int, np.integer)) or value < low:
            raise InvalidValue(f"`{name}` must be a whole number of at least {low}; got {value!r}")


@dataclass(frozen=True)
class _Runs:
    """The table as arrays, in an order that depends on its content only."""

    ids: list[Hashable]  # [wirings], ascending
    clustering: np.ndarray  # float64 [wirings]
    path_length: np.ndarray  # float64 [wirings]
    log_density: np.ndarray | None  # float64 [wirings], NaN where unknown
    wiring: np.ndarray  # int [runs], position in ids
    error: np.ndarray  # float64 [runs]
    by_seed: np.ndarray  # float64 [wirings, seeds that can be compared], NaN where not run
    seeds: int
    baseline: np.ndarray  # float64 [baseline runs]
    left_out: int


def _read(table: pd.DataFrame | pa.Table | Mapping[str, Any]) -> _Runs:
    """Take the columns out of the table, check them, and sort the runs."""
    frame = _to_frame(table)
    found = _find_columns(list(frame.columns))
    clustering, path_length, error = (_numbers(frame, found[name]) for name in ("C", "L", "error"))
    if _BASELINE in frame.columns:
        dense = frame[_BASELINE].isin([True, "True", "true"]).to_numpy(dtype=bool)
    else:
        dense = (np.abs(clustering - 1) <= TIE) & (np.abs(path_length - 1) <= TIE)
    wiring, ids = _codes(frame, found["wiring"])
    seed, _ = _codes(frame, found["seed"])
    usable = np.isfinite(error) & np.isfinite(clustering) & np.isfinite(path_length)
    usable &= (wiring >= 0) & (seed >= 0) & ~dense
    baseline = np.sort(error[dense & np.isfinite(error)])
    left_out = len(error) - int(usable.sum()) - len(baseline)

    rows = np.flatnonzero(usable)
    rows = rows[np.lexsort((error[rows], seed[rows], wiring[rows]))]
    present, wiring = np.unique(wiring[rows], return_inverse=True)
    if len(present) < 3:
        raise InvalidValue(
            "`table` must hold at least 3 wirings with finite C, L and error, beside the dense "
            f"baseline; got {len(present)} (rows left out: {left_out})"
        )
    ids = [ids[i] for i in present]
    density = _log_density(frame)
    known_seeds, seed = np.unique(seed[rows], return_inverse=True)
    return _Runs(
        ids=ids,
        clustering=_one_each(clustering[rows], wiring, ids, "C"),
        path_length=_one_each(path_length[rows], wiring, ids, "L"),
        log_density=None if density is None else _means(density[rows], wiring, len(ids)),
        wiring=wiring,
        error=error[rows],
        by_seed=_by_seed(error[rows], wiring, seed, len(ids)),
        seeds=len(known_seeds),
        baseline=baseline,
        left_out=left_out,
    )


def _to_frame(table: pd.DataFrame | pa.Table | Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table
    if isinstance(table, Mapping):
        try:
            return pd.DataFrame(dict(table))
        except ValueError as error:
            raise InvalidValue(f"`table` must have columns of one length; {error}") from error
    import pyarrow as pa

    if isinstance(table, pa.Table):
        return table.to_pandas()
    raise InvalidValue(
        "`table` must be a pandas frame, a pyarrow table or a mapping of columns; "
        f"got {type(table).__name__}"
    )


def _find_columns(columns: Sequence[Hashable]) -> dict[str, str]:
    """The table's own name for each column that is needed."""
    found = {
        wanted: next((name for name in names if name in columns), "")
        for wanted, names in _COLUMNS.items()
    }
    missing = [" or ".join(_COLUMNS[wanted]) for wanted, name in found.items() if not name]
    if missing:
        hint = ""
        if not found["seed"] and "graph_seed" in columns:
            hint = " (graph_seed is the wiring's, not the training's)"
        has = ", ".join(map(str, columns)) or "none"
        raise InvalidValue(f"`table` lacks the columns {', '.join(missing)}{hint}; it has {has}")
    twice = [name for name in found.values() if list(columns).count(name) > 1]
    if twice:
        raise InvalidValue(f"`table` must have each column once; got {', '.join(twice)} twice")
    return found


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as float64 [rows], NaN where there is nothing."""
    import pandas as pd

    try:
        numbers = pd.Series(pd.to_numeric(frame[name]))
        return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"column `{name}` of `table` must hold numbers; {error}") from error


def _codes(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, list[Hashable]]:
    """Number a column's different values in ascending order: int [rows], -1 for nothing."""
    import pandas as pd

    try:
        codes, values = pd.factorize(frame[name])
    except TypeError as error:
        raise InvalidValue(f"column `{name}` of `table` must hold hashable ids; {error}") from error
    known = list(values.tolist())
    try:
        order = sorted(range(len(known)), key=known.__getitem__)
    except TypeError:
        order = sorted(range(len(known)), key=lambda i: str(known[i]))
    rank = np.full(len(known) + 1, -1)
    rank[order] = np.arange(len(known))
    return rank[codes], [known[i] for i in order]


def _log_density(frame: pd.DataFrame) -> np.ndarray | None:
    """Log of the density, or of k/n, which ranks wirings alike: float64 [rows], NaN if unknown."""
    for name in _DENSITY:
        if name in frame.columns:
            density = _numbers(frame, name)
            break
    else:
        if not {"n", "k"} <= set(frame.columns):
            return None
        degree, nodes = _numbers(frame, "k"), _numbers(frame, "n")
        density = np.divide(degree, nodes, out=np.full(len(nodes), np.nan), where=nodes > 0)
    positive = np.isfinite(density) & (density > 0)
    return np.log(density, out=np.full(len(density), np.nan), where=positive)


def _means(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    return np.bincount(group, values, groups) / np.bincount(group, minlength=groups)


def _one_each(values: np.ndarray, wiring: np.ndarray, ids: list[Hashable], name: str) -> np.ndarray:
    """The measure of each wiring, float64 [wirings]; all its rows must agree within 1e-6."""
    least, most = np.full(len(ids), np.inf), np.full(len(ids), -np.inf)
    np.minimum.at(least, wiring, values)
    np.maximum.at(most, wiring, values)
    differ = np.flatnonzero(most - least > _SAME_MEASURE)
    if len(differ):
        i = differ[0]
        raise InvalidValue(
            f"column `{name}` of `table` must be the same on all rows of a wiring; wiring "
            f"{ids[i]!r} has {least[i]:.6g} and {most[i]:.6g}"
        )
    return least


def _by_seed(error: np.ndarray, wiring: np.ndarray, seed: np.ndarray, wirings: int) -> np.ndarray:
    """Errors as float64 [wirings, seeds], NaN where not run, the mean where run twice.

    A seed that fewer than three wirings have compares nothing and is left out; of more than 32
    seeds the most shared are used, which bounds the array whatever the table.
    """
    pairs, position = np.unique(seed * wirings + wiring, return_inverse=True)
    means = _means(error, position, len(pairs))
    shared = np.bincount(pairs // wirings)
    order = np.argsort(-shared, kind="stable")[:_MOST_SEEDS]
    columns = np.sort(order[shared[order] >= 3])
    place = np.full(len(shared), -1)
    place[columns] = np.arange(len(columns))
    column = place[pairs // wirings]
    grid = np.full((wirings, len(columns)), np.nan)
    grid[(pairs % wirings)[column >= 0], column[column >= 0]] = means[column >= 0]
    return grid


def _grid(runs: _Runs, cells: int, longest: float, min_wirings: int) -> Groups:
    """Put the wirings into the cells of the plane."""
    edges_c, edges_l = np.linspace(0, 1, cells + 1), np.linspace(1, longest, cells + 1)
    c = np.digitize(runs.clustering, edges_c, right=True) - 1
    c[runs.clustering == 0] = 0
    ell = np.digitize(runs.path_length, edges_l) - 1
    ell[runs.path_length == longest] = cells - 1
    inside = (c >= 0) & (c < cells) & (ell >= 0) & (ell < cells)
    if not inside.any():
        raise InvalidValue(
            f"`longest` must let the grid, C in [0, 1], L in [1, {longest:g}], hold a wiring; "
            f"they have L from {runs.path_length.min():.4g} to {runs.path_length.max():.4g}"
        )
    used, position = np.unique((c * cells + ell)[inside], return_inverse=True)
    member = np.full(len(c), len(used))
    member[inside] = position
    return Groups(
        member=member,
        clustering=np.stack([edges_c[used // cells], edges_c[used // cells + 1]], 1),
        path_length=np.stack([edges_l[used % cells], edges_l[used % cells + 1]], 1),
        min_wirings=min_wirings,
    )


def _one_by_one(runs: _Runs) -> Groups:
    """Make each wiring its own bin."""
    return Groups(
        member=np.arange(len(runs.ids)),
        clustering=np.stack([runs.clustering] * 2, 1),
        path_length=np.stack([runs.path_length] * 2, 1),
    )


def _position(ids: list[Hashable], wanted: Hashable) -> int:
    if wanted not in ids:
        raise InvalidValue(f"`against` must be the id of a wiring in `table`; got {wanted!r}")
    return ids.index(wanted)


def _best_bin(groups: Groups, region: Region) -> Best:
    first, tied = lowest(np.where(region.used, region.moments.mean, np.nan))
    clustering, path_length = groups.centre(first)
    return Best(
        clustering=clustering,
        path_length=path_length,
        mean=float(region.moments.mean[first]),
        runs=int(region.moments.count[first]),
        ties=tuple(groups.centre(i) for i in tied[1:]),
    )


def _bins(groups: Groups, region: Region, ids: list[Hashable] | None) -> tuple[Bin, ...]:
    edges_c, edges_l = groups.clustering.tolist(), groups.path_length.tolist()
    return tuple(
        Bin(
            clustering=(edges_c[i][0], edges_c[i][1]),
            path_length=(edges_l[i][0], edges_l[i][1]),
            mean=float(region.moments.mean[i]),
            runs=int(region.moments.count[i]),
            wirings=int(region.wirings[i]),
            p_value=None if np.isnan(region.p_values[i]) else float(region.p_values[i]),
            kept=bool(region.kept[i]),
            wiring=None if ids is None else ids[i],
        )
        for i in np.flatnonzero(region.used)
    )


def _correlate(runs: _Runs, mean: np.ndarray) -> Correlation:
    density = None
    if runs.log_density is not None:
        known = np.isfinite(runs.log_density)
        density = pearson(runs.log_density[known], mean[known])
    return Correlation(
        clustering=pearson(runs.clustering, mean),
        path_length=pearson(runs.path_length, mean),
        log_density=density,
    )


def _slices(runs: _Runs, mean: np.ndarray) -> tuple[Slice, Slice]:
    """Error on L at middling C, and on C at middling L (source: the paper, section 5)."""

    def cut(x: np.ndarray, other: np.ndarray, within: Range) -> dict[str, Any]:
        chosen = (other >= within[0]) & (other <= within[1])
        points = tuple(zip(x[chosen].tolist(), mean[chosen].tolist(), strict=True))
        fit = fit_quadratic(x[chosen], mean[chosen])
        return {"within": within, "points": points, "fit": fit}

    c, ell = runs.clustering, runs.path_length
    return (
        Slice("path_length", **cut(ell, c, _SLICE_CLUSTERING)),
        Slice("clustering", **cut(c, ell, _SLICE_PATH_LENGTH)),
    )


def _interval(ends: np.ndarray) -> Interval | None:
    """The 5 % and 95 % points of the rectangle's ends, float64 [draws, 4]; None without draws."""
    if not len(ends):
        return None
    low, high = np.percentile(ends, [5, 95], axis=0).tolist()
    clustering_lo, clustering_hi, path_length_lo, path_length_hi = zip(low, high, strict=True)
    return Interval(clustering_lo, clustering_hi, path_length_lo, path_length_hi, len(ends))


def _rests_on_few(kept: list[Bin]) -> bool:
    """True if the rectangle would shrink without the bins that hold fewer than three wirings."""
    firm = [b for b in kept if b.wirings >= 3]

    def ends(bins: list[Bin]) -> set[tuple[str, float]]:
        return {
            *(("C", pick(b.clustering[0] for b in bins)) for pick in (min, max)),
            *(("L", pick(b.path_length[0] for b in bins)) for pick in (min, max)),
        }

    return not firm or ends(firm) != ends(kept)


def _span(ends: Range) -> str:
    return f"{ends[0]:.2f}-{ends[1]:.2f}"


def _gains(value: float) -> str:
    return f"gains {value:.3g}" if value >= 0 else f"loses {-value:.3g}"
