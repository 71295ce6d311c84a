"""The sweet spot: published numbers, tables made up on the spot, and tables that are wrong."""

from __future__ import annotations

import doctest
import importlib
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from wireloom.analysis.spot import SweetSpot, sweet_spot
from wireloom.analysis.statistics import (
    Moments,
    fit_quadratic,
    picked_error,
    split_half_reliability,
    worse_p_values,
)
from wireloom.base import InvalidValue

MLP, R34, SEP = "mlp_cifar10", "resnet34_imagenet", "resnet34_sep_imagenet"
ARCHITECTURES = (MLP, R34, SEP)
CELL_C, CELL_L = 1 / 15, 3.5 / 15


@pytest.fixture(scope="session")
def published():
    folder = Path(__file__).parents[2] / "shared" / "data" / "graph2nn"
    if not folder.is_dir():
        pytest.skip(f"the published results are not here: no folder {folder}")
    tables = {name: pd.read_parquet(folder / f"results_{name}.parquet") for name in ARCHITECTURES}
    return tables, json.loads((folder / "expected_numbers.json").read_text())


def random_table(wirings=40, seeds=3, between=0.0, within=1.0, stream=0, baseline=True):
    """A full table: C, L spread over the plane, errors of two variance components."""
    rng = np.random.default_rng(stream)
    c, ell = rng.uniform(0.02, 0.98, wirings), rng.uniform(1.1, 4.4, wirings)
    level = 30 + between * rng.standard_normal(wirings)
    frame = pd.DataFrame(
        {
            "C": np.repeat(c, seeds),
            "L": np.repeat(ell, seeds),
            "error": np.repeat(level, seeds) + within * rng.standard_normal(wirings * seeds),
            "seed": np.tile(np.arange(seeds), wirings),
            "wiring": np.repeat(np.arange(wirings), seeds),
        }
    )
    if baseline:
        dense = {"C": 1.0, "L": 1.0, "error": 30.0, "seed": np.arange(seeds), "wiring": -1}
        frame = pd.concat([frame, pd.DataFrame(dense)], ignore_index=True)
    return frame


def says_noise_only(verdict):
    """True if the words call the map noise first and then name no region, trend or slice."""
    first, *rest = verdict
    claims = ("region", "best", "do better", "lowest near", "rectangle", "clustering C")
    return first.startswith("Treat this map as noise") and not any(
        claim in sentence for sentence in rest for claim in claims
    )


# Published results


def test_mlp_bins(published):
    tables, expected = published
    spot, want = sweet_spot(tables[MLP]), expected["sweet_spot_mlp_52bin_centres"]
    assert spot.clustering == pytest.approx(want["C"], abs=5e-5)
    assert spot.path_length == pytest.approx(want["L"], abs=5e-5)
    assert sum(b.kept for b in spot.bins) == want["bins_kept"]
    best = (spot.best.clustering, spot.best.path_length)
    assert best == pytest.approx(want["best_bin_centre"], abs=5e-5)
    assert spot.best.mean == pytest.approx(want["best_bin_mean"], abs=5e-5)
    assert sum(b.runs for b in spot.bins) == 5 * spot.wirings
    assert sum(b.wirings for b in spot.bins) == spot.wirings == 3942
    assert "rests on bins with fewer than 3 wirings" in " ".join(spot.verdict())


def test_mlp_bins_of_three_wirings(published):
    spot = sweet_spot(published[0][MLP], min_wirings=3)
    assert spot.clustering == pytest.approx((0.2333, 0.5), abs=5e-5)
    assert spot.path_length == pytest.approx((2.05, 2.75), abs=5e-5)
    assert min(b.wirings for b in spot.bins) == 3
    assert spot.sparse == 3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_per_wiring(published, architecture):
    tables, expected = published
    want = expected["sweet_spot_per_graph"][architecture]
    against = expected[architecture].get("paper_best_graph_id")
    spot = sweet_spot(tables[architecture], by="wiring", against=against)
    assert spot.clustering == pytest.approx(want["C"], abs=5e-5)
    assert spot.path_length == pytest.approx(want["L"], abs=5e-5)
    assert spot.best.wiring == expected[architecture]["best_graph_id"]
    assert spot.reference == (spot.best.wiring if against is None else against)


