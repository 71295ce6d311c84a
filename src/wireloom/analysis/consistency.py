"""Whether the same wirings do well everywhere: correlations of studies, wiring by wiring."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from wireloom.analysis.agreement import Matrix, freed
from wireloom.analysis.sections import Section
from wireloom.analysis.statistics import pearson, split_half_reliability
from wireloom.analysis.table import Runs, read
from wireloom.base import InvalidValue, is_whole
from wireloom.base.streams import uniform

if TYPE_CHECKING:
    from wireloom.analysis.columns import Table

_LEAST = 3  # wirings
_ENDS = (5, 95)  # percent
_UNSTEADY = 0.3  # reliability below which a correction for noise says little

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Consistency:
    """Correlations of studies' mean errors over the wirings that all of them trained.

    A matrix has a row and a column for each study, in the order of ``names``; None where a
    correlation has no meaning. The dense baseline takes no part.
    """

    names: tuple[str, ...]
    """The studies."""
    wirings: int
    """Wirings that every study has."""
    pearson: Matrix
    """Of the wirings' mean errors."""
    spearman: Matrix
    """Of the ranks of the mean errors."""
    reliability: tuple[float | None, ...]
    """How well each study's means would repeat with new seeds, 0 to 1."""
    ceiling: Matrix
    """Root of both reliabilities: the Pearson correlation that perfect agreement would show here,
    for seed noise hides the rest; on the diagonal the reliability itself."""
    corrected: Matrix
    """``pearson`` over ``ceiling``: what seeds without number would show. It may pass 1 by luck;
    None where a reliability is unknown or 0."""
    intervals: tuple[tuple[Interval, ...], ...]
    """Of ``pearson``, 5 to 95 %, over draws of the wirings with replacement; None without draws."""

    def between(self, one: str, other: str) -> float | None:
        """The Pearson correlation of two studies."""
        for name in (one, other):
            if name not in self.names:
                raise InvalidValue(f"`{name}` must be one of {', '.join(self.names)}")
        return self.pearson[self.names.index(one)][self.names.index(other)]

    def verdict(self) -> list[str]:
        """Say it in plain sentences, the answer first."""
        steady = [i for i, r in enumerate(self.reliability) if r is not None and r >= _UNSTEADY]
        pairs = list(itertools.combinations(steady, 2))
        sure = [(i, j) for i, j in pairs if (x := self.intervals[i][j]) and x[0] > 0]
        values = [r for i, j in pairs if (r := self.pearson[i][j]) is not None]
        if len(self.names) == 2 and values:
            agree = "agree" if sure else "are not known to agree"
            lies = "lies" if sure else "does not lie"
            said = [
                f"Over {self.wirings} wirings, the two {agree}: they correlate at {values[0]:.2f}, "
                f"and the interval {lies} above 0, as it would by chance for one in 20."
            ]
        else:
            said = [
                f"Over {self.wirings} wirings, {len(sure)} of the {len(pairs)} pairs of studies "
                "that can tell agree (the correlation's interval lies above 0, as it would by "
                "chance for one in 20)"
                + (f"; their median correlation is {np.median(values):.2f}." if values else ".")
            ]
        noisy = [
            f"{name} ({'unknown' if r is None else f'{r:.2f}'})"
            for name, r in zip(self.names, self.reliability, strict=True)
            if r is None or r < _UNSTEADY
        ]
        if noisy:
            said.append(
                f"Mostly seed noise, so that their correlations say little: {', '.join(noisy)}, "
                "with the reliability in brackets. More seeds or a harder task would tell."
            )
        return said

    def sections(self) -> list[Section]:
        """The correlations as sections: the matrix as the paper shows it, then pair by pair."""
        head = ["", *self.names]
        matrix = [
            [name, *(_two(r) for r in row)]
            for name, row in zip(self.names, self.pearson, strict=True)
        ]
        pairs = [
            [
                f"{self.names[i]} and {self.names[j]}",
                _two(self.pearson[i][j]),
                _span(self.intervals[i][j]),
                _two(self.spearman[i][j]),
                _two(self.ceiling[i][j]),
                _two(self.corrected[i][j]),
            ]
            for i, j in itertools.combinations(range(len(self.names)), 2)
        ]
        note = (
            "The ceiling is what two studies in perfect agreement would show with this seed noise; "
            "freed of noise is Pearson over the ceiling, and unsteady where the ceiling is low."
        )
        names = ["studies", "Pearson", "5 to 95 %", "Spearman", "ceiling", "freed of noise"]
        steady = [[n, _two(r)] for n, r in zip(self.names, self.reliability, strict=True)]
        title = "Correlation of the wirings' mean errors"
        return [
            Section(
                title,
                tuple(self.verdict()),
                tables=({"title": title, "head": head, "rows": matrix},),
            ),
            Section(
                "Pair by pair",
                (),
                tables=({"title": "Pair by pair", "head": names, "rows": pairs, "note": note},),
            ),
            Section(
                "Reliability",
                (),
                tables=(
                    {"title": "Reliability", "head": ["study", "reliability"], "rows": steady},
                ),
            ),
        ]


