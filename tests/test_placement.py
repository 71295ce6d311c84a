"""`place`: against networkx and against what flows through the layers."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from refusals import refusal
from wireloom.compute import Pattern
from wireloom.models import Place, build, place, population
from wireloom.nn import WiredConv2d, WiredLinear
from wireloom.wiring import Wiring, block_sizes, complete, connectome, ring, ws_flex


def graph_of(exists: np.ndarray, nodes: int) -> nx.DiGraph:
    """The graph on even blocks of a pattern [out, in], entry by entry; sender to receiver."""
    node_of = [np.repeat(np.arange(nodes), block_sizes(width, nodes)) for width in exists.shape]
    graph = nx.DiGraph()
    graph.add_nodes_from(range(nodes))
    for o, i in np.argwhere(exists):
        if node_of[0][o] != node_of[1][i]:
            graph.add_edge(int(node_of[1][i]), int(node_of[0][o]))
    return graph


def assert_stands_at(found: Place, graph: nx.DiGraph) -> None:
    plain = graph.to_undirected()
    n, both = len(graph), all(graph.has_edge(v, u) for u, v in graph.edges)
    assert found.nodes == n
    # A directed wiring counts each arrow once, an undirected one each edge twice: the same sum.
    assert found.density == pytest.approx((graph.number_of_edges() + n) / n**2, rel=1e-12)
    assert found.connected == nx.is_connected(plain)
    if found.wiring is not None:
        assert found.wiring.directed == (not both)
        assert {(int(u), int(v)) for u, v in found.wiring.edges} == {
            (u, v) for u, v in graph.edges if not both or u < v
        }
    if found.connected:
        assert found.why_not == ""
        assert found.clustering == pytest.approx(nx.average_clustering(plain), rel=1e-12)
        path_length = nx.average_shortest_path_length(plain)
        assert found.path_length == pytest.approx(path_length, rel=1e-12)
    else:
        parts = nx.number_connected_components(plain)
        assert found.why_not == f"it falls into {parts} parts that never meet"
        assert math.isnan(found.clustering)
        assert math.isnan(found.path_length)


# Our own


@settings(max_examples=20, deadline=None)
@given(
    nodes=st.integers(3, 16),
    share=st.floats(0, 1),
    rewire=st.floats(0, 1),
    seed=st.integers(0, 999),
    extra=st.integers(0, 20),
)
def test_a_wired_network_stands_at_its_wiring(nodes, share, rewire, seed, extra):
    degree = 2 + share * (nodes - 3)
    wiring = ws_flex(nodes=nodes, degree=degree, rewire=rewire, seed=seed)
    width = nodes + extra
    net = build("mlp", wiring, image=(1, 3, 3), width=width, stem=width, budget="none")
    conv = WiredConv2d(Pattern.from_wiring(wiring, out=nodes + 5, into=width), 3)
    found = [p for p in place(nn.Sequential(net, conv)) if p.kind.startswith("wired")]
    assert [p.kind for p in found] == ["wired linear"] * 3 + ["wired conv2d"]
    for one in found:
        assert one.wiring == wiring
        assert (one.nodes, one.density) == (nodes, wiring.density)
        assert (one.clustering, one.path_length) == (wiring.clustering, wiring.path_length)
        assert (one.connected, one.why_not) == (True, "")


@pytest.mark.parametrize("wiring", [connectome("macaque-visual"), complete(nodes=9)])
def test_directed_and_complete_wirings_come_back(wiring):
    (found,) = place(WiredLinear(Pattern.from_wiring(wiring, out=40, into=33)))
    assert found.wiring == wiring
    assert (found.clustering, found.path_length) == (wiring.clustering, wiring.path_length)


def test_a_wired_layer_that_falls_apart_has_no_place():
    wiring = Wiring.from_edges(5, [(0, 1), (2, 3)])
    (found,) = place(WiredLinear(Pattern.from_wiring(wiring, out=5, into=5)))
    assert_stands_at(found, nx.DiGraph(wiring.to_networkx()))
    assert (found.connected, found.wiring) == (False, wiring)


def test_a_wired_layer_of_another_pattern_is_seen_as_channels():
    pattern = Pattern([2, 3, 4], [4, 3], [(0, 0), (1, 1), (2, 0), (2, 1)])
    (found,) = place(WiredLinear(pattern))
    assert_stands_at(found, graph_of(pattern.mask(), 7))


# Torch's own


def test_dense_layers_stand_where_the_complete_graph_does():
    net = nn.Sequential(nn.Conv1d(6, 8, 3), nn.Conv2d(8, 5, 3), nn.Conv3d(5, 9, 1), nn.Linear(9, 4))
    found = place(net)
    assert [p.module for p in found] == ["0", "1", "2", "3"]
    assert [p.kind for p in found] == ["conv1d", "conv2d", "conv3d", "linear"]
    assert [p.channels for p in found] == [(8, 6), (5, 8), (9, 5), (4, 9)]
    assert [p.nodes for p in found] == [6, 5, 5, 4]
    for one in found:
        assert_stands_at(one, nx.DiGraph(nx.complete_graph(one.nodes)))
    assert {p.nodes for p in place(net, nodes=4)} == {4}


@pytest.mark.parametrize(
    ("out", "into", "groups", "nodes", "kind"),
    [
        (12, 18, 3, None, "grouped conv2d"),
        (12, 12, 4, None, "grouped conv2d"),
        (24, 24, 8, 4, "grouped conv2d"),
        (24, 48, 2, 8, "grouped conv2d"),
        (10, 10, 10, None, "depthwise conv2d"),
        (20, 10, 10, None, "depthwise conv2d"),
    ],
)
def test_groups_are_parts_that_never_meet(out, into, groups, nodes, kind):
    layer = nn.Conv2d(into, out, 3, groups=groups)
    (found,) = place(layer, nodes=nodes)
    assert found.kind == kind
    exists = np.kron(np.eye(groups), np.ones((out // groups, into // groups))) > 0
    graph = graph_of(exists, nodes or math.gcd(out, into))
    assert_stands_at(found, graph)
    assert nx.number_weakly_connected_components(graph) == min(groups, found.nodes)


@settings(max_examples=25, deadline=None)
@given(
    out=st.integers(3, 14),
    into=st.integers(3, 14),
    kept=st.floats(0, 1),
    seed=st.integers(0, 999),
    nodes=st.none() | st.integers(3, 6),
)
def test_pruned_weights_are_absent(out, into, kept, seed, nodes):
    layer = nn.Conv2d(into, out, 2)
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(layer.weight.shape, generator=generator) < kept
    prune.custom_from_mask(layer, "weight", mask)
    (found,) = place(layer, nodes=nodes)
    count = nodes or min(out, into)
    if count > min(out, into):
        assert found.why_not == f"it has fewer channels than the {count} nodes asked for"
        assert (found.nodes, found.wiring, found.connected) == (0, None, False)
    else:
        assert_stands_at(found, graph_of(mask.numpy().any((2, 3)), count))


@pytest.mark.parametrize(
    ("module", "nodes", "kind", "why"),
    [
        (nn.Linear(2, 9), None, "linear", "it has 2 nodes, and C needs 3"),
        (nn.Linear(9, 1), None, "linear", "it has 1 node, and C needs 3"),
        (
            nn.Conv2d(12, 12, 3, groups=4),
            6,
            "grouped conv2d",
            "blocks of 6 nodes straddle its 4 groups",
        ),
        (
            nn.Conv2d(12, 12, 3, groups=4),
            5,
            "grouped conv2d",
            "blocks of 5 nodes straddle its 4 groups",
        ),
    ],
)
def test_what_has_no_place_says_why(module, nodes, kind, why):
    (found,) = place(module, nodes=nodes)
    assert (found.kind, found.why_not) == (kind, why)
    assert math.isnan(found.clustering)


def test_modules_without_a_rule_are_listed():
    net = nn.Sequential(nn.Linear(4, 4), nn.LSTM(4, 3), nn.BatchNorm1d(3), nn.Embedding(5, 4))
    assert [(p.module, p.why_not) for p in place(net)] == [
        ("0", ""),
        ("1", "there is no rule for LSTM"),
        ("3", "there is no rule for Embedding"),
    ]


# Sequences


def flows(net: nn.Module, into: int) -> np.ndarray:
    """Which input channels reach which outputs, by sending each through alone: bool [out, in]."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.abs_()
                module.bias.zero_()
        return (net(torch.eye(into)[:, :, None, None]).flatten(1) != 0).T.numpy()


