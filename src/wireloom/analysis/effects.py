"""How error depends on C and L once density is held: what the measures add, and with what sign."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from wireloom.analysis.statistics import Moments, constant, split_half_reliability
from wireloom.analysis.table import read
from wireloom.base import InvalidValue, is_whole, uniform

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_INFLATED = 10.0  # the usual bound on a variance inflation factor
_ENDS = (5, 95)
_FEWEST_DRAWS = 20
# Columns of the design, with D = log density: 1, C, L, D, C^2, CL, CD, L^2, LD, D^2.
_C, _L = 1, 2
_DENSITY = [0, 3, 9]
_MEASURES = [0, 1, 2, 4, 5, 7]
_BOTH = [*_MEASURES, 3, 9]
_HELD = {_C: [*_DENSITY, 2, 7, 8], _L: [*_DENSITY, 1, 4, 6]}
_HELD_WITHOUT_DENSITY = {_C: [0, 2, 7], _L: [0, 1, 4]}


@dataclass(frozen=True)
class Estimate:
    """A number with its 90% interval, from wirings drawn again."""

    value: float
    """The estimate itself."""
    low: float | None
    """5% point; None without draws."""
    high: float | None
    """95% point; None without draws."""


@dataclass(frozen=True)
class Explained:
    """How much of the differences between the wirings' mean errors a fit explains."""

    terms: int
    """Coefficients of the fit, the constant not counted."""
    r2: float
    """Share of the variance, on the wirings that were fitted: too high, the more so with more
    terms."""
    held_out: float
    """Share of the variance on wirings left out one at a time; below 0 if worse than the mean."""


@dataclass(frozen=True)
class Effect:
    """How error moves with one measure."""

    measure: Literal["clustering", "path_length"]
    """The measure."""
    slope: Estimate | None
    """Change of the error per unit, density and the other measure held; divide by 10 for the
    change per 0.1. None where the measure is a quadratic function of what is held."""
    at_density: Estimate | None
    """Change of the error per unit, density held and the other measure left free to follow; no
    density known, of a straight line alone."""
    added: Estimate
    """Share of the variance that it adds, by a straight line, beyond what is held, adjusted for
    the number of terms."""
    inflation: float
    """Variance inflation factor: 1 for a measure unrelated to what is held, infinite for a
    quadratic function of it."""

    @property
    def apart(self) -> bool:
        """True if the measure can be told from what is held: an inflation of 10 at most."""
        return self.inflation <= _INFLATED


@dataclass(frozen=True)
class Effects:
    """What C and L say about error that density does not."""

    clustering: Effect
    """Of C, L held."""
    path_length: Effect
    """Of L, C held."""
    density: Explained | None
    """By a quadratic in log density; None where no density is known."""
    measures: Explained
    """By a quadratic in C and L."""
    both: Explained | None
    """By the sum of the two; None where no density is known."""
    added: Estimate | None
    """Share of the variance that C and L add beyond density, adjusted for the number of terms."""
    partial: Estimate | None
    """The same, as a share of what density leaves: the partial R2."""
    held_out_added: float | None
    """The same on wirings left out one at a time: ``both.held_out - density.held_out``."""
    ceiling: float | None
    """Share of the variance that is not seed noise: the reliability of the means. None with one
    seed, or if too few wirings share seeds."""
    wirings: int
    """Number of wirings fitted."""
    left_out: int
    """Wirings left out because their density is unknown while others' is known."""
    resamples: int
    """Bootstrap draws behind each interval."""
    seeds: int
    """Number of training seeds."""

    @property
    def apart(self) -> bool:
        """True if the effects of C, L and density can be told apart."""
        return self.clustering.apart and self.path_length.apart

    def verdict(self) -> list[str]:
        """Say in plain sentences what C and L add and how far to trust it: the answer first."""
        return [
            *_what_is_added(self),
            *(_slope(e, other, self) for e, other in self._pairs()),
            *_confounded(self),
            *_how_much(self),
            "These are associations among the table's wirings; only wirings drawn to differ in one "
            "measure alone would show a cause.",
        ]

    def _pairs(self) -> tuple[tuple[Effect, str], ...]:
        return (self.clustering, "L"), (self.path_length, "C")


