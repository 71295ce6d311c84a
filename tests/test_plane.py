"""The plane: the paper's sampling row for row, even covers of any two measures, the span."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from refusals import refusal
from wireloom.base import InvalidValue
from wireloom.wiring import (
    barabasi_albert,
    coverage,
    erdos_renyi,
    harary,
    measure,
    published_sample,
    ring,
    sample_as_published,
    sample_plane,
    span,
    spread,
    watts_strogatz,
    ws_flex,
)

# The paper's sampling


@pytest.mark.parametrize(
    ("nodes", "full", "coarser", "pool"),
    [
        (16, 2698, (48, 326), 1_800_000),
        pytest.param(64, 3942, (52, 449), 2_700_000, marks=pytest.mark.slow),
    ],
)
def test_the_pool_gives_the_published_graphs_row_for_row(shared_data, nodes, full, coarser, pool):
    told = []
    sample = sample_as_published(nodes, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (pool, pool)
    assert sample.pool == pool
    assert told == sorted(told)
    table = pd.read_parquet(shared_data / f"graphs_n{nodes}_{full}.parquet")
    ours = pd.DataFrame(sample.rows())
    assert len(ours) == full
    for column in ours.columns:
        np.testing.assert_array_equal(ours[column], table[column], err_msg=column)
    for count in coarser:
        want = pd.read_csv(shared_data / f"graphs_n{nodes}_{count}.csv")
        got = pd.DataFrame(sample.rows(count))
        for column in got.columns:
            np.testing.assert_array_equal(got[column], want[column], err_msg=f"{count} {column}")


def test_the_published_sample_is_for_two_sizes():
    with pytest.raises(InvalidValue, match="`nodes` of the published sample must be 64 or 16; got"):
        sample_as_published(32)


# The published sets


@pytest.mark.parametrize(("nodes", "count"), [(64, 52), (64, 449), (16, 48), (16, 326)])
def test_published_subsets_are_in_published_order(shared_data, nodes, count):
    table = pd.read_csv(shared_data / f"graphs_n{nodes}_{count}.csv").sort_values("order")
    sample = published_sample(nodes, count)
    assert list(sample) == list(dict.fromkeys(table.graph_id))
    values = dict(zip(table.graph_id, zip(table.C, table.L, strict=True), strict=True))
    for graph_id, wiring in sample.items():
        got = (wiring.clustering, wiring.path_length)
        assert got == pytest.approx(values[graph_id], abs=1e-9)


@pytest.mark.parametrize(("nodes", "count"), [(64, 53), (16, 52), (32, 52), (64, 0), ("64", 52)])
def test_a_sample_that_was_not_published_is_refused(nodes, count):
    text = refusal(published_sample, nodes, count)
    assert "`count` of a published sample" in text
    assert "64 nodes: 52, 449, 3942" in text


def plane(sample) -> np.ndarray:
    clustering, path_length = measure(sample)
    return np.stack([clustering, np.log(path_length)], axis=1)


def mean_gap(points: np.ndarray) -> float:
    """Mean distance to the nearest other point, the axes scaled as the whole plane's."""
    scaled = points / [1.0, np.log(4.5)]
    distance = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return distance.min(1).mean()


@pytest.mark.parametrize(("nodes", "count"), [(64, 52), (24, 30)])
def test_a_sample_covers_the_plane_more_evenly_than_chance(nodes, count):
    sample = sample_plane(nodes=nodes, count=count, seed=1)
    assert len(sample) == len(set(sample)) == count
    assert all(w.nodes == nodes for w in sample)
    rng = np.random.default_rng(0)
    chance = [
        ws_flex(nodes=nodes, degree=d, rewire=p, seed=i)
        for i, (d, p) in enumerate(
            zip(
                rng.uniform(max(3, nodes / 8), nodes - 2, count),
                rng.uniform(0, 1, count),
                strict=True,
            )
        )
    ]
    ours, theirs = plane(sample), plane(chance)
    assert mean_gap(ours) > 1.5 * mean_gap(theirs)
    assert (np.ptp(ours, axis=0) > np.ptp(theirs, axis=0)).all()
    assert np.ptp(ours[:, 0]) > 0.7


def test_a_sample_is_the_same_each_time_and_a_longer_one_begins_with_it():
    short = sample_plane(nodes=12, count=5, seed=3)
    assert sample_plane(nodes=12, count=5, seed=3) == short
    assert sample_plane(nodes=12, count=9, seed=3)[:5] == short
    assert sample_plane(nodes=12, count=5, seed=4) != short


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nodes", 4),
        ("nodes", "12"),
        ("count", 0),
        ("count", 1001),
        ("count", 2.5),
        ("count", "2"),
        ("count", True),
        ("seed", -1),
        ("seed", 0.5),
        ("seed", 2**64),
    ],
)
def test_sample_plane_refuses_a_bad_value_by_name(name, value):
    good = {"nodes": 12, "count": 3, "seed": 0}
    text = refusal(sample_plane, **good | {name: value})
    assert f"`{name}` of sample_plane" in text
    assert str(value) in text


def test_a_sample_may_take_the_whole_pool_and_no_more():
    text = refusal(sample_plane, nodes=6, count=1000)
    most = int(text.split("at most ")[1].split()[0])
    assert text.startswith(f"`count` of sample_plane must be at most {most} for 6 nodes")
    sample = sample_plane(nodes=6, count=most)
    assert len(set(sample)) == most


def test_the_smallest_sample_has_five_nodes():
    sample = sample_plane(nodes=5, count=3)
    assert len(set(sample)) == 3


# Covers of other planes


