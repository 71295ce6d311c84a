"""How little would have told the same, and where studies agree; the published figures."""

from __future__ import annotations

import doctest
import importlib
import itertools
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wireloom.analysis.agreement import consistent_region, correlate
from wireloom.analysis.curves import few_epochs
from wireloom.analysis.enough import few_seeds, few_wirings
from wireloom.analysis.spot import sweet_spot
from wireloom.base import InvalidValue

MLP, R34, SEP = "mlp_cifar10", "resnet34_imagenet", "resnet34_sep_imagenet"


@pytest.fixture(scope="session")
def published(shared_data):
    tables = {n: pd.read_parquet(shared_data / f"results_{n}.parquet") for n in (MLP, R34, SEP)}
    return tables, json.loads((shared_data / "expected_numbers.json").read_text())


@pytest.fixture(scope="session")
def curves(shared_data):
    return pd.read_parquet(shared_data / "epochs_resnet34_long.parquet")


def subset(folder, count):
    return pd.read_csv(folder / f"graphs_n64_{count}.csv")["graph_id"].tolist()


def planted(wirings=200, seeds=4, noise=1.0, stream=0, baseline=True, slope=3.0, luck=None):
    """Errors that rise with distance from a place in the plane, and the seeds' own luck."""
    rng = np.random.default_rng(stream)
    c, ell = rng.uniform(0.02, 0.98, wirings), rng.uniform(1.1, 4.4, wirings)
    level = 30 + slope * np.hypot((c - 0.4) / 0.3, ell - 2.4)
    luck = np.random.default_rng(stream + 1000 if luck is None else luck)
    frame = pd.DataFrame(
        {
            "C": np.repeat(c, seeds),
            "L": np.repeat(ell, seeds),
            "error": np.repeat(level, seeds) + noise * luck.standard_normal(wirings * seeds),
            "seed": np.tile(np.arange(seeds), wirings),
            "wiring": np.repeat(np.arange(wirings), seeds),
        }
    )
    if baseline:
        dense = {"C": 1.0, "L": 1.0, "error": 36.0, "seed": np.arange(seeds), "wiring": -1}
        frame = pd.concat([frame, pd.DataFrame(dense)], ignore_index=True)
    return frame


def cell_means(frame, cells=15, longest=4.5):
    """Means by cell the slow way, for wirings off the edges of the cells."""
    runs = frame[(frame["C"] < 1) | (frame["L"] > 1)]
    across = np.ceil(runs["C"] * cells)
    at = 1000 * across + np.floor((runs["L"] - 1) / (longest - 1) * cells)
    return runs.groupby(at)["error"].mean()


def r_of(one, other):
    both = pd.concat([one, other], axis=1, join="inner").to_numpy()
    return np.corrcoef(both.T)[0, 1]


def growing_curves(wirings=60, seeds=4, epochs=12, noise=1.0, stream=0):
    """Curves whose epochs tell more and more of the wiring's own level."""
    rng = np.random.default_rng(stream)
    level, other = rng.standard_normal((2, wirings))
    rows = []
    for w, s, e in itertools.product(range(wirings), range(seeds), range(1, epochs + 1)):
        share = e / epochs
        truth = share * level[w] + (1 - share) * other[w]
        rows.append((w, s, e, 30 + truth + noise * rng.standard_normal()))
    return pd.DataFrame(rows, columns=["wiring", "seed", "epoch", "error"])


# Published figures


def test_published_few_wirings(published, shared_data):
    """The paper's .903 and .974: both over the 52 cells that its two subsets share."""
    tables, expected = published
    subsets = [subset(shared_data, 449), subset(shared_data, 52)]
    found = few_wirings(tables[MLP], subsets=subsets)
    small, large = found.steps
    assert (small.wirings, large.wirings, found.wirings) == (52, 449, 3942)
    assert found.cells == 52
    assert small.correlation == pytest.approx(expected["pearson_52_vs_3942_graphs"], abs=5e-5)
    assert large.correlation == pytest.approx(0.974, abs=5e-4)
    assert small.honest == pytest.approx(0.8993, abs=5e-5)
    assert large.honest == pytest.approx(0.9654, abs=5e-5)
    assert found.enough == 449
    alone = few_wirings(tables[MLP], subsets=subsets[:1])
    assert (alone.cells, round(alone.steps[0].correlation, 4)) == (68, 0.9666)