@pytest.mark.parametrize(
    ("into", "middle", "out", "first", "shuffle", "second"),
    [
        (12, 12, 12, 4, 4, 4),  # three channels a group cannot reach four groups
        (16, 16, 16, 4, 4, 4),  # four can
        (12, 24, 18, 6, 2, 3),
        (18, 12, 24, 3, 6, 1),
        (24, 24, 24, 24, 4, 3),
    ],
)
@pytest.mark.parametrize("nodes", [None, 6])
def test_a_sequence_joins_what_a_path_joins(into, middle, out, first, shuffle, second, nodes):
    net = nn.Sequential(
        nn.ChannelShuffle(2),
        nn.Conv2d(into, middle, 1, groups=first),
        nn.Sequential(nn.ReLU(), nn.ChannelShuffle(shuffle)),
        nn.Conv2d(middle, out, 1, groups=second),
    )
    found = place(nn.ModuleDict({"unit": net}), nodes=nodes, sequences="unit")[-1]
    assert (found.module, found.kind) == ("unit", "sequence of 2")
    assert found.channels == (out, into)
    grouped = first > 1 or second > 1
    count = nodes or (math.gcd(out, into) if grouped else min(out, into))
    assert_stands_at(found, graph_of(flows(net, into), count))


def test_a_shuffle_is_what_lets_groups_meet():
    def unit(*between: nn.Module) -> Place:
        layers = [nn.Conv2d(16, 16, 1, groups=4), *between, nn.Conv2d(16, 16, 1, groups=4)]
        return place(nn.Sequential(*layers), sequences=[""])[-1]

    assert unit().why_not == "it falls into 4 parts that never meet"
    shuffled = unit(nn.BatchNorm2d(16), nn.ReLU(), nn.ChannelShuffle(4))
    assert (shuffled.clustering, shuffled.path_length) == (1.0, 1.0)