def test_mlp_per_wiring_against_its_own_best(published):
    spot = sweet_spot(published[0][MLP], by="wiring")
    assert spot.reference == spot.best.wiring == 1943
    assert spot.clustering == pytest.approx((0.0812, 0.7187), abs=5e-5)
    assert spot.path_length == pytest.approx((1.5402, 3.5074), abs=5e-5)


def test_consistent_region(published):
    tables, expected = published
    spots = [
        sweet_spot(tables[MLP]),
        sweet_spot(tables[R34], by="wiring"),
        sweet_spot(tables[SEP], by="wiring"),
    ]
    want = expected["consistent_sweet_spot_of_mlp_bins_resnet34_resnet34_sep"]
    for ranges, name in (
        ([s.clustering for s in spots], "C"),
        ([s.path_length for s in spots], "L"),
    ):
        common = (max(lo for lo, _ in ranges), min(hi for _, hi in ranges))
        assert common == pytest.approx(want[name], abs=5e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_levels_and_raw_gains(published, architecture):
    tables, expected = published
    spot, want = sweet_spot(tables[architecture], by="wiring"), expected[architecture]
    means = {b.wiring: b.mean for b in spot.bins}
    assert spot.baseline == pytest.approx(want["baseline_top1_err"], abs=5e-5)
    assert spot.best_wiring.wiring == want["best_graph_id"]
    assert spot.best_wiring.mean == pytest.approx(want["best_top1_err"], abs=5e-5)
    assert spot.gain == pytest.approx(want["gain"], abs=5e-5)
    assert spot.wirings == want["n_graphs"]
    assert np.mean(list(means.values())) == pytest.approx(want["mean_over_graphs"], abs=5e-5)
    assert spot.better_than_baseline == pytest.approx(
        want["fraction_better_than_baseline"], abs=5e-5
    )
    if "paper_best_graph_id" in want:
        found = means[want["paper_best_graph_id"]]
        assert found == pytest.approx(want["paper_best_top1_err"], abs=5e-5)


@pytest.mark.parametrize(
    ("architecture", "exact", "stated"),
    [(MLP, 0.831, 0.83), (R34, 1.05467, 1.06), (SEP, 1.03933, 1.04)],
)
def test_honest_gains(published, architecture, exact, stated):
    """Exact by hand; ResNet-34's is stated as 1.06, which no mean over splits gives."""
    spot = sweet_spot(published[0][architecture])
    assert spot.honest_gain == pytest.approx(exact, abs=1e-5)
    assert spot.honest_gain == pytest.approx(stated, abs=0.006)
    assert spot.honest_gain < spot.gain
    (said,) = [s for s in spot.verdict() if s.startswith("Against the dense baseline")]
    assert said.index(f"{spot.honest_gain:.3g}") < said.index(f"{spot.gain:.3g}")


def test_reliability_of_published_maps(published):
    """Seed noise caps what any function of the wiring explains on the MLP at 0.668."""
    spots = [sweet_spot(published[0][name]) for name in ARCHITECTURES]
    assert spots[0].reliability == pytest.approx(0.668, abs=1e-3)
    assert all(s.reliability > 0.9 for s in spots[1:])
    assert not any(s.is_noise for s in spots)


@pytest.mark.parametrize(
    ("architecture", "on_l", "on_c"),
    [(MLP, (2.48, 0.54), (0.34, 0.24)), (R34, (2.13, 0.61), (0.33, 0.40))],
)
def test_slices(published, architecture, on_l, on_c):
    spot = sweet_spot(published[0][architecture])
    assert [s.along for s in spot.slices] == ["path_length", "clustering"]
    for cut, (vertex, r2) in zip(spot.slices, (on_l, on_c), strict=True):
        assert cut.fit.opens_up
        assert cut.fit.vertex == pytest.approx(vertex, abs=0.005)
        assert cut.fit.r2 == pytest.approx(r2, abs=0.005)
        x, y = np.array(cut.points).T
        assert cut.fit.coefficients == pytest.approx(np.polyfit(x, y, 2), rel=1e-6)


def test_density_explains_much(published):
    correlation = sweet_spot(published[0][MLP]).correlation
    assert correlation.log_density == pytest.approx(0.569, abs=5e-4)
    assert correlation.clustering == pytest.approx(0.431, abs=5e-4)
    assert correlation.path_length == pytest.approx(-0.094, abs=5e-4)


def test_bootstrap_of_mlp_bins(published):
    """Ends are bin centres, and a percentile of 200 draws may step to the next: one cell."""
    ends = sweet_spot(published[0][MLP], resamples=200).interval
    assert ends.resamples == 200
    assert ends.clustering_lo == pytest.approx((0.10, 0.30), abs=CELL_C + 0.005)
    assert ends.clustering_hi == pytest.approx((0.43, 0.63), abs=CELL_C + 0.005)
    assert ends.path_length_lo == pytest.approx((1.82, 2.28), abs=CELL_L + 0.005)
    assert ends.path_length_hi == pytest.approx((2.52, 3.68), abs=CELL_L + 0.005)


def test_missing_run_is_no_obstacle(published):
    """ResNet-34-sep lacks one run: 155 of 156."""
    spot = sweet_spot(published[0][SEP], by="wiring")
    assert sum(b.runs for b in spot.bins) == 155
    assert spot.left_out == 0


def test_twenty_thousand_rows_are_quick(published):
    def seconds(by):
        start = time.perf_counter()
        sweet_spot(published[0][MLP], by=by)
        return time.perf_counter() - start

    assert min(seconds("bin") for _ in range(3)) < 1
    assert min(seconds("wiring") for _ in range(3)) < 1


# Tables never seen


@st.composite
def tables(draw):
    """Small tables with gaps, ties, lone runs, repeated runs and missing errors."""
    wirings = draw(st.integers(3, 9))
    c = draw(st.lists(st.floats(0, 1), min_size=wirings, max_size=wirings))
    ell = draw(st.lists(st.floats(1, 4.5), min_size=wirings, max_size=wirings))
    errors = st.one_of(st.sampled_from([30.0, 31.0, np.nan]), st.floats(0, 100))
    rows = [(i, 0, draw(st.floats(0, 100))) for i in range(wirings)]
    rows += draw(
        st.lists(st.tuples(st.integers(0, wirings - 1), st.integers(0, 3), errors), max_size=30)
    )
    wiring, seed, error = zip(*rows, strict=True)
    dense = [False] * len(rows)
    return pd.DataFrame(
        {
            "C": [c[i] for i in wiring],
            "L": [ell[i] for i in wiring],
            "error": error,
            "seed": seed,
            "wiring": wiring,
            "is_complete_graph_baseline": dense,
        }
    )


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from(["bin", "wiring"]), st.randoms(use_true_random=False))
def test_any_table(table, by, random):
    spot = sweet_spot(table, by=by, resamples=5)
    for lo, hi in (spot.clustering, spot.path_length):
        assert lo <= hi
    assert 0 <= spot.clustering[0] <= spot.clustering[1] <= 1
    assert spot.reliability is None or 0 <= spot.reliability <= 1 + 1e-12
    assert spot.left_out == table["error"].isna().sum()
    assert any(b.kept for b in spot.bins)
    assert spot.best_wiring.mean <= spot.best.mean + 1e-9
    assert all(isinstance(s, str) and s.endswith(".") for s in spot.verdict())

    order = list(range(len(table)))
    random.shuffle(order)
    assert sweet_spot(table.iloc[order], by=by, resamples=5) == spot


