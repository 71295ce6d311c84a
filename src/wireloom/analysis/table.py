"""Read any table of results into arrays, ready to be compared bin by bin."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wireloom.analysis.columns import (
    BASELINE,
    Settings,
    codes,
    errors,
    find,
    flags,
    log_density,
    numbers,
    to_frame,
)
from wireloom.analysis.statistics import Groups
from wireloom.base import InvalidValue, is_whole

if TYPE_CHECKING:
    import pandas as pd

    from wireloom.analysis.columns import Table

_MOST_SEEDS = 32
_MOST_CELLS = 1000  # along each measure; arrays hold all of them
_SAME_MEASURE = 1e-6
_ROUNDING = 1e-9  # in C, L and density


@dataclass(frozen=True)
class Runs:
    """The table as arrays, in an order that depends on its content only."""

    ids: list[Hashable]  # [wirings], ascending
    clustering: np.ndarray  # float64 [wirings]
    path_length: np.ndarray  # float64 [wirings]
    log_density: np.ndarray  # float64 [wirings], NaN where unknown
    wiring: np.ndarray  # int [runs], position in ids
    error: np.ndarray  # float64 [runs]
    by_seed: np.ndarray  # float64 [wirings, seeds that can be compared], NaN where not run
    seeds: int
    baseline: np.ndarray  # float64 [baseline runs]
    left_out: int
    left_out_of: tuple[tuple[Hashable, int], ...] = ()  # rows left out by wiring, None for no id
    lost: tuple[Hashable, ...] = ()  # wirings with no row left, the baseline not among them
    epoch: float | None = None  # the epoch read, the last; None unless the table holds curves
    merged: int = 0  # rows beyond the first of a wiring and seed: a run is the mean of its rows

    def cell(self, cells: int, longest: float) -> np.ndarray:
        """Cell of the plane that each wiring falls in: C's number times ``cells`` plus L's.

        Returns:
            int [wirings]; -1 off the grid.
        """
        edges_c, edges_l = np.linspace(0, 1, cells + 1), np.linspace(1, longest, cells + 1)
        c = np.digitize(self.clustering, edges_c, right=True) - 1
        c[self.clustering == 0] = 0
        ell = np.digitize(self.path_length, edges_l) - 1
        ell[self.path_length == longest] = cells - 1
        inside = (c >= 0) & (c < cells) & (ell >= 0) & (ell < cells)
        if not inside.any():
            raise InvalidValue(
                f"`longest` must let the grid, C in [0, 1], L in [1, {longest:g}], hold a wiring; "
                f"they have L from {self.path_length.min():.4g} to {self.path_length.max():.4g}"
            )
        return np.where(inside, c * cells + ell, -1)

    def one_by_one(self) -> Groups:
        """Make each wiring its own bin."""
        return Groups(
            member=np.arange(len(self.ids)),
            clustering=np.stack([self.clustering] * 2, 1),
            path_length=np.stack([self.path_length] * 2, 1),
        )

    def on_grid(self, cells: int, longest: float, min_wirings: int) -> Groups:
        """Put the wirings into the cells of the plane."""
        cell = self.cell(cells, longest)
        edges_c, edges_l = np.linspace(0, 1, cells + 1), np.linspace(1, longest, cells + 1)
        used, position = np.unique(cell[cell >= 0], return_inverse=True)
        member = np.full(len(cell), len(used))
        member[cell >= 0] = position
        return Groups(
            member=member,
            clustering=np.stack([edges_c[used // cells], edges_c[used // cells + 1]], 1),
            path_length=np.stack([edges_l[used % cells], edges_l[used % cells + 1]], 1),
            min_wirings=min_wirings,
        )


def read(table: Table, *, least: int = 3) -> Runs:
    """Take the columns out of the table, check them, and sort the runs.

    Rows of one wiring and seed are averaged into one run.

    Where C, L or the wiring's id is lacking, the WS-flex wirings that n (or nodes), k, p and
    graph_seed name are drawn, once each, and give what is lacking. Of learning curves the last
    epoch alone is read: a run that ends before it counts as a row left out.

    Raises:
        InvalidValue: for a missing column, one of the wrong kind, a setting that no wiring has,
            a wiring with two values of C, L or density, one of them out of range, or fewer than
            ``least`` wirings.

    Cost: O(rows log rows), and about 20 microseconds for each wiring that is drawn.
    """
    frame = to_frame(table)
    found = find(list(frame.columns), ("C", "L", "error", "seed", "wiring"))
    settings = None if all(found.values()) else Settings.of(frame)
    wiring, ids = wirings_of(frame, found, settings)
    seed, _ = codes(frame, found["seed"])
    here, epoch, short = _last_epoch(frame, wiring, seed)
    clustering, path_length, density = _places(frame, found, settings)
    error = errors(frame, found["error"])

    def check(name: str, rule: str, values: np.ndarray, low: float, high: float) -> None:
        wrong = np.flatnonzero(np.isfinite(values) & ~((values >= low) & (values <= high)))
        if len(wrong):
            i = wrong[0]
            whose = f" for wiring {ids[wiring[i]]!r}" if wiring[i] >= 0 else ""
            raise InvalidValue(
                f"column `{name}` of `table` must be {rule}; got {values[i]:.10g}{whose}"
            )

    check(found["C"] or "C", "in [0, 1]", clustering, -_ROUNDING, 1 + _ROUNDING)
    check(found["L"] or "L", "1 or more", path_length, 1 - _ROUNDING, np.inf)
    if "density" in frame.columns:
        given = numbers(frame, "density")
        check("density", "above 0 and at most 1", given, np.nextafter(0, 1), 1 + _ROUNDING)
        whose = (wiring >= 0) & np.isfinite(given)
        _one_each(given[whose], wiring[whose], ids, "density")
    dense = is_dense(frame, clustering, path_length)
    usable = np.isfinite(error) & np.isfinite(clustering) & np.isfinite(path_length)
    usable &= (wiring >= 0) & (seed >= 0) & ~dense & here
    judging = dense & np.isfinite(error) & here
    gone = np.append(wiring[here & ~usable & ~judging], short)
    named, counts = np.unique(gone, return_counts=True)

    rows = np.flatnonzero(usable)
    rows = rows[np.lexsort((error[rows], seed[rows], wiring[rows]))]
    present, position = np.unique(wiring[rows], return_inverse=True)
    if len(present) < least:
        at = "" if epoch is None else f" at the last epoch, {epoch:g}"
        raise InvalidValue(
            f"`table` must hold at least {least} wirings with finite C, L and error{at}, beside "
            f"the dense baseline; got {len(present)} (rows left out: {len(gone)})"
        )
    kept = [ids[i] for i in present]
    c, ell = (
        _one_each(values[rows], position, kept, name)
        for name, values in (("C", clustering), ("L", path_length))
    )
    judges = np.flatnonzero(judging)
    judges = judges[np.lexsort((error[judges], seed[judges], wiring[judges]))]
    _, baseline = _runs(error[judges], wiring[judges], seed[judges])
    log_d = _means(density[rows], position, len(kept))
    first, run_error = _runs(error[rows], position, seed[rows])
    position, (known_seeds, seed) = (
        position[first],
        np.unique(seed[rows[first]], return_inverse=True),
    )
    return Runs(
        ids=kept,
        clustering=c,
        path_length=ell,
        log_density=log_d,
        wiring=position,
        error=run_error,
        by_seed=_by_seed(run_error, position, seed, len(kept)),
        seeds=len(known_seeds),
        baseline=np.sort(baseline),
        left_out=len(gone),
        left_out_of=tuple(
            (ids[i] if i >= 0 else None, int(count))
            for i, count in sorted(zip(named, counts, strict=True), key=lambda pair: pair[0] < 0)
        ),
        lost=tuple(
            ids[i] for i in np.setdiff1d(named[named >= 0], np.append(present, wiring[dense]))
        ),
        epoch=epoch,
        merged=len(rows) - len(first) + len(judges) - len(baseline),
    )


def check_grid(cells: int, longest: float) -> None:
    """Raise unless the plane can be cut into ``cells`` x ``cells`` cells up to L = ``longest``."""
    if not isinstance(longest, (int, float)) or not 1 < longest < np.inf:
        raise InvalidValue(f"`longest` must be a finite number above 1; got {longest!r}")
    if not is_whole(cells) or not 1 <= cells <= _MOST_CELLS:
        raise InvalidValue(
            f"`cells` must be a whole number of at least 1 and at most {_MOST_CELLS}; got {cells!r}"
        )


def wirings_of(
    frame: pd.DataFrame, found: dict[str, str], settings: Settings | None
) -> tuple[np.ndarray, list[Hashable]]:
    """Number the wirings of the rows, by their id or else by their setting: int [rows], ids."""
    if found["wiring"]:
        return codes(frame, found["wiring"])
    assert settings is not None
    return settings.row, settings.ids()


def is_dense(frame: pd.DataFrame, clustering: np.ndarray, path_length: np.ndarray) -> np.ndarray:
    """Which rows are of the dense baseline: bool [rows]."""
    if BASELINE in frame.columns:
        return flags(frame, BASELINE)
    return (np.abs(clustering - 1) <= _ROUNDING) & (np.abs(path_length - 1) <= _ROUNDING)


def _places(
    frame: pd.DataFrame, found: dict[str, str], settings: Settings | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """C, L and log density of each row, float64 [rows]: given, or of the wirings drawn."""
    density = log_density(frame)
    if settings is None or (found["C"] and found["L"]):
        return numbers(frame, found["C"]), numbers(frame, found["L"]), density
    clustering, path_length, exact = settings.measured()
    if found["C"]:
        clustering = numbers(frame, found["C"])
    if found["L"]:
        path_length = numbers(frame, found["L"])
    return clustering, path_length, density if "density" in frame.columns else exact


def _last_epoch(
    frame: pd.DataFrame, wiring: np.ndarray, seed: np.ndarray
) -> tuple[np.ndarray, float | None, np.ndarray]:
    """Find which rows to read: all, or of learning curves those of the last epoch.

    Curves are told by a wiring and seed that have two epochs.

    Returns:
        The rows, bool [rows]; the last epoch, or None if there are no curves; and the wiring of
        each run that has no row there, int [runs].
    """
    everything = np.ones(len(frame), bool), None, np.empty(0, np.int64)
    if "epoch" not in frame.columns:
        return everything
    epoch = numbers(frame, "epoch")
    known = np.isfinite(epoch) & (wiring >= 0) & (seed >= 0)
    many = int(seed.max(initial=0)) + 1
    run = np.where(known, wiring * many + seed, -1)
    epochs, of_run = (
        np.unique(np.stack([run[known], epoch[known]], 1), axis=0),
        np.unique(run[known]),
    )
    if len(epochs) == len(of_run):
        return everything
    last = float(epoch[known].max())
    here = epoch == last
    return here, last, np.setdiff1d(of_run, run[here & known]) // many


def _runs(error: np.ndarray, wiring: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the rows of each wiring and known seed, which stand together.

    Returns:
        The first row of each run, int [runs], and its mean error, float64 [runs].
    """
    new = np.ones(len(error), bool)
    new[1:] = (np.diff(wiring) != 0) | (np.diff(seed) != 0) | (seed[1:] < 0)
    first = np.flatnonzero(new)
    return first, _means(error, np.cumsum(new) - 1, len(first))


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
    """Errors as float64 [wirings, seeds], NaN where not run.

    A seed that fewer than three wirings have compares nothing and is left out; of more than 32
    seeds the most shared are used, which bounds the array whatever the table.
    """
    pairs, order = np.unique(seed * wirings + wiring, return_index=True)
    means = error[order]
    shared = np.bincount(pairs // wirings)
    order = np.argsort(-shared, kind="stable")[:_MOST_SEEDS]
    columns = np.sort(order[shared[order] >= 3])
    place = np.full(len(shared), -1)
    place[columns] = np.arange(len(columns))
    column = place[pairs // wirings]
    grid = np.full((wirings, len(columns)), np.nan)
    grid[(pairs % wirings)[column >= 0], column[column >= 0]] = means[column >= 0]
    return grid
