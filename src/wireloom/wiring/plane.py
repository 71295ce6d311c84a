"""Sets of wirings that cover the (C, L) plane: the published ones, and ones drawn for any n."""

from __future__ import annotations

import csv
import gzip
import io
from importlib.resources import files

import numpy as np

from wireloom.base import InvalidValue, is_whole
from wireloom.wiring.families import check_nodes, check_seed, ws_flex
from wireloom.wiring.measures import measure
from wireloom.wiring.value import Wiring

PUBLISHED = {64: (52, 449, 3942), 16: (48, 326, 2698)}
POOL = 48  # degrees x rewiring probabilities of the pool that sample_plane chooses from


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


def sample_plane(*, nodes: int, count: int, seed: int = 0) -> list[Wiring]:
    """``count`` WS-flex wirings that cover the (C, L) plane evenly.

    Draws a pool of 48 x 48 degrees and rewiring probabilities, spaced as in the paper, and picks
    from it one by one the wiring farthest from all picked before, each axis scaled to [0, 1] and
    L taken by its logarithm. The first is the one nearest the middle.

    Args:
        nodes: n, at least 5.
        count: number of wirings, from 1 to 1000.
        seed: seed of the pool.

    Returns:
        ``count`` different wirings, in the order picked: the first m are a coarser cover.

    Cost: O(pool (n k + count)): half a second for 64 nodes.
    """
    check_nodes("sample_plane", nodes, 5)
    check_seed("sample_plane", seed)
    if not is_whole(count) or not 1 <= count <= 1000:
        raise InvalidValue(
            f"`count` of sample_plane must be a whole number in [1, 1000]; got {count!r}"
        )
    least = max(2.0, nodes / 8)  # below n / 8 the paper's pool ends too
    degrees = np.linspace(np.sqrt(least), np.sqrt(nodes - 2), POOL) ** 2
    pool: dict[Wiring, None] = {}
    for degree in degrees:
        for rewire in np.linspace(0, 1, POOL) ** 2:
            try:
                pool[ws_flex(nodes=nodes, degree=degree, rewire=rewire, seed=seed)] = None
            except InvalidValue:  # too sparse to come out connected
                continue
    wirings = list(pool)
    if count > len(wirings):
        raise InvalidValue(
            f"`count` of sample_plane must be at most {len(wirings)} for {nodes} nodes; got {count}"
        )
    clustering, path_length = measure(wirings)
    points = np.stack([clustering, np.log(path_length)], axis=1)
    points = (points - points.min(0)) / np.maximum(np.ptp(points, axis=0), 1e-12)
    picked = [int(((points - 0.5) ** 2).sum(1).argmin())]
    nearest = ((points - points[picked[0]]) ** 2).sum(1)
    while len(picked) < count:
        nearest[picked[-1]] = -1.0
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[picked[-1]]) ** 2).sum(1))
    return [wirings[i] for i in picked]