def test_any_form_of_table_and_either_name():
    table = random_table()
    spot = sweet_spot(table)
    names = {"error": "top1_err", "seed": "train_seed", "wiring": "graph_id"}
    renamed = table.rename(columns=names)
    renamed["graph_seed"] = 7
    for same in (
        renamed,
        pa.Table.from_pandas(table),
        {name: table[name].tolist() for name in table},
        table.convert_dtypes(),
        table.convert_dtypes(dtype_backend="pyarrow"),
        table.astype({"seed": "category", "wiring": "category"}),
    ):
        assert sweet_spot(same) == spot


def test_table_is_not_changed():
    table = random_table()
    before = table.copy(deep=True)
    sweet_spot(table, resamples=2)
    pd.testing.assert_frame_equal(table, before)


def test_planted_sweet_spot_is_found():
    """The rectangle joins centres of cells, so its ends are good to one cell."""
    table = random_table(wirings=1500, seeds=3, within=0.2, stream=3)
    dense = (table["C"] == 1) & (table["L"] == 1)
    distance = ((table["C"] - 0.4) / 0.3) ** 2 + ((table["L"] - 2.4) / 1.0) ** 2
    table.loc[~dense, "error"] += np.minimum(distance, 6) - 1
    spot = sweet_spot(table)
    assert spot.clustering[0] - CELL_C <= 0.4 <= spot.clustering[1] + CELL_C
    assert spot.path_length[0] - CELL_L <= 2.4 <= spot.path_length[1] + CELL_L
    assert np.diff(spot.clustering) <= 5 * CELL_C
    assert np.diff(spot.path_length) <= 5 * CELL_L
    assert spot.slices[0].fit.vertex == pytest.approx(2.4, abs=0.3)
    assert spot.slices[1].fit.vertex == pytest.approx(0.4, abs=0.1)
    assert spot.honest_gain == pytest.approx(1, abs=0.5)
    assert not spot.is_noise
    assert "noise" not in " ".join(spot.verdict())