def test_published_default_thinning(published):
    found = few_wirings(published[0][MLP])
    assert [s.per_cell for s in found.steps] == [1, 2, 4, 9, 16]
    assert found.steps[0].wirings == found.cells == 74
    assert all(s.honest < s.correlation for s in found.steps)
    assert found.enough == found.steps[1].wirings == 147


def test_published_few_seeds(published):
    tables, _ = published
    mlp = few_seeds(tables[MLP])
    assert mlp.reliability == pytest.approx(0.668, abs=1e-3)
    assert mlp.needed == 23
    for step in mlp.steps[:2]:
        assert step.measured == pytest.approx(step.reliability, abs=1e-3)
    assert [s.measured for s in mlp.steps[2:]] == [None] * 3
    assert few_seeds(tables[R34]).needed == few_seeds(tables[SEP]).needed == 2


def test_published_few_epochs(published, curves):
    found = few_epochs(curves)
    want = published[1]["pearson_resnet34_epoch3_vs_100"]
    assert found.at(3).correlation == pytest.approx(want, abs=5e-4)
    assert found.reached == 3
    assert found.enough == 67, "it falls to .898 in between"
    assert found.ceiling == pytest.approx(0.864, abs=5e-4)
    assert found.at(3).honest == pytest.approx(0.816, abs=5e-4)
    assert found.honest_enough == 3
    assert (found.steps[0].epoch, found.last) == (1, 100), "epoch 0 is a leftover"
    assert (found.wirings, found.runs, found.left_out) == (53, 159, 0)
    assert "They first do so at epoch 3, but fall below it again." in found.verdict()
    without = few_epochs(curves[curves["graph_id"] >= 0]).at(3).correlation
    assert without == pytest.approx(0.925, abs=5e-4)


def test_published_correlations(published):
    """The authors filled one missing run of ResNet-34-sep with another seed's: 4e-4 apart."""
    tables, expected = published
    want = expected["pearson_53_cells"]
    sep = tables[SEP]
    hole = sep[(sep["graph_id"] == 506) & (sep["train_seed"] == 1)].assign(train_seed=2)
    filled = correlate(tables | {SEP: pd.concat([sep, hole])})
    as_is = correlate(tables)
    assert filled.cells == as_is.cells == 52
    assert filled.baseline
    pairs = {"mlp-resnet34": (MLP, R34), "mlp-resnet34_sep": (MLP, SEP)}
    for name, pair in (pairs | {"resnet34_sep-resnet34": (SEP, R34)}).items():
        assert filled.between(*pair) == pytest.approx(want[name], abs=5e-5)
        assert as_is.between(*pair) == pytest.approx(want[name], abs=6e-4)
        assert as_is.between(*pair) == as_is.between(*reversed(pair))
    assert as_is.without_baseline[1][2] == pytest.approx(0.9277, abs=5e-5)
    assert as_is.disattenuated[1][2] == pytest.approx(0.9780, abs=5e-5)
    assert as_is.reliability == pytest.approx((0.993, 0.948, 0.949), abs=5e-4)


def test_published_consistent_region(published):
    tables, expected = published
    spots = {
        "MLP": sweet_spot(tables[MLP]),
        "ResNet-34": sweet_spot(tables[R34], by="wiring"),
        "ResNet-34-sep": sweet_spot(tables[SEP], by="wiring"),
    }
    want = expected["consistent_sweet_spot_of_mlp_bins_resnet34_resnet34_sep"]
    for given_ in (spots, list(spots.values())):
        found = consistent_region(given_)
        assert found.clustering == pytest.approx(want["C"], abs=5e-5)
        assert found.path_length == pytest.approx(want["L"], abs=5e-5)
        assert not found.is_empty
        assert found.noise == ()
        assert "C 0.10-0.50 and path length L 1.82-2.52" in found.verdict()[0]


# Few wirings


