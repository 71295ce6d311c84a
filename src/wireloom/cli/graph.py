"""The commands `wireloom graph ...`; those of the plane are in `planes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli import planes, wirings
from wireloom.cli.parsing import add_command, add_group

if TYPE_CHECKING:
    from wireloom.wiring import Wiring


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    group = add_group(
        commands,
        "graph",
        "draw, measure, sample and steer wirings",
        "Draw wirings, measure them, cover the plane with them, steer them.",
    )
    command = add_command(
        group,
        "draw",
        draw,
        "draw one wiring",
        "Draw a wiring, or take that of a file, and write it as a picture or as data.",
        """
wireloom graph draw --nodes 64 --degree 9.5 --rewire 0.15 --out w.svg
wireloom graph draw w.json --out w.svg
""",
    )
    command.add_argument("file", nargs="?", metavar="FILE", help="a wiring as JSON")
    wirings.add_options(command)
    command.add_argument(
        "--out", metavar="FILE", required=True, help="NAME.svg (picture) or NAME.json (wiring)"
    )
    command = add_command(
        group,
        "measure",
        measured,
        "measures of wirings",
        "Print the measures of wirings: of files that `graph draw` wrote, or of one drawn here.",
        """
wireloom graph measure w.json
wireloom graph measure --family ring --nodes 64 --degree 4
""",
    )
    command.add_argument("files", nargs="*", metavar="FILE", help="wirings as JSON")
    wirings.add_options(command)
    planes.add(group)


def draw(*, file: str | None, out: str, **options: Any) -> int:
    """Draw a wiring and write it."""
    from wireloom.base import InvalidValue

    target = Path(out)
    if target.suffix not in (".svg", ".json"):
        raise InvalidValue(f"`--out` must end in .svg or .json; got {out}")
    ((name, wiring),) = wirings.named([] if file is None else [file], options)
    _print_measures(name, wiring)
    wirings.save(target, wiring)
    return 0


def measured(*, files: list[str], **options: Any) -> int:
    """Print measures of files, or of one wiring drawn here."""
    for name, wiring in wirings.named(files, options):
        _print_measures(name, wiring)
    return 0


def _print_measures(name: str, wiring: Wiring) -> None:
    edges, of = ("directed edges", ", both ways") if wiring.directed else ("edges", "")
    degree = len(wiring.edges) * (1 if wiring.directed else 2) / wiring.nodes
    print(
        f"{name}: {wiring.nodes} nodes, {len(wiring.edges)} {edges}, "
        f"average degree {degree:.4g}, density {wiring.density:.4f}, "
        f"C {wiring.clustering:.6f}, L {wiring.path_length:.6f}{of}"
    )
