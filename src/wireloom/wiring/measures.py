"""Measures of wirings: the built-in ones, those that users add, and many wirings at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from wireloom.base import InvalidValue, is_whole, nearest
from wireloom.native import _native
from wireloom.wiring.value import Wiring, wirings_of

MeasureFunction = Callable[[Sequence[Wiring]], np.ndarray]

LARGEST_DENSE = 1024  # nodes up to which all eigenvalues are computed
MOST_THREADS = 256
ORDERS = 8  # of the nodes, in which communities are looked for


@dataclass(frozen=True)
class Measure:
    """A number that each wiring has."""

    name: str
    """What users call it."""
    of: MeasureFunction
    """Wirings in, float64 [wirings] out."""
    label: str
    """For an axis."""
    logarithmic: bool = False
    """Whether distances on the plane are of its logarithm."""


_MEASURES: dict[str, Measure] = {}


def register_measure(
    name: str,
    function: MeasureFunction,
    *,
    label: str = "",
    logarithmic: bool = False,
    replace: bool = False,
) -> None:
    """Add a measure: `measure` and the plane take it by its name from then on.

    Args:
        name: a Python identifier that no measure bears yet.
        function: takes a sequence of g wirings and returns g finite numbers.
        label: of an axis; the name by default.
        logarithmic: whether the plane spreads wirings evenly in its logarithm (positive only).
        replace: whether the name may be that of a measure added before.

    Raises:
        InvalidValue: for no identifier, or a name that is taken; a built-in one is never replaced.

    Example:
        >>> register_measure("edges_", lambda wirings: [len(w.edges) for w in wirings])
        >>> measure([Wiring.from_edges(3, [(0, 1), (1, 2)])], "edges_")
        array([2.])
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise InvalidValue(f"`name` of a measure must be an identifier; got {name!r}")
    if name in _MEASURES and not (replace and name not in BUILT_IN):
        way = "" if name in BUILT_IN else " (`replace=True` takes its place)"
        raise InvalidValue(
            f"`name` of a measure must be new; got {name!r}, which is one already{way}"
        )
    if not callable(function):
        raise InvalidValue(f"`function` of a measure must be callable; got {function!r}")
    _MEASURES[name] = Measure(name, function, label or name, logarithmic)


def measure_named(name: str) -> Measure:
    """The measure of that name.

    Raises:
        InvalidValue: if there is none; the message names the nearest.
    """
    if not isinstance(name, str) or name not in _MEASURES:
        raise InvalidValue(f"there is no measure {name!r}{nearest(str(name), _MEASURES)}")
    return _MEASURES[name]


@overload
def measure(wirings: Sequence[Wiring]) -> tuple[np.ndarray, np.ndarray]: ...
@overload
def measure(wirings: Sequence[Wiring], *, threads: int | None) -> tuple[np.ndarray, np.ndarray]: ...
@overload
def measure(wirings: Sequence[Wiring], names: str) -> np.ndarray: ...
@overload
def measure(
    wirings: Sequence[Wiring], names: tuple[str, ...] | list[str]
) -> tuple[np.ndarray, ...]: ...