def test_two_wired_layers_join_nodes_two_steps_apart():
    wiring = ring(nodes=9, degree=2)
    layers = [WiredLinear(Pattern.from_wiring(wiring, out=9, into=9), seed=s) for s in (0, 1)]
    found = place(nn.Sequential(*layers), sequences="")[-1]
    assert found.wiring == ring(nodes=9, degree=4)


@pytest.mark.parametrize(
    ("net", "sequences", "sentence"),
    [
        (
            nn.Sequential(nn.Linear(4, 4)),
            "0",
            "`sequences` must name Sequential modules; '0' is Linear",
        ),
        (
            nn.Sequential(nn.Linear(4, 4)),
            "body",
            "`sequences` must name Sequential modules; 'body' is nothing of that name",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Flatten()),
            "",
            "the sequence '' must be of layers, ChannelShuffle and what leaves channels to "
            "themselves; '1' in it is Flatten",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU())),
            "1",
            "the sequence '1' has no layer",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4)),
            "",
            "the sequence '' does not fit: 4 channels reach what reads 5",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.ChannelShuffle(3)),
            "",
            "the sequence '' does not fit: 4 channels reach what shuffles 3 groups",
        ),
    ],
)  # fmt: skip
def test_what_is_no_sequence_of_layers_is_refused(net, sequences, sentence):
    assert refusal(place, net, sequences=sequences) == sentence


@pytest.mark.parametrize(
    ("model", "nodes", "sentence"),
    [
        (nn.Linear(4, 4), 2, "`nodes` of place must be a whole number of at least 3; got 2"),
        (nn.Linear(4, 4), 3.5, "`nodes` of place must be a whole number of at least 3; got 3.5"),
        ({}, None, "`model` of place must be a torch module; got dict"),
        (nn.ReLU(), None, "`model` has no linear layer and no convolution"),
        (
            population("mlp", [ring(nodes=8)], seeds=range(3), width=64, stem=64),
            None,
            "`model` of place must be one network; got a population of 3: place(population[i]) "
            "takes one of them",
        ),
    ],
)
def test_bad_input_is_one_sentence(model, nodes, sentence):
    assert refusal(place, model, nodes=nodes) == sentence
