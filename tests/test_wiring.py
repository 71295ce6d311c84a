"""The wiring: the value itself, networkx, files, and samples of the plane."""

from __future__ import annotations

import copy
import json
import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import refusal
from wireloom.wiring import (
    FlexOrigin,
    Wiring,
    ring,
    ws_flex,
)

quick = settings(deadline=None, max_examples=60)
PATH = [(0, 1), (1, 2), (2, 3)]


# The value


@st.composite
def wirings(draw):
    nodes = draw(st.integers(1, 12))
    node = st.integers(0, nodes - 1)
    pair = st.tuples(node, node).filter(lambda ends: ends[0] != ends[1])
    edges = draw(st.lists(pair, max_size=40)) if nodes > 1 else []
    return Wiring.from_edges(nodes, edges, directed=draw(st.booleans()))


@quick
@given(wirings())
def test_adjacency_blocks_and_density_tell_the_same(wiring):
    matrix, blocks = wiring.adjacency(), wiring.blocks()
    assert matrix.shape == (wiring.nodes, wiring.nodes)
    assert not matrix.diagonal().any()
    assert wiring.directed or (matrix == matrix.T).all()
    for sender, receiver in wiring.edges:
        assert matrix[receiver, sender]
    assert matrix.sum() == len(wiring.edges) * (1 if wiring.directed else 2)
    np.testing.assert_array_equal(blocks, np.argwhere(matrix | np.eye(wiring.nodes, dtype=bool)))
    assert wiring.density == len(blocks) / wiring.nodes**2


@quick
@given(wirings(), st.randoms(use_true_random=False))
def test_the_same_edges_in_any_order_make_an_equal_wiring(wiring, shuffle):
    edges = wiring.edges.tolist() * 2
    shuffle.shuffle(edges)
    if not wiring.directed:
        edges = [pair[:: shuffle.choice([1, -1])] for pair in edges]
    again = Wiring.from_edges(wiring.nodes, edges, directed=wiring.directed)
    assert again == wiring
    assert hash(again) == hash(wiring)
    assert again.digest == wiring.digest
    assert {again: 1}[wiring] == 1


def test_wirings_that_differ_in_anything_are_not_equal():
    base = Wiring.from_edges(4, PATH)
    others = [
        Wiring.from_edges(5, PATH),
        Wiring.from_edges(4, PATH[:2]),
        Wiring.from_edges(4, PATH, directed=True),
        Wiring.from_edges(4, [(b, a) for a, b in PATH], directed=True),
        "Wiring",
        None,
    ]
    assert all(base != other for other in others)
    assert len({base, *others}) == 7


def test_the_digest_is_the_same_on_every_machine():
    assert Wiring.from_edges(4, PATH).digest == "710500571543b1043c2b25a59534effb"


def test_how_a_wiring_was_made_does_not_show_in_its_equality():
    drawn = ws_flex(nodes=10, degree=2, rewire=0)
    assert drawn == ring(nodes=10)
    assert drawn.origin != ring(nodes=10).origin


def test_a_wiring_does_not_change():
    wiring = ws_flex(nodes=8, degree=4, rewire=0.2)
    for name in ("nodes", "edges", "_edges", "anything"):
        with pytest.raises(AttributeError, match="does not change"):
            setattr(wiring, name, 1)
    with pytest.raises(AttributeError, match="does not change"):
        del wiring._edges
    with pytest.raises(ValueError, match="read-only"):
        wiring.edges[0, 0] = 7
    with pytest.raises(TypeError, match="from_edges"):
        Wiring()
    matrix = wiring.adjacency()
    matrix[:] = True
    assert not wiring.adjacency().all()


def test_the_callers_array_stays_his_own():
    given_edges = np.array([[0, 1], [1, 2]], dtype=np.int32)
    wiring = Wiring.from_edges(3, given_edges)
    given_edges[0] = (0, 2)
    assert wiring.edges.tolist() == [[0, 1], [1, 2]]
    assert given_edges.flags.writeable


@quick
@given(wirings())
def test_copies_and_pickles_are_equal_and_do_not_change_either(wiring):
    wiring = wiring.with_origin(FlexOrigin(2.5, 0.25, 7))
    for again in (copy.copy(wiring), copy.deepcopy(wiring), pickle.loads(pickle.dumps(wiring))):
        assert again == wiring
        assert again.origin == wiring.origin
        assert not again.edges.flags.writeable


