"""What tables of results say, without training anything: two made-up studies with a known truth.

One sees the answer for each study and where they agree, how near the region found is to the one
that was planted (C = 0.35, L = 2), what the shuffled table says (that it is noise), and the files
written: text, JSON, and a page for each study to open in a browser.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import wireloom as wl
from wireloom.page import render

WIRINGS = wl.published_sample(nodes=16, count=48)


def study(scale: float, noise: float, seed: int) -> pd.DataFrame:
    """A run a row: error is a bowl in C and L about (0.35, 2), and noise; five training seeds."""
    rng = np.random.default_rng(seed)
    rows = []
    for wiring, w in WIRINGS.items():
        error = 20 + scale * ((w.clustering - 0.35) ** 2 + 0.5 * (w.path_length - 2) ** 2)
        o = w.origin  # n, k, p and graph_seed name the wiring: C and L are measured
        setting = {"n": 16, "k": o.degree, "p": o.rewire, "graph_seed": o.seed, "wiring": wiring}
        rows += [setting | {"seed": s, "error": error} for s in range(5)]
    dense = {"n": 16, "k": 15, "wiring": "dense"}
    rows += [dense | {"seed": s, "error": 22.0} for s in range(5)]
    frame = pd.DataFrame(rows)
    return frame.assign(error=frame["error"] + noise * rng.standard_normal(len(frame)))


def main(folder: str | None = None) -> None:
    out = Path(folder or tempfile.mkdtemp(prefix="findings-"))
    tables = {"first": study(8, 0.3, seed=1), "second": study(5, 0.5, seed=2)}
    found = wl.analyse(tables, longest=2.5)
    for table in found.tables:
        print(f"{table.name}: {table.spot.verdict()[0]}")
    print(*found.consistent.verdict(), *found.agreement.verdict()[1:], sep="\n")
    print(*found["first"].power.verdict()[:2], sep="\n")

    errors = tables["first"]["error"].sample(frac=1, random_state=0).to_numpy()
    noise = wl.analyse(tables["first"].assign(error=errors), longest=2.5).tables[0]
    print("shuffled:", noise.spot.verdict()[0])

    (out / "findings.txt").write_text(found.text(), "utf-8")
    (out / "findings.json").write_text(json.dumps(found.as_dict()), "utf-8")
    for name in tables:
        (out / f"{name}.html").write_text(render(found.document(name)), "utf-8")
    print("written:", ", ".join(sorted(path.name for path in out.iterdir())))


if __name__ == "__main__":
    main(*sys.argv[1:2])
