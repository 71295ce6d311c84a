"""Moves from one wiring to another that keep every node's degree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wireloom.base import InvalidValue, is_whole
from wireloom.native import _native
from wireloom.wiring.blocks import block_sizes
from wireloom.wiring.families import check_seed
from wireloom.wiring.measures import measure
from wireloom.wiring.value import Wiring

RANGES = {"clustering": (0.0, 1.0), "path_length": (1.0, np.inf), "spectral_gap": (0.0, 1.0)}


class OutOfReach(InvalidValue):
    """No wiring with the wanted measures was found.

    Attributes:
        closest: the wiring that came closest.
    """

    def __init__(self, message: str, closest: Wiring) -> None:
        super().__init__(message)
        self.closest = closest


def steer(
    wiring: Wiring,
    *,
    clustering: float | None = None,
    path_length: float | None = None,
    spectral_gap: float | None = None,
    widths: Sequence[int] = (),
    tolerance: float = 0.01,
    swaps: int = 200_000,
    seed: int = 0,
) -> Wiring:
    """A wiring with the same degrees, whose measures are the wanted ones.

    Edges a - b and c - d become a - d and c - b, again and again, so that every node keeps its
    degree, and with it the density, the number of blocks of a layer, and the cost of layers whose
    widths divide by the nodes. For other widths, whose blocks differ in size, name the widths: then
    only swaps that keep their cost exactly are made. The swaps follow simulated annealing towards
    the target. With this a study can tell structure from density.

    Args:
        wiring: connected and undirected.
        clustering: wanted C, in [0, 1].
        path_length: wanted L, at least 1.
        spectral_gap: wanted second-smallest eigenvalue of the normalised Laplacian, in [0, 1].
            At least one of the three must be given.
        widths: widths of the layers whose cost must stay, where they do not divide by the nodes;
            with a matched width also the one below it, which the match looks at.
        tolerance: distance from the target that is close enough, of all measures together: the
            root of the sum of squares, that of L taken relative to the wanted L.
        swaps: swaps to try before giving up; a quarter of them without coming closer end it too.
        seed: of the swaps.

    Returns:
        The first wiring found within the tolerance; the given one if it is there already.

    Raises:
        OutOfReach: if none was found; the message says how close the search came, and
            ``error.closest`` is the wiring.
        InvalidValue: for a directed or disconnected wiring, or a target out of range.

    Cost: C changes with each swap by what the swap's ends share; L and the gap are measured anew.
    For 64 nodes some hundredths of a second for C, tenths with L or the gap; for 1000 nodes a
    second for C, a millisecond a swap with L. A target out of reach takes the most: for 64 nodes
    half a second, with the gap half a minute.

    Source: double edge swaps, Maslov and Sneppen 2002; annealing, Kirkpatrick et al. 1983.

    Example:
        >>> from wireloom.wiring import ws_flex
        >>> start = ws_flex(nodes=64, degree=10, rewire=0.5)
        >>> round(start.clustering, 2), round(steer(start, clustering=0.4).clustering, 1)
        (0.2, 0.4)
    """
    wanted = {
        name: value
        for name, value in (
            ("clustering", clustering),
            ("path_length", path_length),
            ("spectral_gap", spectral_gap),
        )
        if value is not None
    }
    _check(wiring, wanted, tolerance, swaps)
    if not isinstance(widths, Sequence) or not all(is_whole(width) for width in widths):
        raise InvalidValue(f"`widths` of steer must be whole numbers; got {widths!r}")
    check_seed("steer", seed)
    weights = {"path_length": 1 / wanted.get("path_length", 1.0)}
    target = [wanted.get(name, np.nan) for name in RANGES]
    target += [weights.get(name, 1.0) for name in RANGES]
    alike = [(0,) * wiring.nodes, *(block_sizes(int(width), wiring.nodes) for width in widths)]
    kinds = np.unique(alike, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int32)
    edges, _, _, tried = _native.steer(
        wiring.nodes, wiring.edges, kinds, np.array([*target, tolerance]), int(swaps), int(seed)
    )
    found = (
        wiring if np.array_equal(edges, wiring.edges) else Wiring._of(wiring.nodes, edges, False)
    )
    reached = {name: float(measure([found], name)[0]) for name in wanted}
    off = {name: weights.get(name, 1.0) * (reached[name] - wanted[name]) for name in wanted}
    distance = float(np.sqrt(sum(d * d for d in off.values())))
    if distance > tolerance:
        came = " and ".join(
            f"{name} {value:.4f} ({abs(value - wanted[name]):.4f} away)"
            for name, value in reached.items()
        )
        asked = ", ".join(f"{name} {value:g}" for name, value in wanted.items())
        raise OutOfReach(
            f"no wiring with the degrees of {wiring!r} and {asked} was found in {tried} swaps; "
            f"the closest has {came}",
            found,
        )
    return found


def _check(wiring: Wiring, wanted: dict[str, float], tolerance: float, swaps: int) -> None:
    if not isinstance(wiring, Wiring):
        raise InvalidValue(f"`wiring` of steer must be a Wiring; got {type(wiring).__name__}")
    if wiring.directed:
        raise InvalidValue(
            f"`wiring` of steer must be undirected; got {wiring!r} (`undirected()` makes it so)"
        )
    if len(wiring.edges) < 2:
        raise InvalidValue(f"`wiring` of steer must have two edges to swap; got {wiring!r}")
    measure([wiring])  # raises if it is disconnected
    if not wanted:
        raise InvalidValue(f"steer needs one of {', '.join(RANGES)}; got none")
    for name, value in wanted.items():
        low, high = RANGES[name]
        real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not (real and low <= value <= high and np.isfinite(value)):
            raise InvalidValue(f"`{name}` of steer must be in [{low:g}, {high:g}]; got {value!r}")
    if not (isinstance(tolerance, int | float) and 0 < tolerance < np.inf):
        raise InvalidValue(f"`tolerance` of steer must be positive; got {tolerance!r}")
    if not is_whole(swaps) or swaps < 1:
        raise InvalidValue(f"`swaps` of steer must be a whole number from 1; got {swaps!r}")