def partial_effects(
    table: pd.DataFrame | pa.Table | Mapping[str, Any], *, resamples: int = 200, seed: int = 0
) -> Effects:
    """Say how error depends on C and L when density is held.

    Dense wirings are clustered and have short paths, so a map of error over (C, L) shows density
    too. With D = log density, three least-squares fits of the wirings' mean errors share out the
    variance: 1 + D + D^2; 1 + C + L + C^2 + CL + L^2; and the sum of both. The slope of C is its
    coefficient beside 1 + D + D^2 + L + L^2 + LD, that of L likewise, so curved dependence on what
    is held is not taken for an effect.

    Not for what is best: a slope is the mean tilt of a surface that is often a bowl (see
    `sweet_spot`). In families drawn with two parameters, such as WS-flex, C, L and density nearly
    lie on a surface, so little is left to move while two are held: see `Effect.apart`.

    Args:
        table: as for `sweet_spot`; with no density known, only C and L are compared.
        resamples: bootstrap draws of the wirings, at least 20; 0 for no intervals.
        seed: of the bootstrap.

    Returns:
        The result; it does not depend on the order of the rows. Intervals made for 90% held the
        truth in 80% to 92% of made-up tables of 24 to 80 wirings: least for one measure's share.

    Raises:
        InvalidValue: for a table that `sweet_spot` refuses, or with fewer wirings than twice the
            coefficients (16; 12 without density), or equal errors.

    Cost: O(resamples x wirings), about 0.1 s for 4,000 wirings.

    Source: the question is You et al., ICML 2020, section 5; ordinary least squares, bootstrap of
    cases (Efron and Tibshirani, 1993), adjusted R2, leave-one-out residuals e / (1 - h).

    Example:
        >>> c, x = np.meshgrid(np.linspace(0, 1, 6), np.linspace(1, 2, 6))
        >>> table = {"C": c.ravel(), "L": x.ravel(), "error": 30 + 2 * c.ravel() + x.ravel() ** 2,
        ...          "seed": [0] * 36, "wiring": range(36)}
        >>> round(partial_effects(table).clustering.slope.value, 6)
        2.0
    """
    check_resamples(resamples)
    if not is_whole(seed):
        raise InvalidValue(f"`seed` must be a whole number; got {seed!r}")
    runs = read(table)
    known = np.isfinite(runs.log_density)
    dense = bool(known.any())
    rows = known if dense else np.ones(len(known), bool)
    least = 2 * (8 if dense else 6)
    if rows.sum() < least:
        of = " of known density" if dense and not known.all() else ""
        raise InvalidValue(f"`table` must hold at least {least} wirings{of}; got {rows.sum()}")
    y = Moments.of(runs.error, runs.wiring, len(runs.ids)).mean[rows]
    if constant(y):
        raise InvalidValue("`table` must hold wirings whose mean errors differ; all are equal")
    y -= y.mean()
    columns = np.stack([runs.clustering[rows], runs.path_length[rows]], 1)
    log_density = runs.log_density[rows] if dense else np.zeros(len(y))
    measures = quadratic(standard(np.column_stack([columns, log_density])))
    z = np.column_stack([np.ones(len(y)), measures])  # [wirings, 10]

    full = _Fits.of(z, y, np.ones(len(y)))
    draws = []
    for i in range(resamples):
        picked = (uniform(len(y), "effects", int(seed), i) * len(y)).astype(np.int64)
        draws.append(_Fits.of(z, y, np.bincount(picked, minlength=len(y)).astype(np.float64)))
    free, held = (_DENSITY, _HELD) if dense else ([0], _HELD_WITHOUT_DENSITY)
    unit_c, unit_l = columns.std(0).tolist()
    density = both = added = partial = None
    if dense:
        density, both = _explained(z, y, full, _DENSITY), _explained(z, y, full, _BOTH)
        added = _shifted(full, draws, lambda f, r2: r2(f, _BOTH) - r2(f, _DENSITY))
        partial = _shifted(
            full, draws, lambda f, r2: 1 - _ratio(1 - r2(f, _BOTH), 1 - r2(f, _DENSITY))
        )
    return Effects(
        clustering=_effect("clustering", full, draws, _C, held[_C], free, unit_c),
        path_length=_effect("path_length", full, draws, _L, held[_L], free, unit_l),
        density=density,
        measures=_explained(z, y, full, _MEASURES),
        both=both,
        added=added,
        partial=partial,
        held_out_added=both.held_out - density.held_out if both and density else None,
        ceiling=split_half_reliability(runs.by_seed[rows]),
        wirings=len(y),
        left_out=int(len(rows) - rows.sum()),
        resamples=resamples,
        seeds=runs.seeds,
    )


