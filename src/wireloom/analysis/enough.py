"""How few wirings and how few seeds would have told the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wireloom.analysis.statistics import (
    pearson,
    seeds_each,
    spearman_brown,
    split_correlation,
    split_half_reliability,
)
from wireloom.analysis.table import Runs, check_grid, read
from wireloom.base import InvalidValue, is_whole

if TYPE_CHECKING:
    from wireloom.analysis.columns import Table

_CELLS = 3  # fewer points have no correlation worth the name


@dataclass(frozen=True)
class WiringStep:
    """A subset of the wirings, held against the full table cell by cell."""

    wirings: int
    """Wirings of the subset that are on the grid."""
    per_cell: int | None
    """Most wirings a cell; None for a subset that was given."""
    correlation: float | None
    """Of its cell means with the full table's, its own wirings among them, which flatters it."""
    honest: float | None
    """Of its cell means with those of the other wirings of the cell; None with fewer than three
    cells that have others."""
    honest_cells: int
    """Cells that have others."""


@dataclass(frozen=True)
class FewWirings:
    """How few wirings would have told the same."""

    steps: tuple[WiringStep, ...]
    """By rising number of wirings."""
    wirings: int
    """Wirings of the full table that are on the grid."""
    cells: int
    """Cells that every subset has a wiring in: all are compared over these."""
    threshold: float
    """The honest correlation asked for."""

    @property
    def enough(self) -> int | None:
        """The fewest wirings whose honest correlation reaches the threshold; None if none does."""
        reached = (s.wirings for s in self.steps if (s.honest or -1.0) >= self.threshold)
        return next(reached, None)

    def verdict(self) -> list[str]:
        """Say it in plain sentences."""
        said = [
            f"{s.wirings} of {self.wirings} wirings give cell means that correlate with the full "
            f"table's at {_r(s.correlation)}, and at {_r(s.honest)} with the other wirings' alone."
            for s in self.steps
        ]
        if all(s.honest is None for s in self.steps):
            return ["No subset can be judged honestly: too few cells hold other wirings.", *said]
        if self.enough is None:
            return [f"No subset reaches an honest correlation of {self.threshold:g}.", *said]
        return [f"{self.enough} wirings are enough for {self.threshold:g}, judged honestly.", *said]


def few_wirings(
    table: Table,
    *,
    subsets: Iterable[Iterable[Hashable]] | None = None,
    per_cell: int | Sequence[int] = (1, 2, 4, 9, 16),
    cells: int = 15,
    longest: float = 4.5,
    threshold: float = 0.9,
) -> FewWirings:
    """Find how few wirings would have drawn the same map.

    The runs of a subset are pooled into the cells of the plane; the cells' means are correlated
    with the full table's, and with those of the wirings outside the subset. All subsets are
    compared over the cells that each of them has a wiring in. The second number is the honest
    one; near the full table it falls again, because too few others are left to judge by.

    The paper's .903 (52 of 3,942 wirings) and .974 (449) are the first number, of its own two
    subsets given together.

    Args:
        table: as ``sweet_spot`` takes it; the dense baseline takes no part.
        subsets: ids of the wirings of each subset; by default, the wirings nearest to the centre
            of their cell, as many as ``per_cell`` says, each subset part of the next.
        per_cell: wirings a cell, for each default subset or for one; those that thin nothing are
            dropped.
        cells: cells of the grid along each measure.
        longest: upper end of the grid in L.
        threshold: the honest correlation that ``.enough`` asks for.

    Raises:
        InvalidValue: for a table or argument that is wrong, an unknown id, or subsets that share
            fewer than three cells.

    Cost: O(rows log rows).

    Source: You et al. 2020, section 5.3, without the honest version.

    Example:
        >>> table = {"C": [0.1, 0.11, 0.3, 0.31, 0.5, 0.51], "L": [2.0] * 6, "seed": [0] * 6,
        ...          "error": [1.0, 2.0, 3.0, 4.0, 7.0, 8.0], "wiring": range(6)}
        >>> step = few_wirings(table, subsets=[[0, 2, 4]]).steps[0]
        >>> step.wirings, round(step.honest, 6)
        (3, 1.0)
    """
    check_grid(cells, longest)
    _check_threshold(threshold)
    runs = read(table)
    cell = runs.cell(cells, longest)
    inside = cell >= 0
    if subsets is None:
        chosen, sizes = _thinnings(runs, cell, cells, longest, per_cell)
    else:
        chosen = [_subset(runs, number, ids) & inside for number, ids in enumerate(subsets)]
        sizes = [None] * len(chosen)
        if not chosen:
            raise InvalidValue("`subsets` must hold a subset of the wirings; got none")
    runs_of = np.bincount(runs.wiring, minlength=len(cell)).astype(np.float64)
    total_of = np.bincount(runs.wiring, runs.error, len(cell))

    def means(mask: np.ndarray) -> np.ndarray:
        count = np.bincount(cell[mask], runs_of[mask], cells**2)
        total = np.bincount(cell[mask], total_of[mask], cells**2)
        return np.divide(total, count, out=np.full(cells**2, np.nan), where=count > 0)

    own = [means(mask) for mask in chosen]
    common = np.isfinite(own).all(0)
    if common.sum() < _CELLS:
        raise InvalidValue(
            f"`{'per_cell' if subsets is None else 'subsets'}` must share at least {_CELLS} cells "
            f"of the (C, L) grid; got {common.sum()}"
        )
    full, steps = means(inside), []
    for mask, mean, size in zip(chosen, own, sizes, strict=True):
        others = means(inside & ~mask)
        judged = common & np.isfinite(others)
        steps.append(
            WiringStep(
                wirings=int(mask.sum()),
                per_cell=size,
                correlation=pearson(mean[common], full[common]),
                honest=pearson(mean[judged], others[judged]),
                honest_cells=int(judged.sum()),
            )
        )
    steps.sort(key=lambda step: step.wirings)
    return FewWirings(tuple(steps), int(inside.sum()), int(common.sum()), threshold)


