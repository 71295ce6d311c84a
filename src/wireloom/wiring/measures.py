"""Measures of many wirings at once."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from wireloom.base import InvalidValue, is_whole
from wireloom.native import _native
from wireloom.wiring.value import Wiring


def _undirected(wiring: Wiring) -> np.ndarray:
    """Edges of the undirected form: int32 [m, 2]."""
    if not wiring.directed:
        return wiring.edges
    return np.unique(np.sort(wiring.edges, axis=1), axis=0)


def measure(
    wirings: Sequence[Wiring], *, threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Clustering coefficient C and average path length L of each wiring.

    C is the mean over nodes of the local clustering coefficient, L the mean shortest path length
    over node pairs, both unweighted and of the undirected form, as networkx's
    average_clustering and average_shortest_path_length give them.

    Args:
        wirings: g wirings, of any sizes.
        threads: how many to use; all cores by default.

    Returns:
        C and L: float64 [g] each.

    Raises:
        InvalidValue: if a wiring is disconnected, for then L has no value.

    Cost: O(n m / 64) each: about 8 microseconds for 64 nodes. Source: You et al. 2020, section 3.1.
    """
    if threads is not None and not (is_whole(threads) and threads >= 1):
        raise InvalidValue(f"`threads` of measure must be a whole number from 1; got {threads!r}")
    if not wirings:
        return np.empty(0), np.empty(0)
    clustering, path_length = _native.measure(
        np.array([w.nodes for w in wirings], dtype=np.int32),
        [_undirected(w) for w in wirings],
        threads or os.cpu_count() or 1,
    )
    apart = np.flatnonzero(path_length < 0)
    if len(apart):
        raise InvalidValue(
            f"the average path length needs a connected wiring; number {apart[0]} of the given, "
            f"{wirings[apart[0]]!r}, is not"
        )
    return clustering, path_length