def check_resamples(resamples: int) -> None:
    """Raise unless ``resamples`` draws give an interval, or none is asked for."""
    if not is_whole(resamples) or not (resamples == 0 or resamples >= _FEWEST_DRAWS):
        raise InvalidValue(
            f"`resamples` must be 0 or a whole number of at least {_FEWEST_DRAWS}; "
            f"got {resamples!r}"
        )


def standard(columns: np.ndarray) -> np.ndarray:
    """``columns`` [n, k] less their means and over their spreads; constant ones become 0."""
    centred = columns - columns.mean(0)
    spread = columns.std(0)
    constant = spread <= 1e-12 * np.maximum(1.0, np.abs(columns).max(0))
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, spread))


def quadratic(columns: np.ndarray) -> np.ndarray:
    """``columns`` [n, k], then their squares and products: [n, k + k (k + 1) / 2]."""
    one, other = np.triu_indices(columns.shape[1])
    return np.hstack([columns, columns[:, one] * columns[:, other]])


@dataclass(frozen=True)
class _Fits:
    """Every least-squares fit of one (weighted) sample, from its sums of products."""

    gram: np.ndarray  # float64 [terms, terms]
    moment: np.ndarray  # float64 [terms]
    total: float  # sum of squared deviations of y
    count: float

    @classmethod
    def of(cls, z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> _Fits:
        count, weighted = weight.sum(), z * weight[:, None]
        total = float(weight @ y**2 - (weight @ y) ** 2 / count)
        return cls(weighted.T @ z, weighted.T @ y, total, float(count))

    def coefficients(self, terms: list[int]) -> np.ndarray:
        return np.linalg.lstsq(self.gram[np.ix_(terms, terms)], self.moment[terms], rcond=1e-12)[0]

    def r2(self, terms: list[int]) -> float:
        explained = self.moment[terms] @ self.coefficients(terms) - self.moment[0] ** 2 / self.count
        return float(np.clip(_ratio(explained, self.total), 0.0, 1.0))

    def adjusted(self, terms: list[int]) -> float:
        scale = (self.count - 1) / (self.count - len(terms))
        return 1 - (1 - self.r2(terms)) * scale

    def inflation(self, column: int, terms: list[int]) -> float:
        """Of a column, given others: total over residual sum of squares."""
        total = self.gram[column, column] - self.gram[0, column] ** 2 / self.gram[0, 0]
        cross = self.gram[terms, column]
        fitted = np.linalg.lstsq(self.gram[np.ix_(terms, terms)], cross, rcond=1e-12)[0]
        residual = self.gram[column, column] - cross @ fitted
        return float(total / residual) if residual > 1e-10 * self.gram[0, 0] else np.inf


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _effect(
    name: Literal["clustering", "path_length"],
    full: _Fits,
    draws: list[_Fits],
    own: int,
    held: list[int],
    free: list[int],
    unit: float,
) -> Effect:
    def slope(given: list[int]) -> Estimate | None:
        if not np.isfinite(full.inflation(own, given)):
            return None
        value, *drawn = (float(f.coefficients([*given, own])[-1]) / unit for f in (full, *draws))
        return Estimate(value, *_ends(drawn))

    return Effect(
        measure=name,
        slope=slope(held),
        at_density=slope(free),
        added=_shifted(full, draws, lambda f, r2: r2(f, [*held, own]) - r2(f, held)),
        inflation=full.inflation(own, held),
    )


_R2 = Callable[[_Fits, list[int]], float]


def _shifted(full: _Fits, draws: list[_Fits], share: Callable[[_Fits, _R2], float]) -> Estimate:
    """An adjusted share of variance with its interval.

    A bootstrap draw's adjusted share is centred on the sample's plain share, which is too high;
    so the draws are moved down by what the adjustment takes from the sample itself.
    """
    value = share(full, _Fits.adjusted)
    excess = share(full, _Fits.r2) - value
    low, high = _ends([share(f, _Fits.adjusted) - excess for f in draws])
    return Estimate(_share(value), *(None if v is None else _share(v) for v in (low, high)))


def _ends(drawn: list[float]) -> tuple[float | None, float | None]:
    if not drawn:
        return None, None
    low, high = np.percentile(drawn, _ENDS).tolist()
    return low, high


def _share(value: float) -> float:
    return float(np.clip(value, 0.0, 1.0))


def _explained(z: np.ndarray, y: np.ndarray, full: _Fits, terms: list[int]) -> Explained:
    """The fit on ``terms``, judged on the wirings that it saw and on those left out."""
    u, s, _ = np.linalg.svd(z[:, terms], full_matrices=False)
    u = u[:, s > 1e-10 * s[0]]
    own = 1 - np.minimum(np.sum(u**2, 1), 1 - 1e-9)
    errors = (y - u @ (u.T @ y)) / own
    deviations = y * len(y) / (len(y) - 1)
    return Explained(
        terms=len(terms) - 1,
        r2=full.r2(terms),
        held_out=float(1 - (errors @ errors) / (deviations @ deviations)),
    )


def _what_is_added(found: Effects) -> list[str]:
    if found.added is None or found.held_out_added is None or found.density is None:
        return [
            f"Density is unknown, so it is not held: C and L explain {found.measures.held_out:.0%} "
            "of the differences between wirings left out, and density may be behind it."
        ]
    low, high = found.added.low, found.added.high
    if found.held_out_added <= 0 or (low is not None and low <= 0):
        return ["C and L are not shown to tell more about error than density alone does."]
    span = "" if low is None or high is None else f" ({low:.0%} to {high:.0%})"
    return [
        f"C and L explain {found.added.value:.0%} of the differences between wirings beyond what "
        f"density explains{span}; on wirings left out, {found.held_out_added:.0%}."
    ]


def _slope(effect: Effect, other: str, found: Effects) -> str:
    own = "C" if effect.measure == "clustering" else "L"
    held = f"{other} and density held" if found.density else f"{other} held"
    if effect.slope is None:
        return f"With {held}, nothing of {own} is left to vary, so its own effect has no value."
    said = f"With {held}, {_moves(own, effect.slope)}."
    free = effect.at_density
    if found.density and free is not None and free.value * effect.slope.value < 0:
        said += f" With density held and {other} left to follow, {_moves(own, free)}."
    return said


def _moves(own: str, slope: Estimate) -> str:
    span = f"{slope.value / 10:+.2g} per 0.1"
    direction = "rises" if slope.value > 0 else "falls"
    if slope.low is None or slope.high is None:
        return f"error {direction} with {own}, {span}, if it is more than chance (no interval)"
    span += f" ({slope.low / 10:+.2g} to {slope.high / 10:+.2g})"
    if slope.low <= 0 <= slope.high:
        return f"error does not clearly change with {own}, {span}"
    return f"error {direction} with {own}, {span}"


def _confounded(found: Effects) -> list[str]:
    stuck = [e for e, _ in found._pairs() if not e.apart]
    if not stuck:
        return []
    names = " and ".join("C" if e.measure == "clustering" else "L" for e in stuck)
    worst = max(e.inflation for e in stuck)
    return [
        f"The effect of {names} can hardly be told from what is held in these wirings (variance "
        f"inflation {worst:.3g}, where {_INFLATED:g} is the usual bound): trust what the measures "
        "add together more than the split."
    ]


def _how_much(found: Effects) -> list[str]:
    said = []
    if found.density and found.both:
        said.append(
            f"Share of the differences explained on {found.wirings} wirings left out one by one: "
            f"density alone {found.density.held_out:.2f}, C and L alone "
            f"{found.measures.held_out:.2f}, both {found.both.held_out:.2f}."
        )
    if found.ceiling is None:
        why = "there is one seed" if found.seeds < 2 else "too few wirings share seeds"
        said.append(f"How much is seed noise is unknown, because {why}.")
    else:
        said.append(
            f"Seed noise caps what any property of a wiring can explain at {found.ceiling:.2f}."
        )
    if found.left_out:
        said.append(f"Wirings left out because their density is unknown: {found.left_out}.")
    return said
