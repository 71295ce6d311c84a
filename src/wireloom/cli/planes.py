"""The commands `wireloom graph sample|span|steer`: wirings placed on the plane of two measures."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli import wirings
from wireloom.cli.files import written
from wireloom.cli.parsing import add_command
from wireloom.cli.progress import counting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wireloom.wiring import Span


def add(group: Any) -> None:
    """Add the commands to those of `wireloom graph`."""
    command = add_command(
        group,
        "sample",
        sample,
        "wirings that cover the plane evenly",
        "Draw wirings that cover the plane of clustering and path length, or of any two measures,\n"
        "evenly; or with --paper draw the paper's pool again and sample it as the paper did: the\n"
        "published graphs come out, row for row.",
        """
wireloom graph sample --nodes 64 --count 52 --out sample.csv
wireloom graph sample --nodes 32 --count 40 --axes modularity spectral_gap --out sample.csv
wireloom graph sample --paper --nodes 64 --out paper
""",
    )
    command.add_argument("--nodes", type=int, default=64, metavar="N", help="nodes of each (64)")
    command.add_argument("--count", type=int, default=52, metavar="N", help="how many (52)")
    command.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the pool (0)")
    command.add_argument(
        "--axes",
        nargs=2,
        default=["clustering", "path_length"],
        metavar="MEASURE",
        help="two measures (clustering path_length)",
    )
    command.add_argument(
        "--paper", action="store_true", help="the paper's own sampling, of 64 or 16 nodes"
    )
    command.add_argument(
        "--out", metavar="PATH", help="a .csv file; with --paper a folder for its three files"
    )
    command = add_command(
        group,
        "span",
        span,
        "what each family of wirings covers",
        "Draw a grid of every family (with 64 nodes 549,000 graphs) and say which share of the\n"
        "cells of the (C, L) plane each reaches: the paper's figure 3.",
        """
wireloom graph span --out span.svg
wireloom graph span --nodes 32 --out span.csv
""",
    )
    command.add_argument("--nodes", type=int, default=64, metavar="N", help="nodes of each (64)")
    command.add_argument(
        "--out", metavar="FILE", help="NAME.svg (the figure) or NAME.csv (each graph's C and L)"
    )
    command = add_command(
        group,
        "steer",
        steer,
        "other measures at the same degrees",
        "Swap ends of edges until C, L or the spectral gap are the wanted ones. Every node keeps\n"
        "its degree, so density and cost stay and structure alone changes.",
        """
wireloom graph steer --degree 10 --rewire 0.5 --clustering 0.4 --out w.json
wireloom graph steer w.json --clustering 0.5 --path-length 2.3 --out v.json
""",
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="a wiring as JSON")
    wirings.add_options(command)
    wanted = command.add_argument_group("target")
    for name, about in (
        ("clustering", "clustering coefficient C"),
        ("path-length", "average path length L"),
        ("spectral-gap", "of the normalised Laplacian"),
    ):
        wanted.add_argument(f"--{name}", type=float, metavar="X", help=about)
    wanted.add_argument(
        "--tolerance", type=float, default=0.01, metavar="X", help="close enough (0.01)"
    )
    wanted.add_argument(
        "--swaps", type=int, default=200_000, metavar="N", help="swaps to try (200000)"
    )
    wanted.add_argument(
        "--widths", type=int, nargs="+", default=[], metavar="N",
        help="widths of the layers whose cost must stay, where they do not divide by the nodes",
    )  # fmt: skip
    command.add_argument("--out", metavar="FILE", help="NAME.svg (picture) or NAME.json (wiring)")


def sample(
    *, nodes: int, count: int, seed: int, axes: list[str], paper: bool, out: str | None
) -> int:
    """Draw wirings evenly, or the paper's pool."""
    if paper:
        return _as_published(nodes, out)
    from wireloom.wiring import measure, sample_plane

    target = _target(out, (".csv",))
    found = sample_plane(nodes=nodes, count=count, seed=seed, axes=tuple(axes))
    columns = dict.fromkeys(("clustering", "path_length", *axes))
    values = measure(found, tuple(columns))
    names = {"clustering": "C", "path_length": "L"}
    rows = []
    for i, wiring in enumerate(found):
        assert wiring.origin is not None
        rows.append(
            {
                "graph_id": i,
                "n": wiring.nodes,
                "k": wiring.origin.degree,
                "p": wiring.origin.rewire,
                "graph_seed": wiring.origin.seed,
                "density": wiring.density,
                **{names.get(n, n): float(v[i]) for n, v in zip(columns, values, strict=True)},
            }
        )
    print(f"{count} wirings of {nodes} nodes")
    for name, column in zip(columns, values, strict=True):
        print(f"{names.get(name, name):20s} {column.min():.4f} to {column.max():.4f}")
    if target:
        _write_rows(target, rows)
    return 0


