"""The sets of wirings that the paper trained, drawn again from their parameters."""

from __future__ import annotations

import csv
import gzip
import io
from importlib.resources import files

from wireloom.base import InvalidValue
from wireloom.wiring.families import ws_flex
from wireloom.wiring.value import Wiring

PUBLISHED = {64: (52, 449, 3942), 16: (48, 326, 2698)}


def _rows(name: str) -> list[dict[str, str]]:
    raw = (files("wireloom.wiring") / "published" / name).read_bytes()
    text = gzip.decompress(raw) if name.endswith(".gz") else raw
    return list(csv.DictReader(io.StringIO(text.decode())))


def published_sample(nodes: int = 64, count: int = 52) -> dict[int, Wiring]:
    """The WS-flex graphs that the paper trained, by their published graph id, in published order.

    Args:
        nodes: 64, or 16 (the paper's EfficientNet study).
        count: 52, 449 or 3942 of 64 nodes; 48, 326 (324 of them distinct) or 2698 of 16 nodes.

    Raises:
        InvalidValue: for a set that was not published.

    Source: You et al. 2020, section 4.2; rows (k, p, seed) from its published code (MIT).
    """
    if count not in PUBLISHED.get(nodes, ()):
        known = "; ".join(f"{n} nodes: {', '.join(map(str, c))}" for n, c in PUBLISHED.items())
        raise InvalidValue(
            f"`count` of a published sample must be one that was published ({known}); "
            f"got {count} wirings of {nodes} nodes"
        )
    table = {int(row["graph_id"]): row for row in _rows(f"n{nodes}.csv.gz")}
    full = count == PUBLISHED[nodes][-1]
    ids = table if full else [int(row["graph_id"]) for row in _rows(f"n{nodes}_{count}.csv")]
    return {
        i: ws_flex(
            nodes=nodes,
            degree=float(table[i]["k"]),
            rewire=float(table[i]["p"]),
            seed=int(table[i]["graph_seed"]),
        )
        for i in ids
    }
