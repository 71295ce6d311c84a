"""Where studies agree: correlations between their maps, and the region that they have in common."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wireloom.analysis.parts import Range
from wireloom.analysis.spot import SweetSpot
from wireloom.analysis.statistics import pearson, split_half_reliability
from wireloom.analysis.table import Runs, check_grid, read
from wireloom.base import InvalidValue

if TYPE_CHECKING:
    from wireloom.analysis.columns import Table

Matrix = tuple[tuple[float | None, ...], ...]

_CELLS = 3


@dataclass(frozen=True)
class Agreement:
    """Correlations between the maps of studies, all over the same cells of the plane.

    A matrix has a row and a column for each study, in the order of ``names``; None where a
    correlation has no meaning.
    """

    names: tuple[str, ...]
    """The studies."""
    cells: int
    """Cells that every study has a wiring in."""
    baseline: bool
    """True if the complete graph is one more cell; False if a study has no runs of it."""
    correlation: Matrix
    """Over the common cells and the complete graph's."""
    without_baseline: Matrix
    """Over the common cells alone."""
    reliability: tuple[float | None, ...]
    """How well each study's means of the common cells would repeat with new seeds, 0 to 1."""
    disattenuated: Matrix
    """``without_baseline`` over the root of both reliabilities: what it would be with seeds
    without number. It may pass 1 by luck, and is unsteady where a reliability is below about 0.3;
    None where one is unknown or 0."""

    def between(self, one: str, other: str) -> float | None:
        """The correlation of two studies."""
        for name in (one, other):
            if name not in self.names:
                raise InvalidValue(f"`{name}` must be one of {', '.join(self.names)}")
        return self.correlation[self.names.index(one)][self.names.index(other)]

    def verdict(self) -> list[str]:
        """Say it in plain sentences."""
        what = f"{self.cells} common cells" + (" and the complete graph's" if self.baseline else "")
        said = [f"Compared over {what}."]
        if not self.baseline:
            said.append("A study has no runs of the complete graph, so it is no cell of its own.")
        for i, j in itertools.combinations(range(len(self.names)), 2):
            r, plain, true = (
                m[i][j] for m in (self.correlation, self.without_baseline, self.disattenuated)
            )
            if r is None or plain is None:
                said.append(f"{self.names[i]} and {self.names[j]}: no correlation to speak of.")
                continue
            more = f"; {plain:.2f} without the complete graph" if self.baseline else ""
            if true is not None:
                limit = f"{true:.2f}" if abs(true) < 1 else "at the limit of what seed noise allows"
                more += f"; {'that ' if self.baseline else ''}freed of seed noise, {limit}"
            said.append(f"{self.names[i]} and {self.names[j]} correlate at {r:.2f}{more}.")
        return said


def correlate(tables: Mapping[str, Table], *, cells: int = 15, longest: float = 4.5) -> Agreement:
    """Correlate the maps of studies: do wirings that do well in one do well in another?

    Each study's runs are pooled into the cells of the plane; the means of the cells that all of
    them have, and of the complete graph as one more cell, are correlated (Pearson). The complete
    graph is an end of the plane and tends to raise the correlation, so the version without it
    stands beside; and the seeds' noise lowers it, so the version freed of that does too. Two
    studies whose wirings differ within a cell differ for that reason as well.

    Not for the agreement of single wirings: a cell's mean hides how its wirings differ.

    Args:
        tables: two studies or more, each as ``sweet_spot`` takes it. Ids need not match.
        cells: cells of the grid along each measure.
        longest: upper end of the grid in L.

    Raises:
        InvalidValue: for fewer than two studies, fewer than three common cells, or a table or
            argument that is wrong.

    Cost: O(rows log rows).

    Source: You et al. 2020, section 5.2, whose figures are ``correlation``; the correction for
    noise is Spearman's, American Journal of Psychology 15, 1904.

    Example:
        >>> table = {"C": [0.1, 0.3, 0.5], "L": [2.0, 2.5, 3.0], "seed": [0] * 3,
        ...          "error": [1.0, 2.0, 4.0], "wiring": range(3)}
        >>> correlate({"a": table, "b": table | {"error": [8.0, 4.0, 0.0]}}).cells
        3
    """
    check_grid(cells, longest)
    if not isinstance(tables, Mapping) or len(tables) < 2:
        got = len(tables) if isinstance(tables, Mapping) else type(tables).__name__
        raise InvalidValue(f"`tables` must be a mapping of at least 2 named tables; got {got}")
    studies = []
    for name, table in tables.items():
        try:
            runs = read(table)
            studies.append((runs, runs.cell(cells, longest)))
        except InvalidValue as error:
            raise InvalidValue(f"study {name!r}: {error}") from error
    held = [set(cell[cell >= 0].tolist()) for _, cell in studies]
    common = np.array(sorted(set.intersection(*held)), np.int64)
    if len(common) < _CELLS:
        each = ", ".join(f"{name} {len(has)}" for name, has in zip(tables, held, strict=True))
        raise InvalidValue(
            f"`tables` must share at least {_CELLS} cells of the (C, L) grid; got {len(common)} "
            f"(cells of each: {each})"
        )
    means = np.array([_cell_means(runs, cell, common) for runs, cell in studies])
    baseline = all(len(runs.baseline) for runs, _ in studies)
    points = means
    if baseline:
        points = np.column_stack([means, [runs.baseline.mean() for runs, _ in studies]])
    plain = _matrix(means)
    reliability = tuple(
        split_half_reliability(_cells_by_seed(runs.by_seed, cell, common)) for runs, cell in studies
    )
    return Agreement(
        names=tuple(map(str, tables)),
        cells=len(common),
        baseline=baseline,
        correlation=_matrix(points),
        without_baseline=plain,
        reliability=reliability,
        disattenuated=freed(plain, reliability),
    )


