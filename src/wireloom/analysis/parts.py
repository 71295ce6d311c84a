"""The parts of a sweet spot: bins, the best, slices, correlations, intervals."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

from wireloom.analysis.statistics import Quadratic

Range = tuple[float, float]
Measure = Literal["clustering", "path_length"]


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
    p_corrected: float | None
    """The same corrected for the number of bins tested, by Holm, or as ``correction="fdr"`` says;
    None too for the reference."""
    kept: bool
    """True if the sweet spot covers it: not worse at p < 0.05, by ``correction``."""
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
    """Others whose mean ties: ids of wirings, or (C, L) centres of bins."""


@dataclass(frozen=True)
class Slice:
    """Mean errors of the wirings in a band of the plane, and a parabola through them."""

    along: Measure
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
    """With log density, (2m + n) / n^2; from k as (k + 1) / n, or, where a table has ``sparsity``
    alone, with its log. None too if the table has nothing of the kind."""


@dataclass(frozen=True)
class Interval:
    """Where the rectangle's ends fall when the wirings are drawn again: 5% and 95%."""

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
class Corrected:
    """The rectangle once the p-values are corrected for the number of bins tested."""

    correction: Literal["holm", "fdr"]
    """Holm's correction, or Benjamini and Hochberg's."""
    clustering: Range
    """C of the kept bins' centres, or of the kept wirings, (lo, hi)."""
    path_length: Range
    """L of the kept bins' centres, or of the kept wirings, (lo, hi)."""
    kept: int
    """Bins kept, the reference among them: never fewer than without the correction."""
    tested: int
    """Bins tested."""


@dataclass(frozen=True)
class Absent:
    """A part that a table cannot give."""

    why: str
    """One sentence."""

    @classmethod
    def because(cls, error: Exception) -> Absent:
        """What stopped it, in the words of an analysis that is given no such argument."""
        said = " ".join(str(error).split())
        for name, words in _WORDS.items():
            said = said.replace(name, words)
        return cls(f"This cannot be said: {said}.")

    def verdict(self) -> list[str]:
        """Say it."""
        return [self.why]


_WORDS = {
    "`table`": "the table",
    "`tables`": "the tables",
    "`curves`": "the learning curves",
    "`per_cell`": "the wirings",
}
