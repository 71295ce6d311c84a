"""A ridge fit of a quadratic, its jackknife+ intervals, and what it is worth on points held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from wireloom.analysis.effects import quadratic
from wireloom.base import permutation

_RIDGES = (0.5, 5.0, 50.0, 500.0, np.inf)
_ONE_BY_ONE_UP_TO = 100
_FOLDS = 10
_AT_ONCE = 256
_SLACK = 0.05  # a density made from an average degree that was not rounded to edges is inside


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
class Ridge:
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
    def fit(cls, x: np.ndarray, y: np.ndarray) -> Ridge:
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
        _, power = np.frexp(np.abs(residual).max())
        squares = np.ldexp(np.stack(errors), -power) ** 2  # [ridges, n], of numbers near 1
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
class Judged:
    """How well forecasts of wirings held out did; the fields are those of `forecast.HeldOut`."""

    r2: float
    absolute_error: float
    absolute_error_of_mean: float
    coverage: float
    folds: int


def judge(x: np.ndarray, y: np.ndarray, interval: float, needed: int) -> Judged:
    """Judge the whole procedure, choice of the ridge included, on wirings that it has not seen."""
    error, of_mean, inside = np.empty(len(y)), np.empty(len(y)), np.empty(len(y), bool)
    folds = 0
    for held in _parts(len(y), needed):
        rest = np.ones(len(y), bool)
        rest[held] = False
        foretold, low, high, _ = Ridge.fit(x[rest], y[rest]).foretell(x[held], interval, None)
        error[held], of_mean[held] = y[held] - foretold, y[held] - y[rest].mean()
        inside[held] = (low <= y[held]) & (y[held] <= high)
        folds += 1
    total = float(of_mean @ of_mean)
    return Judged(
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