def measure(
    wirings: Sequence[Wiring],
    names: str | tuple[str, ...] | list[str] | None = None,
    *,
    threads: int | None = None,
) -> np.ndarray | tuple[np.ndarray, ...]:
    """Measures of each wiring: clustering coefficient C and average path length L, or others.

    Unweighted, without self-loops; of the undirected form but for the directed ones:

    - ``clustering``: C, the mean over nodes of the local clustering coefficient.
    - ``path_length``: L, the mean over node pairs of the shortest path length.
    - ``directed_clustering``, ``directed_path_length``: of the arrows as they are (Fagiolo 2007);
      a pair of nodes without a path adds 0 to the mean.
    - ``density``: share of a layer's blocks that exist, self-loops included.
    - ``degree_spread``: standard deviation of the degrees.
    - ``global_efficiency``: mean over node pairs of 1 / shortest path length.
    - ``modularity``: of the best partition into communities that was found (Blondel et al. 2008);
      a lower bound on the greatest there is.
    - ``spectral_gap``: second-smallest eigenvalue of the normalised Laplacian; 0 when the wiring
      falls apart.
    - ``betweenness_spread``: standard deviation of the nodes' betweenness centralities.
    - and those that were added by `register_measure`.

    Args:
        wirings: g wirings, of any sizes; a mapping's values count.
        names: one name, or several; C and L by default.
        threads: how many to use for C and L; all cores by default.

    Returns:
        float64 [g] for one name; a tuple of them for several, or by default.

    Raises:
        InvalidValue: for an unknown name; for C, L or betweenness of a disconnected wiring.

    Cost: C, L and efficiency O(n m / 64), a few microseconds for 64 nodes; betweenness O(n m);
    the spectral gap O(n^3) up to 1024 nodes and by iteration beyond; modularity O(m) a sweep.

    Source: You et al. 2020, section 3.1; each measure as networkx defines it.

    Example:
        >>> ring = Wiring.from_edges(6, [(i, (i + 1) % 6) for i in range(6)])
        >>> measure([ring], ("path_length", "degree_spread"))
        (array([1.8]), array([0.]))
    """
    if threads is not None and not (is_whole(threads) and threads >= 1):
        raise InvalidValue(f"`threads` of measure must be a whole number from 1; got {threads!r}")
    wirings = wirings_of("measure", wirings)
    if names is None:
        return _connected(wirings, threads)[:2]
    if isinstance(names, str):
        return _checked(measure_named(names), wirings)
    if not isinstance(names, Sequence):
        raise InvalidValue(f"`names` of measure must be names of measures; got {names!r}")
    asked = [measure_named(name) for name in names]
    if not {"clustering", "path_length"} <= {m.name for m in asked}:
        return tuple(_checked(m, wirings) for m in asked)
    both = dict(zip(("clustering", "path_length"), _connected(wirings, threads), strict=False))
    return tuple(both[m.name] if m.name in both else _checked(m, wirings) for m in asked)


def _checked(asked: Measure, wirings: Sequence[Wiring]) -> np.ndarray:
    if not wirings:
        return np.empty(0)
    given = asked.of(wirings)
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"measure {asked.name!r} must return numbers; {error}") from error
    if values.shape != (len(wirings),) or not np.isfinite(values).all():
        raise InvalidValue(
            f"measure {asked.name!r} must return a finite number for each of {len(wirings)} "
            f"wirings; got {list(values.shape)}, {int((~np.isfinite(values)).sum())} not finite"
        )
    return values


# ---- what the compiled module gives ------------------------------------------------------------


def _undirected(wirings: Sequence[Wiring]) -> list[Wiring]:
    return [w.undirected() if w._directed else w for w in wirings]


def _both_ways(wiring: Wiring) -> Wiring:
    """The wiring with an arrow each way for an undirected edge."""
    if wiring.directed:
        return wiring
    arrows = np.concatenate([wiring.edges, wiring.edges[:, ::-1]])
    return Wiring._of(wiring.nodes, arrows, True)


def _graphs(wirings: Sequence[Wiring]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes, addresses of the edges and their number; hold the wirings while these are read."""
    return (
        np.array([w._nodes for w in wirings], dtype=np.int32),
        np.array([w._address for w in wirings], dtype=np.uint64),
        np.array([len(w._edges) for w in wirings], dtype=np.int64),
    )


def _cores() -> int:
    return os.cpu_count() or 1


def _native_measures(
    wirings: Sequence[Wiring], *, directed: bool = False, threads: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Clustering, path length, efficiency: float64 [g] each; pairs without a path: int64 [g]."""
    if not wirings:
        return np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64)
    held = [_both_ways(w) for w in wirings] if directed else _undirected(wirings)
    return _native.measure(*_graphs(held), directed, min(threads or _cores(), MOST_THREADS))


