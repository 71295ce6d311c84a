"""Steering: swaps of edges that keep every degree and reach the wanted measures."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wireloom.base import InvalidValue
from wireloom.models import Build, build, cost
from wireloom.wiring import (
    OutOfReach,
    Wiring,
    barabasi_albert,
    complete,
    connectome,
    measure,
    ring,
    steer,
    ws_flex,
)

START = ws_flex(nodes=64, degree=10, rewire=0.5)  # C 0.22, L 2.04, gap 0.41


@pytest.mark.parametrize("clustering", [0.06, 0.15, 0.3, 0.45, 0.6])
def test_clustering_is_steered_both_ways_at_equal_degrees(clustering):
    found = steer(START, clustering=clustering)
    assert nx.average_clustering(found.to_networkx()) == pytest.approx(clustering, abs=0.01)
    np.testing.assert_array_equal(found.degrees, START.degrees)
    assert found != START
    assert found.origin is None


@pytest.mark.parametrize("path_length", [2.0, 2.2, 2.6, 3.2])
def test_path_length_is_steered(path_length):
    found = steer(START, path_length=path_length)
    got = nx.average_shortest_path_length(found.to_networkx())
    assert abs(got / path_length - 1) <= 0.01
    np.testing.assert_array_equal(found.degrees, START.degrees)


@pytest.mark.parametrize("spectral_gap", [0.1, 0.25, 0.45])
def test_the_spectral_gap_is_steered(spectral_gap):
    found = steer(START, spectral_gap=spectral_gap)
    exact = np.sort(nx.normalized_laplacian_spectrum(found.to_networkx()))[1]
    assert exact == pytest.approx(spectral_gap, abs=0.01)
    np.testing.assert_array_equal(found.degrees, START.degrees)


def test_one_measure_is_held_while_another_moves():
    """C alone, then C with the L of the start held: what a study of structure needs."""
    held = steer(START, clustering=0.4, path_length=START.path_length)
    assert held.clustering == pytest.approx(0.4, abs=0.01)
    assert held.path_length == pytest.approx(START.path_length, rel=0.01)
    free = steer(START, clustering=0.4)
    assert free.path_length > held.path_length


def test_the_cost_of_a_network_stays_the_same():
    """At any widths that are named; at widths that divide by the nodes without naming them."""
    plan = Build(image=(3, 32, 32), classes=10, width=100, stem=150)
    shape = plan.shape(START)
    assert shape.width % 64
    uneven = steer(START, clustering=0.4, widths=(150, shape.width - 1, shape.width))
    assert uneven.clustering == pytest.approx(0.4, abs=0.01)
    assert plan.shape(uneven) == shape
    assert shape.cost(uneven) == shape.cost(START)
    structured = steer(START, clustering=0.5)
    even = [build("mlp", w, width=128, stem=64, budget="none") for w in (START, structured)]
    assert cost(even[0]) == cost(even[1])
    np.testing.assert_array_equal(uneven.degrees, START.degrees)


def test_a_thousand_nodes_and_hubs_are_steered_too():
    big = ws_flex(nodes=1000, degree=10, rewire=0.3)
    assert steer(big, clustering=0.3).clustering == pytest.approx(0.3, abs=0.01)
    hubs = barabasi_albert(nodes=64, attach=5)
    found = steer(hubs, clustering=0.4)
    assert found.clustering == pytest.approx(0.4, abs=0.01)
    np.testing.assert_array_equal(found.degrees, hubs.degrees)


@settings(deadline=None, max_examples=40)
@given(
    nodes=st.integers(5, 90),
    degree=st.floats(2.5, 12),
    clustering=st.floats(0, 1),
    seed=st.integers(0, 2**64 - 1),
)
def test_any_search_keeps_degrees_and_one_piece_and_says_how_far_it_came(
    nodes, degree, clustering, seed
):
    start = ws_flex(nodes=nodes, degree=min(degree, nodes - 1), rewire=0.4, seed=seed % 1000)
    missed = None
    try:
        found = steer(start, clustering=clustering, swaps=300, seed=seed)
    except OutOfReach as error:
        missed, found = str(error), error.closest
    off = abs(found.clustering - clustering)
    assert off <= abs(start.clustering - clustering) + 1e-9
    assert (off > 0.01) == (missed is not None)
    assert missed is None or f"clustering {found.clustering:.4f} ({off:.4f} away)" in missed
    np.testing.assert_array_equal(found.degrees, start.degrees)
    assert nx.is_connected(found.to_networkx())


def test_the_same_seed_gives_the_same_wiring():
    assert steer(START, clustering=0.4, seed=3) == steer(START, clustering=0.4, seed=3)
    assert steer(START, clustering=0.4, seed=3) != steer(START, clustering=0.4, seed=4)


def test_a_wiring_that_is_there_already_is_given_back():
    assert steer(START, clustering=START.clustering) is START
    assert steer(START, path_length=START.path_length, tolerance=1e-9) is START


def test_a_target_out_of_reach_names_the_closest_and_how_far():
    with pytest.raises(
        OutOfReach,
        match=r"clustering 1 was found in \d+ swaps; the closest has clustering 0.\d+ \(0",
    ) as caught:
        steer(START, clustering=1.0, swaps=20_000)
    assert isinstance(caught.value, InvalidValue)
    assert 0.6 < caught.value.closest.clustering < 0.95
    with pytest.raises(OutOfReach) as caught:  # every connected 2-regular graph is this ring
        steer(ring(nodes=8), clustering=0.5, swaps=500)
    assert caught.value.closest.clustering == 0


@pytest.mark.parametrize(
    ("start", "wanted", "message"),
    [
        (connectome("cat"), {"clustering": 0.5}, r"must be undirected.*undirected\(\)"),
        (Wiring.from_edges(4, [(0, 1), (2, 3)]), {"clustering": 0.5}, "connected"),
        (Wiring.from_edges(2, [(0, 1)]), {"clustering": 0.5}, "two edges"),
        (START, {}, "needs one of clustering, path_length, spectral_gap"),
        (START, {"clustering": 1.5}, r"`clustering` of steer must be in \[0, 1\]; got 1.5"),
        (START, {"clustering": float("nan")}, "`clustering` of steer"),
        (START, {"clustering": "0.5"}, "`clustering` of steer"),
        (START, {"clustering": True}, "`clustering` of steer"),
        (START, {"path_length": 0.5}, "`path_length` of steer"),
        (START, {"path_length": float("inf")}, "`path_length` of steer"),
        (START, {"spectral_gap": -0.1}, "`spectral_gap` of steer"),
        (START, {"clustering": 0.3, "tolerance": 0}, "`tolerance` of steer"),
        (START, {"clustering": 0.3, "swaps": 0}, "`swaps` of steer"),
        (START, {"clustering": 0.3, "swaps": 1.5}, "`swaps` of steer"),
        (START, {"clustering": 0.3, "widths": (63,)}, "width; got 64 nodes, width 63"),
        (START, {"clustering": 0.3, "widths": (64.5,)}, "`widths` of steer"),
        (START, {"clustering": 0.3, "seed": -1}, "`seed` of steer"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(start, wanted, message):
    with pytest.raises(InvalidValue, match=message):
        steer(start, **wanted)


def test_a_complete_wiring_has_no_swap():
    with pytest.raises(OutOfReach):
        steer(complete(nodes=8), clustering=0.5, swaps=100)


def test_measures_of_the_steered_wiring_are_those_of_networkx():
    found = steer(START, clustering=0.35, path_length=2.3, spectral_gap=0.15)
    graph = found.to_networkx()
    got = [float(m[0]) for m in measure([found], ("clustering", "path_length", "spectral_gap"))]
    want = [
        nx.average_clustering(graph),
        nx.average_shortest_path_length(graph),
        np.sort(nx.normalized_laplacian_spectrum(graph))[1],
    ]
    assert got == pytest.approx(want, abs=1e-9)
    off = [got[0] - 0.35, got[1] / 2.3 - 1, got[2] - 0.15]
    assert np.linalg.norm(off) <= 0.01