@pytest.mark.parametrize("cells", [4, 15])
def test_few_wirings_against_pandas(cells):
    table = planted()
    chosen = [range(0, 200, 3), range(0, 200, 2)]
    found = few_wirings(table, subsets=chosen, cells=cells)
    full = cell_means(table, cells)
    own = [cell_means(table[table["wiring"].isin(ids)], cells) for ids in chosen]
    common = own[0].index.intersection(own[1].index)
    assert found.cells == len(common)
    for step, ids, mean in zip(found.steps, chosen, own, strict=True):
        rest = cell_means(table[~table["wiring"].isin(ids)], cells)
        assert step.wirings == len(ids)
        assert step.correlation == pytest.approx(r_of(mean[common], full), abs=1e-12)
        assert step.honest == pytest.approx(r_of(mean[common], rest), abs=1e-12)
        assert step.honest_cells == len(common.intersection(rest.index))


def test_thinnings_are_the_wirings_nearest_the_centre():
    table = planted(wirings=300, seeds=1)
    found = few_wirings(table, per_cell=(3, 1, 500), cells=5)
    assert [s.per_cell for s in found.steps] == [1, 3], "500 a cell thins nothing"
    wirings = table[table["wiring"] >= 0].copy()
    c, ell = wirings["C"] * 5, (wirings["L"] - 1) / 3.5 * 5
    wirings["cell"] = np.floor(c) * 5 + np.floor(ell)
    wirings["far"] = np.hypot(c % 1 - 0.5, ell % 1 - 0.5)
    for step in found.steps:
        nearest = wirings.sort_values("far").groupby("cell").head(step.per_cell)["wiring"]
        given_ = few_wirings(table, subsets=[nearest.tolist()], cells=5).steps[0]
        assert (step.correlation, step.honest) == (given_.correlation, given_.honest)


def test_a_part_of_the_whole_flatters_itself():
    """Of pure luck, half of the wirings correlate with the whole and not with the others."""
    honest, flattering = [], []
    for stream in range(30):
        table = planted(wirings=150, seeds=1, slope=0.0, stream=stream)
        step = few_wirings(table, subsets=[range(0, 150, 2)], cells=6).steps[0]
        honest.append(step.honest)
        flattering.append(step.correlation)
    assert np.mean(flattering) > 0.6
    assert abs(np.mean(honest)) < 4 * np.std(honest) / np.sqrt(30)


def test_no_others_to_judge_by():
    table = planted(wirings=30, seeds=2)
    found = few_wirings(table, subsets=[range(30)])
    assert found.steps[0].correlation == pytest.approx(1)
    assert found.steps[0].honest is None
    assert found.enough is None
    assert "unknown value" in found.verdict()[1]
    lone = few_wirings(table, cells=200).steps
    assert [(s.wirings, s.honest) for s in lone] == [(30, None)]


def test_repeated_ids_count_once():
    table = planted(seeds=2)
    once, twice = (few_wirings(table, subsets=[list(range(90)) * n]) for n in (1, 2))
    assert once == twice


# Few seeds


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.floats(0.2, 3.0), st.integers(0, 99))
def test_seeds_predicted_and_measured(seeds, noise, stream):
    found = few_seeds(planted(wirings=400, seeds=seeds, noise=noise, stream=stream))
    predicted = [s.reliability for s in found.steps]
    assert predicted[-1] == pytest.approx(found.reliability, abs=1e-12)
    assert all(a < b for a, b in itertools.pairwise(predicted))
    for step in found.steps:
        assert (step.measured is None) == (2 * step.seeds > seeds)
        if step.measured is not None:
            assert step.measured == pytest.approx(step.reliability, abs=0.1)
    one = predicted[0]
    spread = [n * one / (1 + (n - 1) * one) for n in range(1, found.needed + 1)]
    assert spread[-1] >= found.threshold - 1e-6
    assert all(r < found.threshold for r in spread[:-1])


def test_seeds_of_which_nothing_is_known():
    one = few_seeds(planted(seeds=1))
    assert [(s.seeds, s.reliability, s.measured) for s in one.steps] == [(1, None, None)]
    assert one.reliability is one.needed is None
    assert "unknown" in one.verdict()[0]
    alike = planted(seeds=3)
    alike.loc[alike["wiring"] >= 0, "error"] = 30.0
    assert few_seeds(alike).needed is None


# Few epochs