@dataclass(frozen=True)
class SeedStep:
    """The reliability of the wirings' means over a number of seeds."""

    seeds: int
    """Number of seeds."""
    reliability: float | None
    """Predicted from that of all seeds, 0 to 1; None if that is unknown."""
    measured: float | None
    """Mean correlation between the means over this many seeds and over as many others; None
    where the table has too few seeds for it."""


@dataclass(frozen=True)
class FewSeeds:
    """How few seeds would have told the same."""

    steps: tuple[SeedStep, ...]
    """For 1 seed, 2 seeds, up to all."""
    reliability: float | None
    """Measured, of the table as it is: that of ``sweet_spot``."""
    threshold: float
    """The reliability asked for."""
    needed: int | None
    """Fewest seeds with that reliability, beyond those of the table if need be; None if the
    reliability is unknown or 0."""

    def verdict(self) -> list[str]:
        """Say it in plain sentences."""
        if self.reliability is None:
            return ["How many seeds are needed is unknown, because the reliability is."]
        have = len(self.steps)
        if self.needed is None:
            return [f"No number of seeds will do: over {have} seeds the wirings do not differ."]
        seeds = f"{self.needed} seed{'s are' if self.needed > 1 else ' is'}"
        return [
            f"For a reliability of {self.threshold:g}, {seeds} needed; the table has {have}, which "
            f"give {self.reliability:.2f}."
        ]


def few_seeds(table: Table, *, threshold: float = 0.9) -> FewSeeds:
    """Find how few seeds a wiring would have given the same map.

    With R the split-half reliability over the S seeds that a wiring has, one seed has
    r = R / (S - (S - 1) R), and s seeds have s r / (1 + (s - 1) r) (Spearman-Brown). Beside it
    stands what is measured on disjoint sets of s seeds, which exist up to s = S / 2.

    Not for tables with one seed: nothing is known then, and every number is None.

    Args:
        table: as ``sweet_spot`` takes it; the dense baseline takes no part.
        threshold: the reliability that ``.needed`` asks for, in (0, 1).

    Raises:
        InvalidValue: for a table that is wrong, or a threshold out of range.

    Cost: O(wirings x splits of the seeds).

    Source: Spearman, Brown, British Journal of Psychology 3, 1910.

    Example:
        >>> table = {"C": [0.1, 0.2, 0.3] * 2, "L": [2.0] * 6, "seed": [0, 0, 0, 1, 1, 1],
        ...          "error": [1.0, 2.0, 4.0, 1.0, 2.0, 4.0], "wiring": [0, 1, 2] * 2}
        >>> few_seeds(table).needed
        1
    """
    _check_threshold(threshold)
    errors = read(table).by_seed
    seeds, whole = errors.shape[1], split_half_reliability(errors)
    single = None if whole is None else spearman_brown(whole, 1 / seeds_each(errors))
    steps = []
    for number in range(1, max(seeds, 1) + 1):
        found = split_correlation(errors, number) if 2 * number <= seeds else None
        steps.append(
            SeedStep(
                seeds=number,
                reliability=None if single is None else spearman_brown(single, number),
                measured=None if found is None else found[0],
            )
        )
    needed = None
    if single:
        odds = threshold * (1 - single) / (single * (1 - threshold))
        needed = max(1, int(np.ceil(odds - 1e-9)))
    return FewSeeds(tuple(steps), whole, threshold, needed)


def _check_threshold(threshold: float) -> None:
    if not isinstance(threshold, (int, float)) or not 0 < threshold < 1:
        raise InvalidValue(f"`threshold` must be a number between 0 and 1; got {threshold!r}")


def _subset(runs: Runs, number: int, ids: Iterable[Hashable]) -> np.ndarray:
    """Which wirings a given subset holds: bool [wirings]."""
    place = {wiring: i for i, wiring in enumerate(runs.ids)}
    mask = np.zeros(len(runs.ids), bool)
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise InvalidValue(f"`subsets` must hold lists of ids; got {ids!r} for subset {number}")
    for wiring in ids:
        if not isinstance(wiring, Hashable) or wiring not in place:
            raise InvalidValue(
                f"`subsets` must hold ids of wirings in `table`; got {wiring!r} in subset {number}"
            )
        mask[place[wiring]] = True
    return mask


def _thinnings(
    runs: Runs, cell: np.ndarray, cells: int, longest: float, per_cell: int | Sequence[int]
) -> tuple[list[np.ndarray], list[int | None]]:
    """The wirings nearest to their cell's centre, for each of ``per_cell``: bool [wirings]."""
    given = list(per_cell) if isinstance(per_cell, Iterable) else [per_cell]
    if not given or not all(is_whole(size) and size >= 1 for size in given):
        raise InvalidValue(f"`per_cell` must hold whole numbers of at least 1; got {per_cell!r}")
    across = runs.clustering * cells - (cell // cells + 0.5)
    up = (runs.path_length - 1) / (longest - 1) * cells - (cell % cells + 0.5)
    order = np.lexsort((across**2 + up**2, cell))
    start = np.searchsorted(cell[order], cell[order])
    rank = np.empty(len(cell), np.int64)
    rank[order] = np.arange(len(cell)) - start
    inside = cell >= 0
    sizes = sorted({int(size) for size in given})
    thinning = [size for size in sizes if size <= rank[inside].max()] or sizes[:1]
    return [inside & (rank < size) for size in thinning], list(thinning)


def _r(correlation: float | None) -> str:
    return "an unknown value" if correlation is None else f"{correlation:.3f}"
