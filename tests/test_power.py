"""Power: simulated tests, scipy's own, variance components of known size, wrong tables."""

from __future__ import annotations

import doctest
import importlib
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from wireloom.analysis.planning import (
    chance_of_correlation,
    chance_of_seeing,
    power,
    runs_needed,
    smallest_seen,
    variance_components,
    wirings_needed,
)
from wireloom.analysis.statistics import split_half_reliability
from wireloom.analysis.table import read
from wireloom.base import InvalidValue


def made_table(wirings=40, seeds=3, between=1.0, within=1.0, stream=0, keep=1.0):
    """Errors of two variance components, a share of the runs missing."""
    rng = np.random.default_rng(stream)
    wiring = np.repeat(np.arange(wirings), seeds)
    error = 30 + between * rng.standard_normal(wirings)[wiring]
    frame = pd.DataFrame(
        {
            "C": rng.uniform(0.1, 0.9, wirings)[wiring],
            "L": rng.uniform(1.2, 4.0, wirings)[wiring],
            "error": error + within * rng.standard_normal(len(wiring)),
            "seed": np.tile(np.arange(seeds), wirings),
            "wiring": wiring,
        }
    )
    return frame[(rng.random(len(frame)) < keep) | (frame["seed"] == 0)]


def t_tests(one, other, level=0.05):
    """Share of rows where a one-tailed, equal-variance t test finds ``other`` higher."""
    return float(np.mean(stats.ttest_ind(one, other, axis=1, alternative="less").pvalue < level))


# Against scipy and against simulated tests


@pytest.mark.parametrize("size", [2, 3, 5, 30, 1000])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_chance_is_that_of_the_noncentral_t(size, level):
    effects = np.array([0.0, 0.1, 0.5, 1.0, 2.0])
    freedom, shift = 2 * size - 2, effects * np.sqrt(size / 2)
    want = stats.nct.sf(stats.t.isf(level, freedom), freedom, shift)
    found = chance_of_seeing(effects, 1.0, size, level)
    assert found == pytest.approx(want, abs=1e-9)
    assert found[0] == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize("freedom_level", [(2, 1e-6), (58, 0.05), (2000, 0.001), (3_000_000, 0.05)])
def test_chance_rises_to_one_and_is_always_a_number(freedom_level):
    """Where the series gives up, far in the tail, too."""
    freedom, level = freedom_level
    effects = np.concatenate([np.linspace(0, 20, 201), [50.0, 1e3, 1e8]])
    found = chance_of_seeing(effects, 1.0, freedom // 2 + 1, level)
    assert np.isfinite(found).all()
    assert (np.diff(found) > -1e-9).all()
    assert found[-1] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("effect", "chance"), [(0.8, 0.8), (1.5, 0.8), (1.5, 0.5), (3.0, 0.95)])
def test_seeds_by_simulated_tests(effect, chance):
    """4,000 t tests at the number given reach the chance, one seed fewer do not."""
    size = runs_needed(effect, 1.0, chance)
    rng = np.random.default_rng(0)
    for n, exact in ((size, True), (size - 1, False)):
        one, other = rng.standard_normal((2, 4000, n))
        found, said = t_tests(one, other + effect), float(chance_of_seeing(effect, 1.0, n))
        assert found == pytest.approx(said, abs=4 * np.sqrt(said * (1 - said) / 4000))
        assert (said >= chance) == exact


def test_wirings_a_bin_by_simulated_tests():
    """Both components: wirings drawn anew in each bin, five seeds of each."""
    between, within, effect = 0.21, 0.33, 0.3
    table = made_table(wirings=4000, seeds=5, between=between, within=within)
    found = power(table, effect)
    size = found.wirings_a_bin
    rng = np.random.default_rng(1)
    bins = between * rng.standard_normal((2, 4000, size))
    one, other = bins + (within * rng.standard_normal((2, 4000, size, 5))).mean(-1)
    seen = t_tests(one, other + effect)
    assert seen == pytest.approx(0.8, abs=0.04)
    assert seen > 0.8 - 4 * np.sqrt(0.16 / 4000)


def test_smallest_difference_is_just_seen():
    for size in (2, 3, 5, 20):
        smallest = smallest_seen(size, 2.0, 0.9)
        assert float(chance_of_seeing(smallest, 2.0, size)) == pytest.approx(0.9, abs=1e-9)
        assert runs_needed(smallest, 2.0, 0.9) in (size, size + 1)
    assert smallest_seen(3, 0.0) == 0.0