def test_epochs_against_pandas():
    table = growing_curves()
    found = few_epochs(table)
    means = table.groupby(["wiring", "epoch"])["error"].mean().unstack()
    by_seed = table.pivot_table(values="error", index="wiring", columns=["epoch", "seed"])
    for step in found.steps:
        want = np.corrcoef(means[step.epoch], means[12])[0, 1]
        assert step.correlation == pytest.approx(want, abs=1e-9)
        apart = [
            np.corrcoef(
                by_seed[step.epoch][list(half)].mean(axis=1),
                by_seed[12][[s for s in range(4) if s not in half]].mean(axis=1),
            )[0, 1]
            for half in itertools.combinations(range(4), 2)
        ]
        assert step.honest == pytest.approx(np.mean(apart), abs=1e-9)
    assert found.steps[-1].correlation == pytest.approx(1)
    assert found.ceiling == found.steps[-1].honest
    held = [s.epoch for s in found.steps if s.correlation < 0.9]
    assert found.enough == max(held) + 1


def test_runs_share_their_luck_and_seeds_do_not():
    """Every wiring alike, each run with a luck of its own that lasts: raw 1, honest 0."""
    rng = np.random.default_rng(0)
    rows = [
        {"wiring": w, "seed": s, "epoch": e, "error": luck + e}
        for w in range(300)
        for s, luck in enumerate(rng.standard_normal(4))
        for e in (1, 2, 3)
    ]
    found = few_epochs(pd.DataFrame(rows))
    assert found.at(1).correlation == pytest.approx(1)
    assert abs(found.at(1).honest) < 0.15
    assert found.enough == 1


def test_curves_in_any_form_and_order():
    table = growing_curves(wirings=12)
    found = few_epochs(table)
    names = {"error": "top1_err", "seed": "train_seed", "wiring": "graph_id"}
    for same in (
        table.sample(frac=1, random_state=0),
        table.rename(columns=names),
        table.rename(columns={"error": "test_error"}),
        pa.Table.from_pandas(table),
        {name: table[name].tolist() for name in table},
        pd.concat([table, table.assign(epoch=0, error=np.nan)]),
    ):
        assert few_epochs(same) == found
    longer = few_epochs(pd.concat([table, table[table["epoch"] == 1].assign(epoch=0)]), first=0)
    assert longer.steps[1:] == found.steps
    assert longer.steps[0].correlation == found.steps[0].correlation


def test_curves_with_gaps():
    table = growing_curves(wirings=12)
    stopped = (table["wiring"] == 0) & (table["seed"] == 1) & (table["epoch"] > 5)
    table.loc[(table["wiring"] == 3) & (table["epoch"] == 12), "error"] = np.inf
    found = few_epochs(table[~stopped])
    assert (found.wirings, found.runs, found.left_out) == (11, 43, 5)
    assert "Runs left out, because they do not reach the end: 5." in found.verdict()
    one = few_epochs(table[table["seed"] == 0])
    assert one.ceiling is one.honest_enough is None
    assert "unknown how much" in " ".join(one.verdict())
    never_shared = table.assign(seed=table["wiring"] * 10 + table["seed"])
    assert few_epochs(never_shared).ceiling is None
    flat = few_epochs(table.assign(error=1.0))
    assert flat.enough is flat.reached is None
    assert "do not differ" in flat.verdict()[0]


def test_baseline_of_curves():
    table = growing_curves(wirings=12)
    marked = table.assign(is_complete_graph_baseline=table["wiring"] == 0)
    placed = table.assign(C=np.where(table["wiring"] == 0, 1.0, 0.5), L=1.0)
    want = few_epochs(table[table["wiring"] > 0])
    assert few_epochs(marked, baseline=False) == few_epochs(placed, baseline=False) == want
    assert few_epochs(marked) == few_epochs(table)
    with pytest.raises(InvalidValue, match="`baseline` must be True"):
        few_epochs(table, baseline=False)


# Between studies