@dataclass(frozen=True)
class ConsistentRegion:
    """The region of the (C, L) plane that lies in every sweet spot."""

    names: tuple[str, ...]
    """The studies."""
    clustering: Range | None
    """C, (lo, hi); None if two sweet spots lie apart in C."""
    path_length: Range | None
    """L, (lo, hi); None if two sweet spots lie apart in L."""
    noise: tuple[str, ...]
    """Studies whose map is not known to be more than noise: their rectangles may mean nothing."""
    apart: tuple[str, ...]
    """For each measure in which two sweet spots lie apart, a sentence that names them."""

    @property
    def is_empty(self) -> bool:
        """True if no point of the plane lies in every sweet spot."""
        return self.clustering is None or self.path_length is None

    def verdict(self) -> list[str]:
        """Say it in plain sentences."""
        if self.clustering is None or self.path_length is None:
            said = ["No region is common to all sweet spots.", *self.apart]
        else:
            (c_lo, c_hi), (l_lo, l_hi) = self.clustering, self.path_length
            count = len(self.names)
            who = f"All {count} sweet spots have" if count > 2 else "Both sweet spots have"
            who = "The sweet spot has" if count == 1 else who
            common = "" if count == 1 else " in common"
            said = [
                f"{who} clustering C {c_lo:.2f}-{c_hi:.2f} and "
                f"path length L {l_lo:.2f}-{l_hi:.2f}{common}."
            ]
        if self.noise:
            said.append(
                f"Not known to be more than noise, so that its rectangle may mean nothing: "
                f"{', '.join(self.noise)}."
            )
        return said


def consistent_region(spots: Sequence[SweetSpot] | Mapping[str, SweetSpot]) -> ConsistentRegion:
    """Find the region that lies in every sweet spot: the intersection of their rectangles.

    Args:
        spots: sweet spots, of bins or of wirings; a mapping names their studies, else they are
            numbered from 1.

    Raises:
        InvalidValue: for no sweet spot, or something else among them.

    Cost: O(spots).

    Source: You et al. 2020, section 5.2; its text says union, its numbers are an intersection.

    Example:
        >>> from wireloom.analysis import sweet_spot
        >>> table = {"C": [0.1, 0.3, 0.5], "L": [2.0, 2.5, 3.0], "seed": [0] * 3,
        ...          "error": [1.0, 2.0, 4.0], "wiring": range(3)}
        >>> consistent_region([sweet_spot(table, by="wiring")]).clustering
        (0.1, 0.5)
    """
    named = (
        {str(name): spot for name, spot in spots.items()}
        if isinstance(spots, Mapping)
        else {f"sweet spot {i}": spot for i, spot in enumerate(spots, 1)}
    )
    if not named:
        raise InvalidValue("`spots` must hold at least one sweet spot; got none")
    for name, spot in named.items():
        if not isinstance(spot, SweetSpot):
            raise InvalidValue(
                f"`spots` must hold sweet spots only; got {type(spot).__name__} for {name}"
            )
    clustering, c_apart = _overlap("C", {name: s.clustering for name, s in named.items()})
    path_length, l_apart = _overlap("L", {name: s.path_length for name, s in named.items()})
    return ConsistentRegion(
        names=tuple(named),
        clustering=clustering,
        path_length=path_length,
        noise=tuple(name for name, s in named.items() if s.is_noise),
        apart=(*c_apart, *l_apart),
    )


def _overlap(measure: str, ranges: dict[str, Range]) -> tuple[Range | None, list[str]]:
    """What ranges have in common; None, and which two lie furthest apart, if nothing."""
    last = max(ranges, key=lambda name: ranges[name][0])
    first = min(ranges, key=lambda name: ranges[name][1])
    low, high = ranges[last][0], ranges[first][1]
    if low <= high:
        return (low, high), []
    return None, [
        f"In {measure}, that of {first} ends at {high:.4g}, below the start of that of {last}, "
        f"{low:.4g}."
    ]


def _cell_means(runs: Runs, cell: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Mean error over the runs in each of the ``common`` cells: float64 [common]."""
    of_run = cell[runs.wiring]
    inside = np.isin(of_run, common)
    position = np.searchsorted(common, of_run[inside])
    return np.bincount(position, runs.error[inside], len(common)) / np.bincount(position)


def _cells_by_seed(by_seed: np.ndarray, cell: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Mean error of each cell's wirings by seed, NaN where not run: float64 [common, seeds]."""
    inside = np.isin(cell, common)
    member, errors = np.searchsorted(common, cell[inside]), by_seed[inside]
    count, total = np.zeros((2, len(common), by_seed.shape[1]))
    np.add.at(count, member, np.isfinite(errors))
    np.add.at(total, member, np.nan_to_num(errors))
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _matrix(points: np.ndarray) -> Matrix:
    """Correlations of the rows of ``points`` [studies, cells]."""
    return tuple(tuple(pearson(one, other) for other in points) for one in points)


def freed(plain: Matrix, reliability: tuple[float | None, ...]) -> Matrix:
    """Correlations over the root of both reliabilities; None where one is unknown or 0."""

    def entry(i: int, j: int) -> float | None:
        r, one, other = plain[i][j], reliability[i], reliability[j]
        if i == j or r is None:
            return r
        return r / (one * other) ** 0.5 if one and other else None

    each = range(len(plain))
    return tuple(tuple(entry(i, j) for j in each) for i in each)
