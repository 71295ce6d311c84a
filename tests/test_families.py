"""The families: each against networkx, against its recipe, or against its own definition."""

from __future__ import annotations

import math
import random
from collections import Counter

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp

from refusals import refusal
from wireloom.native import _native
from wireloom.wiring import (
    FlexOrigin,
    Wiring,
    barabasi_albert,
    complete,
    erdos_renyi,
    expander,
    families,
    harary,
    measure,
    published_sample,
    ring,
    watts_strogatz,
    ws_flex,
)

quick = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 30) | st.integers(2**32 - 1, 2**64 - 1)
LEVEL = 0.01  # a test of distributions fails below it; the seeds are fixed, so it never wavers


def edge_set(wiring: Wiring) -> set[tuple[int, int]]:
    return set(map(tuple, wiring.edges.tolist()))


def edges_of(graph: nx.Graph) -> set[tuple[int, int]]:
    if graph.is_directed():
        return set(graph.edges())
    return {(min(u, v), max(u, v)) for u, v in graph.edges()}


# WS-flex


def longer_nodes(draw: random.Random, nodes: int, reach: int, extra: int) -> set[int]:
    """The nodes with one edge more: drawn one by one, none whose edge another one has already."""
    order, longer = list(range(nodes)), set()
    for i in range(nodes):
        if len(longer) == extra:
            break
        j = i + draw.choice(range(nodes - i))
        order[i], order[j] = order[j], order[i]
        if 2 * (reach + 1) != nodes or (order[i] + reach + 1) % nodes not in longer:
            longer.add(order[i])
    return longer


def reference_ws_flex(nodes, degree, rewire, seed, variant="published"):
    """WS-flex as its recipe words it: the edges (u < v), and how many draws it took."""
    draw = random.Random(seed)
    published = variant == "published"
    count = round(degree * nodes / 2) if published else math.floor(degree * nodes / 2)
    reach, extra = divmod(count, nodes)
    for attempt in range(100):
        longer = range(extra) if published else longer_nodes(draw, nodes, reach, extra)
        ordered = [
            (u, (u + step) % nodes)
            for u in range(nodes)
            for step in range(1, reach + (u in longer) + 1)
        ]
        near = {u: set() for u in range(nodes)}
        for u, v in ordered:
            near[u].add(v)
            near[v].add(u)
        for u, v in ordered:
            if draw.random() >= rewire:
                continue
            w = draw.choice(range(nodes))
            alone = False
            while w == u or w in near[u]:
                w = draw.choice(range(nodes))
                if len(near[u]) >= nodes - 1:
                    alone = True
                    break
            if not alone:
                near[u].remove(v)
                near[v].remove(u)
                near[u].add(w)
                near[w].add(u)
        if nx.is_connected(nx.Graph({u: list(ends) for u, ends in near.items()})):
            return {(u, v) for u, ends in near.items() for v in ends if u < v}, attempt + 1
    return None, 100


@pytest.mark.parametrize(("nodes", "count"), [(64, 3942), (16, 2698)])
def test_published_graphs_are_redrawn_to_nine_digits(shared_data, nodes, count):
    table = pd.read_parquet(shared_data / f"graphs_n{nodes}_{count}.parquet")
    wirings = published_sample(nodes, count)
    assert list(wirings) == table.graph_id.tolist()
    origins = [w.origin for w in wirings.values()]
    np.testing.assert_array_equal([o.seed for o in origins], table.graph_seed)
    np.testing.assert_allclose([o.degree for o in origins], table.k, rtol=0, atol=1e-12)
    np.testing.assert_allclose([o.rewire for o in origins], table.p, rtol=0, atol=1e-12)
    clustering, path_length = measure(list(wirings.values()))
    np.testing.assert_allclose(clustering, table.C, rtol=0, atol=1e-9)
    np.testing.assert_allclose(path_length, table.L, rtol=0, atol=1e-9)


@st.composite
def flex_parameters(draw):
    nodes = draw(st.integers(3, 100))
    degree = draw(st.floats(2, nodes - 1))
    rewire = draw(st.sampled_from([0.0, 1.0]) | st.floats(0, 1))
    return nodes, degree, rewire, draw(seeds)


