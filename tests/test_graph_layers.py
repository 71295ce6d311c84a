"""Layers on the nodes themselves: shared messages, and any message, against dense oracles."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refusals import refusal
from wireloom.compute import Pattern
from wireloom.nn import Exchange, SharedLinear, WiredLinear
from wireloom.wiring import Wiring, complete, ring, ws_flex

pytestmark = pytest.mark.usefixtures("one_thread")
DIRECTED = Wiring.from_edges(5, [(0, 1), (1, 2), (2, 0), (3, 0), (4, 3)], directed=True)
WIRINGS = [
    ring(nodes=6),
    ws_flex(nodes=9, degree=4, rewire=0.4, seed=2),
    complete(nodes=4),
    DIRECTED,
]


def joined(wiring: Wiring) -> torch.Tensor:
    """The adjacency with self-loops: float64 [receiver, sender]."""
    return torch.from_numpy(wiring.adjacency() | np.eye(wiring.nodes, dtype=bool)).double()


def scaled(wiring: Wiring, scale: str) -> torch.Tensor:
    a = joined(wiring)
    degrees = a.sum(1)
    if scale == "mean":
        return a / degrees[:, None]
    return a / (degrees[:, None] * degrees).sqrt() if scale == "symmetric" else a


@pytest.mark.parametrize("wiring", WIRINGS, ids=repr)
@pytest.mark.parametrize("scale", ["none", "mean", "symmetric"])
@pytest.mark.parametrize(("into", "out"), [(5, 2), (2, 5), (3, 3)])
def test_a_shared_layer_is_the_dense_graph_convolution(wiring, scale, into, out):
    layer = SharedLinear(wiring, into=into, out=out, scale=scale, dtype=torch.float64, seed=4)
    with torch.no_grad():
        layer.bias.copy_(torch.arange(out))
    x = torch.randn(7, wiring.nodes, into, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    want = torch.einsum("vu,buc,oc->bvo", scaled(wiring, scale), x, layer.weight) + layer.bias
    torch.testing.assert_close(y, want, rtol=1e-12, atol=1e-12)
    leaves = [x, layer.weight, layer.bias]
    upstream = torch.randn_like(y)
    for mine, theirs in zip(
        torch.autograd.grad(y, leaves, upstream),
        torch.autograd.grad(want, leaves, upstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_the_native_layer_is_the_float64_one():
    wiring = WIRINGS[1]
    native = SharedLinear(wiring, into=6, out=3)
    exact = SharedLinear(wiring, into=6, out=3, dtype=torch.float64)
    x = torch.randn(4, 9, 6)
    torch.testing.assert_close(native(x).double(), exact(x.double()), rtol=1e-5, atol=1e-5)


def test_a_shared_layer_is_a_wired_one_whose_blocks_are_equal():
    wiring = WIRINGS[1]
    shared = SharedLinear(wiring, into=4, out=3, scale="none", bias=False, dtype=torch.float64)
    pattern = Pattern([3] * 9, [4] * 9, wiring.blocks())
    wired = WiredLinear(pattern, dtype=torch.float64)
    mask = torch.from_numpy(pattern.mask())
    with torch.no_grad():
        wired.weight.copy_(shared.weight.repeat(9, 9)[mask])
    x = torch.randn(5, 9, 4, dtype=torch.float64)
    torch.testing.assert_close(wired(x.flatten(1)).view(5, 9, 3), shared(x), rtol=1e-12, atol=1e-12)


def test_symmetric_scales_are_networkxs():
    graph = nx.karate_club_graph()
    wiring = Wiring.from_networkx(graph)
    layer = SharedLinear(wiring, into=1, out=1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    looped = nx.Graph(graph.edges())
    looped.add_edges_from((v, v) for v in graph)
    # networkx counts a loop twice in a degree, the field once: the Laplacian by its matrix.
    a = nx.to_numpy_array(looped, nodelist=list(graph), weight=None)
    roots = 1 / np.sqrt(a.sum(1))
    want = torch.from_numpy(roots[:, None] * a * roots)
    torch.testing.assert_close(layer(torch.eye(34).double()[..., None])[..., 0].t(), want)


AGGREGATES = {
    "sum": lambda m, a: (m * a[..., None]).sum(2),
    "mean": lambda m, a: (m * a[..., None]).sum(2) / a.sum(1)[:, None],
    "max": lambda m, a: m.masked_fill(a[..., None] == 0, -torch.inf).amax(2),
}


@pytest.mark.parametrize("aggregate", AGGREGATES)
@settings(deadline=None, max_examples=25)
@given(data=st.data(), nodes=st.integers(1, 7), directed=st.booleans())
def test_an_exchange_is_its_dense_form(aggregate, data, nodes, directed):
    pairs = [(u, v) for u in range(nodes) for v in range(nodes) if u != v]
    edges = data.draw(st.lists(st.sampled_from(pairs), max_size=9)) if pairs else []
    wiring = Wiring.from_edges(nodes, edges, directed=directed)
    seed = data.draw(st.integers(0, 99))
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, nodes, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    w = torch.randn(2, 8, dtype=torch.float64, generator=generator)

    def message(v: torch.Tensor, u: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        return torch.tanh(torch.cat([v, u], -1) @ w.t()) + edges[:, :1] - 2.0 * edges[:, 1:]

    y = Exchange(wiring, message, aggregate=aggregate)(x)
    everywhere = torch.cartesian_prod(torch.arange(nodes), torch.arange(nodes)).view(-1, 2)
    receivers, senders = everywhere.t()
    messages = message(x[:, receivers], x[:, senders], everywhere).view(3, nodes, nodes, 2)
    want = AGGREGATES[aggregate](messages, joined(wiring))
    torch.testing.assert_close(y, want, rtol=1e-12, atol=1e-12)
    upstream = torch.randn(y.shape, dtype=torch.float64, generator=generator)
    (mine,), (theirs,) = (torch.autograd.grad(t, [x], upstream) for t in (y, want))
    torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_a_messages_parameters_are_trained_along():
    class Message(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(6, 2)

        def forward(self, v, u, edges):
            return self.inner(torch.cat([v, u], -1))

    layer = Exchange(ring(nodes=5), Message())
    layer(torch.randn(2, 5, 3)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in layer.parameters())
    assert {name for name, _ in layer.named_parameters()} == {
        "message.inner.weight",
        "message.inner.bias",
    }


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SharedLinear(ring(nodes=5), into=0, out=2), ["`into`", "at least 1", "0"]),
        (lambda: SharedLinear(ring(nodes=5), into=2, out=1.5), ["`out`", "1.5"]),
        (
            lambda: SharedLinear(ring(nodes=5), into=2, out=2, scale="symetric"),
            ["`scale`", "did you mean 'symmetric'?"],
        ),
        (
            lambda: SharedLinear(ring(nodes=5), into=2, out=2)(torch.zeros(3, 5, 4)),
            ["[batch, 5, 2]", "[3, 5, 4]"],
        ),
        (
            lambda: Exchange(ring(nodes=5), lambda v, u, e: u, aggregate="men"),
            ["`aggregate`", "mean"],
        ),
        (lambda: Exchange(ring(nodes=5), 3), ["`message`", "3"]),
        (
            lambda: Exchange(ring(nodes=5), lambda v, u, e: u)(torch.zeros(3, 4, 2)),
            ["[batch, 5, channels]", "[3, 4, 2]"],
        ),
        (
            lambda: Exchange(ring(nodes=5), lambda v, u, e: u[:, 1:])(torch.zeros(3, 5, 2)),
            ["`message`", "[3, 15, ...]", "[3, 14, 2]"],
        ),
    ],
)
def test_bad_input_is_refused_by_name(make, words):
    text = refusal(make)
    for word in words:
        assert word in text