def test_a_wiring_prints_what_it_is():
    assert repr(Wiring.from_edges(4, PATH)) == "Wiring(nodes=4, edges=3)"
    assert repr(Wiring.from_edges(4, PATH, directed=True)) == "Wiring(directed, nodes=4, edges=3)"
    drawn = ws_flex(nodes=8, degree=4.5, rewire=0.25, seed=3)
    assert repr(drawn) == "ws_flex(nodes=8, degree=4.5, rewire=0.25, seed=3)"
    assert eval(repr(drawn)) == drawn


@pytest.mark.parametrize(
    ("nodes", "edges", "word"),
    [
        (0, [], "`nodes`"),
        (-3, [], "`nodes`"),
        (2.0, [], "`nodes`"),
        (True, [], "`nodes`"),
        ("4", [], "`nodes`"),
        (2**40, [], "`nodes`"),
        (4, [(0, 4)], "nodes 0 to 3; got 4"),
        (4, [(-1, 0)], "nodes 0 to 3; got -1"),
        (4, [(2, 2)], "(2, 2)"),
        (4, [(0.0, 1.0)], "`edges`"),
        (4, [("a", "b")], "`edges`"),
        (4, [(0, 1, 2)], "`edges`"),
        (4, [(0, 1), (2,)], "`edges`"),
        (4, [0, 1], "`edges`"),
        (4, "01", "`edges`"),
        (4, [(10**30, 0)], "`edges`"),
        (4, [(True, False)], "`edges`"),
        (4, 7, "`edges`"),
        (4, None, "`edges`"),
        (4, np.zeros((2, 2)), "`edges`"),
    ],
)
def test_from_edges_refuses_what_is_no_graph(nodes, edges, word):
    assert word in refusal(Wiring.from_edges, nodes, edges)


# networkx


@quick
@given(wirings())
def test_networkx_gives_back_the_same_connected_wiring(wiring):
    graph = wiring.to_networkx()
    assert isinstance(graph, nx.DiGraph) == wiring.directed
    assert graph.number_of_nodes() == wiring.nodes
    assert graph.number_of_edges() == len(wiring.edges)
    if nx.is_connected(nx.Graph(graph)):
        assert Wiring.from_networkx(graph) == wiring
    else:
        assert "connected" in refusal(Wiring.from_networkx, graph)


def test_networkx_nodes_are_numbered_in_the_graphs_own_order():
    graph = nx.Graph([("stem", "left"), ("left", "right"), ("stem", "head")])
    assert list(graph) == ["stem", "left", "right", "head"]
    assert Wiring.from_networkx(graph).edges.tolist() == [[0, 1], [0, 3], [1, 2]]


def test_a_digraph_keeps_its_directions_and_reads_sender_to_receiver():
    wiring = Wiring.from_networkx(nx.DiGraph([("a", "b"), ("b", "a"), ("c", "a")]))
    assert wiring.directed
    assert wiring.edges.tolist() == [[0, 1], [1, 0], [2, 0]]
    assert wiring.adjacency()[0, 2]
    assert not wiring.adjacency()[2, 0]


def test_self_loops_of_a_networkx_graph_are_dropped():
    graph = nx.Graph([(0, 1), (1, 1), (1, 2)])
    assert Wiring.from_networkx(graph) == Wiring.from_edges(3, [(0, 1), (1, 2)])
    assert graph.has_edge(1, 1)
    assert Wiring.from_networkx(nx.Graph([("x", "x")])) == Wiring.from_edges(1, [])


@pytest.mark.parametrize(
    ("graph", "word"),
    [
        (nx.Graph(), "empty"),
        (nx.MultiGraph([(0, 1), (0, 1)]), "parallel edges"),
        (nx.MultiDiGraph([(0, 1)]), "parallel edges"),
        (nx.Graph([(0, 1), (2, 3), (4, 5)]), "3 parts"),
        (nx.DiGraph([(0, 1), (2, 3)]), "2 parts"),
        (nx.empty_graph(2), "2 parts"),
    ],
)
def test_networkx_graphs_that_make_no_layer_are_refused(graph, word):
    assert word in refusal(Wiring.from_networkx, graph)


# Files


@quick
@given(wiring=wirings(), drawn=st.booleans())
def test_a_file_gives_back_the_wiring_that_was_saved(tmp_path_factory, wiring, drawn):
    path = tmp_path_factory.mktemp("wirings") / "wiring.json"
    if drawn:
        wiring = wiring.with_origin(FlexOrigin(2.0 + 1 / 3, 1e-17, 2**64 - 1))
    wiring.save(path)
    again = Wiring.load(str(path))
    assert again == wiring
    assert again.origin == wiring.origin


