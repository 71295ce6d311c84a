"""Partial effects: published shares of variance, tables of known truth, tables that are wrong."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pandas as pd
import pytest

from wireloom.analysis.effects import partial_effects, quadratic, standard
from wireloom.analysis.table import read
from wireloom.base import InvalidValue

MLP, R34, SEP = "mlp_cifar10", "resnet34_imagenet", "resnet34_sep_imagenet"


@pytest.fixture(scope="module")
def published(shared_data):
    """Published tables; density from the rounded number of edges, and log k in its stead."""

    def load(name, density=True):
        table = pd.read_parquet(shared_data / f"results_{name}.parquet")
        exact = (2 * np.round(table["k"] * table["n"] / 2) + table["n"]) / table["n"] ** 2
        return table.assign(density=exact if density else table["k"] / table["n"])

    return load


def made_table(wirings=60, stream=0, seeds=1, noise=0.3, c=0.0, ell=0.0, d=0.0, bowl=0.0):
    """Errors of known slopes in C, L and log density, which go together but can be told apart."""
    rng = np.random.default_rng(stream)
    log_density = rng.uniform(-2.5, -0.5, wirings)
    clustering = np.clip(0.7 + 0.15 * log_density + rng.uniform(-0.2, 0.2, wirings), 0, 0.99)
    path_length = 1.3 - 0.5 * log_density + rng.uniform(0, 1, wirings)
    truth = 30 + c * clustering + ell * path_length + d * log_density + bowl * log_density**2
    wiring = np.repeat(np.arange(wirings), seeds)
    return pd.DataFrame(
        {
            "C": clustering[wiring],
            "L": path_length[wiring],
            "density": np.exp(log_density)[wiring],
            "error": truth[wiring] + noise * rng.standard_normal(wirings * seeds),
            "seed": np.tile(np.arange(seeds), wirings),
            "wiring": wiring,
        }
    )


def test_shares_of_the_published_map(published):
    """Log k .39, (C, L) .56, both .66, cap .668; log density gives the same to two digits."""
    by_k, by_density = (
        partial_effects(published(MLP, density), resamples=20) for density in (0, 1)
    )
    assert by_k.density.r2 == pytest.approx(0.3916, abs=5e-5)
    assert by_density.density.r2 == pytest.approx(0.3909, abs=5e-5)
    for found in (by_k, by_density):
        assert found.density.r2 == pytest.approx(0.39, abs=0.005)
        assert found.measures.r2 == pytest.approx(0.56, abs=0.005)
        assert found.both.r2 == pytest.approx(0.66, abs=0.005)
        assert found.ceiling == pytest.approx(0.668, abs=1e-3)
        assert (found.density.terms, found.measures.terms, found.both.terms) == (2, 5, 7)
        assert found.wirings == 3942


def test_effects_of_the_published_map(published):
    """C is worse at equal density, better once L is held too; L can hardly be told apart."""
    found = partial_effects(published(MLP))
    assert found.clustering.slope.high < 0 < found.clustering.at_density.low
    assert found.path_length.slope.low > 0
    assert found.clustering.apart
    assert not found.path_length.apart
    assert not found.apart
    assert found.added.low < found.both.r2 - found.density.r2 < found.added.high
    assert found.partial.value == pytest.approx(
        1 - (1 - found.both.r2) / (1 - found.density.r2), abs=2e-3
    )
    said = found.verdict()
    assert said[0].startswith("C and L explain 27% of the differences between wirings beyond")
    assert any("error falls with C" in s and "error rises with C" in s for s in said)
    assert any("The effect of L can hardly be told" in s for s in said)


@pytest.mark.parametrize("name", [R34, SEP])
def test_effects_repeat_across_architectures(published, name):
    """The signs on ImageNet, 52 wirings, are those of the MLP on CIFAR-10."""
    found = partial_effects(published(name))
    assert found.clustering.slope.high < 0 < found.clustering.at_density.low
    assert found.path_length.slope.low > 0
    assert found.both.held_out < found.ceiling
    assert found.held_out_added > 0.5


def test_shares_against_plain_least_squares():
    """R2, slopes, inflation and left-out residuals against fits made one by one."""
    table = made_table(c=2.0, ell=-0.5, d=1.0)
    found, runs = partial_effects(table, resamples=20), read(table)
    y, d = runs.error, standard(runs.log_density[:, None])
    one = np.ones((60, 1))
    both = np.stack([runs.clustering, runs.path_length], 1)
    designs = {
        "density": np.hstack([one, d, d**2]),
        "measures": np.hstack([one, quadratic(both)]),
        "both": np.hstack([one, d, d**2, quadratic(both)]),
    }

    def residual(x, target=y):
        return target - x @ np.linalg.lstsq(x, target, rcond=None)[0]

    for name, x in designs.items():
        explained = getattr(found, name)
        assert explained.r2 == pytest.approx(1 - residual(x).var() / y.var(), abs=1e-9)
        left_out, of_mean = 0.0, 0.0
        for i in range(60):
            rest = np.arange(60) != i
            fit = np.linalg.lstsq(x[rest], y[rest], rcond=None)[0]
            left_out += (y[i] - x[i] @ fit) ** 2
            of_mean += (y[i] - y[rest].mean()) ** 2
        assert explained.held_out == pytest.approx(1 - left_out / of_mean, abs=1e-9)
    for effect, own, other in (
        (found.clustering, both[:, 0], both[:, 1:]),
        (found.path_length, both[:, 1], both[:, :1]),
    ):
        own = residual(np.hstack([one, quadratic(np.hstack([d, other]))]), own)
        assert effect.slope.value == pytest.approx(own @ y / (own @ own), abs=1e-8)
        total = (runs.clustering if effect is found.clustering else runs.path_length).var()
        assert effect.inflation == pytest.approx(total / own.var(), rel=1e-6)


def test_known_slopes_are_recovered_and_covered():
    """90 % intervals of both slopes hold the truth in 90 % of 100 tables, to 3 deviations."""
    inside, middle = np.zeros(2), []
    for stream in range(100):
        table = made_table(wirings=80, stream=stream, c=2.0, ell=-0.5, d=1.0, bowl=0.7)
        found = partial_effects(table, resamples=100)
        slopes = (found.clustering.slope, found.path_length.slope)
        inside += [s.low <= true <= s.high for s, true in zip(slopes, (2.0, -0.5), strict=True)]
        middle.append([s.value for s in slopes])
    error = np.std(middle, axis=0) / np.sqrt(100)
    assert np.abs(np.mean(middle, axis=0) - (2.0, -0.5)) == pytest.approx(
        (0, 0), abs=4 * error.max()
    )
    assert (np.abs(inside / 100 - 0.9) < 3 * np.sqrt(0.09 / 100)).all(), inside / 100


def test_added_share_is_covered():
    """The share that C and L add in the population, from 40,000 wirings, to 3 deviations."""
    settings = {"c": 2.0, "ell": -0.5, "d": 1.0}
    truth = partial_effects(made_table(wirings=40_000, stream=999, **settings), resamples=20)
    inside, values = 0, []
    for stream in range(100):
        found = partial_effects(made_table(wirings=60, stream=stream, **settings), resamples=100)
        inside += found.added.low <= truth.added.value <= found.added.high
        values.append(found.added.value)
    assert np.mean(values) == pytest.approx(truth.added.value, abs=0.02), "not flattered"
    assert abs(inside / 100 - 0.9) < 3 * np.sqrt(0.09 / 100), inside / 100


@pytest.mark.parametrize("stream", range(5))
def test_density_alone_is_not_credited_to_the_measures(stream):
    """Error that follows density only: C and L explain much, and add nothing."""
    found = partial_effects(made_table(wirings=200, d=1.0, bowl=0.15, stream=stream))
    assert found.measures.r2 > 0.2
    assert abs(found.held_out_added) < 0.03
    assert found.both.r2 >= found.density.r2


def test_density_alone_in_words():
    found = partial_effects(made_table(wirings=200, d=1.0, noise=0.05))
    assert found.held_out_added < 0.01
    assert found.verdict()[0].startswith("C and L are not shown to tell more about error")


def test_measures_that_follow_density_are_said_to():
    """C a function of density: no slope of its own, and no crash."""
    table = made_table(ell=1.0)
    table["C"] = 0.1 + table["density"]
    found = partial_effects(table)
    assert found.clustering.inflation > 10
    assert not found.apart
    assert "can hardly be told" in " ".join(found.verdict())
    table["C"] = 0.5 + 0.1 * np.log(table["density"])
    found = partial_effects(table)
    assert found.clustering.slope is None
    assert found.clustering.at_density is None
    assert found.clustering.inflation == np.inf
    assert "nothing of C is left to vary" in " ".join(found.verdict())


def test_constant_measure():
    table = made_table(ell=1.0)
    table["C"] = 0.5
    found = partial_effects(table)
    assert found.clustering.slope is None
    assert found.path_length.slope.value == pytest.approx(1.0, abs=0.3)


def test_density_unknown():
    found = partial_effects(made_table(c=2.0).drop(columns="density"))
    assert found.density is found.both is found.added is found.partial is None
    assert found.held_out_added is None
    assert found.clustering.slope.value == pytest.approx(2.0, abs=0.8)
    assert found.verdict()[0].startswith("Density is unknown")
    assert "With L held, " in found.verdict()[1]


def test_density_unknown_of_some():
    table = made_table(c=2.0)
    table.loc[:9, "density"] = np.nan
    found = partial_effects(table)
    assert (found.wirings, found.left_out) == (50, 10)
    assert "density is unknown: 10" in " ".join(found.verdict())
    table.loc[:49, "density"] = np.nan
    with pytest.raises(InvalidValue, match=r"at least 16 wirings of known density; got 10"):
        partial_effects(table)


def test_ceiling_needs_seeds():
    assert partial_effects(made_table(c=2.0), resamples=20).ceiling is None
    found = partial_effects(made_table(c=2.0, seeds=3), resamples=20)
    assert 0 < found.ceiling < 1
    assert f"at {found.ceiling:.2f}" in " ".join(found.verdict())


def test_result_does_not_depend_on_order_and_is_keyed():
    table = made_table(c=2.0, seeds=2)
    found = partial_effects(table)
    assert partial_effects(table.sample(frac=1, random_state=1)) == found
    assert partial_effects(table, seed=1).clustering.slope.low != found.clustering.slope.low
    scaled = partial_effects(table.assign(error=table["error"] / 100))
    assert scaled.clustering.slope.high == pytest.approx(found.clustering.slope.high / 100)
    assert scaled.added.low == pytest.approx(found.added.low)


def test_gaps_and_missing_errors():
    table = made_table(c=2.0, seeds=3)
    table.loc[[0, 7, 8], "error"] = np.nan
    found = partial_effects(table)
    assert np.isfinite(found.both.r2)
    assert found.wirings == 60
    assert all(s.endswith(".") for s in found.verdict())


def test_what_is_refused():
    with pytest.raises(InvalidValue, match=r"at least 16 wirings; got 15"):
        partial_effects(made_table(wirings=15))
    with pytest.raises(InvalidValue, match=r"at least 12 wirings; got 11"):
        partial_effects(made_table(wirings=11).drop(columns="density"))
    with pytest.raises(InvalidValue, match="mean errors differ"):
        partial_effects(made_table().assign(error=1.0))
    with pytest.raises(InvalidValue, match=r"`resamples`.*at least 20; got 5"):
        partial_effects(made_table(), resamples=5)
    with pytest.raises(InvalidValue, match=r"`seed`.*got 'x'"):
        partial_effects(made_table(), seed="x")
    assert partial_effects(made_table(wirings=16)).wirings == 16


def test_one_seed_is_said():
    said = " ".join(partial_effects(made_table(), resamples=0).verdict())
    assert "seed noise is unknown, because there is one seed" in said
    assert "share seeds" not in said


def test_examples_run():
    failed, tried = doctest.testmod(importlib.import_module("wireloom.analysis.effects"))
    assert tried
    assert not failed
