"""Wirings that cover the plane of two measures evenly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from wireloom.base import InvalidValue, is_whole
from wireloom.wiring.families import check_nodes, check_seed, ws_flex
from wireloom.wiring.measures import measure, measure_named
from wireloom.wiring.value import Wiring, wirings_of

AXES = ("clustering", "path_length")
POOL = 48  # degrees x rewiring probabilities of the pool, for up to 256 nodes
LEAST_POOL = 16
LARGEST_FULL_POOL = 256


def sample_plane(
    *, nodes: int, count: int, seed: int = 0, axes: Sequence[str] = AXES
) -> list[Wiring]:
    """``count`` WS-flex wirings that cover the plane of two measures evenly, (C, L) by default.

    Draws a pool of 48 x 48 degrees and rewiring probabilities, spaced as in the paper, and picks
    from it one by one the wiring farthest from all picked before, each axis scaled to [0, 1] and
    L taken by its logarithm. The first is the one nearest the middle. Beyond 256 nodes the pool
    has fewer settings, 16 x 16 at least.

    Args:
        nodes: n, at least 5.
        count: number of wirings, from 1 to 1000.
        seed: seed of the pool.
        axes: names of two measures, built in or registered (see `measure`).

    Returns:
        ``count`` different wirings, in the order picked: the first m are a coarser cover.

    Raises:
        InvalidValue: for a parameter out of range, or more wirings than the pool has.

    Cost: O(pool (n k + count)) and the measures: half a second for (C, L) of 64 nodes, some
    seconds of 1000.

    Example:
        >>> [round(w.path_length, 1) for w in sample_plane(nodes=16, count=3)]
        [2.3, 5.0, 1.1]
    """
    nodes = check_nodes("sample_plane", nodes, 5)
    check_seed("sample_plane", seed)
    _check_count("sample_plane", count)
    _check_axes("sample_plane", axes)
    side = max(LEAST_POOL, min(POOL, POOL * LARGEST_FULL_POOL // nodes))
    settings: dict[str, tuple[float, float]] = {}  # of different wirings
    points = []
    for wirings in _pool(nodes, side, seed):
        fresh = {w.digest: w for w in wirings if w.digest not in settings}
        for digest, wiring in fresh.items():
            assert wiring.origin is not None
            settings[digest] = (wiring.origin.degree, wiring.origin.rewire)
        points.append(_points(list(fresh.values()), axes))
    if count > len(settings):
        raise InvalidValue(
            f"`count` of sample_plane must be at most {len(settings)} for {nodes} nodes; "
            f"got {count}"
        )
    chosen = list(settings.values())
    return [
        ws_flex(nodes=nodes, degree=chosen[i][0], rewire=chosen[i][1], seed=seed)
        for i in _farthest(np.concatenate(points), count)
    ]


def spread(wirings: Sequence[Wiring], count: int, *, axes: Sequence[str] = AXES) -> list[Wiring]:
    """``count`` of the wirings, those that cover the plane of two measures most evenly.

    As `sample_plane`, from wirings of your own: of any family, read from files, ...

    Raises:
        InvalidValue: for more than there are, or an unknown measure.
    """
    wirings = wirings_of("spread", wirings)
    _check_count("spread", count)
    _check_axes("spread", axes)
    if count > len(wirings):
        raise InvalidValue(
            f"`count` of spread must be at most the number of wirings, {len(wirings)}; got {count}"
        )
    return [wirings[i] for i in _farthest(_points(wirings, axes), count)]


def _check_count(function: str, count: int) -> None:
    if not is_whole(count) or not 1 <= count <= 1000:
        raise InvalidValue(
            f"`count` of {function} must be a whole number in [1, 1000]; got {count!r}"
        )


def _check_axes(function: str, axes: Sequence[str]) -> None:
    if isinstance(axes, str) or len(axes) != 2 or axes[0] == axes[1]:
        raise InvalidValue(f"`axes` of {function} must be two different measures; got {axes!r}")
    for name in axes:
        measure_named(name)


def _pool(nodes: int, side: int, seed: int) -> Iterator[list[Wiring]]:
    """WS-flex wirings, one degree after another, less those too sparse to come out connected."""
    least = max(2.0, nodes / 8)  # below n / 8 the paper's pool ends too
    for degree in np.linspace(np.sqrt(least), np.sqrt(nodes - 2), side) ** 2:
        wirings = []
        for rewire in np.linspace(0, 1, side) ** 2:
            try:
                wirings.append(ws_flex(nodes=nodes, degree=degree, rewire=rewire, seed=seed))
            except InvalidValue:
                continue
        if wirings:
            yield wirings


def _points(wirings: Sequence[Wiring], axes: Sequence[str]) -> np.ndarray:
    """Where the wirings stand: float64 [wirings, 2], logarithms where the measure asks for them."""
    columns = measure(wirings, tuple(axes))
    for name, column in zip(axes, columns, strict=True):
        if measure_named(name).logarithmic and len(column) and column.min() <= 0:
            raise InvalidValue(
                f"measure {name!r} must be positive to be spread by its logarithm; "
                f"got {column.min():.6g}"
            )
    return np.stack(
        [
            np.log(column) if measure_named(name).logarithmic else column
            for name, column in zip(axes, columns, strict=True)
        ],
        axis=1,
    )


def _farthest(points: np.ndarray, count: int) -> list[int]:
    """Positions of ``count`` points [n, 2], each the farthest from those before it."""
    points = (points - points.min(0)) / np.maximum(np.ptp(points, axis=0), 1e-12)
    picked = [int(((points - 0.5) ** 2).sum(1).argmin())]
    nearest = ((points - points[picked[0]]) ** 2).sum(1)
    while len(picked) < count:
        nearest[picked[-1]] = -1.0
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[picked[-1]]) ** 2).sum(1))
    return picked