@pytest.mark.parametrize(("correlation", "wirings"), [(0.8, 4), (0.5, 20), (0.3, 67)])
def test_chance_of_a_correlation(correlation, wirings):
    """Against adaptive quadrature over chi, and 20,000 simulated samples."""
    freedom = wirings - 2
    ratio, critical = correlation / np.sqrt(1 - correlation**2), stats.t.isf(0.05, freedom)

    def integrand(chi):
        return stats.chi.pdf(chi, wirings - 1) * stats.nct.sf(critical, freedom, ratio * chi)

    middle = np.sqrt(wirings - 1)
    want, _ = integrate.quad(integrand, max(0.0, middle - 6), middle + 6)
    found = chance_of_correlation(correlation, wirings)
    assert found == pytest.approx(want, abs=1e-6)

    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, 20_000, wirings))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    r = np.sum(x * y, 1) / np.sqrt(np.sum(x * x, 1) * np.sum(y * y, 1))
    seen = np.mean(r * np.sqrt(freedom / (1 - r**2)) > critical)
    assert seen == pytest.approx(found, abs=4 * np.sqrt(0.25 / 20_000))


@pytest.mark.parametrize("correlation", [0.05, 0.1, 0.3, 0.5])
def test_wirings_against_fishers_z(correlation):
    """The approximation ((z_a + z_b) / atanh r)^2 + 3, to one wiring in a hundred and one."""
    z = (stats.norm.isf(0.05) + stats.norm.isf(0.2)) / np.arctanh(correlation)
    assert wirings_needed(correlation) == pytest.approx(z**2 + 3, rel=0.01, abs=1)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.02, 20), st.floats(0.01, 10), st.floats(0.1, 0.99), st.sampled_from([0.001, 0.05])
)
def test_runs_needed_are_the_fewest(effect, spread, chance, level):
    size = runs_needed(effect, spread, chance, level)
    assert chance_of_seeing(effect, spread, size, level) >= chance
    assert size == 2 or chance_of_seeing(effect, spread, size - 1, level) < chance


# Variance components


def test_components_by_the_textbook_balanced():
    table = made_table()
    found = power(table)
    grid = read(table).by_seed
    within = grid.var(axis=1, ddof=1).mean()
    between = grid.mean(1).var(ddof=1) - within / 3
    assert found.within == pytest.approx(np.sqrt(within), abs=1e-9)
    assert found.between == pytest.approx(np.sqrt(between), abs=1e-9)
    assert found.effect == found.between
    assert found.freedom == 80
    assert found.reliability == pytest.approx(between / (between + within / 3), abs=1e-9)


def test_components_are_unbiased_with_gaps():
    """One to five seeds a wiring: mean of 400 tables against b^2 = .25, w^2 = 1."""
    squares = []
    for stream in range(400):
        rng = np.random.default_rng(stream)
        wiring = np.repeat(np.arange(60), rng.binomial(4, 7 / 12, 60) + 1)
        level = 0.5 * rng.standard_normal(60)
        values = level[wiring] + rng.standard_normal(len(wiring))
        squares.append(variance_components(values, wiring))
    between, within = np.transpose(squares)
    for values, truth in ((between, 0.25), (within, 1.0)):
        assert values.mean() == pytest.approx(truth, abs=4 * values.std() / np.sqrt(400))


@pytest.mark.parametrize("share", [0.8, 0.9])
def test_seeds_for_a_reliability_give_it(share):
    found = power(made_table(wirings=3000, seeds=4, between=0.7, stream=3))
    seeds = found.seeds_for_80 if share == 0.8 else found.seeds_for_90
    grid = read(made_table(wirings=3000, seeds=seeds, between=0.7, stream=4)).by_seed
    reached = split_half_reliability(grid)
    assert share - 0.02 < reached < share + 0.04


# Published results


@pytest.mark.parametrize(
    ("name", "wirings", "seeds"),
    [("mlp_cifar10", 3942, 5), ("resnet34_imagenet", 52, 3), ("resnet34_sep_imagenet", 52, 3)],
)
def test_published_tables(shared_data, name, wirings, seeds):
    """The formula's reliability is that of split halves: .668 on the MLP, above .94 on ImageNet."""
    table = pd.read_parquet(shared_data / f"results_{name}.parquet")
    found = power(table)
    assert (found.wirings, found.typical) == (wirings, seeds)
    assert found.freedom == (table["graph_id"] >= 0).sum() - wirings
    want = split_half_reliability(read(table).by_seed)
    assert found.reliability == pytest.approx(want, abs=0.005)
    if wirings == 3942:
        assert found.reliability == pytest.approx(0.668, abs=1e-3)
        assert found.seeds_for_80 > seeds


