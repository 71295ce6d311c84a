"""How few epochs would have told the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wireloom.analysis.columns import (
    BASELINE,
    Settings,
    codes,
    errors,
    find,
    numbers,
    place_columns,
    to_frame,
)
from wireloom.analysis.statistics import pearson, splits
from wireloom.analysis.table import is_dense, wirings_of
from wireloom.base import InvalidValue

if TYPE_CHECKING:
    import pandas as pd

    from wireloom.analysis.columns import Table

_MOST_SEEDS = 32
_SAMPLED_SPLITS = 20


@dataclass(frozen=True)
class EpochStep:
    """How an epoch's errors go with the last epoch's."""

    epoch: float
    """The epoch."""
    correlation: float | None
    """Of the wirings' means at this epoch with those at the last one, over the same runs."""
    honest: float | None
    """Of the means over half of the seeds at this epoch with those over as many others at the
    last one, which is what it tells of new runs; None with one seed."""


@dataclass(frozen=True)
class FewEpochs:
    """How few epochs would have told the same."""

    steps: tuple[EpochStep, ...] = field(repr=False)
    """For each epoch from the first to the last."""
    last: float
    """The last epoch."""
    ceiling: float | None
    """The last epoch's own honest correlation: no epoch can be asked for more."""
    threshold: float
    """The correlation asked for."""
    reached: float | None
    """First epoch at which the correlation is at the threshold or above."""
    enough: float | None
    """First epoch from which the correlation stays at the threshold or above; None if errors do
    not differ."""
    honest_enough: float | None
    """First epoch from which the honest correlation stays at threshold x ceiling or above; None
    without a ceiling above 0."""
    wirings: int
    """Wirings with a run that reaches the last epoch."""
    runs: int
    """Such runs."""
    left_out: int
    """Runs that do not reach the last epoch, or have no finite error there."""

    def at(self, epoch: float) -> EpochStep:
        """The step of one epoch."""
        for step in self.steps:
            if step.epoch == epoch:
                return step
        known = f"{self.steps[0].epoch:g} to {self.last:g}"
        raise InvalidValue(f"`epoch` must be one of those in the curves, {known}; got {epoch!r}")

    def verdict(self) -> list[str]:
        """Say it in plain sentences."""
        if self.enough is None:
            return ["The errors of the last epoch do not differ, so no epoch foretells them."]
        said = [
            f"From epoch {self.enough:g} of {self.last:g} on, the wirings' mean errors correlate "
            f"with the last ones at {self.threshold:g} or more."
        ]
        if self.reached is not None and self.reached < self.enough:
            said.append(f"They first do so at epoch {self.reached:g}, but fall below it again.")
        if self.ceiling is None:
            said.append(
                "Without two seeds that wirings share it is unknown how much of this is the runs' "
                "own luck."
            )
        elif self.honest_enough is not None:
            said.append(
                f"Judged by other seeds, an epoch gives {self.threshold:.0%} of what the last one "
                f"gives ({self.ceiling:.3f}) from epoch {self.honest_enough:g} on."
            )
        if self.left_out:
            said.append(f"Runs left out, because they do not reach the end: {self.left_out}.")
        return said


