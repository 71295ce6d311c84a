"""Families of wirings: each function draws one.

All are seeded by the stream of Python's ``random.Random(seed)`` and give connected wirings: a draw
that falls apart is drawn again from the same stream.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from wireloom.base import InvalidValue, is_whole, nearest
from wireloom.native import _native
from wireloom.wiring.value import MOST_NODES, FlexOrigin, Wiring

TRIES = 100
VARIANTS = ("published", "text")


def check_nodes(family: str, nodes: int, least: int) -> int:
    """``nodes`` as a plain int; raises unless it is a whole number that the family can have."""
    if not is_whole(nodes) or not least <= nodes <= MOST_NODES:
        raise InvalidValue(
            f"`nodes` of {family} must be a whole number from {least} to {MOST_NODES}; "
            f"got {nodes!r}"
        )
    return int(nodes)


def check_seed(family: str, seed: int) -> None:
    """Raise unless ``seed`` names a stream of numbers."""
    if not is_whole(seed) or not 0 <= seed < 2**64:
        raise InvalidValue(
            f"`seed` of {family} must be a whole number from 0 to 2^64 - 1; got {seed!r}"
        )


def _is_real(value: object) -> bool:
    return is_whole(value) or isinstance(value, float | np.floating)


def _check_degree(family: str, degree: float, nodes: int, least: float = 2) -> None:
    if not (_is_real(degree) and least <= degree <= nodes - 1):
        raise InvalidValue(
            f"`degree` of {family} must be in [{least:g}, {nodes - 1}]; "
            f"got {degree!r} (nodes={nodes})"
        )


def _check_rewire(family: str, rewire: float) -> None:
    if not (_is_real(rewire) and 0 <= rewire <= 1):
        raise InvalidValue(f"`rewire` of {family} must be in [0, 1]; got {rewire!r}")


def _check_directed(family: str, directed: bool) -> None:
    if not isinstance(directed, bool):
        raise InvalidValue(f"`directed` of {family} must be True or False; got {directed!r}")


def _draw(
    family: str, given: str, nodes: int, amount: int, rewire: float, seed: int, advice: str
) -> np.ndarray:
    """Edges of one connected draw; ``given`` are the user's parameters, for the message."""
    edges = _native.draw(family, nodes, int(amount), float(rewire), int(seed), TRIES)
    if edges is None:
        raise InvalidValue(f"{given} was disconnected in {TRIES} draws; {advice} connects it")
    return edges


def ws_flex(
    *,
    nodes: int,
    degree: float,
    rewire: float,
    seed: int = 0,
    variant: Literal["published", "text"] = "published",
) -> Wiring:
    """A flexible Watts-Strogatz graph: any real average degree, rewired edge by edge.

    round(nodes * degree / 2) edges join each node to its next ones on a ring, the first nodes
    having one more where the number does not divide. Then, node by node and by rising distance,
    each edge (u, v) becomes (u, w) with probability ``rewire``, w uniform among the nodes that u is
    not joined to.

    Args:
        nodes: n, at least 3.
        degree: k, the average degree, a real number in [2, nodes - 1].
        rewire: p, in [0, 1].
        seed: at least 0.
        variant: "published", as the paper's graphs were drawn; "text", as its text says: the
            number of edges rounded down, and a random set of nodes having one more.

    Raises:
        InvalidValue: for a parameter out of range, or when 100 draws were all disconnected.

    Cost: O(edges), a few microseconds for 64 nodes. Source: You et al. 2020, section 3.2 and
    appendix; the published graphs are reproduced from their (n, k, p, seed).

    Example:
        >>> ws_flex(nodes=64, degree=9.5, rewire=0.15, seed=0).edges.shape
        (304, 2)
    """
    nodes = check_nodes("ws_flex", nodes, 3)
    _check_degree("ws_flex", degree, nodes)
    _check_rewire("ws_flex", rewire)
    check_seed("ws_flex", seed)
    if variant not in VARIANTS:
        raise InvalidValue(
            f"`variant` of ws_flex must be published or text; got {variant!r}"
            f"{nearest(str(variant), VARIANTS)}"
        )
    half = float(degree) * nodes / 2
    published = variant == "published"
    edges = _draw(
        "ws_flex" if published else "ws_flex_text",
        f"ws_flex(nodes={nodes}, degree={degree}, rewire={rewire}, seed={seed}"
        f"{'' if published else ', variant=text'})",
        nodes,
        round(half) if published else int(half),
        rewire,
        seed,
        "a higher `degree` or a lower `rewire`",
    )
    origin = FlexOrigin(float(degree), float(rewire), int(seed), variant)
    return Wiring._of(nodes, edges, False, origin)


