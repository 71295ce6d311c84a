"""Speed on this machine, as ratios against the plain alternatives, both sides in one run.

    python benchmarks/run.py [--quick] [--only NAME ...] [--out FILE]

Medians of several rounds, the two sides taking turns; the spread is the range of the rounds'
ratios. The table is printed and, with --out, written as Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import networkx as nx

from common import Row, seconds, show
from graphs import jobs, measures
from layers import layers
from populations import populations


def startup(rounds: int) -> list[Row]:
    """Wall time of `wireloom --help`."""
    command = [str(Path(sys.executable).with_name("wireloom")), "--help"]
    times = [
        seconds(lambda: subprocess.run(command, check=True, capture_output=True))
        for _ in range(rounds + 1)
    ][1:]
    spread = f"{min(times):.3f}-{max(times):.3f} s"
    return [("`wireloom --help`", f"{statistics.median(times):.3f} s", "", spread)]


PARTS = {
    "measures": measures,
    "jobs": jobs,
    "layers": layers,
    "populations": populations,
    "startup": startup,
}


def main() -> None:
    """Run every benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME",
                        help=f"some of {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, help="write the table here as Markdown")
    options = parser.parse_args()
    rounds = 3 if options.quick else 9
    rows = [row for name in options.only for row in PARTS[name](rounds)]
    show(
        rows,
        f"medians of {rounds} rounds, ranges in brackets; networkx {nx.__version__}",
        options.out,
    )


if __name__ == "__main__":
    main()
