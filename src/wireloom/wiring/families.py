"""Families of wirings: each function draws one."""

from __future__ import annotations

import numpy as np

from wireloom.base import InvalidValue, is_whole
from wireloom.native import _native
from wireloom.wiring.value import MOST_NODES, FlexOrigin, Wiring

TRIES = 100


def check_nodes(family: str, nodes: int, least: int) -> None:
    """Raise unless ``nodes`` is a whole number that the family can have."""
    if not is_whole(nodes) or not least <= nodes <= MOST_NODES:
        raise InvalidValue(
            f"`nodes` of {family} must be a whole number from {least} to {MOST_NODES}; "
            f"got {nodes!r}"
        )


def check_seed(family: str, seed: int) -> None:
    """Raise unless ``seed`` names a stream of numbers."""
    if not is_whole(seed) or not 0 <= seed < 2**64:
        raise InvalidValue(
            f"`seed` of {family} must be a whole number from 0 to 2^64 - 1; got {seed!r}"
        )


def _is_real(value: object) -> bool:
    return is_whole(value) or isinstance(value, float | np.floating)


def ws_flex(*, nodes: int, degree: float, rewire: float, seed: int = 0) -> Wiring:
    """A flexible Watts-Strogatz graph: any real average degree, rewired edge by edge.

    round(nodes * degree / 2) edges join each node to its next ones on a ring, the first nodes
    having one more where the number does not divide. Then, node by node and by rising distance,
    each edge (u, v) becomes (u, w) with probability ``rewire``, w uniform among the nodes that u is
    not joined to. A disconnected graph is drawn again, from the same stream of numbers.

    Args:
        nodes: n, at least 3.
        degree: k, the average degree, a real number in [2, nodes - 1].
        rewire: p, in [0, 1].
        seed: at least 0; the stream is that of Python's ``random.Random(seed)``.

    Raises:
        InvalidValue: for a parameter out of range, or when 100 draws were all disconnected.

    Cost: O(edges), a few microseconds for 64 nodes. Source: You et al. 2020, section 3.2 and
    appendix; the published graphs are reproduced from their (n, k, p, seed).

    Example:
        >>> ws_flex(nodes=64, degree=9.5, rewire=0.15, seed=0).edges.shape
        (304, 2)
    """
    check_nodes("ws_flex", nodes, 3)
    if not (_is_real(degree) and 2 <= degree <= nodes - 1):
        raise InvalidValue(
            f"`degree` of ws_flex must be in [2, {nodes - 1}]; got {degree!r} (nodes={nodes})"
        )
    if not (_is_real(rewire) and 0 <= rewire <= 1):
        raise InvalidValue(f"`rewire` of ws_flex must be in [0, 1]; got {rewire!r}")
    check_seed("ws_flex", seed)
    count = round(float(degree) * int(nodes) / 2)
    edges = _native.ws_flex(int(nodes), count, float(rewire), int(seed), TRIES)
    if edges is None:
        raise InvalidValue(
            f"ws_flex(nodes={nodes}, degree={degree}, rewire={rewire}, seed={seed}) was "
            f"disconnected in {TRIES} draws; a higher `degree` or a lower `rewire` connects it"
        )
    origin = FlexOrigin(degree=float(degree), rewire=float(rewire), seed=int(seed))
    return Wiring._of(int(nodes), edges, False, origin)


def ring(*, nodes: int, neighbours: int = 2) -> Wiring:
    """A ring lattice: each node joined to its ``neighbours`` nearest, an even number.

    Raises:
        InvalidValue: unless nodes >= 3 and neighbours is even, from 2 to nodes - 1.
    """
    check_nodes("ring", nodes, 3)
    if not is_whole(neighbours) or neighbours % 2 or not 2 <= neighbours <= nodes - 1:
        raise InvalidValue(
            f"`neighbours` of ring must be even, in [2, {nodes - 1}]; got {neighbours!r}"
        )
    start = np.repeat(np.arange(nodes), neighbours // 2)
    step = np.tile(np.arange(1, neighbours // 2 + 1), nodes)
    return Wiring.from_edges(nodes, np.stack([start, (start + step) % nodes], axis=1))


def complete(*, nodes: int) -> Wiring:
    """Every node joined to every other: the ordinary dense layer, C = L = 1.

    Raises:
        InvalidValue: unless nodes >= 2.
    """
    check_nodes("complete", nodes, 2)
    return Wiring._of(int(nodes), np.argwhere(np.triu(np.ones((nodes, nodes), bool), 1)), False)
