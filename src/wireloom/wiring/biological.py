"""Wirings of brains beside those that a study compares them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wireloom.base import InvalidValue, is_whole
from wireloom.wiring.connectomes import AREAS, connectome
from wireloom.wiring.families import check_seed, complete
from wireloom.wiring.nulls import degree_matched
from wireloom.wiring.plane import sample_plane, spread
from wireloom.wiring.value import Wiring

SWEET_CLUSTERING = (0.43, 0.50)
SWEET_PATH_LENGTH = (1.8, 2.3)
_POOL = 400  # wirings that cover the plane; for 30, 52 and 71 nodes 17 to 21 are in the sweet spot


@dataclass(frozen=True)
class Kin:
    """A connectome among the wirings of a study, and those to compare it with, by id."""

    name: str
    """"cat", "macaque" or "macaque-visual"."""
    connectome: int
    """The connectome."""
    dense: tuple[int, ...]
    """A complete graph, of any number of nodes: all are the same dense layer."""
    matched: tuple[int, ...]
    """Other directed wirings in which every node has the same degrees."""
    sweet: tuple[int, ...]
    """Undirected wirings of as many nodes, C and L in the paper's consistent sweet spot."""


def biological_wirings(
    names: Sequence[str] = tuple(AREAS), *, draws: int = 5, sweet: int = 3, seed: int = 0
) -> dict[int, Wiring]:
    """Connectomes and what to compare each with, by id.

    For each: the connectome itself, ``draws`` random wirings of the same degrees, and ``sweet``
    WS-flex wirings of as many nodes with C in [0.43, 0.50] and L in [1.8, 2.3]. The complete graph,
    id -1, serves all: the dense layer that it stands for is the same whatever it is cut into.

    Args:
        names: of connectomes.
        draws: random wirings of the same degrees, for each; at least 1.
        sweet: wirings of the sweet spot, for each; at least 1.
        seed: of the draws and of the WS-flex wirings.

    Raises:
        InvalidValue: for an unknown name, a number out of range, or more wirings of the sweet spot
            than were found.

    Cost: about a second for all three.

    Source: You et al. 2020, section 6, which compares them with the complete graph alone.

    Example:
        >>> len(biological_wirings(["macaque-visual"], draws=2, sweet=1))
        5
    """
    for name, value in (("draws", draws), ("sweet", sweet)):
        if not is_whole(value) or value < 1:
            raise InvalidValue(
                f"`{name}` of biological_wirings must be a whole number from 1; got {value!r}"
            )
    check_seed("biological_wirings", seed)
    brains = [connectome(name) for name in names]
    if not brains:
        raise InvalidValue("`names` of biological_wirings must name a connectome; got none")
    found: list[Wiring] = []
    for brain in brains:
        others = [degree_matched(brain, seed=seed + draw) for draw in range(draws)]
        found += [brain, *others, *_sweet_ones(brain.nodes, sweet, seed)]
    return {-1: complete(nodes=max(w.nodes for w in brains)), **dict(enumerate(found))}


def kin(wirings: Mapping[int, Wiring]) -> list[Kin]:
    """The connectomes among wirings, each with those that it can be compared with.

    All is read from the wirings themselves, so any study that holds a connectome can be asked.

    Cost: O(wirings x edges).
    """
    found = []
    for name in AREAS:
        brain = connectome(name)
        ids = [i for i, wiring in wirings.items() if wiring == brain]
        if not ids:
            continue
        alike = {i: w for i, w in wirings.items() if w.nodes == brain.nodes and w != brain}
        directed = {i: w for i, w in alike.items() if w.directed and not w.is_complete}
        plain = {i: w for i, w in alike.items() if not w.directed and not w.is_complete}
        found.append(
            Kin(
                name=name,
                connectome=ids[0],
                dense=tuple(i for i, w in wirings.items() if w.is_complete)[:1],
                matched=tuple(i for i, w in directed.items() if _same_degrees(w, brain)),
                sweet=tuple(i for i, w in plain.items() if _is_sweet(w)),
            )
        )
    return found


def _sweet_ones(nodes: int, count: int, seed: int) -> list[Wiring]:
    found = [w for w in sample_plane(nodes=nodes, count=_POOL, seed=seed) if _is_sweet(w)]
    if count > len(found):
        raise InvalidValue(
            f"`sweet` of biological_wirings must be at most {len(found)} for {nodes} nodes; "
            f"got {count}"
        )
    return spread(found, count)


def _is_sweet(wiring: Wiring) -> bool:
    (c_lo, c_hi), (l_lo, l_hi) = SWEET_CLUSTERING, SWEET_PATH_LENGTH
    return c_lo <= wiring.clustering <= c_hi and l_lo <= wiring.path_length <= l_hi


def _same_degrees(one: Wiring, other: Wiring) -> bool:
    first, second = one.adjacency(), other.adjacency()
    return all(np.array_equal(first.sum(axis), second.sum(axis)) for axis in (0, 1))