@settings(deadline=None, max_examples=100)
@given(flex_parameters(), st.sampled_from(["published", "text"]))
def test_ws_flex_follows_its_recipe(parameters, variant):
    nodes, degree, rewire, seed = parameters
    want, _ = reference_ws_flex(*parameters, variant)
    got = ws_flex(nodes=nodes, degree=degree, rewire=rewire, seed=seed, variant=variant)
    assert edge_set(got) == want
    assert got.origin == FlexOrigin(degree, rewire, seed, variant)
    half = degree * nodes / 2
    assert len(got.edges) == (round(half) if variant == "published" else math.floor(half))


@pytest.mark.parametrize("nodes", [4, 6, 8, 16, 30, 64, 66])
def test_the_text_variant_never_draws_an_edge_across_the_ring_twice(nodes):
    half = nodes // 2
    for extra in sorted({1, half // 2, half - 1, half} - {0}):
        edges = nodes * (half - 1) + extra
        for rewire, seed in ((0.0, 0), (0.0, 1), (0.4, 2)):
            degree = min((2 * edges + 0.5) / nodes, nodes - 1)
            got = ws_flex(nodes=nodes, degree=degree, rewire=rewire, seed=seed, variant="text")
            assert edge_set(got) == reference_ws_flex(nodes, degree, rewire, seed, "text")[0]
            assert len(got.edges) == edges
        assert ws_flex(nodes=nodes, degree=nodes - 1, rewire=0.5, variant="text").is_complete


def test_the_text_variant_gives_the_extra_edges_to_any_nodes_alike():
    nodes, extra, draws = 10, 3, 2000
    having_more = np.zeros(nodes)
    for seed in range(draws):
        lattice = ws_flex(nodes=nodes, degree=2.6, rewire=0, seed=seed, variant="text")
        more = edge_set(lattice) - edge_set(ring(nodes=nodes))
        assert len(more) == extra
        for u, v in more:
            having_more[u if v - u == 2 else v] += 1
    # each node's count varies less than a Poisson's, as `extra` of the ten are drawn at a time
    spread = having_more - draws * extra / nodes
    assert np.abs(spread).max() < 4 * math.sqrt(draws * 0.3 * 0.7)


def test_the_two_variants_round_the_number_of_edges_as_they_say():
    by = {
        variant: [
            len(ws_flex(nodes=9, degree=d, rewire=0.2, variant=variant).edges) for d in (2.5, 3.1)
        ]
        for variant in ("published", "text")
    }
    assert by == {"published": [11, 14], "text": [11, 13]}


@pytest.mark.parametrize("variant", ["published", "text"])
def test_a_file_keeps_the_variant_that_a_wiring_was_drawn_with(tmp_path, variant):
    drawn = ws_flex(nodes=12, degree=4.3, rewire=0.3, seed=7, variant=variant)
    drawn.save(tmp_path / "wiring.json")
    again = Wiring.load(tmp_path / "wiring.json")
    assert again == drawn
    assert again.origin == drawn.origin == FlexOrigin(4.3, 0.3, 7, variant)
    assert ws_flex(nodes=again.nodes, **vars(again.origin)) == drawn


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**64 - 1])
def test_ws_flex_reads_every_bit_of_its_seed_as_python_does(seed):
    got = ws_flex(nodes=20, degree=5.3, rewire=0.4, seed=seed)
    assert edge_set(got) == reference_ws_flex(20, 5.3, 0.4, seed)[0]


@pytest.mark.parametrize("variant", ["published", "text"])
def test_a_disconnected_draw_is_drawn_again_from_the_same_stream(variant):
    most = 0
    for seed in range(12):
        want, draws = reference_ws_flex(24, 2.0, 1.0, seed, variant)
        got = ws_flex(nodes=24, degree=2, rewire=1, seed=seed, variant=variant)
        assert edge_set(got) == want
        most = max(most, draws)
    assert most > 3


# The families that networkx has too