def test_the_published_gain_is_seen_with_the_seeds_at_hand(shared_data):
    """The dense baseline and ResNet-34's best differ by 1.16: two or three seeds show that."""
    table = pd.read_parquet(shared_data / "results_resnet34_imagenet.parquet")
    expected = json.loads((shared_data / "expected_numbers.json").read_text())
    gain = expected["resnet34_imagenet"]["gain"]
    found = power(table, gain)
    assert found.seeds_to_compare <= 3
    assert found.smallest < gain


# Odd tables and what is refused


def test_wirings_that_do_not_differ():
    table = made_table(between=0.0)
    table["error"] = table["seed"] * 2.0
    found = power(table)
    assert found.between == 0
    assert found.effect is found.seeds_to_compare is found.wirings_a_bin is None
    assert found.seeds_for_80 is found.seeds_for_90 is None
    assert found.reliability == 0
    assert found.verdict()[0].startswith("The wirings do not differ beyond their seeds")
    assert power(table, 1.0).seeds_to_compare == runs_needed(1.0, found.within)


def test_seeds_that_do_not_differ():
    found = power(made_table(within=0.0))
    assert found.within == pytest.approx(0, abs=1e-9)
    assert found.seeds_to_compare == 2
    assert (found.seeds_for_80, found.seeds_for_90) == (1, 1)
    equal = power(made_table().assign(error=1.0), 0.5)
    assert equal.reliability is None
    assert equal.smallest == 0


def test_few_wirings_run_twice():
    table = made_table(wirings=9, seeds=2)
    found = power(table[(table["seed"] == 0) | (table["wiring"] < 3)], 1.0)
    assert found.freedom == 3
    assert found.typical == 1
    assert found.smallest is None
    assert "no two wirings can be told apart" in " ".join(found.verdict())


def test_verdict_answers_first():
    found = power(made_table(), 0.7, chance=0.9)
    said = found.verdict()
    assert said[0].startswith("To see a difference in error of 0.7 between two wirings takes ")
    assert f"takes {found.seeds_to_compare} seeds of each" in said[0]
    assert "90%" in said[0]
    assert all(s.endswith(".") for s in said)


def test_missing_errors_and_order():
    table = made_table()
    table.loc[[0, 4], "error"] = [np.nan, np.inf]
    assert power(table).freedom == 78
    assert power(table.sample(frac=1, random_state=0)) == power(table)


def test_what_is_refused():
    table = made_table()
    with pytest.raises(InvalidValue, match="a wiring with two runs or more; each has one"):
        power(table[table["seed"] == 0])
    with pytest.raises(InvalidValue, match=r"at least 3 wirings.*got 2"):
        power(table[table["wiring"] < 2])
    for arguments, message in (
        ({"effect": 0.0}, "`effect` must be a number above 0; got 0.0"),
        ({"effect": float("nan")}, "`effect`.*nan"),
        ({"effect": "big"}, "`effect`.*'big'"),
        ({"effect": 1e-9}, "`effect` must be large enough.*1e-09"),
        ({"chance": 1.0}, "`chance` must be a number above 0.05 and below 1; got 1.0"),
        ({"chance": 0.01}, "`chance`.*got 0.01"),
        ({"level": 0.6}, "`level` must be a number above 0 and at most 0.5; got 0.6"),
        ({"level": True}, "`level`.*True"),
        ({"correlation": 1.0}, "`correlation`.*got 1.0"),
        ({"correlation": 1e-9}, "`correlation` must be large enough"),
    ):
        with pytest.raises(InvalidValue, match=message):
            power(table, **arguments)


def test_repeated_rows_are_no_more_runs():
    table = made_table()
    assert power(pd.concat([table, table.iloc[:9]])) == power(table)
    assert "reliability by variances" in " ".join(power(table).verdict())


def test_examples_run():
    failed, tried = doctest.testmod(importlib.import_module("wireloom.analysis.planning"))
    assert tried
    assert not failed
