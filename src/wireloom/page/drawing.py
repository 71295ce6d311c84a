"""A wiring drawn as SVG, its nodes on a circle."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from wireloom.base import InvalidValue

# Readable on a white page and on a dark one, for the picture may land on either.
COLOUR = "#4a74d8"


def checked_edges(nodes: int, edges: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """The edges as pairs of plain ints.

    Raises:
        InvalidValue: if ``nodes`` is below 1, or an edge is not a pair of nodes in [0, nodes).
    """
    if nodes < 1:
        raise InvalidValue(f"`nodes` of a drawn wiring must be at least 1; got {nodes}")
    pairs = []
    for edge in edges:
        if len(edge) != 2:
            raise InvalidValue(f"an edge must be a pair of nodes; got {list(edge)!r}")
        u, v = int(edge[0]), int(edge[1])
        if not (0 <= u < nodes and 0 <= v < nodes):
            raise InvalidValue(f"an edge must join nodes in [0, {nodes - 1}]; got ({u}, {v})")
        pairs.append((u, v))
    return pairs


def wiring_svg(
    nodes: int, edges: Iterable[Sequence[int]], size: float = 360, *, directed: bool = False
) -> str:
    """Draw a wiring as an SVG picture: one circle a node, one straight line an edge.

    Node 0 is at the top and the others follow clockwise. The more edges there are, the fainter
    each is drawn, so that the density of the picture stays readable up to the complete graph.
    Past some 2,000 edges the lines merge; look at C and L instead.

    Args:
        nodes: number of nodes, at least 1.
        edges: pairs of nodes, [m, 2]; (sender, receiver) if ``directed``.
        size: width and height of the picture in pixels.
        directed: draw an arrow head at each receiver.

    Returns:
        The text of a standalone SVG file with a transparent background. Cost O(nodes + m).

    Raises:
        InvalidValue: if ``size`` or ``nodes`` is too small or an edge names a node that is absent.

    Example:
        >>> picture = wiring_svg(4, [(0, 1), (1, 2), (2, 3), (3, 0)])
        >>> picture.count("<circle"), picture.count("<line")
        (4, 4)
    """
    pairs = checked_edges(nodes, edges)
    if not (math.isfinite(size) and size >= 16):
        raise InvalidValue(f"`size` of a drawn wiring must be at least 16 pixels; got {size}")
    dot = max(1.2, min(size / 40, 0.9 * size / nodes))
    radius = size / 2 - dot - 2 if nodes > 1 else 0.0
    angles = [2 * math.pi * node / nodes for node in range(nodes)]
    places = [
        (size / 2 + radius * math.sin(angle), size / 2 - radius * math.cos(angle))
        for angle in angles
    ]
    opacity = max(0.12, min(0.8, 6 / math.sqrt(len(pairs) or 1)))
    kind = "directed wiring" if directed else "wiring"
    name = f"{kind} of {nodes} nodes and {len(pairs)} edges"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size:g}" height="{size:g}"'
        f' viewBox="0 0 {size:g} {size:g}" role="img" aria-label="{name}">'
    ]
    marker = ""
    if directed:
        lines.append(
            '<defs><marker id="wireloom-arrow" viewBox="0 0 6 6" refX="6" refY="3"'
            f' markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L6 3L0 6z"'
            f' fill="{COLOUR}"/></marker></defs>'
        )
        marker = ' marker-end="url(#wireloom-arrow)"'
    lines.append(f'<g stroke="{COLOUR}" stroke-opacity="{opacity:.3f}"{marker}>')
    for u, v in pairs:
        (x1, y1), (x2, y2) = places[u], places[v]
        length = math.hypot(x2 - x1, y2 - y1)
        if directed and length > 0:
            # The arrow's tip belongs on the rim of the node, where it can be seen.
            x2 -= (x2 - x1) * dot / length
            y2 -= (y2 - y1) * dot / length
        lines.append(f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}"/>')
    lines.append(f'</g><g fill="{COLOUR}">')
    lines += [f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{dot:.2f}"/>' for x, y in places]
    lines.append("</g></svg>")
    return "\n".join(lines) + "\n"