def _connected(
    wirings: Sequence[Wiring], threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    clustering, path_length, _, apart = _native_measures(wirings, threads=threads)
    if apart.any():
        i = int(np.flatnonzero(apart)[0])
        which = "" if len(wirings) == 1 else f"number {i} of the given, "
        raise InvalidValue(
            f"C, L and what rests on paths need a connected wiring; {which}{wirings[i]!r} is not"
        )
    return clustering, path_length


def _directed_clustering(wirings: Sequence[Wiring]) -> np.ndarray:
    """Mean over nodes of triangles through it over those that its arrows could form."""
    return np.array([_fagiolo(w.adjacency().T.astype(np.float64)).mean() for w in wirings])


def _fagiolo(arrows: np.ndarray) -> np.ndarray:
    both = arrows + arrows.T
    closed = np.einsum("ij,jk,ki->i", both, both, both, optimize=True)
    degree, mutual = both.sum(1), (arrows * arrows.T).sum(1)
    open_ = 2 * (degree * (degree - 1) - 2 * mutual)
    return np.divide(closed, open_, out=np.zeros_like(closed), where=open_ > 0)


def _directed_path_length(wirings: Sequence[Wiring]) -> np.ndarray:
    return _native_measures(wirings, directed=True)[1]


def _global_efficiency(wirings: Sequence[Wiring]) -> np.ndarray:
    return _native_measures(wirings)[2]


def _betweenness_spread(wirings: Sequence[Wiring]) -> np.ndarray:
    _connected(wirings)
    held = _undirected(wirings)
    each = _native.betweenness(*_graphs(held), _cores())
    ends = np.cumsum([w.nodes for w in wirings])[:-1]
    return np.array([part.std() for part in np.split(each, ends)])


def communities(wirings: Sequence[Wiring]) -> tuple[list[np.ndarray], np.ndarray]:
    """The best partition found of each wiring, and its modularity.

    Returns:
        Community of each node, int32 [nodes] for each wiring; modularities, float64 [g].
    """
    if not wirings:
        return [], np.empty(0)
    held = _undirected(wirings)
    labels, modularity = _native.communities(*_graphs(held), ORDERS, _cores())
    return np.split(labels, np.cumsum([w.nodes for w in wirings])[:-1]), modularity


def _degree_spread(wirings: Sequence[Wiring]) -> np.ndarray:
    return np.array([w.undirected().degrees.std() for w in wirings])


def _spectral_gap(wirings: Sequence[Wiring]) -> np.ndarray:
    apart = _native_measures(wirings)[3]
    return np.array(
        [0.0 if away else _gap(w.undirected()) for w, away in zip(wirings, apart, strict=True)]
    )


def _gap(wiring: Wiring) -> float:
    if wiring.nodes < 2:
        return 0.0
    if wiring.nodes > LARGEST_DENSE:
        return _sparse_gap(wiring)
    scale = 1 / np.sqrt(wiring.degrees)
    laplacian = np.eye(wiring.nodes) - wiring.adjacency() * np.outer(scale, scale)
    return float(np.linalg.eigvalsh(laplacian)[1])


def _sparse_gap(wiring: Wiring) -> float:
    """By Lanczos iteration from a start that never changes: on the normalised adjacency, or,
    where a small gap makes that slow, on the inverse of the Laplacian."""
    from scipy.sparse import coo_array, eye_array
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    from wireloom.base.streams import uniform

    u, v = wiring.edges.T
    root = np.sqrt(wiring.degrees)
    half = coo_array((1 / (root[u] * root[v]), (u, v)), (wiring.nodes,) * 2)
    adjacency = (half + half.T).tocsc()
    how = {"k": 2, "v0": uniform(wiring.nodes, "spectral gap", 0), "return_eigenvectors": False}
    try:
        return 1.0 - float(np.min(eigsh(adjacency, which="LA", maxiter=60, **how)))
    except ArpackNoConvergence:
        laplacian = (eye_array(wiring.nodes) - adjacency).tocsc()
        return float(np.max(eigsh(laplacian, sigma=-1e-4, which="LM", **how)))


for _measure in (
    Measure("clustering", lambda w: _connected(w)[0], "clustering coefficient C"),
    Measure("path_length", lambda w: _connected(w)[1], "average path length L", True),
    Measure("directed_clustering", _directed_clustering, "directed clustering coefficient"),
    Measure("directed_path_length", _directed_path_length, "directed path length", True),
    Measure("density", lambda w: np.array([x.density for x in w]), "density", True),
    Measure("degree_spread", _degree_spread, "degree spread"),
    Measure("global_efficiency", _global_efficiency, "global efficiency"),
    Measure("modularity", lambda w: communities(w)[1], "modularity"),
    Measure("spectral_gap", _spectral_gap, "spectral gap"),
    Measure("betweenness_spread", _betweenness_spread, "betweenness spread"),
):
    _MEASURES[_measure.name] = _measure
BUILT_IN = frozenset(_MEASURES)