@pytest.mark.parametrize("stream", range(5))
def test_pure_noise_is_called_noise(stream):
    spot = sweet_spot(random_table(wirings=300, seeds=4, stream=stream))
    assert spot.is_noise
    assert says_noise_only(spot.verdict())
    assert spot.gain > 0.8, "the raw gain is the luck of the best of 300"
    assert abs(spot.honest_gain) < 0.8


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 8, 12])
@pytest.mark.parametrize("between", [0.5, 1.0])
def test_reliability_against_its_formula(seeds, between):
    """With variances b^2 between wirings and 1 between seeds it is b^2 / (b^2 + 1 / seeds)."""
    rng = np.random.default_rng(seeds)
    errors = between * rng.standard_normal((3000, 1)) + rng.standard_normal((3000, seeds))
    want = between**2 / (between**2 + 1 / seeds)
    assert split_half_reliability(errors) == pytest.approx(want, abs=0.05)


def test_reliability_with_gaps():
    """A third of the runs missing at random: the mean number of seeds a wiring decides."""
    rng = np.random.default_rng(1)
    errors = rng.standard_normal((4000, 1)) + rng.standard_normal((4000, 6))
    errors[rng.random(errors.shape) < 1 / 3] = np.nan
    assert split_half_reliability(errors) == pytest.approx(1 / (1 + 1 / 4), abs=0.05)


def test_picked_error_by_hand():
    """Pairs pick row 0 (judged 9), 1 (judged 5) and 1 (judged 2)."""
    errors = np.array([[1.0, 1.0, 9.0], [2.0, 5.0, 2.0], [8.0, 8.0, 8.0]])
    assert picked_error(errors) == pytest.approx((9 + 5 + 2) / 3)
    assert picked_error(errors[:, :1]) is None
    assert picked_error(np.array([[1.0, np.nan], [np.nan, 1.0]])) is None


def test_picked_error_is_not_flattered():
    """Rows that differ by luck alone average to their common mean, to four standard errors."""
    rng = np.random.default_rng(0)
    picked = [picked_error(rng.standard_normal((100, 5))) for _ in range(200)]
    assert abs(np.mean(picked)) < 4 * np.std(picked) / np.sqrt(200)


def test_p_values_against_scipy():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(12), rng.integers(2, 9, 12))
    values = rng.normal(30 + group % 3, 1 + group % 2)
    p = worse_p_values(Moments.of(values, group, 12), 4)
    for i in range(12):
        one, other = values[group == 4], values[group == i]
        want = stats.ttest_ind(one, other, alternative="less").pvalue
        assert p[i] == pytest.approx(want, abs=1e-12)


def test_p_value_of_a_single_run():
    """The reference's own spread is all there is: t = difference / (s sqrt(1 + 1 / n))."""
    reference = np.array([30.0, 31.0, 32.0, 33.0])
    values, group = np.append(reference, [34.5, 1.0]), np.array([0, 0, 0, 0, 1, 3])
    p = worse_p_values(Moments.of(values, group, 4), 0)
    t = (34.5 - 31.5) / (reference.std(ddof=1) * np.sqrt(1 + 1 / 4))
    assert p[1] == pytest.approx(stats.t.sf(t, 3), abs=1e-12)
    assert np.isnan(p[2]), "an empty group has no p"
    alone = worse_p_values(Moments.of(values[4:], np.array([0, 1]), 2), 0)
    assert np.isnan(alone).all(), "two single runs leave no degrees of freedom"