def watts_strogatz(*, nodes: int, degree: int, rewire: float, seed: int = 0) -> Wiring:
    """A Watts-Strogatz graph: a ring lattice whose edges are rewired, the shortest first.

    The same graph that networkx's ``connected_watts_strogatz_graph`` gives with the same
    arguments.

    Args:
        nodes: n, at least 3.
        degree: an even number in [2, nodes - 1].
        rewire: p, in [0, 1].
        seed: at least 0.

    Raises:
        InvalidValue: for a parameter out of range, or when 100 draws were all disconnected.

    Cost: O(edges). Source: Watts and Strogatz 1998.
    """
    family = "watts_strogatz"
    nodes = check_nodes(family, nodes, 3)
    _check_even(family, degree, nodes)
    _check_rewire(family, rewire)
    check_seed(family, seed)
    given = f"{family}(nodes={nodes}, degree={degree}, rewire={rewire}, seed={seed})"
    advice = "a higher `degree` or a lower `rewire`"
    return Wiring._of(nodes, _draw(family, given, nodes, degree, rewire, seed, advice), False)


def _check_even(family: str, degree: int, nodes: int) -> None:
    if not is_whole(degree) or degree % 2 or not 2 <= degree <= nodes - 1:
        raise InvalidValue(
            f"`degree` of {family} must be even, in [2, {nodes - 1}]; "
            f"got {degree!r} (nodes={nodes})"
        )


def erdos_renyi(*, nodes: int, degree: float, seed: int = 0, directed: bool = False) -> Wiring:
    """An Erdos-Renyi graph G(n, m): round(nodes * degree / 2) edges, all sets of them alike.

    The same graph as networkx's ``gnm_random_graph(nodes, edges, seed=seed, directed=directed)``
    where that is connected.

    Args:
        nodes: n, at least 2.
        degree: average degree (directed: arrows that leave a node), from that of a tree to
            nodes - 1. Below log(nodes) few draws are connected.
        seed: at least 0.
        directed: draw round(nodes * degree) arrows instead; connected means their undirected form.

    Raises:
        InvalidValue: for a parameter out of range, or when 100 draws were all disconnected.

    Cost: O(edges log(pairs)) near the complete graph, else O(edges). Source: Erdos and Renyi 1959.
    """
    family = "erdos_renyi"
    nodes = check_nodes(family, nodes, 2)
    _check_directed(family, directed)
    least = (nodes - 1) / nodes * (1 if directed else 2)  # a tree
    _check_degree(family, degree, nodes, least)
    check_seed(family, seed)
    edges = _draw(
        "erdos_renyi_directed" if directed else family,
        f"{family}(nodes={nodes}, degree={degree}, seed={seed})",
        nodes,
        round(float(degree) * nodes / (1 if directed else 2)),
        0.0,
        seed,
        "a higher `degree`",
    )
    return Wiring._of(nodes, edges, directed)


def barabasi_albert(*, nodes: int, attach: int, seed: int = 0) -> Wiring:
    """A Barabasi-Albert graph: each new node joins ``attach`` old ones, the well-joined rather.

    It begins as a star of ``attach`` + 1 nodes; each further node joins ``attach`` different nodes,
    each drawn in proportion to its degree. So there are attach * (nodes - attach) edges.

    Args:
        nodes: n, at least 2.
        attach: edges of each new node, from 1 to nodes - 1.
        seed: at least 0.

    Raises:
        InvalidValue: for a parameter out of range.

    Cost: O(edges). Source: Barabasi and Albert 1999.
    """
    family = "barabasi_albert"
    nodes = check_nodes(family, nodes, 2)
    if not is_whole(attach) or not 1 <= attach <= nodes - 1:
        raise InvalidValue(
            f"`attach` of {family} must be a whole number in [1, {nodes - 1}]; "
            f"got {attach!r} (nodes={nodes})"
        )
    check_seed(family, seed)
    edges = _native.draw(family, nodes, int(attach), 0.0, int(seed), 1)
    assert edges is not None  # it grows from one piece
    return Wiring._of(nodes, edges, False)