def _as_published(nodes: int, out: str | None) -> int:
    from wireloom.wiring import published_sample, sample_as_published

    started = time.monotonic()
    with counting("graphs") as progress:
        found = sample_as_published(nodes, progress=progress)
    taken = time.monotonic() - started
    print(f"{found.pool:,} WS-flex graphs of {nodes} nodes drawn and measured in {taken:.1f} s")
    for count in (len(found), *sorted(found.subsets, reverse=True)):
        rows = list(found.rows(None if count == len(found) else count))
        published = published_sample(nodes, count)
        ours = {r["graph_id"]: (r["k"], r["p"], r["graph_seed"]) for r in rows}
        theirs = {
            i: (w.origin.degree, w.origin.rewire, w.origin.seed)
            for i, w in published.items()
            if w.origin is not None
        }
        same = list(ours.items()) == list(theirs.items())
        verdict = "the published rows" if same else "NOT the published rows"
        print(f"{count:6,d} graphs: {verdict}")
        if out:
            folder = Path(out)
            with written(folder):
                folder.mkdir(parents=True, exist_ok=True)
            _write_rows(folder / f"n{nodes}_{count}.csv", rows)
        if not same:
            return 1
    return 0


def span(*, nodes: int, out: str | None) -> int:
    """Say what each family covers."""
    from wireloom.wiring import span as spanned

    target = _target(out, (".svg", ".csv"))
    started = time.monotonic()
    with counting("graphs") as progress:
        found = spanned(nodes, progress=progress)
    print(
        f"{sum(f.drawn for f in found.families):,} graphs of {nodes} nodes in "
        f"{time.monotonic() - started:.1f} s; together they reach {found.fine_cells:,} fine cells "
        f"and {found.cells} of 15 x 15\n"
    )
    print(f"{'family':16s} {'graphs':>8s} {'of fine cells':>14s} {'of 15 x 15':>11s}")
    for family in found.families:
        print(
            f"{family.label:16s} {family.drawn:8,d} {family.fine_share:14.1%} {family.share:11.1%}"
        )
    if target is None:
        return 0
    if target.suffix == ".csv":
        rows = (
            {"family": f.label, "C": c, "L": ell}
            for f in found.families
            for c, ell in zip(f.clustering.tolist(), f.path_length.tolist(), strict=True)
        )
        _write_rows(target, rows)
        return 0
    _write(target, _figure(found))
    return 0


def _figure(found: Span) -> str:
    import numpy as np

    from wireloom.page import plane_svg

    return plane_svg(
        [
            {
                "label": family.label,
                "points": np.stack([family.clustering, family.path_length], axis=1),
                "share": family.fine_share,
            }
            for family in found.families
        ],
        x={"label": "clustering coefficient C", "range": [0, 1]},
        y={"label": "average path length L", "range": [1, found.longest]},
        title=f"What each family of wirings of {found.nodes} nodes covers",
    )


def steer(
    *,
    file: str | None,
    clustering: float | None,
    path_length: float | None,
    spectral_gap: float | None,
    tolerance: float,
    swaps: int,
    widths: list[int],
    out: str | None,
    **options: Any,
) -> int:
    """Swap edges until the measures are the wanted ones."""
    from wireloom.wiring import measure
    from wireloom.wiring import steer as steered

    target = _target(out, (".svg", ".json"))
    ((name, start),) = wirings.named([] if file is None else [file], options)
    found = steered(
        start,
        clustering=clustering,
        path_length=path_length,
        spectral_gap=spectral_gap,
        widths=widths,
        tolerance=tolerance,
        swaps=swaps,
        seed=options["seed"],
    )
    print(f"{name}: {len(start.edges)} edges, density {start.density:.4f}, before and after")
    for measured in ("clustering", "path_length", "spectral_gap"):
        before, after = measure([start, found], measured)
        print(f"{measured:13s} {before:.4f} -> {after:.4f}")
    if target:
        wirings.save(target, found)
    return 0


def _target(out: str | None, endings: tuple[str, ...]) -> Path | None:
    """Where to write, if anywhere; known before the work begins."""
    from wireloom.base import InvalidValue

    if out is None:
        return None
    target = Path(out)
    if target.suffix not in endings:
        raise InvalidValue(f"`--out` must end in {' or '.join(endings)}; got {out}")
    return target


def _write(target: Path, text: str) -> None:
    from wireloom.base import write_whole

    with written(target):
        write_whole(target, text)
    print(f"written: {target}")


def _write_rows(target: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    _write(target, text.getvalue())
