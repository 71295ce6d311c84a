"""Speed of drawing, measuring and analysing wirings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pandas as pd

from common import Row, compare, spread
from wireloom.analysis import analyse
from wireloom.wiring import (
    Wiring,
    measure,
    published_sample,
    sample_as_published,
    span,
    steer,
    ws_flex,
)

PUBLISHED = Path(__file__).parents[2] / "shared" / "data" / "graph2nn"


def measures(rounds: int) -> list[Row]:
    """C and L against networkx: the published 449 of 64 nodes, and single ones of 1,000."""
    cases: list[tuple[str, list[Wiring], int]] = [
        ("a 64-node graph", list(published_sample(64, 449).values()), 38),
        *(
            (f"a 1,000-node graph of degree {k}", [ws_flex(nodes=1000, degree=k, rewire=0.2)], 1)
            for k in (8, 32, 128)
        ),
    ]
    rows = []
    for name, wirings, every in cases:
        few = [w.to_networkx() for w in wirings[::every]]

        def plain(few: list[nx.Graph] = few) -> None:
            for graph in few:
                nx.average_clustering(graph)
                nx.average_shortest_path_length(graph)

        for threads in (1, 2):

            def ours(wirings: list[Wiring] = wirings, threads: int = threads) -> None:
                measure(wirings, threads=threads)

            scale = (1e6 / len(wirings), 1e6 / len(few))
            mine, theirs, ratio, low, high = compare(
                ours, plain, rounds if every > 1 else min(rounds, 5), scale
            )
            rows.append(
                (
                    f"C and L of {name}, {threads} thread{'s' * (threads > 1)}",
                    f"{mine:,.1f} us",
                    f"networkx {theirs:,.0f} us",
                    f"{ratio:,.0f}x ({low:,.0f}-{high:,.0f})",
                )
            )
    return rows


def jobs(rounds: int) -> list[Row]:
    """Whole jobs: there is no plain alternative to hold them against, only the clock."""
    start = ws_flex(nodes=64, degree=10, rewire=0.5)
    work: list[tuple[str, Callable[[], object]]] = [
        ("the paper's sampling, 64 nodes (2,700,000 graphs)", lambda: sample_as_published(64)),
        ("the paper's sampling, 16 nodes (1,800,000 graphs)", lambda: sample_as_published(16)),
        ("the span of the families, 64 nodes (549,000 graphs)", span),
        ("steering a 64-node wiring to C 0.5", lambda: steer(start, clustering=0.5)),
    ]
    results = PUBLISHED / "results_mlp_cifar10.parquet"
    if results.exists():
        table = pd.read_parquet(results)
        name = f"the whole analysis of the {len(table):,} published MLP rows, 200 bootstrap draws"
        work.append((name, lambda: analyse(table)))
    rows = []
    for name, call in work:
        middle, ends = spread(call, min(rounds, 3))
        rows.append((name, f"{middle:.2f} s", "", ends))
    return rows
