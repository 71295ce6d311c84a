"""Read any table of results into arrays, ready to be compared bin by bin."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wireloom.analysis.statistics import TIE, Groups
from wireloom.base import InvalidValue

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_COLUMNS = {
    "C": ("C",),
    "L": ("L",),
    "error": ("error", "top1_err"),
    "seed": ("seed", "train_seed"),
    "wiring": ("wiring", "graph_id"),
}
_BASELINE = "is_complete_graph_baseline"
_DENSITY = ("density", "sparsity")
_MOST_SEEDS = 32
_SAME_MEASURE = 1e-6


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

    def one_by_one(self) -> Groups:
        """Make each wiring its own bin."""
        return Groups(
            member=np.arange(len(self.ids)),
            clustering=np.stack([self.clustering] * 2, 1),
            path_length=np.stack([self.path_length] * 2, 1),
        )

    def on_grid(self, cells: int, longest: float, min_wirings: int) -> Groups:
        """Put the wirings into the cells of the plane."""
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
        used, position = np.unique((c * cells + ell)[inside], return_inverse=True)
        member = np.full(len(c), len(used))
        member[inside] = position
        return Groups(
            member=member,
            clustering=np.stack([edges_c[used // cells], edges_c[used // cells + 1]], 1),
            path_length=np.stack([edges_l[used % cells], edges_l[used % cells + 1]], 1),
            min_wirings=min_wirings,
        )


def read(table: pd.DataFrame | pa.Table | Mapping[str, Any]) -> Runs:
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
    known_seeds, seed = np.unique(seed[rows], return_inverse=True)
    return Runs(
        ids=ids,
        clustering=_one_each(clustering[rows], wiring, ids, "C"),
        path_length=_one_each(path_length[rows], wiring, ids, "L"),
        log_density=_means(_log_density(frame)[rows], wiring, len(ids)),
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
    known = values.tolist()
    try:
        order = sorted(range(len(known)), key=known.__getitem__)
    except TypeError:
        order = sorted(range(len(known)), key=lambda i: str(known[i]))
    rank = np.full(len(known) + 1, -1)
    rank[order] = np.arange(len(known))
    return rank[codes], [known[i] for i in order]


def _log_density(frame: pd.DataFrame) -> np.ndarray:
    """Log of the density, or of k/n, which ranks wirings alike: float64 [rows], NaN if unknown."""
    density = np.full(len(frame), np.nan)
    name = next((name for name in _DENSITY if name in frame.columns), None)
    if name:
        density = _numbers(frame, name)
    elif {"n", "k"} <= set(frame.columns):
        nodes = _numbers(frame, "n")
        density = np.divide(_numbers(frame, "k"), nodes, out=density, where=nodes > 0)
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