def harary(*, nodes: int, degree: float) -> Wiring:
    """The Harary graph: of round(nodes * degree / 2) edges, the hardest to cut apart.

    The same graph as networkx's ``hnm_harary_graph(nodes, edges)``.

    Raises:
        InvalidValue: unless nodes >= 3 and degree is in [2, nodes - 1].

    Cost: O(edges). Source: Harary 1962.
    """
    nodes = check_nodes("harary", nodes, 3)
    _check_degree("harary", degree, nodes)
    edges = _native.draw("harary", nodes, round(float(degree) * nodes / 2), 0.0, 0, 1)
    assert edges is not None  # it contains the ring
    return Wiring._of(nodes, edges, False)


def expander(*, nodes: int, degree: int, seed: int = 0, directed: bool = False) -> Wiring:
    """A random regular graph, which is an expander with high probability.

    A lattice whose edges swap ends 20 times over, so that it is forgotten; every node keeps its
    ``degree`` neighbours (directed: as many arrows in as out).

    Args:
        nodes: n, at least 3.
        degree: a whole number in [2, nodes - 1] (directed: from 1); nodes * degree must be even
            unless directed.
        seed: at least 0.
        directed: draw a regular directed graph; connected means its undirected form.

    Raises:
        InvalidValue: for a parameter out of range, or when 100 draws were all disconnected.

    Cost: O(20 edges). Source: Friedman 2008 (the spectral gap of random regular graphs).
    """
    family = "expander"
    nodes = check_nodes(family, nodes, 3)
    least = 1 if directed else 2
    if not is_whole(degree) or not least <= degree <= nodes - 1:
        raise InvalidValue(
            f"`degree` of {family} must be a whole number in [{least}, {nodes - 1}]; "
            f"got {degree!r} (nodes={nodes})"
        )
    check_seed(family, seed)
    _check_directed(family, directed)
    degree = int(degree)
    if not directed and nodes * degree % 2:
        raise InvalidValue(
            f"`degree` of {family} must be even for an odd number of nodes; "
            f"got {degree} (nodes={nodes})"
        )
    given = f"{family}(nodes={nodes}, degree={degree}, seed={seed})"
    name = "expander_directed" if directed else family
    edges = _draw(name, given, nodes, degree, 0.0, seed, "a higher `degree`")
    return Wiring._of(nodes, edges, directed)


def ring(*, nodes: int, degree: float = 2, directed: bool = False) -> Wiring:
    """A ring lattice: each node joined to its nearest ones, the graph that `ws_flex` starts from.

    Args:
        nodes: n, at least 3.
        degree: an even number joins every node to its ``degree`` nearest; any other real average
            degree in [2, nodes - 1] gives the first nodes one more edge.
        directed: each node sends to its ``degree`` next ones instead, a whole number from 1.

    Raises:
        InvalidValue: for a parameter out of range.

    Cost: O(edges).
    """
    nodes = check_nodes("ring", nodes, 3)
    _check_directed("ring", directed)
    if not directed:
        _check_degree("ring", degree, nodes)
        count = round(float(degree) * nodes / 2)
        edges = _native.draw("ws_flex", nodes, count, 0.0, 0, 1)
        assert edges is not None
        return Wiring._of(nodes, edges, False)
    if not is_whole(degree) or not 1 <= degree <= nodes - 1:
        raise InvalidValue(
            f"`degree` of a directed ring must be a whole number in [1, {nodes - 1}]; "
            f"got {degree!r} (nodes={nodes})"
        )
    degree = int(degree)
    start = np.repeat(np.arange(nodes), degree)
    step = np.tile(np.arange(1, degree + 1), nodes)
    return Wiring.from_edges(
        nodes, np.stack([start, (start + step) % nodes], axis=1), directed=True
    )


def complete(*, nodes: int, directed: bool = False) -> Wiring:
    """Every node joined to every other: the ordinary dense layer, C = L = 1.

    Raises:
        InvalidValue: unless nodes >= 2.
    """
    nodes = check_nodes("complete", nodes, 2)
    _check_directed("complete", directed)
    pairs = ~np.eye(nodes, dtype=bool) if directed else np.triu(np.ones((nodes, nodes), bool), 1)
    return Wiring._of(nodes, np.argwhere(pairs), directed)