GOOD = {"format": "wireloom.wiring", "version": 1, "nodes": 3, "directed": False, "edges": [[0, 1]]}


def spoilt(**changes) -> bytes:
    return json.dumps(GOOD | changes).encode()


HOSTILE = {
    "nothing": b"",
    "binary": bytes(range(256)) * 8,
    "zeros": b"\0" * 64,
    "truncated": spoilt()[:-9],
    "doubled": spoilt() * 2,
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "deep": b"[" * 100_000,
    "deep edges": spoilt().replace(b"[[0, 1]]", b"[" * 5_000 + b"]" * 5_000),
    "deepish edges": spoilt().replace(b"[[0, 1]]", b"[" * 70 + b"]" * 70),
    "other format": spoilt(format="wireloom.model"),
    "later version": spoilt(version=2),
    "no version": spoilt(version=None),
    "version of words": spoilt(version="1"),
    "no nodes": json.dumps({k: v for k, v in GOOD.items() if k != "nodes"}).encode(),
    "no edges": json.dumps({k: v for k, v in GOOD.items() if k != "edges"}).encode(),
    "no direction": json.dumps({k: v for k, v in GOOD.items() if k != "directed"}).encode(),
    "zero nodes": spoilt(nodes=0),
    "negative nodes": spoilt(nodes=-1),
    "huge nodes": spoilt(nodes=10**12),
    "endless nodes": spoilt().replace(b'"nodes": 3', b'"nodes": ' + b"9" * 6000),
    "float nodes": spoilt(nodes=3.0),
    "nodes of words": spoilt(nodes="3"),
    "true nodes": spoilt(nodes=True),
    "direction of words": spoilt(directed="no"),
    "direction of numbers": spoilt(directed=0),
    "edges of words": spoilt(edges=[["a", "b"]]),
    "edges that are a word": spoilt(edges="edges"),
    "edges that are a number": spoilt(edges=5),
    "edges that are null": spoilt(edges=None),
    "edges that are an object": spoilt(edges={"0": 1}),
    "float edges": spoilt(edges=[[0.0, 1.0]]),
    "infinite edges": spoilt().replace(b"[[0, 1]]", b"[[0, Infinity]]"),
    "nan edges": spoilt().replace(b"[[0, 1]]", b"[[0, NaN]]"),
    "true edges": spoilt(edges=[[False, True]]),
    "mixed edges": spoilt(edges=[[0, 1], ["a", None]]),
    "null edges": spoilt(edges=[None]),
    "ragged edges": spoilt(edges=[[0, 1], [1]]),
    "triples": spoilt(edges=[[0, 1, 2]]),
    "edges out of range": spoilt(edges=[[0, 3]]),
    "negative edges": spoilt(edges=[[-1, 0]]),
    "huge edges": spoilt(edges=[[0, 2**70]]),
    "long edges": spoilt(edges=[[0, 2**32]]),
    "a loop": spoilt(edges=[[1, 1]]),
    "origin of words": spoilt(ws_flex="drawn"),
    "origin with words": spoilt(ws_flex={"degree": "two", "rewire": 0.0, "seed": 0}),
    "origin with a list": spoilt(ws_flex={"degree": [2], "rewire": 0.0, "seed": 0}),
    "origin that lacks": spoilt(ws_flex={"degree": 2.0}),
    "origin with more": spoilt(ws_flex={"degree": 2.0, "rewire": 0.0, "seed": 0, "x": 1}),
    "origin with a float seed": spoilt(ws_flex={"degree": 2.0, "rewire": 0.0, "seed": 0.5}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_in_one_line_that_names_it(tmp_path, content):
    path = tmp_path / "hostile.json"
    path.write_bytes(content)
    text = refusal(Wiring.load, path)
    assert "hostile.json" in text
    assert len(text) < 500


def test_the_hostile_files_differ_from_a_good_one_only_where_they_say(tmp_path):
    path = tmp_path / "good.json"
    path.write_bytes(spoilt())
    assert Wiring.load(path) == Wiring.from_edges(3, [(0, 1)])
    path.write_bytes(spoilt(ws_flex={"degree": 2, "rewire": 0, "seed": 0}))
    assert Wiring.load(path).origin == FlexOrigin(2.0, 0.0, 0)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "cannot be read" in refusal(Wiring.load, tmp_path / "missing.json")
    assert "cannot be read" in refusal(Wiring.load, tmp_path)