def test_p_values_without_spread():
    values, group = np.array([0.1] * 3 + [0.1] * 5 + [0.2] * 2), np.repeat([0, 1, 2], [3, 5, 2])
    p = worse_p_values(Moments.of(values, group, 3), 0)
    assert p == pytest.approx([0.5, 0.5, 0.0], abs=1e-12)
    p = worse_p_values(Moments.of(values, group, 3), 2)
    assert p == pytest.approx([1.0, 1.0, 0.5], abs=1e-12)


def test_quadratic_that_cannot_be_fitted():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert fit_quadratic(x[:3], x[:3] ** 2) is None
    assert fit_quadratic(np.array([1.0, 1.0, 2.0, 2.0]), x) is None
    assert fit_quadratic(x, np.full(4, 5.0)) is None
    line = fit_quadratic(x, 2 * x + 1)
    assert line.vertex is None
    assert not line.opens_up
    assert fit_quadratic(x, -((x - 3) ** 2)).vertex == pytest.approx(3)
    assert not fit_quadratic(x, -((x - 3) ** 2)).opens_up


# Odd tables


def test_one_seed():
    spot = sweet_spot(random_table(seeds=1))
    assert spot.reliability is None
    assert spot.honest_gain is None
    assert spot.gain is not None
    assert spot.is_noise
    assert "one seed only" in spot.verdict()[1]
    assert says_noise_only(spot.verdict())


def test_one_run_a_wiring_keeps_all():
    table = random_table(wirings=10, seeds=1)
    spot = sweet_spot(table, by="wiring")
    assert all(b.kept and b.p_value is None for b in spot.bins)
    assert spot.clustering == (table["C"][:10].min(), table["C"][:10].max())
    assert says_noise_only(spot.verdict())


@pytest.mark.parametrize("by", ["bin", "wiring"])
def test_constant_errors(by):
    table = random_table(within=0.0, baseline=False)
    table["error"] = 0.1
    spot = sweet_spot(table, by=by, resamples=3)
    assert all(b.kept for b in spot.bins)
    assert spot.best_wiring.wiring == 0
    assert spot.best_wiring.ties == tuple(range(1, 40))
    assert spot.reliability is None
    assert spot.correlation.clustering is None
    assert spot.slices[0].fit is None
    assert "errors do not differ" in spot.verdict()[1]
    assert says_noise_only(spot.verdict())
    assert any("no gain" in s for s in spot.verdict())


def test_seeds_that_are_never_shared():
    table = random_table(baseline=False)
    table["seed"] = np.arange(len(table))
    spot = sweet_spot(table)
    assert spot.reliability is None
    assert "share seeds" in spot.verdict()[1]
    assert says_noise_only(spot.verdict())


def test_many_seeds_stay_small():
    table = random_table(wirings=200, seeds=60, between=1.0)
    start = time.perf_counter()
    spot = sweet_spot(table, resamples=5)
    assert time.perf_counter() - start < 5
    assert spot.seeds == 60
    assert spot.reliability > 0.9


def test_rows_left_out_are_counted():
    table = random_table(seeds=4)
    table.loc[0, "error"] = np.nan
    table.loc[5, "error"] = np.inf
    table.loc[9, "C"] = np.nan
    table["wiring"] = table["wiring"].astype(object)
    table.loc[13, "wiring"] = None
    spot = sweet_spot(table)
    assert spot.left_out == 4
    assert sum(b.runs for b in spot.bins) == 156
    assert any("left out" in s and "4" in s for s in spot.verdict())


def test_ties_go_to_the_lowest_id():
    table = {
        "C": [0.3, 0.2, 0.5, 0.9] * 2,
        "L": [2.0, 2.1, 2.2, 2.3] * 2,
        "error": [4.0, 4.0 + 5e-10, 4.0, 9.0] * 2,
        "seed": [0] * 4 + [1] * 4,
        "wiring": ["d", "b", "c", "a"] * 2,
    }
    best = sweet_spot(table, by="wiring").best
    assert best.wiring == "b"
    assert best.ties == ("c", "d")
    assert "2 more wirings tie" in " ".join(sweet_spot(table).verdict())


