"""The paper's own way from 2.7 million WS-flex graphs to the ones that it trained."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from wireloom.base import InvalidValue
from wireloom.native import _native
from wireloom.wiring.families import TRIES

SHUFFLE = 1  # seed of numpy's legacy generator
SEEDS = 30
REWIRINGS = 300
SPARSEST = 0.125  # k / n below which the pool ends

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """How the graphs of one number of nodes were sampled."""

    degrees: np.ndarray
    """Average degrees of the pool."""
    cells: int
    """Cells of the fine grid along each measure."""
    longest: float
    """L at which the grid ends."""
    coarse: int
    """Graphs of the coarsest subset."""
    middle: int
    """Graphs of the middle subset."""
    always_filled: bool
    """Whether an empty coarsest cell is filled at any C, not only above 0.75."""


RECIPES = {
    64: Recipe(np.linspace(8**0.5, 62**0.5, 300) ** 2, 135, 4.5, 52, 449, False),
    16: Recipe(np.linspace(2, 14**0.5, 200) ** 2, 108, 2.5, 48, 326, True),
}


@dataclass(frozen=True)
class PaperSample:
    """One WS-flex graph for each occupied cell of the fine grid, and the coarser subsets."""

    nodes: int
    """Nodes of every graph."""
    degree: np.ndarray
    """Average degree asked for: float64 [graphs]."""
    rewire: np.ndarray
    """Rewiring probability: float64 [graphs]."""
    seed: np.ndarray
    """Seed of the draw: int64 [graphs]."""
    clustering: np.ndarray
    """C: float64 [graphs]."""
    path_length: np.ndarray
    """L: float64 [graphs]."""
    subsets: dict[int, np.ndarray]
    """Row numbers of the coarser subsets by their size, as drawn: int64 [size]."""
    pool: int
    """Graphs that were drawn."""

    def __len__(self) -> int:
        return len(self.degree)

    def rows(self, count: int | None = None) -> Iterator[dict[str, Any]]:
        """The graphs of the subset of that size, or all, as the published tables have them."""
        chosen = np.arange(len(self)) if count is None else self.subsets[count]
        for i in chosen.tolist():
            yield {
                "graph_id": i,
                "n": self.nodes,
                "k": float(self.degree[i]),
                "sparsity": float(self.degree[i] / self.nodes),
                "p": float(self.rewire[i]),
                "graph_seed": int(self.seed[i]),
                "C": float(self.clustering[i]),
                "L": float(self.path_length[i]),
            }


def sample_as_published(
    nodes: int = 64, *, progress: Progress | None = None, threads: int | None = None
) -> PaperSample:
    """Draw the paper's pool and choose from it as the paper did; the published rows come out.

    The pool has 30 seeds at each of 300 rewiring probabilities and 300 (of 16 nodes: 200) average
    degrees. Shuffled, it leaves the first graph in each cell of a fine grid on (C, L). The coarser
    subsets are the cells at the centres of 3 x 3 and 9 x 9 fine ones; some that are empty, at high
    C, are filled from cells beside them.

    Args:
        nodes: 64 or 16.
        progress: called with the graphs drawn so far and in all.
        threads: how many to use; all cores by default.

    Raises:
        InvalidValue: for another number of nodes.

    Cost: 2.7 million draws of 64 nodes, some 20 microseconds each; 1.8 million of 16 nodes.
    Source: You et al. 2020, section 4.2; the order and the filling from its published files.
    """
    if nodes not in RECIPES:
        raise InvalidValue(f"`nodes` of the published sample must be 64 or 16; got {nodes!r}")
    recipe = RECIPES[nodes]
    degrees = recipe.degrees[recipe.degrees / nodes >= SPARSEST]
    rewirings = np.linspace(0, 1, REWIRINGS) ** 2
    clustering, path_length = _draw_pool(
        nodes, degrees, rewirings, progress, threads or os.cpu_count() or 1
    )
    order = np.random.RandomState(SHUFFLE).permutation(len(clustering))
    order = order[np.isfinite(clustering[order])]
    edges = np.linspace(0, 1, recipe.cells + 1), np.linspace(1, recipe.longest, recipe.cells + 1)
    row, column = np.digitize(clustering, edges[0]), np.digitize(path_length, edges[1])
    cell = row * (recipe.cells + 2) + column
    kept = order[np.sort(np.unique(cell[order], return_index=True)[1])]
    degree, rewiring, seed = np.unravel_index(kept, (len(degrees), REWIRINGS, SEEDS))
    return PaperSample(
        nodes=nodes,
        degree=degrees[degree],
        rewire=rewirings[rewiring],
        seed=seed.astype(np.int64),
        clustering=clustering[kept],
        path_length=path_length[kept],
        subsets=_subsets(row[kept], column[kept], edges[0], recipe),
        pool=len(clustering),
    )


def _draw_pool(
    nodes: int,
    degrees: np.ndarray,
    rewirings: np.ndarray,
    progress: Progress | None,
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """C and L of the pool: degree outermost, then rewiring, then seed; float64 [pool] each."""
    rewire = np.repeat(rewirings, SEEDS)
    seed = np.tile(np.arange(SEEDS, dtype=np.uint64), len(rewirings))
    clustering, path_length = np.empty((2, len(degrees), len(rewire)))
    for i, degree in enumerate(degrees):
        amount = np.full(len(rewire), round(float(degree) * nodes / 2), dtype=np.int64)
        clustering[i], path_length[i] = _native.draw_and_measure(
            "ws_flex", nodes, amount, rewire, seed, TRIES, threads
        )
        if progress:
            progress((i + 1) * len(rewire), clustering.size)
    return clustering.ravel(), path_length.ravel()


def _subsets(
    row: np.ndarray, column: np.ndarray, edges: np.ndarray, recipe: Recipe
) -> dict[int, np.ndarray]:
    """Numbers of the graphs at every ninth and every third cell, and of those that fill gaps."""
    at = {(i, j): g for g, (i, j) in enumerate(zip(row.tolist(), column.tolist(), strict=True))}
    ninth = (row % 9 == 5) & (column % 9 == 5)
    third = (row % 3 == 2) & (column % 3 == 2)
    coarse, middle = np.flatnonzero(ninth).tolist(), np.flatnonzero(third).tolist()

    def beside(i: int, j: int, up: int, along: int) -> int | None:
        near = ((i + a, j + b) for a in range(-up, up + 1) for b in range(-along, along + 1))
        return next((at[cell] for cell in near if cell in at), None)

    for i in range(2, recipe.cells + 1, 3):
        for j in range(2, recipe.cells + 1, 3):
            centre = i % 9 == 5 and j % 9 == 5
            if (i, j) in at or not (edges[i] > 0.75 or (centre and recipe.always_filled)):
                continue
            found = beside(i, j, 1, 3) if centre else beside(i, j, 0, 1)
            if found is None:
                continue
            middle.append(found)
            if centre:
                coarse.append(found)
    return {recipe.coarse: np.array(coarse), recipe.middle: np.array(middle)}
