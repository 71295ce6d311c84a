"""Null models: random wirings that share a wiring's degrees and nothing else."""

from __future__ import annotations

import random

from wireloom.base import InvalidValue, is_whole
from wireloom.wiring.families import TRIES, check_seed
from wireloom.wiring.value import Wiring

Edge = tuple[int, int]


def degree_matched(wiring: Wiring, *, swaps: int = 20, seed: int = 0) -> Wiring:
    """A random wiring in which every node has the degree that it has in ``wiring``.

    Two edges a -> b and c -> d, drawn at random, become a -> d and c -> b, unless that makes a
    self-loop or an edge that is there already; so each node keeps the number of its arrows out and
    of its arrows in (undirected: of its edges, the second edge being taken either way round). The
    density and the number of blocks stay too. A result whose undirected form is disconnected is
    shuffled on from the same stream. A wiring's own structure is what sets it apart from these.

    Not for steering towards a measure (see `steer`). Swaps of directed edges cannot turn a
    three-cycle round, which leaves a few small directed graphs out of reach.

    Args:
        wiring: directed or not, connected (directed: its undirected form).
        swaps: tried swaps for each edge, at least 1; 20 forget the start.
        seed: of the swaps.

    Returns:
        A wiring as directed as the given one. One whose degrees allow no other comes back as it is.

    Raises:
        InvalidValue: for an argument out of range, or if 100 shuffles were all disconnected.

    Cost: O(swaps x edges), 20 ms for the cat's 820 arrows.

    Source: Maslov and Sneppen, Science 296, 2002; on directed graphs, Roberts and Coolen,
    Physical Review E 85, 2012.

    Example:
        >>> from wireloom.wiring import connectome
        >>> cat = connectome("cat")
        >>> other = degree_matched(cat, seed=1)
        >>> len(other.edges), other.directed, other == cat
        (820, True, False)
    """
    if not isinstance(wiring, Wiring):
        raise InvalidValue(
            f"`wiring` of degree_matched must be a Wiring; got {type(wiring).__name__}"
        )
    if not is_whole(swaps) or swaps < 1:
        raise InvalidValue(
            f"`swaps` of degree_matched must be a whole number from 1; got {swaps!r}"
        )
    check_seed("degree_matched", seed)
    stream = random.Random(int(seed))
    edges = [(int(u), int(v)) for u, v in wiring.edges]
    for _ in range(TRIES):
        edges = _shuffled(edges, wiring.directed, int(swaps) * len(edges), stream)
        if _connected(wiring.nodes, edges):
            return Wiring.from_edges(wiring.nodes, edges, directed=wiring.directed)
    raise InvalidValue(
        f"`wiring` of degree_matched must have degrees that keep it connected; {wiring!r} fell "
        f"apart in {TRIES} shuffles"
    )


def _shuffled(edges: list[Edge], directed: bool, tries: int, stream: random.Random) -> list[Edge]:
    edges, there = list(edges), set(edges)

    def name(u: int, v: int) -> Edge:
        return (u, v) if directed or u < v else (v, u)

    for _ in range(tries):
        i, j = stream.randrange(len(edges)), stream.randrange(len(edges))
        (a, b), (c, d) = edges[i], edges[j]
        if not directed and stream.random() < 0.5:
            c, d = d, c
        one, other = name(a, d), name(c, b)
        # With i = j, or edges that share an end, a new edge is a loop or there already.
        if a == d or c == b or one in there or other in there:
            continue
        there -= {edges[i], edges[j]}
        there |= {one, other}
        edges[i], edges[j] = one, other
    return edges


def _connected(nodes: int, edges: list[Edge]) -> bool:
    """Whether the undirected form is in one piece."""
    beside: list[list[int]] = [[] for _ in range(nodes)]
    for u, v in edges:
        beside[u].append(v)
        beside[v].append(u)
    reached, waiting = {0}, [0]
    while waiting:
        for node in beside[waiting.pop()]:
            if node not in reached:
                reached.add(node)
                waiting.append(node)
    return len(reached) == nodes
