"""`Wiring`: an immutable graph of n nodes, stored as edges."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wireloom.base import InvalidValue, is_whole, write_whole

if TYPE_CHECKING:
    import networkx as nx

FORMAT = "wireloom.wiring"
VERSION = 1
MOST_NODES = 1 << 16  # measures hold the adjacency as bits: 512 MiB


@dataclass(frozen=True)
class FlexOrigin:
    """The WS-flex parameters that a wiring was drawn with (see `ws_flex`).

    degree: average degree asked for, a real number in [2, nodes - 1].
    rewire: probability in [0, 1] that an edge of the ring is rewired.
    seed: seed of the draw, >= 0.
    variant: "published" or "text".
    """

    degree: float
    rewire: float
    seed: int
    variant: str = "published"

    def __post_init__(self) -> None:
        reals = all(isinstance(x, float) or is_whole(x) for x in (self.degree, self.rewire))
        if not reals or not is_whole(self.seed):
            raise InvalidValue(
                f"the parameters of a ws_flex draw must be numbers; got {vars(self)}"
            )
        if self.variant not in ("published", "text"):
            raise InvalidValue(
                f"the variant of a ws_flex draw must be published or text; got {self.variant!r}"
            )


class Wiring:
    """A graph of n nodes, undirected unless said otherwise, without self-loops or double edges.

    Two wirings are equal when they have the same nodes, direction and edges, however they were
    made. Make one by a family (`ws_flex`, `erdos_renyi`, `ring`, ...), as a `connectome`, from
    edges, from networkx, or from a file. Layers join every node to itself as well; those loops are
    implied and never stored.

    Example:
        >>> w = Wiring.from_edges(4, [(0, 1), (1, 2), (2, 3)])
        >>> w.density
        0.625
    """

    __slots__ = ("__dict__", "_address", "_directed", "_edges", "_nodes", "_origin")

    _nodes: int
    _edges: np.ndarray
    _address: (
        int  # of the edges, which never move: asking numpy takes as long as half a measurement
    )
    _directed: bool
    _origin: FlexOrigin | None

    def __init__(self) -> None:
        raise TypeError("make a Wiring by ws_flex, ring, complete, Wiring.from_edges or .load")

    @classmethod
    def _of(
        cls, nodes: int, edges: np.ndarray, directed: bool, origin: FlexOrigin | None = None
    ) -> Wiring:
        """A wiring of edges known to be valid, unique, sorted and, if undirected, u < v."""
        wiring = object.__new__(cls)
        edges = np.ascontiguousarray(edges, dtype=np.int32).reshape(-1, 2)
        edges.setflags(write=False)
        for name, value in (
            ("_nodes", nodes),
            ("_edges", edges),
            ("_address", edges.__array_interface__["data"][0]),
            ("_directed", directed),
            ("_origin", origin),
        ):
            object.__setattr__(wiring, name, value)
        return wiring

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Wiring does not change; make a new one instead of setting {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Wiring does not change; {name} stays")

    # ---- making one ------------------------------------------------------------------------

    @classmethod
    def from_edges(
        cls, nodes: int, edges: Iterable[tuple[int, int]] | np.ndarray, *, directed: bool = False
    ) -> Wiring:
        """The wiring with the given edges.

        Args:
            nodes: number of nodes, >= 1.
            edges: pairs of node indices 0..nodes-1; (sender, receiver) if directed. Doubles are
                merged.
            directed: whether an edge goes one way only.

        Raises:
            InvalidValue: for an index out of range, a self-loop, or a wrong shape.
        """
        if not is_whole(nodes) or not 1 <= nodes <= MOST_NODES:
            raise InvalidValue(
                f"`nodes` of a wiring must be a whole number from 1 to {MOST_NODES}; got {nodes!r}"
            )
        try:
            pairs = np.asarray(edges if isinstance(edges, np.ndarray) else list(edges))
        except (TypeError, ValueError):
            raise InvalidValue("`edges` of a wiring must be pairs of node indices") from None
        if pairs.shape == (0,):
            pairs = np.empty((0, 2), dtype=np.int64)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
            raise InvalidValue(
                "`edges` of a wiring must be pairs of whole numbers, [edges, 2]; "
                f"got {pairs.dtype} {list(pairs.shape)}"
            )
        outside = (pairs < 0) | (pairs >= nodes)
        if outside.any():
            raise InvalidValue(
                f"`edges` of a wiring must name nodes 0 to {nodes - 1}; got {pairs[outside][0]}"
            )
        loops = pairs[:, 0] == pairs[:, 1]
        if loops.any():
            raise InvalidValue(
                "`edges` of a wiring must join two different nodes (every node is joined to "
                f"itself anyway); got ({pairs[loops][0][0]}, {pairs[loops][0][1]})"
            )
        if not directed:
            pairs = np.sort(pairs, axis=1)
        return cls._of(int(nodes), np.unique(pairs, axis=0), directed)

    @classmethod
    def from_networkx(cls, graph: nx.Graph) -> Wiring:
        """The wiring of a connected networkx graph; nodes are numbered in the graph's own order.

        Self-loops are dropped (they are implied); a DiGraph gives a directed wiring.

        Raises:
            InvalidValue: for an empty, disconnected or multi-edged graph.
        """
        import networkx as nx

        if graph.number_of_nodes() == 0:
            raise InvalidValue("`graph` must have at least one node; got an empty graph")
        if graph.is_multigraph():
            raise InvalidValue("`graph` must be a Graph or DiGraph; got one with parallel edges")
        number = {node: i for i, node in enumerate(graph)}
        pairs = [(number[u], number[v]) for u, v in graph.edges() if u != v]
        if not nx.is_connected(graph.to_undirected(as_view=True)):
            parts = nx.number_connected_components(graph.to_undirected(as_view=True))
            raise InvalidValue(f"`graph` must be connected; got one of {parts} parts")
        return cls.from_edges(len(number), pairs, directed=graph.is_directed())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Wiring:
        """The wiring that `save` wrote to ``path``.

        Raises:
            InvalidValue: if the file is missing or is not a wiring.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise InvalidValue(f'it lacks "format": "{FORMAT}"')
            if content.get("version") != VERSION:
                raise InvalidValue(
                    f"its format version is {content.get('version')}; this Wireloom reads {VERSION}"
                )
            directed, origin = content["directed"], content.get("ws_flex")
            if not isinstance(directed, bool):
                raise InvalidValue(f"`directed` must be true or false; got {directed!r}")
            wiring = cls.from_edges(content["nodes"], content["edges"], directed=directed)
            return wiring if origin is None else wiring.with_origin(FlexOrigin(**origin))
        except OSError as error:
            raise InvalidValue(f"{path} cannot be read: {error.strerror}") from None
        except KeyError as error:
            raise InvalidValue(f"{path} is not a wiring: it lacks {error}") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidValue(f"{path} is not a wiring: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the wiring as JSON, whole or not at all."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "nodes": self._nodes,
            "directed": self._directed,
            "edges": self._edges.tolist(),
        }
        if self._origin:
            content["ws_flex"] = vars(self._origin)
        write_whole(path, json.dumps(content) + "\n")

    def with_origin(self, origin: FlexOrigin) -> Wiring:
        """The same wiring, knowing the parameters that it was drawn with."""
        return Wiring._of(self._nodes, self._edges, self._directed, origin)

    # ---- looking at it ---------------------------------------------------------------------

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self._nodes

    @property
    def edges(self) -> np.ndarray:
        """Edges, sorted: int32 [m, 2], read-only. (sender, receiver) if directed, else u < v."""
        return self._edges

    @property
    def directed(self) -> bool:
        """Whether an edge goes one way only."""
        return self._directed

    @property
    def origin(self) -> FlexOrigin | None:
        """The WS-flex parameters that it was drawn with, if it was."""
        return self._origin

    @property
    def degrees(self) -> np.ndarray:
        """Edges at each node, whichever way they go: int64 [n]."""
        return np.bincount(self._edges.ravel(), minlength=self._nodes)

    def undirected(self) -> Wiring:
        """The same wiring with every edge going both ways; itself if it is undirected."""
        if not self._directed:
            return self
        pairs = np.unique(np.sort(self._edges, axis=1), axis=0)
        return Wiring._of(self._nodes, pairs, False)

    @cached_property
    def density(self) -> float:
        """Share of a layer's blocks that exist: (2m + n) / n^2, directed (m + n) / n^2."""
        arcs = len(self._edges) * (1 if self._directed else 2)
        return (arcs + self._nodes) / self._nodes**2

    def adjacency(self) -> np.ndarray:
        """bool [n, n]: [receiver, sender] is True where an edge exists, the diagonal False."""
        matrix = np.zeros((self._nodes, self._nodes), dtype=bool)
        senders, receivers = self._edges.T
        matrix[receivers, senders] = True
        if not self._directed:
            matrix[senders, receivers] = True
        return matrix

    def blocks(self) -> np.ndarray:
        """The blocks of a layer on this wiring, self-loops included, as sorted (receiver, sender).

        int32 [2m + n, 2], directed [m + n, 2].
        """
        matrix = self.adjacency()
        np.fill_diagonal(matrix, True)
        return np.argwhere(matrix).astype(np.int32)

    @cached_property
    def _measures(self) -> tuple[float, float]:
        from wireloom.wiring.measures import measure

        clustering, path_length = measure([self])
        return float(clustering[0]), float(path_length[0])

    @property
    def clustering(self) -> float:
        """C: mean local clustering coefficient, undirected. Raises if disconnected."""
        return self._measures[0]

    @property
    def path_length(self) -> float:
        """L: the mean shortest path length, of the undirected form. Raises if disconnected."""
        return self._measures[1]

    @property
    def is_complete(self) -> bool:
        """Whether every pair of nodes is joined, both ways: the ordinary dense layer."""
        pairs = self._nodes * (self._nodes - 1)
        return len(self._edges) == (pairs if self._directed else pairs // 2)

    def to_networkx(self) -> nx.Graph:
        """The same graph as a networkx Graph, or DiGraph if directed."""
        import networkx as nx

        graph = nx.DiGraph() if self._directed else nx.Graph()
        graph.add_nodes_from(range(self._nodes))
        graph.add_edges_from(self._edges.tolist())
        return graph

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits that name the wiring: equal wirings, equal digests, anywhere."""
        head = f"{FORMAT} {VERSION} {self._nodes} {int(self._directed)} ".encode()
        body = self._edges.astype("<i4").tobytes()
        return hashlib.blake2b(head + body, digest_size=16).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Wiring):
            return NotImplemented
        return self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        kind = "directed, " if self._directed else ""
        if self._origin is None:
            return f"Wiring({kind}nodes={self._nodes}, edges={len(self._edges)})"
        o = self._origin
        return (
            f"ws_flex(nodes={self._nodes}, degree={o.degree:.6g}, rewire={o.rewire:.6g}, "
            f"seed={o.seed}{', variant=' + repr(o.variant) if o.variant != 'published' else ''})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._nodes, self._edges, self._directed, self._origin)


def wirings_of(function: str, given: object) -> list[Wiring]:
    """The wirings that a caller gave: one, several, or a mapping's values.

    Raises:
        InvalidValue: for anything else.
    """
    if isinstance(given, Wiring):
        return [given]
    if not isinstance(given, Iterable):
        raise InvalidValue(f"`wirings` of {function} must be wirings; got {type(given).__name__}")
    found: list[Wiring] = list(given.values() if isinstance(given, Mapping) else given)
    for wiring in found:
        if not isinstance(wiring, Wiring):
            raise InvalidValue(
                f"`wirings` of {function} must be wirings; got {type(wiring).__name__} among them"
            )
    return found


def _rebuild(nodes: int, edges: np.ndarray, directed: bool, origin: FlexOrigin | None) -> Wiring:
    return Wiring._of(nodes, edges, directed, origin)