def test_a_sample_covers_any_two_measures_more_evenly_than_the_usual_one():
    axes = ("modularity", "spectral_gap")
    ours = np.stack(measure(sample_plane(nodes=32, count=30, axes=axes), axes), 1)
    usual = np.stack(measure(sample_plane(nodes=32, count=30), axes), 1)

    def gap(points: np.ndarray) -> float:
        scaled = points / np.ptp(usual, axis=0)
        distance = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        return distance.min(1).mean()

    assert gap(ours) > 1.2 * gap(usual)


def test_spread_takes_wirings_of_any_kind_and_begins_the_same():
    wirings = [
        *(barabasi_albert(nodes=24, attach=a, seed=s) for a in (2, 4, 8) for s in range(5)),
        *(erdos_renyi(nodes=24, degree=d, seed=1) for d in (6, 8, 12)),
        *(ring(nodes=24, degree=d) for d in (2, 4, 8)),
    ]
    five = spread(wirings, 5)
    assert len(set(five)) == 5
    assert set(five) <= set(wirings)
    assert spread(wirings, 9)[:5] == five
    assert ring(nodes=24) in five  # it has by far the longest paths
    assert len(spread(wirings, len(wirings))) == len(wirings)
    with pytest.raises(InvalidValue, match=f"the number of wirings, {len(wirings)}; got 900"):
        spread(wirings, 900)


def test_a_thousand_nodes_are_sampled():
    sample = sample_plane(nodes=300, count=12, seed=2)
    assert all(w.nodes == 300 for w in sample)
    clustering, path_length = measure(sample)
    assert np.ptp(clustering) > 0.7
    assert path_length.max() / path_length.min() > 3


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (("clustering",), "`axes` of sample_plane must be two different measures"),
        (("clustering", "clustering"), "`axes` of sample_plane must be two different measures"),
        ("clustering", "`axes` of sample_plane must be two different measures"),
        (("clustering", "pathlength"), "there is no measure 'pathlength'; did you mean"),
    ],
)
def test_bad_axes_are_refused(axes, message):
    with pytest.raises(InvalidValue, match=message):
        sample_plane(nodes=12, count=3, axes=axes)


# The span of the families


def test_the_grids_of_64_nodes_are_the_papers_size():
    sizes = {label: len(amount) for label, _, amount, _, _ in coverage._grids(64)}
    assert sizes == {
        "Watts-Strogatz": 486_000,
        "Erdős-Rényi": 52_800,
        "Barabási-Albert": 8_100,
        "Harary": 1_760,
        "ring": 54,
    }
    assert sum(sizes.values()) + 1 == pytest.approx(549_000, rel=1e-3)


def test_what_the_span_draws_and_measures_are_the_families_own_wirings():
    """Any graph of a grid is the one that the public function draws, with networkx's measures."""
    found = {f.label: f for f in span(16).families}
    drawn = {
        "Watts-Strogatz": lambda k, p, s: watts_strogatz(nodes=16, degree=k, rewire=p, seed=s),
        "Erdős-Rényi": lambda m, _, s: erdos_renyi(nodes=16, degree=m / 8, seed=s),
        "Barabási-Albert": lambda a, _, s: barabasi_albert(nodes=16, attach=a, seed=s),
        "Harary": lambda m, _, __: harary(nodes=16, degree=m / 8),
        "ring": lambda m, _, __: ring(nodes=16, degree=m / 8),
    }
    rng = np.random.default_rng(0)
    for label, _, amount, rewire, seed in coverage._grids(16):
        family = found[label]
        assert len(family.clustering) == family.drawn == len(amount)
        for i in rng.integers(len(amount), size=6):
            wiring = drawn[label](int(amount[i]), float(rewire[i]), int(seed[i]))
            graph = wiring.to_networkx()
            assert family.clustering[i] == pytest.approx(nx.average_clustering(graph), abs=1e-12)
            length = nx.average_shortest_path_length(graph)
            assert family.path_length[i] == pytest.approx(length, abs=1e-12)


def test_shares_are_those_of_the_cells_counted_one_by_one():
    found = span(16)
    assert next(f.label for f in found.families) == "WS-flex"
    reached = {}
    for family in found.families:
        reached[family.label] = {
            (min(int(c * 15), 14), min(int((ell - 1) / 1.5 * 15), 14))
            for c, ell in zip(family.clustering, family.path_length, strict=True)
            if ell <= 2.5
        }
    everything = set().union(*reached.values())
    assert abs(len(everything) - found.cells) <= 2  # graphs on an edge of two cells
    for family in found.families:
        want = len(reached[family.label]) / len(everything)
        assert family.share == pytest.approx(want, abs=0.02)
        assert family.fine_share <= 1
    assert found.families[-1].label == "complete"


def test_ws_flex_stands_for_itself_where_no_sample_was_published():
    found = {f.label: f for f in span(12).families}
    assert len(found["WS-flex"].clustering) > 20_000
    assert found["WS-flex"].fine_share > found["Watts-Strogatz"].fine_share
    sample = published_sample(16, 2698)
    assert len(span(16).families[0].clustering) == len(sample)


@pytest.mark.parametrize("nodes", [7, 1025, "64", 16.0])
def test_span_refuses_an_impossible_number_of_nodes(nodes):
    with pytest.raises(InvalidValue, match="`nodes` of span"):
        span(nodes)


def test_a_flex_wiring_of_a_row_is_the_row():
    row = next(iter(sample_as_published(16).rows(48)))
    wiring = ws_flex(nodes=row["n"], degree=row["k"], rewire=row["p"], seed=row["graph_seed"])
    assert (wiring.clustering, wiring.path_length) == (row["C"], row["L"])