@st.composite
def watts_strogatz_parameters(draw):
    nodes = draw(st.integers(3, 80))
    degree = 2 * draw(st.integers(1, (nodes - 1) // 2))
    rewire = draw(st.sampled_from([0.0, 1.0]) | st.floats(0, 1))
    return nodes, degree, rewire, draw(seeds)


@quick
@given(watts_strogatz_parameters())
@example((24, 2, 1.0, 5))
@example((65, 64, 1.0, 0))
def test_watts_strogatz_is_that_of_networkx(parameters):
    nodes, degree, rewire, seed = parameters
    want = nx.connected_watts_strogatz_graph(nodes, degree, rewire, tries=100, seed=seed)
    got = watts_strogatz(nodes=nodes, degree=degree, rewire=rewire, seed=seed)
    assert edge_set(got) == edges_of(want)
    assert got.origin is None


@st.composite
def erdos_renyi_parameters(draw):
    nodes, directed = draw(st.integers(2, 60)), draw(st.booleans())
    most = nodes * (nodes - 1) // (1 if directed else 2)
    enough = min(most, math.ceil(nodes * math.log(nodes) / 2))
    least = 2 if nodes == 2 and directed else nodes - 1
    edges = draw(st.integers(max(enough, least), most) | st.integers(least, most))
    return nodes, edges, draw(seeds), directed


@settings(deadline=None, max_examples=100)
@given(erdos_renyi_parameters())
@example((2, 1, 0, False))
@example((2, 2, 0, True))
def test_erdos_renyi_is_the_first_connected_graph_of_networkx(parameters):
    nodes, edges, seed, directed = parameters
    degree = edges / nodes * (1 if directed else 2)
    stream = random.Random(seed)
    for _ in range(100):
        want = nx.gnm_random_graph(nodes, edges, seed=stream, directed=directed)
        if nx.is_connected(want.to_undirected(as_view=True)):
            break
    else:
        text = refusal(erdos_renyi, nodes=nodes, degree=degree, seed=seed, directed=directed)
        assert "a higher `degree` connects it" in text
        return
    got = erdos_renyi(nodes=nodes, degree=degree, seed=seed, directed=directed)
    assert got.directed == directed
    assert len(got.edges) == edges
    assert edge_set(got) == edges_of(want)


def check_harary(nodes: int, edges: int) -> None:
    got = harary(nodes=nodes, degree=2 * edges / nodes)
    assert len(got.edges) == edges
    assert edge_set(got) == edges_of(nx.hnm_harary_graph(nodes, edges))


@pytest.mark.parametrize("nodes", range(3, 25))
def test_every_small_harary_graph_is_that_of_networkx(nodes):
    for edges in range(nodes, nodes * (nodes - 1) // 2 + 1):
        check_harary(nodes, edges)


@quick
@given(nodes=st.integers(25, 140), share=st.floats(0, 1))
def test_larger_harary_graphs_are_those_of_networkx(nodes, share):
    check_harary(nodes, round(nodes + share * (nodes * (nodes - 1) // 2 - nodes)))


@pytest.mark.parametrize(("nodes", "edges"), [(7, 9), (8, 12), (9, 20), (12, 31), (13, 39)])
def test_a_harary_graph_is_as_hard_to_cut_as_any_of_its_edges(nodes, edges):
    graph = harary(nodes=nodes, degree=2 * edges / nodes).to_networkx()
    assert nx.node_connectivity(graph) == 2 * edges // nodes


def reference_barabasi_albert(nodes: int, attach: int, seed: int) -> set[tuple[int, int]]:
    draw = random.Random(seed)
    edges = {(0, v) for v in range(1, attach + 1)}
    ends = [0] * attach + list(range(1, attach + 1))
    for new in range(attach + 1, nodes):
        targets: set[int] = set()
        while len(targets) < attach:
            targets.add(draw.choice(ends))
        edges |= {(old, new) for old in targets}
        ends += [*sorted(targets), *[new] * attach]
    return edges


@quick
@given(nodes=st.integers(2, 120), share=st.floats(0, 1), seed=seeds)
def test_barabasi_albert_follows_its_recipe(nodes, share, seed):
    attach = 1 + int(share**2 * (nodes - 2))
    got = barabasi_albert(nodes=nodes, attach=attach, seed=seed)
    assert edge_set(got) == reference_barabasi_albert(nodes, attach, seed)
    assert len(got.edges) == attach * (nodes - attach)
    older = Counter(got.edges[:, 1].tolist())  # each edge is (older, newer)
    assert all(older[new] == attach for new in range(attach + 1, nodes))
    assert edge_set(got) >= {(0, v) for v in range(1, attach + 1)}


@pytest.mark.parametrize(("nodes", "attach"), [(64, 1), (64, 3), (200, 2)])
def test_degrees_of_barabasi_albert_are_distributed_as_those_of_networkx(nodes, attach):
    ours = [barabasi_albert(nodes=nodes, attach=attach, seed=i).degrees for i in range(150)]
    theirs = [
        np.array([d for _, d in nx.barabasi_albert_graph(nodes, attach, seed=1000 + i).degree()])
        for i in range(150)
    ]
    assert {d.mean() for d in ours} == {d.mean() for d in theirs}
    for number in (np.max, np.std, np.median):
        assert ks_2samp([number(d) for d in ours], [number(d) for d in theirs]).pvalue > LEVEL
    anyhow = [
        max(d for _, d in nx.gnm_random_graph(nodes, attach * (nodes - attach), seed=i).degree())
        for i in range(150)
    ]
    assert np.mean([d.max() for d in ours]) > 1.5 * np.mean(anyhow)


# Regular graphs


@st.composite
def expander_parameters(draw):
    nodes, directed = draw(st.integers(3, 90)), draw(st.booleans())
    degree = draw(st.integers(1 if directed else 2, nodes - 1) | st.integers(2, min(6, nodes - 1)))
    if nodes * degree % 2 and not directed:
        degree -= 1
    return nodes, degree, draw(seeds), directed


@settings(deadline=None, max_examples=100)
@given(expander_parameters())
def test_an_expander_is_simple_connected_and_regular(parameters):
    nodes, degree, seed, directed = parameters
    got = expander(nodes=nodes, degree=degree, seed=seed, directed=directed)
    assert got.directed == directed
    assert len(edge_set(got)) == len(got.edges) == nodes * degree // (1 if directed else 2)
    assert (got.edges[:, 0] != got.edges[:, 1]).all()
    assert directed or (got.edges[:, 0] < got.edges[:, 1]).all()
    matrix = got.adjacency()
    assert set(matrix.sum(0)) == set(matrix.sum(1)) == {degree}
    assert nx.is_connected(nx.Graph(got.to_networkx()))
    assert got.is_complete == (degree == nodes - 1)


@pytest.mark.parametrize("nodes", [4, 10, 64, 65, 66])
@pytest.mark.parametrize("directed", [False, True])
def test_the_densest_expanders_lack_a_matching_or_nothing(nodes, directed):
    assert expander(nodes=nodes, degree=nodes - 1, directed=directed).is_complete
    if directed or nodes % 2 == 0:
        dense = [
            expander(nodes=nodes, degree=nodes - 2, seed=i, directed=directed) for i in range(8)
        ]
        for wiring in dense:
            absent = ~wiring.adjacency() & ~np.eye(nodes, dtype=bool)
            assert (absent.sum(0) == 1).all()
            assert (absent.sum(1) == 1).all()
        assert len(set(dense)) > 2


@pytest.mark.parametrize(("nodes", "degree"), [(40, 4), (31, 6), (20, 13)])
def test_expanders_are_distributed_as_networkxs_random_regular_graphs(nodes, degree):
    ours = [expander(nodes=nodes, degree=degree, seed=i) for i in range(250)]
    theirs = [
        Wiring.from_networkx(nx.random_regular_graph(degree, nodes, seed=1000 + i))
        for i in range(250)
    ]
    for mine, yours in zip(measure(ours), measure(theirs), strict=True):
        assert ks_2samp(mine, yours).pvalue > LEVEL


@pytest.mark.parametrize(
    ("nodes", "degree", "directed", "graphs"),
    [
        (4, 2, False, 3),  # complements of the perfect matchings
        (5, 2, False, 12),  # cycles
        (6, 3, False, 70),  # 60 prisms, 10 complete bipartite
        (6, 2, False, 60),  # cycles; two triangles are drawn again
        (5, 1, True, 24),  # cycles
        (4, 2, True, 9),  # complements of the derangements
        (5, 2, True, 216),
    ],
)
def test_all_regular_graphs_are_drawn_alike(nodes, degree, directed, graphs):
    drawn = Counter(
        expander(nodes=nodes, degree=degree, seed=seed, directed=directed).edges.tobytes()
        for seed in range(30 * graphs)
    )
    assert len(drawn) == graphs
    assert chisquare(list(drawn.values())).pvalue > LEVEL


@pytest.mark.parametrize("degree", [3, 4, 8])
def test_expanders_have_a_spectral_gap_near_the_greatest_that_there_is(degree):
    bound = 1 - 2 * math.sqrt(degree - 1) / degree
    gap = measure([expander(nodes=n, degree=degree, seed=1) for n in (600, 2048)], "spectral_gap")
    assert (np.abs(gap - bound) < [0.03, 0.015]).all()
    lattice = measure([ring(nodes=600, degree=degree // 2 * 2)], "spectral_gap")
    assert gap[0] > 100 * lattice[0]


# Graphs without chance


@quick
@given(nodes=st.integers(3, 90), share=st.floats(0, 1))
def test_a_ring_is_ws_flex_without_rewiring(nodes, share):
    degree = 2 + share * (nodes - 3)
    lattice = ring(nodes=nodes, degree=degree)
    assert lattice == ws_flex(nodes=nodes, degree=degree, rewire=0)
    assert edge_set(lattice) == reference_ws_flex(nodes, degree, 0.0, 0)[0]
    assert lattice.origin is None


@quick
@given(nodes=st.integers(3, 90), half=st.integers(1, 44))
def test_a_ring_of_even_degree_is_a_circulant(nodes, half):
    half = min(half, (nodes - 1) // 2)
    lattice = ring(nodes=nodes, degree=2 * half)
    assert edge_set(lattice) == edges_of(nx.circulant_graph(nodes, range(1, half + 1)))
    assert set(lattice.degrees) == {2 * half}


@quick
@given(nodes=st.integers(3, 90), share=st.floats(0, 1))
def test_a_directed_ring_sends_to_the_next_ones(nodes, share):
    degree = 1 + round(share * (nodes - 2))
    lattice = ring(nodes=nodes, degree=degree, directed=True)
    assert lattice.directed
    assert edge_set(lattice) == {
        (u, (u + step) % nodes) for u in range(nodes) for step in range(1, degree + 1)
    }


@pytest.mark.parametrize("nodes", [2, 3, 64, 65, 130])
def test_a_complete_wiring_is_the_dense_layer(nodes):
    wiring = complete(nodes=nodes)
    assert edge_set(wiring) == edges_of(nx.complete_graph(nodes))
    assert wiring.is_complete
    assert wiring.density == 1.0
    assert wiring.path_length == 1.0
    assert wiring.clustering == (1.0 if nodes > 2 else 0.0)
    assert not Wiring.from_edges(nodes, wiring.edges[1:]).is_complete


@pytest.mark.parametrize("nodes", [2, 3, 65])
def test_a_directed_complete_wiring_has_both_arrows_of_each_pair(nodes):
    wiring = complete(nodes=nodes, directed=True)
    assert edge_set(wiring) == set(nx.complete_graph(nodes, nx.DiGraph).edges())
    assert wiring.is_complete
    assert wiring.density == 1.0
    assert wiring.undirected() == complete(nodes=nodes)
    assert not Wiring.from_edges(nodes, wiring.edges[1:], directed=True).is_complete


# What all share

DRAWS = {
    "ws_flex": (ws_flex, {"nodes": 40, "degree": 5.3, "rewire": 0.5}),
    "ws_flex, text": (ws_flex, {"nodes": 40, "degree": 5.3, "rewire": 0.5, "variant": "text"}),
    "watts_strogatz": (watts_strogatz, {"nodes": 40, "degree": 6, "rewire": 0.5}),
    "erdos_renyi": (erdos_renyi, {"nodes": 40, "degree": 6.2}),
    "erdos_renyi, directed": (erdos_renyi, {"nodes": 40, "degree": 3.1, "directed": True}),
    "barabasi_albert": (barabasi_albert, {"nodes": 40, "attach": 3}),
    "expander": (expander, {"nodes": 40, "degree": 5}),
    "expander, dense": (expander, {"nodes": 40, "degree": 35}),
    "expander, directed": (expander, {"nodes": 40, "degree": 2, "directed": True}),
}
FIXED = {
    "harary": (harary, {"nodes": 40, "degree": 5.3}),
    "ring": (ring, {"nodes": 40, "degree": 5.3}),
    "ring, directed": (ring, {"nodes": 40, "degree": 5, "directed": True}),
    "complete": (complete, {"nodes": 40}),
    "complete, directed": (complete, {"nodes": 40, "directed": True}),
}


@pytest.mark.parametrize(("family", "given_"), DRAWS.values(), ids=DRAWS)
def test_the_seed_alone_decides_the_draw(family, given_):
    drawn = [family(**given_, seed=seed) for seed in range(20)]
    assert [family(**given_, seed=seed) for seed in range(20)] == drawn
    assert len(set(drawn)) == 20
    assert family(**given_) == drawn[0]


@pytest.mark.parametrize(("family", "given_"), (DRAWS | FIXED).values(), ids=DRAWS | FIXED)
@pytest.mark.parametrize("whole", [np.int8, np.uint8, np.int32, np.uint64])
def test_numpy_numbers_give_the_same_wiring_as_python_ones(family, given_, whole):
    """Of 100 nodes, whose products leave the narrow types behind."""
    plain = {**given_, "nodes": 100} | ({"seed": 3} if (family, given_) in DRAWS.values() else {})
    if "degree" in plain and plain["degree"] % 1:
        plain["degree"] = 6.25
    kinds = {int: whole, float: np.float32, bool: bool, str: str}
    other = family(**{name: kinds[type(value)](value) for name, value in plain.items()})
    assert other == family(**plain)
    assert type(other.nodes) is int
    assert other.origin == family(**plain).origin


NO_SEED = [-1, 2**64, 1.5, "0", None, True]
NO_SHARE = [-0.01, 1.01, float("nan"), "0.1", None, True]
NO_NODES = [-1, 0, 1, 64.0, "64", True, None, 2**21]
NO_REAL = [70, float("nan"), float("inf"), -3, "8", None, True, 10**40]
NO_WHOLE = [70, 0, -2, 8.0, float("nan"), "8", None, True]
BAD = [
    (call, good, name, value)
    for call, good, wrong in (
        (
            ws_flex,
            {"nodes": 64, "degree": 8.0, "rewire": 0.1, "seed": 0},
            {
                "nodes": [2, *NO_NODES],
                "degree": [1.99, 63.01, *NO_REAL],
                "rewire": NO_SHARE,
                "seed": NO_SEED,
                "variant": ["texts", "Text", "", None, 1, True],
            },
        ),
        (
            watts_strogatz,
            {"nodes": 64, "degree": 8, "rewire": 0.1, "seed": 0},
            {
                "nodes": [2, *NO_NODES],
                "degree": [7, 64, *NO_WHOLE],
                "rewire": NO_SHARE,
                "seed": NO_SEED,
            },
        ),
        (
            erdos_renyi,
            {"nodes": 64, "degree": 8.0, "seed": 0},
            {
                "nodes": NO_NODES,
                "degree": [0, 1.96, 63.01, *NO_REAL],
                "seed": NO_SEED,
                "directed": [1, "yes", None],
            },
        ),
        (
            erdos_renyi,
            {"nodes": 64, "degree": 8.0, "directed": True},
            {"degree": [0.98, 63.01, *NO_REAL]},
        ),
        (
            barabasi_albert,
            {"nodes": 64, "attach": 3, "seed": 0},
            {"nodes": NO_NODES, "attach": [64, *NO_WHOLE], "seed": NO_SEED},
        ),
        (
            harary,
            {"nodes": 64, "degree": 8.0},
            {"nodes": [2, *NO_NODES], "degree": [1.99, 63.01, *NO_REAL]},
        ),
        (
            expander,
            {"nodes": 64, "degree": 8, "seed": 0},
            {
                "nodes": [2, *NO_NODES],
                "degree": [1, 64, *NO_WHOLE],
                "seed": NO_SEED,
                "directed": [1, "yes", None],
            },
        ),
        (expander, {"nodes": 63, "degree": 8}, {"degree": [3, 61]}),
        (expander, {"nodes": 64, "degree": 8, "directed": True}, {"degree": [64, *NO_WHOLE]}),
        (
            ring,
            {"nodes": 64, "degree": 8.0},
            {
                "nodes": [2, *NO_NODES],
                "degree": [0, 1, 1.99, 63.01, *NO_REAL],
                "directed": [1, "yes", None],
            },
        ),
        (complete, {"nodes": 64}, {"nodes": NO_NODES, "directed": [1, "yes", None]}),
    )
    for name, values in wrong.items()
    for value in values
]


@pytest.mark.parametrize(("family", "good", "name", "value"), BAD)
def test_a_bad_value_is_refused_by_name(family, good, name, value):
    family(**good)
    text = refusal(family, **good | {name: value})
    assert text.startswith(f"`{name}` of {family.__name__} must be ")
    assert f"got {value!r}"[:30] in text
    assert len(text) < 250


@pytest.mark.parametrize("degree", [0, 64, 2.5, "2", None, True, float("nan")])
def test_a_directed_ring_refuses_a_bad_degree_by_name(degree):
    text = refusal(ring, nodes=64, degree=degree, directed=True)
    assert text.startswith("`degree` of a directed ring must be a whole number in [1, 63]")
    assert f"got {degree!r}" in text


def test_a_misspelt_variant_is_answered_with_the_nearest():
    text = refusal(ws_flex, nodes=8, degree=4, rewire=0, variant="publishd")
    assert "did you mean 'published'?" in text


@pytest.mark.parametrize(
    ("family", "given_", "advice"),
    [
        (erdos_renyi, {"nodes": 60, "degree": 2.0, "seed": 0}, "a higher `degree`"),
        (
            erdos_renyi,
            {"nodes": 60, "degree": 1.0, "seed": 0, "directed": True},
            "a higher `degree`",
        ),
    ],
)
def test_what_no_draw_connects_is_refused_with_a_way_out(family, given_, advice):
    text = refusal(family, **given_)
    assert text.startswith(f"{family.__name__}(nodes={given_['nodes']}, degree=")
    assert f"was disconnected in 100 draws; {advice} connects it" in text


def test_as_many_draws_are_made_as_the_refusal_says(monkeypatch):
    monkeypatch.setattr(families, "TRIES", 2)
    draws = [reference_ws_flex(24, 2.0, 1.0, seed)[1] for seed in range(20)]
    assert {1, 2} < set(draws)
    for seed, needed in enumerate(draws):
        given_ = {"nodes": 24, "degree": 2, "rewire": 1, "seed": seed}
        if needed <= 2:
            ws_flex(**given_)
        else:
            text = refusal(ws_flex, **given_)
            assert "disconnected in 2 draws; a higher `degree` or a lower `rewire`" in text
    text = refusal(watts_strogatz, nodes=2000, degree=2, rewire=1.0)
    assert "disconnected in 2 draws; a higher `degree` or a lower `rewire`" in text
    text = refusal(expander, nodes=2000, degree=2)
    assert "disconnected in 2 draws; a higher `degree`" in text


@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("ws_flex", 61),
        ("ws_flex_text", 61),
        ("watts_strogatz", 4),
        ("erdos_renyi", 40),
        ("erdos_renyi_directed", 30),
        ("barabasi_albert", 2),
        ("harary", 47),
        ("expander", 3),
        ("expander_directed", 2),
    ],
)
def test_draws_that_are_measured_at_once_are_the_ones_drawn_one_by_one(name, amount):
    nodes, count = 24, 40
    seeds_ = np.arange(count, dtype=np.uint64) % 15
    rewire = np.linspace(0, 1, count)
    amounts = np.full(count, amount, dtype=np.int64)
    found = _native.draw_and_measure(name, nodes, amounts, rewire, seeds_, 2, 2)
    for i in range(count):
        edges = _native.draw(name, nodes, amount, float(rewire[i]), int(seeds_[i]), 2)
        if edges is None:
            assert np.isnan(found[0][i])
            assert np.isnan(found[1][i])
        else:
            wiring = Wiring.from_edges(nodes, edges, directed=name.endswith("directed"))
            assert (wiring.clustering, wiring.path_length) == (found[0][i], found[1][i])
