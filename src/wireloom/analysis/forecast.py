"""Is this network promising? The expected error of wirings that were never trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from wireloom.analysis.columns import numbers, to_frame
from wireloom.analysis.effects import quadratic
from wireloom.analysis.statistics import Moments, split_half_reliability
from wireloom.analysis.table import Runs, read
from wireloom.base import InvalidValue, permutation
from wireloom.wiring import Wiring, measure

if TYPE_CHECKING:
    from wireloom.analysis.columns import Table

_RIDGES = (0.5, 5.0, 50.0, 500.0, np.inf)
_FEWEST = 10
_ONE_BY_ONE_UP_TO = 100
_FOLDS = 10
_AT_ONCE = 256
_SLACK = 0.05  # a density made from an average degree that was not rounded to edges is inside
_USELESS = 0.1


@dataclass(frozen=True)
class Expected:
    """What is expected of one wiring."""

    wiring: Wiring
    """The wiring."""
    error: float
    """Expected mean error over as many seeds as the table's wirings have, in the table's units."""
    low: float
    """Lower end of the interval of that mean error."""
    high: float
    """Upper end."""
    beats_baseline: float | None
    """Chance that its mean error is below the dense baseline's, 0 to 1; None without one."""
    extrapolates: bool
    """True outside the region of the table's wirings, where the interval promises nothing: beyond
    their range in a measure, further out than any of them, or of another number of nodes."""


@dataclass(frozen=True)
class Forecast:
    """Expected errors of wirings, and how well such forecasts do on wirings held out."""

    wirings: tuple[Expected, ...]
    """One for each wiring, in the order given."""
    interval: float
    """Share of new wirings that the interval is made to cover, drawn as the table's were."""
    r2: float
    """Share of the variance between held-out wirings that is foretold; below 0 if worse than the
    mean."""
    absolute_error: float
    """Mean absolute error of the forecast on held-out wirings, in the table's units."""
    absolute_error_of_mean: float
    """The same of the plain baseline: forecast the mean of the other wirings."""
    coverage: float
    """Share of the held-out wirings inside their interval."""
    folds: int
    """Parts that were held out in turn; as many as wirings when one at a time."""
    features: tuple[str, ...]
    """What is known of a wiring: "C", "log L", and "log density" where the table has it."""
    ridge: float
    """Penalty on the standardised terms, chosen on wirings left out; infinite: the mean alone."""
    trained_on: int
    """Wirings of the table."""
    seeds: float
    """Mean runs of a wiring."""
    ceiling: float | None
    """Share of the variance that is not seed noise, which caps ``r2``; None if unknown."""
    baseline: float | None
    """Mean error of the dense baseline."""
    nodes: tuple[int, ...] | None = field(repr=False)
    """Numbers of nodes in the table; None if it does not say."""

    @property
    def is_useful(self) -> bool:
        """True if it foretells at least a tenth of the differences between held-out wirings."""
        return self.r2 >= _USELESS

    def verdict(self) -> list[str]:
        """Say in plain sentences what to expect and how far to trust it: the answer first."""
        return _in_words(self)


