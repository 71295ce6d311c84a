"""The command `wireloom analyse`: what tables of results say about wirings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli.files import read_tables, written
from wireloom.cli.parsing import add_command

if TYPE_CHECKING:
    from wireloom.analysis import Findings

ABOUT = """Say what tables of results show about wirings: where in the plane of clustering C and
path length L they do best, how far to trust it, how few wirings, seeds and epochs would have told
the same, what C and L add to density, and, of several tables, where they agree. Nothing is trained.

A TABLE is .parquet, .csv or .tsv (also .gz), a row a run, or the folder of a study. Columns:
  error         or top1_err, test_error; in any unit, lower is better
  seed          or train_seed; of the training
  wiring        or graph_id; any id
  C, L          of the wiring
  n, k, p, graph_seed   in place of C, L and wiring: a WS-flex wiring, drawn and measured here
  density       or n and k, or sparsity; may be lacking
  epoch         of learning curves, with a row an epoch; the last one is the result
  is_complete_graph_baseline   marks the dense baseline; without it, C = L = 1 does"""

EXAMPLES = """
wireloom analyse runs.parquet
wireloom analyse mlp.csv resnet.csv --by wiring --out findings
wireloom analyse runs/first --correction holm --effect 0.5
wireloom analyse small.csv --longest 2.5 --cells 10 --resamples 0
wireloom analyse runs.parquet --json
"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands, "analyse", analysed, "what tables of results say about wirings", ABOUT, EXAMPLES
    )
    command.add_argument("tables", nargs="+", metavar="TABLE", help="table of results, or study")
    option = command.add_argument
    option(
        "--by", choices=("bin", "wiring"), default="bin",
        help="what the answer compares: bins of the plane, or single wirings (bin)",
    )  # fmt: skip
    option("--cells", type=int, default=15, metavar="N", help="bins along each of C and L (15)")
    option(
        "--longest", type=float, default=4.5, metavar="L",
        help="upper end of the bins in L; 2.5 suits 16 nodes (4.5)",
    )  # fmt: skip
    option(
        "--correction", choices=("none", "holm", "fdr"), default="none",
        help="of the p-values, for the number of tests (none, as in the paper)",
    )  # fmt: skip
    option(
        "--resamples", type=int, default=200, metavar="N",
        help="draws behind the intervals, at least 20, or 0 for none (200)",
    )  # fmt: skip
    option(
        "--effect", type=float, metavar="E",
        help="difference of error that you care about: how many runs show it",
    )  # fmt: skip
    option("--json", action="store_true", help="print JSON instead of text")
    option(
        "--out", metavar="FOLDER",
        help="write analysis.json, analysis.txt and a page for each table",
    )  # fmt: skip


def analysed(
    *,
    tables: list[str],
    by: Any,
    cells: int,
    longest: float,
    correction: Any,
    resamples: int,
    effect: float | None,
    json: bool,
    out: str | None,
) -> int:
    """Print what tables say, and write it if asked."""
    from wireloom.analysis import analyse

    found = analyse(
        read_tables(tables),
        by=by,
        cells=cells,
        longest=longest,
        resamples=resamples,
        correction=correction,
        effect=effect,
    )
    paths = [] if out is None else _write(found, Path(out))
    if json:
        print(_json(found), end="")
        return 0
    print(found.text(), end="")
    if paths:
        print("\nWritten: " + ", ".join(map(str, paths)))
    return 0


def _json(found: Findings) -> str:
    from json import dumps

    return dumps(found.as_dict(), indent=1, allow_nan=False) + "\n"


def _write(found: Findings, folder: Path) -> list[Path]:
    """Write the text, the JSON and the pages, each whole or not at all."""
    from wireloom.base import write_whole
    from wireloom.page import render

    files = {"analysis.txt": found.text(), "analysis.json": _json(found)}
    files |= {f"{t.name}.html": render(found.document(t.name)) for t in found.tables}
    with written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with written(folder / name):
            write_whole(folder / name, content)
    return [folder / name for name in files]
