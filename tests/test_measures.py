"""The measures: each against networkx, against its formula, or against its own definition."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

from refusals import refusal
from wireloom.wiring import (
    Wiring,
    barabasi_albert,
    complete,
    erdos_renyi,
    expander,
    measure,
    measures,
    register_measure,
    ring,
    ws_flex,
)
from wireloom.wiring.measures import communities

PATH = [(0, 1), (1, 2), (2, 3)]
NAMES = (
    "clustering",
    "path_length",
    "directed_clustering",
    "directed_path_length",
    "density",
    "degree_spread",
    "global_efficiency",
    "modularity",
    "spectral_gap",
    "betweenness_spread",
)
NEED_CONNECTION = {"clustering", "path_length", "betweenness_spread"}


def one(wiring: Wiring, name: str) -> float:
    return float(measure([wiring], name)[0])


def random_connected(nodes: int, extra: int, seed: int) -> Wiring:
    """A random tree with up to ``extra`` more edges."""
    rng = np.random.default_rng(seed)
    tree = [(int(rng.integers(v)), v) for v in range(1, nodes)]
    more = rng.integers(nodes, size=(extra, 2))
    more = more[more[:, 0] != more[:, 1]]
    return Wiring.from_edges(nodes, tree + [tuple(pair) for pair in more.tolist()])


def random_any(nodes: int, edges: int, seed: int, *, directed: bool = False) -> Wiring:
    """Up to ``edges`` random edges, whether or not they connect."""
    pairs = np.random.default_rng(seed).integers(nodes, size=(edges, 2))
    return Wiring.from_edges(nodes, pairs[pairs[:, 0] != pairs[:, 1]], directed=directed)


@st.composite
def connected_wirings(draw, most=150):
    nodes = draw(st.integers(2, most))
    extra = draw(st.integers(0, nodes) | st.integers(0, 4 * nodes) | st.integers(0, nodes**2 // 2))
    return random_connected(nodes, extra, draw(st.integers(0, 2**32)))


@st.composite
def any_wirings(draw, most=150, directed=False):
    nodes = draw(st.integers(2, most))
    edges = draw(st.integers(0, nodes) | st.integers(0, 4 * nodes) | st.integers(0, nodes**2 // 2))
    return random_any(nodes, edges, draw(st.integers(0, 2**32)), directed=directed)


def by_networkx(wiring: Wiring) -> tuple[float, float]:
    graph = nx.Graph(wiring.to_networkx())
    return nx.average_clustering(graph), nx.average_shortest_path_length(graph)


def distances(wiring: Wiring) -> np.ndarray:
    """From each node to each other, infinite without a path: [n * (n - 1)]."""
    u, v = wiring.edges.T
    matrix = coo_array((np.ones(len(u)), (u, v)), (wiring.nodes,) * 2).tocsr()
    found = shortest_path(matrix, directed=wiring.directed, unweighted=True)
    return found[~np.eye(wiring.nodes, dtype=bool)]


def dense_gap(graph: nx.Graph) -> float:
    laplacian = nx.normalized_laplacian_matrix(graph).toarray()
    return float(np.linalg.eigvalsh(laplacian)[1])


# C and L


@settings(deadline=None, max_examples=50)
@given(connected_wirings())
def test_clustering_and_path_length_are_those_of_networkx(wiring):
    assert (wiring.clustering, wiring.path_length) == pytest.approx(by_networkx(wiring), abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(connected_wirings(most=100), st.randoms(use_true_random=False))
def test_the_order_of_the_nodes_does_not_show_in_the_bits(wiring, shuffle):
    place = list(range(wiring.nodes))
    shuffle.shuffle(place)
    other = Wiring.from_edges(wiring.nodes, np.array(place)[wiring.edges])
    for name in ("clustering", "path_length", "global_efficiency", "density"):
        assert one(other, name) == one(wiring, name)


@settings(deadline=None, max_examples=30)
@given(nodes=st.integers(2, 70), extra=st.integers(0, 300), seed=st.integers(0, 2**32))
def test_a_directed_wiring_is_measured_by_its_undirected_form(nodes, extra, seed):
    undirected = random_connected(nodes, extra, seed)
    rng = np.random.default_rng(seed)
    flips = rng.integers(3, size=len(undirected.edges))
    forward, backward = undirected.edges[flips != 0], undirected.edges[flips != 1][:, ::-1]
    directed = Wiring.from_edges(nodes, np.concatenate([forward, backward]), directed=True)
    assert directed.directed
    for name in set(NAMES) - {"directed_clustering", "directed_path_length", "density"}:
        of_directed, of_undirected = measure([directed, undirected], name)
        assert of_directed == of_undirected
    assert by_networkx(directed) == pytest.approx(
        (directed.clustering, directed.path_length), abs=1e-12
    )


@pytest.mark.parametrize(
    "graph",
    [nx.karate_club_graph(), nx.path_graph(70), nx.hypercube_graph(4), nx.petersen_graph()],
)
def test_known_networkx_graphs_have_their_own_measures(graph):
    wiring = Wiring.from_networkx(graph)
    want = nx.average_clustering(graph), nx.average_shortest_path_length(graph)
    assert (wiring.clustering, wiring.path_length) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("nodes", [63, 64, 65, 128, 4160])
def test_rings_have_the_measures_of_the_formula(nodes):
    degree = 40
    wiring = ring(nodes=nodes, degree=degree)
    gaps = np.arange(1, nodes)
    distance = np.ceil(np.minimum(gaps, nodes - gaps) / (degree // 2))
    assert wiring.path_length == pytest.approx(distance.mean(), abs=1e-12)
    assert one(wiring, "global_efficiency") == pytest.approx((1 / distance).mean(), abs=1e-12)
    if nodes > 3 * degree // 2:
        assert wiring.clustering == pytest.approx(3 * (degree - 2) / (4 * (degree - 1)), abs=1e-12)


@pytest.mark.parametrize("nodes", [2, 3, 64, 65, 300, 4200])
def test_stars_have_the_measures_of_the_formula(nodes):
    star = Wiring.from_edges(nodes, np.stack([np.arange(1, nodes), np.zeros(nodes - 1, int)], 1))
    want = {
        "clustering": 0.0,
        "path_length": 2 - 2 / nodes,
        "global_efficiency": (1 + 2 / nodes) / 2,
        "directed_path_length": 2 - 2 / nodes,
        "modularity": 0.0,
        "spectral_gap": 2.0 if nodes == 2 else 1.0,
        "degree_spread": (nodes - 2) * math.sqrt(nodes - 1) / nodes,
        "betweenness_spread": math.sqrt(nodes - 1) / nodes if nodes > 2 else 0.0,
        "density": (3 * nodes - 2) / nodes**2,
    }
    for name, value in want.items():
        assert one(star, name) == pytest.approx(value, abs=1e-12, rel=1e-12)


@pytest.mark.parametrize("nodes", [2, 3, 64, 65, 300, 4100])
def test_complete_wirings_have_the_measures_of_the_formula(nodes):
    wiring = complete(nodes=nodes)
    want = {
        "clustering": float(nodes > 2),
        "path_length": 1.0,
        "global_efficiency": 1.0,
        "density": 1.0,
        "degree_spread": 0.0,
    }
    if nodes <= 300:
        want |= {
            "directed_clustering": float(nodes > 2),
            "directed_path_length": 1.0,
            "modularity": 0.0,
            "spectral_gap": nodes / (nodes - 1),
            "betweenness_spread": 0.0,
        }
    for name, value in want.items():
        assert one(wiring, name) == pytest.approx(value, abs=1e-12)


def test_a_single_node_has_measures():
    alone = Wiring.from_edges(1, [])
    assert (alone.clustering, alone.path_length, alone.density) == (0.0, 0.0, 1.0)
    for name in set(NAMES) - {"density"}:
        assert one(alone, name) == 0.0


@pytest.mark.parametrize("edges", [[], [(0, 1), (2, 3)], [(0, 1), (1, 2)]])
def test_a_disconnected_wiring_has_no_path_length(edges):
    apart = Wiring.from_edges(4, edges)
    for call in (lambda: apart.clustering, lambda: apart.path_length):
        assert "connected" in refusal(call)
    both = [Wiring.from_edges(4, PATH), apart]
    assert "number 1 of the given" in refusal(measure, both)
    for name in NAMES:
        if name in NEED_CONNECTION:
            assert "number 1 of the given" in refusal(measure, both, name)
        else:
            assert np.isfinite(measure(both, name)).all()


# Large ones: several blocks of 512 sources


@pytest.mark.parametrize(
    "wiring",
    [
        ws_flex(nodes=513, degree=4.5, rewire=0.1),
        ws_flex(nodes=700, degree=5.5, rewire=0.05),
        barabasi_albert(nodes=1024, attach=2),
        ws_flex(nodes=1025, degree=20, rewire=0.3),
        barabasi_albert(nodes=1500, attach=1),
    ],
    ids=str,
)
def test_large_wirings_have_the_measures_of_their_distances(wiring):
    graph, apart = wiring.to_networkx(), distances(wiring)
    assert wiring.clustering == pytest.approx(nx.average_clustering(graph), abs=1e-12)
    assert wiring.path_length == pytest.approx(apart.mean(), abs=1e-12)
    assert one(wiring, "global_efficiency") == pytest.approx((1 / apart).mean(), abs=1e-12)
    for threads in (1, 2, 3):
        got = measure([wiring], threads=threads)
        assert (got[0][0], got[1][0]) == (wiring.clustering, wiring.path_length)


def test_a_large_wiring_has_the_measures_of_networkx():
    wiring = ws_flex(nodes=700, degree=4.0, rewire=0.2, seed=1)
    assert (wiring.clustering, wiring.path_length) == pytest.approx(by_networkx(wiring), abs=1e-12)


@pytest.mark.parametrize(("nodes", "edges"), [(600, 700), (900, 1500), (1100, 9000)])
def test_large_wirings_in_pieces_have_the_efficiency_of_their_distances(nodes, edges):
    for directed in (False, True):
        wiring = random_any(nodes, edges, 3, directed=directed)
        apart = distances(wiring.undirected())
        assert np.isinf(apart).any() == (edges < 9000)
        assert one(wiring, "global_efficiency") == pytest.approx((1 / apart).mean(), abs=1e-12)


@pytest.mark.parametrize(("nodes", "edges"), [(600, 900), (1100, 9000)])
def test_large_directed_wirings_have_the_measures_of_their_arrows(nodes, edges):
    wiring = random_any(nodes, edges, 4, directed=True)
    apart = distances(wiring)
    want = np.where(np.isinf(apart), 0, apart).mean()
    assert one(wiring, "directed_path_length") == pytest.approx(want, abs=1e-12)
    want = nx.average_clustering(wiring.to_networkx())
    assert one(wiring, "directed_clustering") == pytest.approx(want, abs=1e-12)


# The other measures


@settings(deadline=None, max_examples=30)
@given(any_wirings() | any_wirings(directed=True))
def test_density_degrees_and_efficiency_are_those_of_networkx(wiring):
    graph = wiring.to_networkx()
    share = nx.density(graph) * (1 - 1 / wiring.nodes) + 1 / wiring.nodes
    assert one(wiring, "density") == wiring.density == pytest.approx(share, abs=1e-12)
    both_ways = nx.Graph(graph)
    want = np.std([degree for _, degree in both_ways.degree()])
    assert one(wiring, "degree_spread") == pytest.approx(want, abs=1e-12)
    want = nx.global_efficiency(both_ways)
    assert one(wiring, "global_efficiency") == pytest.approx(want, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(connected_wirings(most=100))
def test_betweenness_spread_is_that_of_networkx(wiring):
    want = np.std(list(nx.betweenness_centrality(wiring.to_networkx()).values()))
    assert one(wiring, "betweenness_spread") == pytest.approx(want, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(any_wirings(most=90, directed=True) | any_wirings(most=30))
def test_directed_clustering_is_that_of_networkx(wiring):
    want = nx.average_clustering(nx.DiGraph(wiring.to_networkx()))
    assert one(wiring, "directed_clustering") == pytest.approx(want, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(any_wirings(most=90, directed=True) | any_wirings(most=30))
def test_directed_path_length_follows_the_arrows(wiring):
    graph = nx.DiGraph(wiring.to_networkx())
    lengths = dict(nx.all_pairs_shortest_path_length(graph))
    total = sum(sum(to.values()) for to in lengths.values())
    want = total / (wiring.nodes * (wiring.nodes - 1))
    assert one(wiring, "directed_path_length") == pytest.approx(want, abs=1e-12)
    if nx.is_strongly_connected(graph):
        want = nx.average_shortest_path_length(graph)
        assert one(wiring, "directed_path_length") == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("nodes", [3, 63, 64, 65, 700])
def test_a_one_way_ring_is_long_and_an_arrow_back_shortens_it(nodes):
    one_way = ring(nodes=nodes, degree=1, directed=True)
    assert one(one_way, "directed_path_length") == pytest.approx(nodes / 2, abs=1e-12)
    assert one(one_way, "directed_clustering") == (0.5 if nodes == 3 else 0.0)
    both = Wiring.from_edges(
        nodes, np.concatenate([one_way.edges, one_way.edges[:, ::-1]]), directed=True
    )
    length = ring(nodes=nodes).path_length
    assert one(both, "directed_path_length") == pytest.approx(length, abs=1e-12)


def test_published_connectomes_have_the_published_measures(shared_data):
    stats = pd.read_csv(shared_data / "connectome_stats.csv")
    assert len(stats) == 3
    for row in stats.itertuples():
        matrix = np.loadtxt(shared_data / f"connectome_{row.name}_adjacency.csv", delimiter=",")
        receivers, senders = np.nonzero(matrix)
        wiring = Wiring.from_edges(row.n, np.stack([senders, receivers], axis=1), directed=True)
        np.testing.assert_array_equal(wiring.adjacency(), matrix.astype(bool))
        assert len(wiring.edges) == row.directed_edges
        want = {
            "density": row.mask_density_with_self_loops_directed,
            "clustering": row.C_undirected,
            "path_length": row.L_undirected,
            "directed_clustering": row.C_directed,
            "directed_path_length": row.L_directed_unreachable_as_0,
        }
        got = measure([wiring], list(want))
        assert [float(value[0]) for value in got] == pytest.approx(list(want.values()), abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(any_wirings() | connected_wirings())
def test_the_spectral_gap_is_that_of_networkx(wiring):
    want = dense_gap(wiring.to_networkx())
    assert one(wiring, "spectral_gap") == pytest.approx(want, abs=1e-10)
    if not nx.is_connected(wiring.to_networkx()):
        assert one(wiring, "spectral_gap") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "wiring",
    [
        ws_flex(nodes=1030, degree=6, rewire=0.2),
        ws_flex(nodes=400, degree=3, rewire=0.1),
        barabasi_albert(nodes=400, attach=1),
        expander(nodes=400, degree=5),
        complete(nodes=400),
        Wiring.from_edges(400, [(i, 200 + j) for i in range(200) for j in range(0, 200, 7)]),
    ],
    ids=str,
)
def test_the_spectral_gap_of_a_large_wiring_is_that_of_all_its_eigenvalues(wiring, monkeypatch):
    monkeypatch.setattr(measures, "LARGEST_DENSE", min(wiring.nodes - 1, measures.LARGEST_DENSE))
    sparse = [one(wiring, "spectral_gap") for _ in range(2)]
    monkeypatch.setattr(measures, "LARGEST_DENSE", wiring.nodes)
    assert sparse[0] == sparse[1]
    assert sparse[0] == pytest.approx(one(wiring, "spectral_gap"), abs=1e-10)


@settings(deadline=None, max_examples=40)
@given(connected_wirings(most=120).filter(lambda wiring: wiring.nodes > 4))
def test_both_ways_to_the_spectral_gap_agree_on_small_wirings(wiring):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "LARGEST_DENSE", 4)
        sparse = one(wiring, "spectral_gap")
    assert sparse == pytest.approx(one(wiring, "spectral_gap"), abs=1e-9)


@pytest.mark.parametrize("parts", [2, 3])
def test_a_large_wiring_in_pieces_has_no_spectral_gap(parts):
    piece = expander(nodes=600, degree=4).edges
    apart = np.concatenate([piece + 600 * i for i in range(parts)])
    assert one(Wiring.from_edges(600 * parts, apart), "spectral_gap") == pytest.approx(0, abs=1e-12)
    assert one(Wiring.from_edges(1300, piece), "spectral_gap") == 0.0


@pytest.mark.parametrize("nodes", [10, 65, 300, 1100])
def test_rings_have_the_spectral_gap_of_the_formula(nodes):
    want = 1 - math.cos(2 * math.pi / nodes)
    assert one(ring(nodes=nodes), "spectral_gap") == pytest.approx(want, abs=1e-10)


# Communities


def parts_of(labels: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]


@settings(deadline=None, max_examples=60)
@given(any_wirings(most=100) | connected_wirings(most=100))
def test_the_modularity_is_that_of_the_communities(wiring):
    (labels,), (value,) = communities([wiring])
    assert labels.shape == (wiring.nodes,)
    assert set(labels) == set(range(labels.max() + 1))
    assert value == one(wiring, "modularity")
    if len(wiring.edges):
        want = nx.community.modularity(wiring.to_networkx(), parts_of(labels))
        assert value == pytest.approx(want, abs=1e-12)
        assert value > -1e-12
    else:
        assert value == 0


def partitions(nodes: int) -> Iterator[list[int]]:
    """Every partition of 0..nodes-1, as a label for each."""
    if nodes == 0:
        yield []
        return
    for labels in partitions(nodes - 1):
        for label in range(max(labels, default=-1) + 2):
            yield [*labels, label]


def test_no_partition_of_a_small_wiring_is_better_than_the_best():
    found = []
    for seed in range(30):
        wiring = random_connected(7, seed % 9, seed)
        matrix, degrees = wiring.adjacency(), wiring.degrees
        surplus = matrix - np.outer(degrees, degrees) / degrees.sum()
        best = max(
            (surplus * np.equal.outer(labels, labels)).sum() / degrees.sum()
            for labels in map(np.array, partitions(7))
        )
        value = one(wiring, "modularity")
        assert value <= best + 1e-12
        found.append(value > best - 1e-12)
    assert np.mean(found) > 0.9


def test_the_modularity_is_on_average_no_less_than_networkxs():
    sample = [
        *(ws_flex(nodes=64, degree=d, rewire=p) for d in (4, 9.5, 20) for p in (0.05, 0.3, 1)),
        *(erdos_renyi(nodes=100, degree=6, seed=seed) for seed in range(5)),
        *(barabasi_albert(nodes=100, attach=2, seed=seed) for seed in range(5)),
        *(random_connected(150, 200, seed) for seed in range(5)),
    ]
    ours = measure(sample, "modularity")
    theirs = []
    for wiring in sample:
        graph = wiring.to_networkx()
        parts = nx.community.louvain_communities(graph, seed=0)
        theirs.append(nx.community.modularity(graph, parts))
    assert ours.mean() >= np.mean(theirs)
    assert (ours > np.array(theirs) - 0.02).all()


@pytest.mark.parametrize("seed", range(4))
def test_planted_communities_are_found(seed):
    graph = nx.planted_partition_graph(4, 25, 0.5, 0.02, seed=seed)
    (labels,), _ = communities([Wiring.from_edges(100, np.array(graph.edges()))])
    assert sorted(map(sorted, parts_of(labels))) == [
        list(range(first, first + 25)) for first in range(0, 100, 25)
    ]


def test_the_communities_of_a_ring_of_cliques_are_the_cliques():
    wiring = Wiring.from_networkx(nx.ring_of_cliques(8, 6))
    (labels,), (value,) = communities([wiring])
    assert sorted(map(sorted, parts_of(labels))) == [
        list(range(first, first + 6)) for first in range(0, 48, 6)
    ]
    assert value == pytest.approx(8 * (15 / 128 - (32 / 256) ** 2), abs=1e-12)


def test_the_communities_of_pieces_are_the_pieces():
    pieces = complete(nodes=6).edges
    wiring = Wiring.from_edges(19, np.concatenate([pieces, pieces + 6, pieces + 12]))
    (labels,), (value,) = communities([wiring])
    assert sorted(map(len, parts_of(labels))) == [1, 6, 6, 6]
    assert value == pytest.approx(1 - 3 / 9, abs=1e-12)


# Threads and bodies


def test_the_number_of_threads_does_not_show_in_the_measures():
    sample = [ws_flex(nodes=n, degree=4.7, rewire=0.3, seed=n) for n in range(8, 120)]
    base = measure(sample, threads=1)
    for threads in (2, 3, 16, None):
        for got, want in zip(measure(sample, threads=threads), base, strict=True):
            np.testing.assert_array_equal(got, want)
    alone = [(w.clustering, w.path_length) for w in sample]
    np.testing.assert_array_equal(np.array(alone).T, np.stack(base))


def test_each_wiring_is_measured_as_if_it_were_alone():
    sample = [random_connected(n, 2 * n, n) for n in (2, 3, 20, 64, 65, 70, 130, 600)]
    for name in NAMES:
        np.testing.assert_array_equal(measure(sample, name), [one(w, name) for w in sample])


def bits() -> list[str]:
    """C, L, efficiency and the directed path length of wirings of 2 to 200 nodes."""
    sample = []
    for nodes in [*range(2, 70), *range(70, 201, 3)]:
        sample.append(random_connected(nodes, nodes * (nodes % 7), nodes))
        sample.append(random_connected(nodes, nodes**2 // 4, nodes))
    asked = ("clustering", "path_length", "global_efficiency")
    arrows = [random_any(w.nodes, len(w.edges), 0, directed=True) for w in sample]
    columns = [*measure(sample, asked), measure(arrows, "directed_path_length")]
    columns.append(measure(arrows, "global_efficiency"))
    return [value.hex() for column in columns for value in column.tolist()]


@pytest.mark.parametrize("body", ["portable", "avx512"])
def test_every_body_of_the_measures_gives_the_same_bits(body):
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import json, test_measures; print(json.dumps(test_measures.bits()))",
        ],
        env=os.environ | {"WIRELOOM_ISA": body},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == bits()


# Asking


@pytest.fixture
def sample() -> list[Wiring]:
    return [ws_flex(nodes=n, degree=4, rewire=0.3) for n in (9, 16, 70)]


@pytest.mark.parametrize("name", NAMES)
def test_one_name_gives_one_array(sample, name):
    values = measure(sample, name)
    assert values.dtype == np.float64
    assert values.shape == (3,)
    np.testing.assert_array_equal(measure(tuple(sample), name, threads=2), values)
    np.testing.assert_array_equal(measure(sample[1], name), values[1:2])
    assert measure([], name).shape == (0,)
    assert measure([], name).dtype == np.float64


def test_several_names_give_an_array_each_in_their_order(sample):
    for names in (
        ("density", "clustering"),
        ["path_length", "modularity", "clustering"],
        ("clustering", "clustering", "path_length"),
        NAMES,
        NAMES[::-1],
        ("spectral_gap",),
        (),
    ):
        got = measure(sample, names, threads=2)
        assert isinstance(got, tuple)
        assert len(got) == len(names)
        for name, values in zip(names, got, strict=True):
            np.testing.assert_array_equal(values, measure(sample, name))
        assert all(values.shape == (0,) for values in measure([], names))


def test_clustering_and_path_length_are_asked_for_by_default(sample):
    for given_ in (sample, sample[0], []):
        got, want = measure(given_), measure(given_, ("clustering", "path_length"))
        assert isinstance(got, tuple)
        assert len(got) == 2
        for mine, yours in zip(got, want, strict=True):
            np.testing.assert_array_equal(mine, yours)


def test_an_unknown_name_is_answered_with_the_nearest(sample):
    text = refusal(measure, sample, "clusterin")
    assert "there is no measure 'clusterin'" in text
    assert "did you mean 'clustering'?" in text
    assert all(name in text for name in NAMES)
    assert "did you mean 'modularity'?" in refusal(measure, sample, ("density", "modularty"))
    assert "did you mean 'density'?" in refusal(measure, [], "densty")
    assert "there is no measure None" in refusal(measure, sample, [None])


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_measure_refuses_an_impossible_number_of_threads(threads):
    for names in (None, "clustering", ("density",)):
        text = refusal(measure, [ring(nodes=5)], names, threads=threads)
        assert "`threads` of measure must be a whole number from 1" in text
        assert repr(threads) in text


# Measures that users add


@pytest.fixture
def register(monkeypatch):
    """`register_measure`, whose additions end with the test."""
    monkeypatch.setattr(measures, "_MEASURES", dict(measures._MEASURES))
    return register_measure


def test_a_measure_of_ones_own_is_taken_by_its_name(register, sample):
    given_ = []

    def edges(wirings):
        given_.append(list(wirings))
        return [len(w.edges) for w in wirings]

    register("edges_", edges, label="number of edges", logarithmic=True)
    values = measure(sample, "edges_")
    assert values.tolist() == [18.0, 32.0, 140.0]
    assert values.dtype == np.float64
    assert given_ == [sample]
    got = measure(sample, ("path_length", "edges_", "clustering"))
    np.testing.assert_array_equal(got[1], values)
    np.testing.assert_array_equal(got[2], measure(sample, "clustering"))
    assert measure(sample[0], "edges_").tolist() == [18.0]
    assert measure([], "edges_").shape == (0,)
    assert len(given_) == 3  # none for no wirings
    assert "did you mean 'edges_'?" in refusal(measure, sample, "edges")
    known = measures.measure_named("edges_")
    assert (known.label, known.logarithmic) == ("number of edges", True)
    register("plain", edges)
    assert measures.measure_named("plain").label == "plain"


@pytest.mark.parametrize("name", ["", "2nd", "edge count", "a-b", 3, None, b"edges"])
def test_a_name_that_is_no_identifier_is_refused(register, name):
    text = refusal(register, name, len)
    assert text == f"`name` of a measure must be an identifier; got {name!r}"


def test_a_taken_name_is_refused(register):
    register("mine", lambda wirings: np.zeros(len(wirings)))
    for name in (*NAMES, "mine"):
        assert f"must be new; got {name!r}" in refusal(register, name, lambda wirings: [1.0])


@pytest.mark.parametrize("function", [None, 3, "clustering", [1.0]])
def test_what_cannot_be_called_is_no_measure(register, function):
    assert "`function` of a measure must be callable" in refusal(register, "mine", function)
    assert "there is no measure 'mine'" in refusal(measure, [ring(nodes=5)], "mine")


@pytest.mark.parametrize(
    ("returned", "word"),
    [
        (3.0, "got [], 0 not finite"),
        ([1.0, 2.0], "got [2], 0 not finite"),
        ([[1.0], [2.0], [3.0]], "got [3, 1], 0 not finite"),
        ([], "got [0], 0 not finite"),
        ([1.0, float("nan"), 3.0], "got [3], 1 not finite"),
        ([1.0, float("inf"), float("nan")], "got [3], 2 not finite"),
        (None, "got [], 1 not finite"),
        ([1.0, None, 3.0], "got [3], 1 not finite"),
        (["a", "b", "c"], "must return numbers"),
        ([1j, 2j, 3j], "must return numbers"),
        ([[1.0], [2.0, 3.0], [4.0]], "must return numbers"),
        ({"a": 1.0}, "must return numbers"),
    ],
)
def test_what_is_not_a_number_for_each_wiring_is_refused(register, sample, returned, word):
    register("mine", lambda wirings: returned)
    for names in ("mine", ("clustering", "path_length", "mine")):
        text = refusal(measure, sample, names)
        assert text.startswith("measure 'mine' must return ")
        assert word in text


@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyError, RuntimeError, ValueError, TypeError])
def test_an_error_of_the_users_own_measure_is_the_users_to_see(register, sample, kind):
    own = kind("of my own making")

    def fails(wirings):
        raise own

    register("mine", fails)
    with pytest.raises(kind) as caught:
        measure(sample, "mine")
    assert caught.value is own


def test_measure_takes_a_mapping_and_refuses_what_is_no_wiring():
    named = {"a": ring(nodes=6), "b": complete(nodes=6)}
    np.testing.assert_array_equal(measure(named), measure(list(named.values())))
    assert "`wirings` of measure must be wirings; got int among them" in refusal(measure, [3])
    assert "`wirings` of measure must be wirings; got int" in refusal(measure, 3)