def test_correlations_against_pandas():
    tables = {name: planted(stream=i) for i, name in enumerate("abc")}
    found = correlate(tables, cells=6)
    means = {name: cell_means(t, 6) for name, t in tables.items()}
    common = means["a"].index.intersection(means["b"].index).intersection(means["c"].index)
    assert found.cells == len(common)
    for (i, a), (j, b) in itertools.product(enumerate("abc"), repeat=2):
        one, other = (means[name][common].to_numpy() for name in (a, b))
        assert found.without_baseline[i][j] == pytest.approx(np.corrcoef(one, other)[0, 1])
        both = np.corrcoef(np.append(one, 36.0), np.append(other, 36.0))[0, 1]
        assert found.correlation[i][j] == pytest.approx(both)
    assert found.between("a", "b") == found.correlation[0][1]


def test_seed_noise_is_taken_out():
    """One truth, two draws of luck: the plain correlation is low, the freed one about 1."""
    plain, freed = [], []
    for luck in range(20):
        pair = {
            name: planted(wirings=400, seeds=4, noise=4, luck=2 * luck + i)
            for i, name in enumerate("ab")
        }
        found = correlate(pair)
        plain.append(found.without_baseline[0][1])
        freed.append(found.disattenuated[0][1])
    assert np.mean(plain) < 0.6
    assert np.mean(freed) == pytest.approx(1, abs=0.1)


def test_studies_without_baseline_or_with_one_seed():
    tables = {"a": planted(), "b": planted(stream=1, baseline=False), "c": planted(seeds=1)}
    found = correlate(tables, cells=6)
    assert not found.baseline
    assert found.correlation == found.without_baseline
    assert found.reliability[2] is None
    assert found.disattenuated[0][2] is None
    assert found.disattenuated[0][1] is not None
    assert "no runs of the complete graph" in found.verdict()[1]


def test_ids_and_sizes_need_not_match():
    one, other = planted(), planted(stream=0)
    other["wiring"] = [f"w{i}" for i in other["wiring"]]
    assert correlate({"a": one, "b": other}).between("a", "b") == pytest.approx(1)
    short = one[one["L"] < 2.5]
    assert correlate({"a": one, "b": short}, longest=2.5).between("a", "b") == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.floats(0.1, 9), st.floats(-50, 50))
def test_correlation_ignores_units(stream, scale, shift):
    tables = {"a": planted(wirings=40, stream=stream), "b": planted(wirings=40, stream=stream + 1)}
    moved = tables["b"].assign(error=tables["b"]["error"] * scale + shift)
    one, other = (correlate(t, cells=4) for t in (tables, tables | {"b": moved}))
    for name in ("correlation", "without_baseline"):
        assert getattr(other, name)[0][1] == pytest.approx(getattr(one, name)[0][1], abs=1e-9)


# The common region


def at_place(c, ell, within=0.05):
    """A sweet spot of four wirings round a place."""
    table = {"C": [c - within, c + within, 0.95, 0.02], "L": [ell - within, ell + within, 1.1, 4.0]}
    errors = np.array([10.0, 10.0, 50.0, 60.0])
    rows = [
        {
            "C": table["C"][w],
            "L": table["L"][w],
            "error": errors[w] + 0.1 * s,
            "seed": s,
            "wiring": w,
        }
        for w in range(4)
        for s in range(3)
    ]
    return sweet_spot(pd.DataFrame(rows), by="wiring")


def test_intersection_of_rectangles():
    found = consistent_region([at_place(0.4, 2.0), at_place(0.45, 2.08)])
    assert found.clustering == pytest.approx((0.4, 0.45))
    assert found.path_length == pytest.approx((2.03, 2.05))
    one = at_place(0.4, 2.0)
    assert consistent_region([one]).clustering == one.clustering


def test_empty_intersection_is_said():
    found = consistent_region({"MLP": at_place(0.2, 2.0), "CNN": at_place(0.6, 2.02)})
    assert found.is_empty
    assert found.clustering is None
    assert found.path_length == pytest.approx((1.97, 2.05))
    assert found.verdict() == [
        "No region is common to all sweet spots.",
        "In C, that of MLP ends at 0.25, below the start of that of CNN, 0.55.",
    ]


def test_noise_is_not_relied_on():
    noise = sweet_spot(planted(seeds=1))
    found = consistent_region({"a": at_place(0.4, 2.0), "b": noise})
    assert found.noise == ("b",)
    assert found.verdict()[-1].endswith("may mean nothing: b.")