def test_edges_of_the_grid():
    """C cells are open below, L cells open above, but the plane's own ends are inside."""
    table = {
        "C": [0.0, 1 / 3, 0.5, 1.0, 0.5],
        "L": [1.0, 1 + 3.5 / 5, 4.5, 2.0, 9.0],
        "error": [1.0, 2.0, 3.0, 4.0, 0.5],
        "seed": [0] * 5,
        "wiring": range(5),
    }
    spot = sweet_spot(table)
    assert spot.outside == 1
    assert spot.best_wiring.wiring == 4
    assert "off the grid" in " ".join(spot.verdict())
    cells = {round(b.mean): (b.clustering, b.path_length) for b in spot.bins}
    assert cells[1] == (pytest.approx((0, CELL_C)), pytest.approx((1, 1 + CELL_L)))
    assert cells[2][0] == pytest.approx((4 * CELL_C, 5 * CELL_C))
    assert cells[2][1] == pytest.approx((1 + 3 * CELL_L, 1 + 4 * CELL_L))
    assert cells[3][1] == pytest.approx((4.5 - CELL_L, 4.5))
    assert cells[4][0] == pytest.approx((1 - CELL_C, 1))
    assert sweet_spot(table, longest=10).outside == 0


def test_baseline_by_column_or_by_measures():
    table = random_table()
    by_measures = sweet_spot(table)
    table["is_complete_graph_baseline"] = table["wiring"] == -1
    assert sweet_spot(table) == by_measures
    assert by_measures.baseline == 30
    table["is_complete_graph_baseline"] = False
    undeclared = sweet_spot(table)
    assert undeclared.baseline is None
    assert undeclared.wirings == by_measures.wirings + 1


@pytest.mark.parametrize(
    "columns", [{"density": 0.1}, {"sparsity": 0.1}, {"n": 64.0, "k": 6.4}], ids=str
)
def test_density_columns(columns):
    table = random_table(between=1.0)
    for name, value in columns.items():
        table[name] = value if name == "n" else value * (1 + table["C"])
    density = sweet_spot(table).correlation.log_density
    wirings = table[table["wiring"] >= 0].groupby("wiring").mean()
    want = np.corrcoef(np.log1p(wirings["C"]), wirings["error"])[0, 1]
    assert density == pytest.approx(want, abs=1e-9)
    assert sweet_spot(random_table()).correlation.log_density is None


@pytest.mark.parametrize(
    ("slope", "words"), [(9.0, "less clustered wirings do better"), (-9.0, "more clustered")]
)
def test_trend_in_words(slope, words):
    table = random_table(wirings=60)
    table["error"] += slope * table["C"]
    assert words in " ".join(sweet_spot(table).verdict())


@pytest.mark.parametrize("between", [0.0, 3.0])
@pytest.mark.parametrize("by", ["bin", "wiring"])
@pytest.mark.parametrize(
    ("level", "first", "share"),
    [
        (10.0, "The dense baseline does best", "no wiring beats the baseline"),
        (90.0, "The best wirings have clustering C", "100% of the wirings beat the baseline"),
    ],
)
def test_whoever_wins(between, by, level, first, share):
    """The dense baseline far ahead or far behind, on a map that is noise and on one that is not."""
    table = random_table(seeds=4, between=between)
    table.loc[table["wiring"] == -1, "error"] = level
    spot = sweet_spot(table, by=by)
    said = spot.verdict()
    assert spot.is_noise == (between == 0)
    assert says_noise_only(said) if spot.is_noise else said[0].startswith(first)
    (against,) = [s for s in said if s.startswith("Against the dense baseline")]
    assert share in against
    word, kind = ("more", "loss") if level < 30 else ("less", "gain")
    assert against.index(f"the honest {kind}") < against.index(f"the raw {kind}")
    assert f"{abs(spot.honest_gain):.3g} {word} error" in against
    assert f"{abs(spot.gain):.3g} {word} error" in against


def test_lead_that_does_not_last():
    """Good wirings that differ by luck alone, bad ones, and a baseline between luck and truth."""
    table = random_table(wirings=60, seeds=4)
    table["error"] += 5.0 * ((table["C"] > 0.5) & (table["wiring"] >= 0))
    table.loc[table["wiring"] == -1, "error"] = 29.5
    spot = sweet_spot(table)
    assert not spot.is_noise
    assert spot.honest_gain < 0 < spot.gain
    assert spot.verdict()[0].startswith("No wiring is shown to beat the dense baseline")
    assert len(spot.slices[1].points) < 10, "too few wirings for a parabola to be worth a word"
    assert "parabola" not in " ".join(spot.verdict())