def correlate_wirings(
    tables: Mapping[str, Table], *, resamples: int = 1000, seed: int = 0
) -> Consistency:
    """Correlate studies wiring by wiring: does what does well in one do well in another?

    Unlike `correlate`, which compares cells of the plane, this needs studies of the same wirings,
    told by their ids.

    Args:
        tables: two studies or more, each as ``sweet_spot`` takes it, with the same ids.
        resamples: draws of the wirings behind the intervals, at least 20, or 0 for none.
        seed: of the draws.

    Raises:
        InvalidValue: for fewer than two studies or three common wirings, ids that do not name the
            same wiring everywhere, or a table or argument that is wrong.

    Cost: O(rows log rows + resamples x studies^2 x wirings).

    Source: You et al. 2020, section 5.2 and figure 4e; the correction for noise is Spearman's,
    American Journal of Psychology 15, 1904.

    Example:
        >>> table = {"C": [0.1, 0.3, 0.5], "L": [2.0, 2.5, 3.0], "seed": [0] * 3,
        ...          "error": [1.0, 2.0, 4.0], "wiring": range(3)}
        >>> correlate_wirings({"a": table, "b": table}, resamples=0).between("a", "b")
        1.0
    """
    if not isinstance(tables, Mapping) or len(tables) < 2:
        got = len(tables) if isinstance(tables, Mapping) else type(tables).__name__
        raise InvalidValue(f"`tables` must be a mapping of at least 2 named tables; got {got}")
    if not is_whole(resamples) or (resamples < 20 and resamples != 0):
        raise InvalidValue(f"`resamples` must be 0 or at least 20; got {resamples!r}")
    studies = []
    for name, table in tables.items():
        try:
            studies.append(read(table))
        except InvalidValue as error:
            raise InvalidValue(f"study {name!r}: {error}") from error
    common = [i for i in studies[0].ids if all(i in set(runs.ids) for runs in studies[1:])]
    if len(common) < _LEAST:
        raise InvalidValue(
            f"`tables` must share at least {_LEAST} wirings; got {len(common)} common ids"
        )
    rows = [_rows(runs, common) for runs in studies]
    _check_same(list(tables), studies, rows, common)
    means = np.array([_means(runs)[row] for runs, row in zip(studies, rows, strict=True)])
    ranks = np.array([rankdata(row) for row in means])
    reliability = tuple(
        split_half_reliability(runs.by_seed[row]) for runs, row in zip(studies, rows, strict=True)
    )
    plain = _matrix(means)
    return Consistency(
        names=tuple(map(str, tables)),
        wirings=len(common),
        pearson=plain,
        spearman=_matrix(ranks),
        reliability=reliability,
        ceiling=tuple(
            tuple(None if a is None or b is None else (a * b) ** 0.5 for b in reliability)
            for a in reliability
        ),
        corrected=freed(plain, reliability),
        intervals=_intervals(means, resamples, seed),
    )


def _rows(runs: Runs, common: list[Any]) -> np.ndarray:
    at = {name: i for i, name in enumerate(runs.ids)}
    return np.array([at[name] for name in common])


def _means(runs: Runs) -> np.ndarray:
    """Mean error of each wiring: float64 [wirings]."""
    return np.bincount(runs.wiring, runs.error) / np.bincount(runs.wiring)


def _check_same(
    names: list[str], studies: list[Runs], rows: list[np.ndarray], common: list[Any]
) -> None:
    for measure in ("clustering", "path_length"):
        first = getattr(studies[0], measure)[rows[0]]
        for name, runs, row in zip(names[1:], studies[1:], rows[1:], strict=True):
            off = np.flatnonzero(np.abs(getattr(runs, measure)[row] - first) > 1e-6)
            if len(off):
                raise InvalidValue(
                    f"`tables` must name the same wirings by the same ids; wiring "
                    f"{common[off[0]]!r} of {name!r} has another {measure.replace('_', ' ')} than "
                    f"that of {names[0]!r}"
                )


def _matrix(points: np.ndarray) -> Matrix:
    return tuple(tuple(pearson(one, other) for other in points) for one in points)


def _intervals(means: np.ndarray, resamples: int, seed: int) -> tuple[tuple[Interval, ...], ...]:
    studies, wirings = means.shape
    draws = [
        (uniform(wirings, "consistency", seed, i) * wirings).astype(np.int64)
        for i in range(resamples)
    ]

    def interval(i: int, j: int) -> Interval:
        found = [r for d in draws if (r := pearson(means[i][d], means[j][d])) is not None]
        if i == j or not found:
            return None
        low, high = np.percentile(found, _ENDS)
        return float(low), float(high)

    half = {(i, j): interval(i, j) for i in range(studies) for j in range(i, studies)}
    each = range(studies)
    return tuple(tuple(half[min(i, j), max(i, j)] for j in each) for i in each)


def _two(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _span(ends: Interval) -> str | None:
    return None if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"