# What is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subsets": []}, "`subsets` must hold a subset"),
        ({"subsets": [[0, 999]]}, "`subsets` must hold ids of wirings.*got 999 in subset 0"),
        ({"subsets": [[[1]]]}, r"`subsets` must hold ids of wirings.*got \[1\]"),
        ({"subsets": [1, 2]}, "`subsets` must hold lists of ids; got 1"),
        ({"subsets": ["12"]}, "`subsets` must hold lists of ids; got '12'"),
        ({"subsets": [[0, 1]]}, "`subsets` must share at least 3 cells.*got"),
        ({"per_cell": (0,)}, "`per_cell` must hold whole numbers"),
        ({"per_cell": ()}, "`per_cell` must hold whole numbers"),
        ({"cells": 1}, "`per_cell` must share at least 3 cells.*got 1"),
        ({"cells": 1.5}, "`cells` must be a whole number"),
        ({"longest": 1}, "`longest` must be"),
        ({"threshold": 1}, "`threshold` must be a number between 0 and 1; got 1"),
    ],
    ids=str,
)
def test_few_wirings_refuses(arguments, message):
    with pytest.raises(InvalidValue, match=message):
        few_wirings(planted(), **arguments)


def test_few_seeds_and_epochs_refuse():
    table = growing_curves(wirings=4, epochs=3)
    with pytest.raises(InvalidValue, match="`threshold`"):
        few_seeds(planted(), threshold=0)
    with pytest.raises(InvalidValue, match="`threshold`"):
        few_epochs(table, threshold="high")
    with pytest.raises(InvalidValue, match="`first` must be a number"):
        few_epochs(table, first="one")
    with pytest.raises(InvalidValue, match="lacks the columns epoch"):
        few_epochs(table.drop(columns="epoch"))
    with pytest.raises(InvalidValue, match="at least 2 epochs from `first` = 3 on; got 1"):
        few_epochs(table, first=3)
    with pytest.raises(InvalidValue, match=r"at least 3 wirings.*last epoch, 3; got 2"):
        few_epochs(table[(table["wiring"] < 2) | (table["epoch"] < 3)])
    with pytest.raises(InvalidValue, match=r"`epoch` must be one of those.*1 to 3; got 7"):
        few_epochs(table).at(7)


def test_correlate_refuses():
    table = planted()
    with pytest.raises(InvalidValue, match="at least 2 named tables; got 1"):
        correlate({"a": table})
    with pytest.raises(InvalidValue, match="named tables; got list"):
        correlate([table, table])
    with pytest.raises(InvalidValue, match="study 'b': `table` lacks the columns C"):
        correlate({"a": table, "b": table.drop(columns="C")})
    low, high = table[table["C"] < 0.5], table[(table["C"] > 0.5) & (table["C"] < 1)]
    with pytest.raises(InvalidValue, match=r"at least 3 cells .* got 0 \(cells of each: low \d+"):
        correlate({"low": low, "high": high}, cells=10)
    with pytest.raises(InvalidValue, match="`c` must be one of a, b"):
        correlate({"a": table, "b": table}).between("a", "c")


def test_consistent_region_refuses():
    with pytest.raises(InvalidValue, match="at least one sweet spot; got none"):
        consistent_region([])
    with pytest.raises(InvalidValue, match="sweet spots only; got int for sweet spot 2"):
        consistent_region([at_place(0.4, 2.0), 3])


def test_one_number_for_per_cell():
    table = planted()
    assert few_wirings(table, per_cell=2) == few_wirings(table, per_cell=(2,))


def test_curves_are_called_by_their_name():
    with pytest.raises(InvalidValue, match=r"^`curves` lacks the columns"):
        few_epochs({"epoch": [1, 2]})


def test_limit_of_seed_noise_and_number_of_spots_in_words():
    table = planted()
    found = correlate({"a": table, "b": table})
    assert found.disattenuated[0][1] > 1
    assert "freed of seed noise, at the limit of what seed noise allows" in found.verdict()[-1]
    spots = [at_place(0.4, 2.0)] * 2
    assert consistent_region(spots).verdict()[0].startswith("Both sweet spots have")


@pytest.mark.parametrize("module", ["agreement", "curves", "enough"])
def test_examples_run(module):
    failed, tried = doctest.testmod(importlib.import_module(f"wireloom.analysis.{module}"))
    assert tried
    assert not failed