def predict(table: Table, wirings: Wiring | Sequence[Wiring], *, interval: float = 0.9) -> Forecast:
    """Foretell the error of wirings from their C, L and density, by a table of trained ones.

    The model is a quadratic in C, log L and log density, fitted to the wirings' mean errors by
    least squares with a ridge on the standardised terms: of 0.5, 5, 50, 500 and infinity (the
    mean) the largest whose squared error on wirings left out one at a time is within a standard
    error of the least. The interval is the jackknife+:
    with R_i the error on wiring i when it is left out, and m_i(x) what is then foretold of x, it
    runs between the quantiles of m_i(x) - |R_i| and m_i(x) + |R_i|. It assumes no shape of the
    errors, and covers the mean error over as many seeds as the table has, for wirings drawn as
    the table's were: on average over them, not for each. Guaranteed is ``1 - 2 (1 - interval)``;
    in practice it covers close to ``interval``.

    A Gaussian process foretells the published tables no better on the whole: R2 0.66 for both on
    half of the MLP table from the other half; 0.56 against 0.54 on the rest of it from 52 wirings;
    left out one at a time, 0.915 against 0.940 on ResNet-34 and 0.916 against 0.901 on its
    separable kin.

    Not for other architectures, data or recipes than the table's, nor for wirings with
    ``extrapolates``: train some of those first.

    Args:
        table: as for `sweet_spot`. Density is used if it is known of every wiring: from
            ``density``, or n (or nodes) and k or sparsity. With a column n or nodes, wirings of
            another number of nodes count as extrapolated.
        wirings: connected, of two nodes or more; or a single one.
        interval: share of the wirings that the interval should cover, in (0, 1).

    Returns:
        The result; it does not depend on the order of the rows. Up to 100 wirings are held
        out one at a time, more in ten parts, and the ridge is chosen anew each time.

    Raises:
        InvalidValue: for a table that `sweet_spot` refuses; one of fewer than 10 wirings, or too
            few for the interval (10 for .9, 20 for .95); a wiring that cannot be measured; or an
            argument out of range.

    Cost: O(wirings x table's wirings), about 0.3 s for a table of 4,000 and 0.1 ms a wiring.

    Source: the interval, Barber, Candes, Ramdas, Tibshirani, "Predictive inference with the
    jackknife+", Annals of Statistics 2021; one standard error, Breiman, Friedman, Olshen, Stone,
    "Classification and Regression Trees", 1984, section 3.4.3.

    Example:
        >>> from wireloom.wiring import sample_plane, ws_flex
        >>> known = sample_plane(nodes=16, count=20, seed=0)
        >>> table = {"C": [w.clustering for w in known], "L": [w.path_length for w in known],
        ...          "error": [30 + w.path_length for w in known], "seed": [0] * 20,
        ...          "wiring": range(20)}
        >>> new = ws_flex(nodes=16, degree=5, rewire=0.3, seed=1)
        >>> abs(predict(table, new).wirings[0].error - 30 - new.path_length) < 0.1
        True
    """
    if not isinstance(interval, (float, np.floating)) or not 0 < interval < 1:
        raise InvalidValue(f"`interval` must be a number above 0 and below 1; got {interval!r}")
    asked = [wirings] if isinstance(wirings, Wiring) else list(wirings)
    if not asked or not all(isinstance(w, Wiring) for w in asked):
        wrong = next((type(w).__name__ for w in asked if not isinstance(w, Wiring)), "none")
        raise InvalidValue(f"`wirings` must be one Wiring or more; got {wrong}")
    if min(w.nodes for w in asked) < 2:
        raise InvalidValue("`wirings` must have two nodes or more, or L has no value; got one node")
    runs = read(table)
    nodes = _nodes(table)
    needed = int(np.ceil(interval / (1 - interval) - 1e-9))  # for an end of the interval to be
    least = max(_FEWEST, needed + 1)
    if len(runs.ids) < least:
        raise InvalidValue(
            f"`table` must hold at least {least} wirings for an `interval` of {interval:g}; "
            f"got {len(runs.ids)}"
        )
    x, with_density = _features(runs, nodes is not None or "density" in to_frame(table).columns)
    y = Moments.of(runs.error, runs.wiring, len(runs.ids)).mean
    clustering, path_length = measure(asked)
    columns = [clustering, np.log(path_length)]
    if with_density:
        columns.append(np.log([w.density for w in asked]))
    new = np.stack(columns, 1)

    model = _Ridge.fit(x, y)
    baseline = float(runs.baseline.mean()) if len(runs.baseline) else None
    error, low, high, below = model.foretell(new, interval, baseline)
    outside = model.is_outside(new)
    if nodes is not None:
        outside |= ~np.isin([w.nodes for w in asked], nodes)
    held = _held_out(x, y, interval, needed)
    return Forecast(
        wirings=tuple(
            Expected(
                wiring=w,
                error=float(error[i]),
                low=float(low[i]),
                high=float(high[i]),
                beats_baseline=None if baseline is None else float(below[i]),
                extrapolates=bool(outside[i]),
            )
            for i, w in enumerate(asked)
        ),
        interval=float(interval),
        r2=held.r2,
        absolute_error=held.absolute_error,
        absolute_error_of_mean=held.absolute_error_of_mean,
        coverage=held.coverage,
        folds=held.folds,
        features=("C", "log L", "log density")[: x.shape[1]],
        ridge=model.ridge,
        trained_on=len(y),
        seeds=len(runs.error) / len(y),
        ceiling=split_half_reliability(runs.by_seed),
        baseline=baseline,
        nodes=nodes,
    )


def _nodes(table: Table) -> tuple[int, ...] | None:
    """Numbers of nodes that the table names, ascending; None if it has no such column."""
    frame = to_frame(table)
    name = next((name for name in ("n", "nodes") if name in frame.columns), None)
    values = numbers(frame, name) if name else np.empty(0)
    values = np.unique(values[np.isfinite(values)])
    return tuple(int(v) for v in values) or None


