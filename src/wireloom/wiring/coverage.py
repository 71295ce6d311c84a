"""What each family of wirings covers of the (C, L) plane: the paper's figure 3."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wireloom.base import InvalidValue
from wireloom.native import _native
from wireloom.wiring.families import TRIES, check_nodes
from wireloom.wiring.measures import measure
from wireloom.wiring.published_sets import PUBLISHED, published_sample

Progress = Callable[[int, int], None]

REWIRINGS = np.linspace(0, 1, 300) ** 2
CHUNK = 20_000
# Cells along each measure and the L at which the grid ends, by nodes; the paper's.
FINE = {64: (135, 4.5), 16: (108, 2.5)}
COARSE = 15


@dataclass(frozen=True)
class FamilySpan:
    """Where the wirings of one family stand."""

    label: str
    """Name of the family."""
    clustering: np.ndarray
    """C of each graph: float64 [graphs]."""
    path_length: np.ndarray
    """L of each graph: float64 [graphs]."""
    drawn: int
    """Graphs drawn; more than there are where some never came out connected."""
    share: float
    """Share of the occupied 15 x 15 cells that it reaches, 0 to 1."""
    fine_share: float
    """Share of the occupied fine cells (135 x 135 for 64 nodes) that it reaches, 0 to 1."""


@dataclass(frozen=True)
class Span:
    """What all families together and each of them cover of the (C, L) plane."""

    nodes: int
    """Nodes of every graph."""
    families: tuple[FamilySpan, ...]
    """WS-flex first, then the classic families."""
    cells: int
    """Cells of 15 x 15 that any family reaches."""
    fine_cells: int
    """Fine cells that any family reaches."""
    longest: float
    """L at which the grid ends."""


def span(nodes: int = 64, *, progress: Progress | None = None, threads: int | None = None) -> Span:
    """Draw a grid of every family and say which cells of the (C, L) plane each reaches.

    With 64 nodes: Watts-Strogatz 486,000 (27 even degrees, 300 rewiring probabilities, 60 seeds),
    Erdos-Renyi 52,800 (every number of edges from 256 to 2015, 30 seeds), Barabasi-Albert 8,100
    (27 numbers of edges a node, 300 seeds), Harary 1,760, ring 54, complete 1. WS-flex is the
    published sample for 64 and 16 nodes, one graph in each cell that 2.7 million drawn ones reach;
    for others 100 x 100 settings with 3 seeds.

    Args:
        nodes: n, from 8; degrees go from n / 8 (at least 2) to n - 3.
        progress: called with the graphs drawn so far and in all.
        threads: how many to use; all cores by default.

    Raises:
        InvalidValue: for fewer than 8 or more than 1024 nodes.

    Cost: 549,000 draws, some 20 microseconds each with 64 nodes; O(nodes^2) each beyond.
    Source: You et al. 2020, figure 3 and section 4.2; the paper's counts are rounded (53,000;
    8,000; 1,800) and its settings of Barabasi-Albert are not known, so ours come close to them.
    """
    nodes = check_nodes("span", nodes, 8)
    if nodes > 1024:
        raise InvalidValue(f"`nodes` of span must be at most 1024; got {nodes}")
    grids = _grids(nodes)
    total = sum(len(amount) for _, _, amount, _, _ in grids)
    found: dict[str, tuple[np.ndarray, np.ndarray, int]] = {}
    done = 0
    if nodes in PUBLISHED:
        sample = published_sample(nodes, PUBLISHED[nodes][-1])
        found["WS-flex"] = (*measure(list(sample.values())), len(sample))
    for label, family, amount, rewire, seed in grids:
        parts = []
        for i in range(0, len(amount), CHUNK):
            part = slice(i, i + CHUNK)
            parts.append(
                _native.draw_and_measure(
                    family, nodes, amount[part], rewire[part], seed[part], TRIES,
                    threads or os.cpu_count() or 1,
                )
            )  # fmt: skip
            done += len(amount[part])
            if progress:
                progress(done, total)
        clustering, path_length = (np.concatenate(column) for column in zip(*parts, strict=True))
        drawn = np.isfinite(clustering)
        found[label] = (clustering[drawn], path_length[drawn], len(amount))
    found["complete"] = (np.ones(1), np.ones(1), 1)
    return _shares(nodes, found)


def _grids(nodes: int) -> list[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]:
    """(label, family, amount, rewiring, seed) of every graph, but for the complete one."""
    degrees = np.arange(max(2, nodes // 8), nodes - 2)
    edges = np.arange(nodes * degrees[0] // 2, nodes * (nodes - 1) // 2)
    attach = np.arange(1, nodes // 2)
    attach = attach[attach * (nodes - attach) >= edges[0]]

    def grid(
        label: str, family: str, amount: np.ndarray, rewirings: np.ndarray, seeds: int
    ) -> tuple[str, str, np.ndarray, np.ndarray, np.ndarray]:
        amounts, rewires, seed = np.meshgrid(amount, rewirings, np.arange(seeds), indexing="ij")
        return label, family, amounts.ravel(), rewires.ravel(), seed.ravel().astype(np.uint64)

    none = np.zeros(1)
    grids = [
        grid("Watts-Strogatz", "watts_strogatz", degrees[degrees % 2 == 0], REWIRINGS, 60),
        grid("Erdős-Rényi", "erdos_renyi", edges, none, 30),
        grid("Barabási-Albert", "barabasi_albert", attach, none, 300),
        grid("Harary", "harary", edges, none, 1),
        grid("ring", "ws_flex", nodes * degrees // 2, none, 1),
    ]
    if nodes not in PUBLISHED:
        spaced = np.linspace(degrees[0] ** 0.5, (nodes - 2) ** 0.5, 100) ** 2
        amount = np.round(spaced * nodes / 2).astype(np.int64)
        grids.insert(0, grid("WS-flex", "ws_flex", amount, np.linspace(0, 1, 100) ** 2, 3))
    return grids


def _shares(nodes: int, found: dict[str, tuple[np.ndarray, np.ndarray, int]]) -> Span:
    fine, longest = FINE.get(nodes, (135, 0.0))
    if not longest:
        longest = max(float(path_length.max()) for _, path_length, _ in found.values())

    def cells(count: int, clustering: np.ndarray, path_length: np.ndarray) -> set[int]:
        row = np.digitize(clustering, np.linspace(0, 1, count + 1)[1:-1])
        column = np.digitize(path_length, np.linspace(1, longest, count + 1)[1:-1])
        inside = path_length <= longest
        return set(np.unique((row * count + column)[inside]).tolist())

    reached = {
        label: (cells(COARSE, c, ell), cells(fine, c, ell)) for label, (c, ell, _) in found.items()
    }
    coarse_all = set().union(*(coarse for coarse, _ in reached.values()))
    fine_all = set().union(*(small for _, small in reached.values()))
    families = tuple(
        FamilySpan(
            label=label,
            clustering=c,
            path_length=ell,
            drawn=drawn,
            share=len(reached[label][0]) / len(coarse_all),
            fine_share=len(reached[label][1]) / len(fine_all),
        )
        for label, (c, ell, drawn) in found.items()
    )
    return Span(nodes, families, len(coarse_all), len(fine_all), longest)
