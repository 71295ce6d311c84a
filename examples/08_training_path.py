"""Where training leads a dense net on the plane: the wirings read out of its weights, by epoch.

One sees eight dense MLPs trained on the digits, and at several epochs the wiring of each: the pairs
of 64 groups of neurons that its hidden layers join most strongly, at density 0.2. At first they
stand with random graphs of that density; training takes them a little towards the published sweet
spot, never into it (the paper's figure 7, in path.svg). Random graphs of the same degrees go as
far: training makes some groups strong, and who meets whom is still chance.
"""

import sys
from pathlib import Path

import networkx as nx
import numpy as np

import wireloom as wl
from wireloom.page import plane_svg

SPOT = [(c, d) for c in np.linspace(0.4301, 0.5, 60) for d in np.linspace(1.8167, 2.2808, 120)]


def places(wirings: list[wl.Wiring]) -> np.ndarray:
    """C and L of those that hang together: [wirings, 2]."""
    whole = [w for w in wirings if nx.is_connected(w.to_networkx())]
    return np.stack(wl.measure(whole), 1)


def mixed(wiring: wl.Wiring, seed: int) -> wl.Wiring:
    """A random graph of the same degrees."""
    graph, swaps = wiring.to_networkx(), 5 * len(wiring.edges)
    nx.double_edge_swap(graph, nswap=swaps, max_tries=100 * swaps, seed=seed)
    return wl.Wiring.from_edges(wiring.nodes, list(graph.edges))


def main(folder: str = ".") -> None:
    data = wl.data.load("digits")
    pop = wl.population("mlp", [None], seeds=range(8), image=data.image, width=256, stem=256)
    cut = {"nodes": 64, "density": 0.2}
    found = [wl.extract(pop, **cut)]  # [epoch][seed]
    wl.fit(pop, data, wl.Recipe(epochs=20), progress=lambda _: found.append(wl.extract(pop, **cut)))

    degree = 2 * len(found[0][0].edges) / 64
    rows = {"Erdős-Rényi": [wl.erdos_renyi(nodes=64, degree=degree, seed=s) for s in range(40)]}
    rows |= {f"epoch {epoch}": found[epoch] for epoch in (0, 1, 5, 20)}
    print(f"{'mean ± sd':12s} {'C':>15s} {'L':>15s} {'C, same degrees':>15s} {'L':>15s}")
    for name, wirings in rows.items():
        both = places(wirings), places([mixed(w, s) for s, w in enumerate(wirings)])
        spread = np.concatenate([np.stack([p.mean(0), p.std(0, ddof=1)], 1) for p in both])
        print(f"{name:12s} " + " ".join(f"{mean:7.3f} ± {sd:.3f}" for mean, sd in spread))

    series = [{"label": "published sweet spot", "points": SPOT}]
    series += [{"label": name, "points": places(wirings)} for name, wirings in rows.items()]
    axes = {"x": {"label": "C", "range": [0.15, 0.52]}, "y": {"label": "L", "range": [1.8, 2.3]}}
    Path(folder, "path.svg").write_text(plane_svg(series, **axes, panels=False), "utf-8")
    print("written: path.svg")


if __name__ == "__main__":
    main(*sys.argv[1:])