def _features(runs: Runs, true_density: bool) -> tuple[np.ndarray, bool]:
    """C, log L and, if known, log density of the table's wirings: float64 [wirings, 2 or 3]."""
    if runs.path_length.min() <= 0:
        raise InvalidValue(
            f"column `L` of `table` must be above 0; got {runs.path_length.min():.4g}"
        )
    columns = [runs.clustering, np.log(runs.path_length)]
    known = true_density and bool(np.isfinite(runs.log_density).all())
    return np.stack([*columns, runs.log_density] if known else columns, 1), known


@dataclass(frozen=True)
class _Terms:
    """A quadratic of standardised features, itself standardised."""

    middle: np.ndarray  # float64 [features]
    spread: np.ndarray  # float64 [features]
    terms_middle: np.ndarray  # float64 [terms]
    terms_spread: np.ndarray  # float64 [terms]

    @classmethod
    def of(cls, x: np.ndarray) -> _Terms:
        middle, spread = x.mean(0), _spread(x)
        terms = quadratic((x - middle) / spread)
        return cls(middle, spread, terms.mean(0), _spread(terms))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        terms = quadratic((x - self.middle) / self.spread)
        return (terms - self.terms_middle) / self.terms_spread


def _spread(columns: np.ndarray) -> np.ndarray:
    """Standard deviation of each column, 1 where it is constant."""
    spread = columns.std(0)
    return np.where(spread > 1e-12 * np.maximum(1.0, np.abs(columns).max(0)), spread, 1.0)