def few_epochs(
    curves: Table, *, threshold: float = 0.9, first: float = 1, baseline: bool = True
) -> FewEpochs:
    """Find how few epochs of training would have told the same of the wirings.

    Each epoch's mean errors by wiring are correlated with the last epoch's. The same runs stand
    on both sides, which share their luck; the honest version takes half of the seeds at the
    epoch and as many others at the last one (all such splits up to 8 seeds, 20 fixed ones
    beyond), and stands beside its ceiling, the last epoch held against itself in this way.

    An epoch that foretells well on one architecture need not on another.

    Args:
        curves: columns epoch; error (or top1_err, test_error); seed (or train_seed); wiring (or
            graph_id), or n, k, p and graph_seed in its place. Rows of one wiring, seed and epoch
            are averaged.
        threshold: the correlation that ``.enough`` asks for, in (0, 1).
        first: epochs below this are left out; epoch 0, before training, may hold anything.
        baseline: whether the dense baseline counts as one more wiring, as in the paper; False
            takes out the rows that ``is_complete_graph_baseline``, or C = L = 1, marks.

    Raises:
        InvalidValue: for a missing column, one of the wrong kind, fewer than three wirings with a
            finite error at the last epoch, fewer than two epochs, or baseline rows that cannot be
            told.

    Cost: O(rows x splits of the seeds).

    Source: You et al. 2020, section 5.3, without the honest version.

    Example:
        >>> curves = {"epoch": [1, 2] * 3, "seed": [0] * 6, "wiring": [0, 0, 1, 1, 2, 2],
        ...           "error": [9.0, 1.0, 8.0, 2.0, 7.0, 3.0]}
        >>> few_epochs(curves).at(1).correlation
        -1.0
    """
    if not isinstance(threshold, (int, float)) or not 0 < threshold < 1:
        raise InvalidValue(f"`threshold` must be a number between 0 and 1; got {threshold!r}")
    if not isinstance(first, (int, float)) or np.isnan(first):
        raise InvalidValue(f"`first` must be a number; got {first!r}")
    try:
        epochs, wiring, seed, error, left_out = _cube(curves, first, baseline)
    except InvalidValue as wrong:
        raise InvalidValue(str(wrong).replace("`table`", "`curves`")) from wrong
    wirings = int(wiring.max()) + 1
    have = np.isfinite(error)
    filled = np.where(have, error, 0.0)
    starts = np.searchsorted(wiring, np.arange(wirings))

    def means(runs: np.ndarray) -> np.ndarray:
        """Means by wiring over some of the runs, NaN where there is none: [wirings, epochs]."""
        count = np.add.reduceat(have & runs[:, None], starts, axis=0, dtype=np.float64)
        total = np.add.reduceat(filled * runs[:, None], starts, axis=0)
        return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)

    every = means(np.ones(len(wiring), bool))
    raw = _against(every, every[:, -1])
    shares = np.bincount(seed)
    common = np.sort(np.argsort(-shares, kind="stable")[:_MOST_SEEDS])
    common = common[shares[common] >= 3]
    honest = []
    for sides in splits(len(common), len(common) // 2, _SAMPLED_SPLITS) if len(common) > 1 else []:
        one, other = (means(np.isin(seed, common[side])) for side in sides)
        honest += [_against(one, other[:, -1]), _against(other, one[:, -1])]
    told = _column_means(honest, len(epochs))
    steps = tuple(
        EpochStep(float(epoch), _known(r), _known(h))
        for epoch, r, h in zip(epochs, raw, told, strict=True)
    )
    ceiling = steps[-1].honest
    return FewEpochs(
        steps=steps,
        last=float(epochs[-1]),
        ceiling=ceiling,
        threshold=threshold,
        reached=next(iter(epochs[raw >= threshold].tolist()), None),
        enough=_stays(epochs, raw, threshold),
        honest_enough=_stays(epochs, told, threshold * ceiling)
        if ceiling and ceiling > 0
        else None,
        wirings=wirings,
        runs=len(wiring),
        left_out=left_out,
    )


def _cube(
    curves: Table, first: float, baseline: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Read the curves of the runs that reach the last epoch, ordered by wiring and seed.

    Returns:
        The epochs, float64 [epochs]; each run's wiring and seed, int [runs]; its errors, float64
        [runs, epochs], NaN where missing; and the number of runs left out.
    """
    frame = to_frame(curves)
    found = find(list(frame.columns), ("error", "seed", "wiring", "epoch"))
    settings = None if found["wiring"] else Settings.of(frame)
    wiring, _ = wirings_of(frame, found, settings)
    seed, _ = codes(frame, found["seed"])
    epoch, error = numbers(frame, found["epoch"]), errors(frame, found["error"])
    use = (wiring >= 0) & (seed >= 0) & np.isfinite(epoch) & (epoch >= first)
    if not baseline:
        use &= ~_dense(frame)
    wiring, seed, epoch, error = wiring[use], seed[use], epoch[use], error[use]
    epochs, column = np.unique(epoch, return_inverse=True)
    if len(epochs) < 2:
        raise InvalidValue(
            f"`curves` must hold at least 2 epochs from `first` = {first:g} on; got {len(epochs)}"
        )
    many = int(seed.max()) + 1
    run, row = np.unique(wiring * many + seed, return_inverse=True)
    finite = np.isfinite(error)
    place = (row * len(epochs) + column)[finite]
    count = np.bincount(place, minlength=len(run) * len(epochs))
    total = np.bincount(place, error[finite], len(count))
    grid = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    grid = grid.reshape(len(run), len(epochs))
    ends = np.isfinite(grid[:, -1])
    present, wiring = np.unique(run[ends] // many, return_inverse=True)
    if len(present) < 3:
        raise InvalidValue(
            "`curves` must hold at least 3 wirings with a finite error at the last epoch, "
            f"{epochs[-1]:g}; got {len(present)}"
        )
    return epochs, wiring, run[ends] % many, grid[ends], int((~ends).sum())


def _dense(frame: pd.DataFrame) -> np.ndarray:
    places = [numbers(frame, name) for name in place_columns(frame) if name]
    if len(places) == 2:
        return is_dense(frame, places[0], places[1])
    if BASELINE not in frame.columns:
        raise InvalidValue(
            f"`baseline` must be True where neither {BASELINE} nor C and L tell it; got False"
        )
    nowhere = np.full(len(frame), np.nan)
    return is_dense(frame, nowhere, nowhere)


def _against(errors: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Correlate each column of ``errors`` [wirings, epochs] with ``last``: [epochs], or NaN."""
    both = np.isfinite(errors) & np.isfinite(last)[:, None]
    found = [pearson(e[here], last[here]) for e, here in zip(errors.T, both.T, strict=True)]
    return np.array([np.nan if r is None else r for r in found])


def _column_means(rows: list[np.ndarray], columns: int) -> np.ndarray:
    """Means of the finite numbers in each column, NaN where there is none: [columns]."""
    table = np.array(rows).reshape(-1, columns)
    count = np.isfinite(table).sum(0)
    total = np.nansum(table, axis=0)
    return np.divide(total, count, out=np.full(columns, np.nan), where=count > 0)


def _stays(epochs: np.ndarray, values: np.ndarray, threshold: float) -> float | None:
    """First epoch from which all values are at the threshold or above (1e-12 below it counts)."""
    below = np.flatnonzero(~(values >= threshold - 1e-12))
    after = 0 if not len(below) else int(below[-1]) + 1
    return float(epochs[after]) if after < len(epochs) else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