@pytest.mark.parametrize("by", ["bin", "wiring"])
def test_no_region_stands_out(by):
    """Wirings that repeat, two far apart runs in each: none can be told from the best."""
    table = random_table(wirings=10, seeds=2, between=1.0, within=0.0)
    table["error"] += 20.0 * table["seed"]
    spot = sweet_spot(table, by=by, resamples=5)
    assert not spot.is_noise
    assert all(b.kept for b in spot.bins)
    said = " ".join(spot.verdict())
    assert "No region stands out" in said
    assert "the region" not in said
    assert "rectangle" not in said


def test_wirings_kept_without_a_test_are_counted():
    """The best wiring and one other have a single run each: those two alone go untested."""
    table = random_table(wirings=20, seeds=3, between=3.0)
    best = table.groupby("wiring")["error"].mean().drop(-1).idxmin()
    other = 0 if best else 1
    table = table[~table["wiring"].isin([best, other]) | (table["seed"] == 0)]
    spot = sweet_spot(table, by="wiring", against=best)
    assert not spot.is_noise
    assert [b.wiring for b in spot.bins if b.p_value is None] == sorted([best, other])
    assert "Kept without a test, for want of a second run: 2." in spot.verdict()


def test_named_reference_is_not_called_the_best():
    table = random_table(between=3.0)
    middling = sweet_spot(table, by="wiring").bins[0].wiring
    said = " ".join(sweet_spot(table, by="wiring", against=middling).verdict())
    assert f"are not clearly worse than wiring {middling} (" in said
    assert "The best wirings" not in said


def test_interval_only_when_asked():
    table = random_table(between=1.0)
    assert sweet_spot(table).interval is None
    one = sweet_spot(table, by="wiring", resamples=20, seed=1)
    assert one.interval == sweet_spot(table, by="wiring", resamples=20, seed=1).interval
    assert one.interval != sweet_spot(table, by="wiring", resamples=20, seed=2).interval
    assert "20 draws" in " ".join(one.verdict())
    assert isinstance(one, SweetSpot)


# What is refused


def test_missing_columns_are_named():
    table = random_table().rename(columns={"seed": "graph_seed"}).drop(columns="L")
    with pytest.raises(InvalidValue, match=r"lacks the columns L, seed or train_seed") as caught:
        sweet_spot(table)
    assert "graph_seed is the wiring's" in str(caught.value)
    with pytest.raises(InvalidValue, match="it has none"):
        sweet_spot({})


def test_fewer_than_three_wirings():
    table = random_table(wirings=2)
    with pytest.raises(InvalidValue, match=r"at least 3 wirings.*got 2"):
        sweet_spot(table)
    empty = table.iloc[:0]
    with pytest.raises(InvalidValue, match="got 0"):
        sweet_spot(empty)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "bins"}, "did you mean 'bin'"),
        ({"against": 3}, "by='wiring'"),
        ({"by": "wiring", "against": 999}, "`against` must be the id.*999"),
        ({"cells": 0}, "`cells`.*got 0"),
        ({"cells": 1.5}, "`cells`.*got 1.5"),
        ({"longest": 1.0}, "`longest`.*got 1.0"),
        ({"longest": float("nan")}, "`longest`"),
        ({"longest": 1.01}, "hold a wiring"),
        ({"min_wirings": 500}, "`min_wirings`.*got 500"),
        ({"resamples": -1}, "`resamples`.*got -1"),
    ],
    ids=str,
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        sweet_spot(random_table(), **arguments)


def test_columns_of_the_wrong_kind():
    table = random_table()
    with pytest.raises(InvalidValue, match=r"column `error`.*numbers"):
        sweet_spot(table.assign(error="low"))
    with pytest.raises(InvalidValue, match=r"column `wiring`.*hashable"):
        sweet_spot(table.assign(wiring=[[1]] * len(table)))
    with pytest.raises(InvalidValue, match="one length"):
        sweet_spot({"C": [0.1, 0.2], "L": [2.0]})
    with pytest.raises(InvalidValue, match="got list"):
        sweet_spot([1, 2, 3])
    with pytest.raises(InvalidValue, match="each column once"):
        sweet_spot(pd.concat([table, table[["C"]]], axis=1))


def test_a_wiring_has_one_place():
    table = random_table()
    table.loc[1, "C"] = 0.5
    with pytest.raises(InvalidValue, match=r"column `C`.*wiring 0 has"):
        sweet_spot(table)


def test_examples_run():
    failed, tried = doctest.testmod(importlib.import_module("wireloom.analysis.spot"))
    assert tried
    assert not failed