@dataclass(frozen=True)
class _Ridge:
    """A ridge fit with an unpenalised constant, and what it is without each of its points."""

    x: np.ndarray  # float64 [n, features]
    terms: _Terms
    z: np.ndarray  # float64 [n, terms]
    level: float
    slope: np.ndarray  # float64 [terms]
    inverse: np.ndarray  # float64 [terms, terms], of z'z + ridge
    lightest: np.ndarray  # the same at the least ridge
    left_out: np.ndarray  # float64 [n], error on each point without it
    ridge: float

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray) -> _Ridge:
        """Fit, with the largest ridge that is not clearly worse on points left out one by one."""
        terms = _Terms.of(x)
        z = terms(x)
        u, s, vt = np.linalg.svd(z, full_matrices=False)
        residual = y - y.mean()
        weight = u.T @ residual
        errors = []
        for ridge in _RIDGES:
            shrink = s**2 / (s**2 + ridge)
            own = 1 / len(y) + u**2 @ shrink
            errors.append((residual - u @ (shrink * weight)) / (1 - own))
        squares = np.stack(errors) ** 2  # [ridges, n]
        worse = squares - squares[np.argmin(squares.mean(1))]
        best = int(np.flatnonzero(worse.mean(1) <= worse.std(1) / np.sqrt(len(y)))[-1])
        inverse, lightest = ((vt.T / (s**2 + r)) @ vt for r in (_RIDGES[best], _RIDGES[0]))
        return cls(
            x=x,
            terms=terms,
            z=z,
            level=float(y.mean()),
            slope=inverse @ (z.T @ residual),
            inverse=inverse,
            lightest=lightest,
            left_out=errors[best],
            ridge=float(_RIDGES[best]),
        )

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.level + self.terms(x) @ self.slope

    def foretell(
        self, x: np.ndarray, interval: float, below: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Foretold y of ``x``, the ends of its jackknife+ interval, chance of y under ``below``."""
        n, error = len(self.z), self(x)
        rank = int(np.ceil(interval * (n + 1) - 1e-9)) - 1
        low, high, chance = np.empty_like(error), np.empty_like(error), np.zeros_like(error)
        wide = np.abs(self.left_out)
        for start in range(0, len(x), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            moved = 1 / n + self.terms(x[part]) @ self.inverse @ self.z.T  # [part, n]
            without = error[part, None] - moved * self.left_out
            high[part] = np.partition(without + wide, rank, 1)[:, rank]
            low[part] = np.partition(without - wide, n - 1 - rank, 1)[:, n - 1 - rank]
            if below is not None:
                under = np.sum(without + self.left_out < below, 1)
                chance[part] = (under + 0.5) / (n + 1)
        return error, low, high, chance

    def is_outside(self, x: np.ndarray) -> np.ndarray:
        """Whether points lie beyond the range of a feature, or have more leverage than any."""
        slack = _SLACK * self.terms.spread
        beyond = (x < self.x.min(0) - slack) | (x > self.x.max(0) + slack)
        most = self._leverage(self.z).max() * (1 + _SLACK)
        return beyond.any(1) | (self._leverage(self.terms(x)) > most)

    def _leverage(self, z: np.ndarray) -> np.ndarray:
        return np.sum((z @ self.lightest) * z, 1)


@dataclass(frozen=True)
class _HeldOut:
    r2: float
    absolute_error: float
    absolute_error_of_mean: float
    coverage: float
    folds: int


def _held_out(x: np.ndarray, y: np.ndarray, interval: float, needed: int) -> _HeldOut:
    """Judge the whole procedure, choice of the ridge included, on wirings that it has not seen."""
    error, of_mean, inside = np.empty(len(y)), np.empty(len(y)), np.empty(len(y), bool)
    folds = 0
    for held in _parts(len(y), needed):
        rest = np.ones(len(y), bool)
        rest[held] = False
        foretold, low, high, _ = _Ridge.fit(x[rest], y[rest]).foretell(x[held], interval, None)
        error[held], of_mean[held] = y[held] - foretold, y[held] - y[rest].mean()
        inside[held] = (low <= y[held]) & (y[held] <= high)
        folds += 1
    total = float(of_mean @ of_mean)
    return _HeldOut(
        r2=float(1 - error @ error / total) if total > 0 else 0.0,
        absolute_error=float(np.abs(error).mean()),
        absolute_error_of_mean=float(np.abs(of_mean).mean()),
        coverage=float(inside.mean()),
        folds=folds,
    )


def _parts(n: int, needed: int) -> Iterator[np.ndarray]:
    """Which points to hold out in turn: ten parts by a fixed draw, or each alone.

    That is up to 100 points, or if ten parts would leave fewer than the interval needs.
    """
    if n <= _ONE_BY_ONE_UP_TO or n - -(-n // _FOLDS) < needed:
        yield from np.arange(n)[:, None]
    else:
        yield from np.array_split(permutation(n, "forecast", n), _FOLDS)


def _in_words(found: Forecast) -> list[str]:
    cap = ""
    if found.ceiling is not None:
        cap = f" (seed noise caps this at {max(found.ceiling, 0):.0%})"
    judged = (
        f"On wirings held out, the forecast explains {max(found.r2, 0):.0%} of the differences"
        f"{cap}; it is off by {found.absolute_error:.3g} on average, the plain mean by "
        f"{found.absolute_error_of_mean:.3g}; {found.coverage:.0%} fall in their interval, made "
        f"for {found.interval:.0%} ({found.trained_on} wirings)."
    )
    said = [judged]
    if found.is_useful:
        said.insert(0, _promise(found))
    else:
        said.insert(0, "No forecast: C, L and density hardly foretell error in this table.")
    outside = sum(w.extrapolates for w in found.wirings)
    if outside:
        which = f"{outside} of {len(found.wirings)} {'lies' if outside == 1 else 'lie'}"
        which = "It lies" if len(found.wirings) == 1 else which
        said.append(
            f"{which} outside the region of the table's wirings: there the interval promises "
            "nothing."
        )
    said.append(
        f"The interval is of the mean error over {found.seeds:.3g} "
        f"{'seed' if found.seeds == 1 else 'seeds'}, for wirings drawn as the table's were, on "
        "average over them."
    )
    if "log density" not in found.features:
        said.append("The table does not give density, so C and L alone were used.")
    return said


def _promise(found: Forecast) -> str:
    best = min(found.wirings, key=lambda w: (w.extrapolates, w.error))
    count = len(found.wirings)
    who = "The mean error should be"
    if count > 1:
        who = f"The most promising is number {found.wirings.index(best) + 1} of the {count} given: "
        who += "its mean error should be"
    said = f"{who} near {best.error:.4g}, {best.low:.4g} to {best.high:.4g} ({found.interval:.0%})"
    if best.beats_baseline is None:
        return f"{said}; there is no dense baseline to hold it against."
    said += (
        f", and its chance to beat the dense baseline's {found.baseline:.4g} is "
        f"{_chance(best.beats_baseline)}"
    )
    if count > 1:
        inside = [w.beats_baseline for w in found.wirings if not w.extrapolates]
        likely = sum(b is not None and b > 0.5 for b in inside)
        said += f"; within the table's region, {likely} of {len(inside)} should beat it"
    return f"{said}."


def _chance(chance: float) -> str:
    if chance > 0.99:
        return "above 99%"
    return "below 1%" if chance < 0.01 else f"{chance:.0%}"
