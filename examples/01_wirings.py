"""Draw wirings, measure them, exchange them with networkx, save them as JSON and as pictures.

One sees five wirings of 64 nodes from sparse and local to complete, with their clustering C, path
length L and density (the share of a layer's blocks that exist); the same numbers by networkx; and
a picture of each, wiring_*.svg, in the folder given (a temporary one by default).
"""

import sys
import tempfile
from pathlib import Path

import networkx as nx

import wireloom as wl
from wireloom.page import wiring_svg


def main(folder: str | None = None) -> None:
    out = Path(folder or tempfile.mkdtemp(prefix="wirings-"))
    wirings = {
        "ring": wl.ring(nodes=64, degree=8),
        "small_world": wl.ws_flex(nodes=64, degree=9.5, rewire=0.15, seed=0),
        "random": wl.ws_flex(nodes=64, degree=9.5, rewire=1.0, seed=0),
        "star": wl.Wiring.from_networkx(nx.star_graph(63)),
        "complete": wl.complete(nodes=64),
    }
    clustering, path_length = wl.measure(list(wirings.values()))  # many at once
    print(f"{'wiring':12s} {'edges':>6s} {'density':>8s} {'C':>6s} {'L':>6s}")
    for (name, w), c, length in zip(wirings.items(), clustering, path_length, strict=True):
        print(f"{name:12s} {len(w.edges):6d} {w.density:8.3f} {c:6.3f} {length:6.3f}")
        (out / f"wiring_{name}.svg").write_text(wiring_svg(w.nodes, w.edges.tolist()))

    w = wirings["small_world"]
    graph = w.to_networkx()
    print(
        f"networkx agrees: C {nx.average_clustering(graph):.3f}, "
        f"L {nx.average_shortest_path_length(graph):.3f}"
    )
    w.save(out / "small_world.json")
    assert wl.Wiring.load(out / "small_world.json") == w
    assert wl.Wiring.from_networkx(graph) == w  # equal edges, equal wirings
    print(f"saved in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
