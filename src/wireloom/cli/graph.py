"""The commands `wireloom graph ...`; those of the plane are in `planes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wireloom.cli import extracting, placing, planes, wirings
from wireloom.cli.parsing import add_command, add_group

if TYPE_CHECKING:
    from wireloom.wiring import Wiring


def add(commands: Any) -> None:
    """Add the commands to the parser."""
    group = add_group(
        commands,
        "graph",
        "draw, measure, sample, steer and extract wirings",
        "Draw wirings, measure them, cover the plane with them, steer them, extract them.",
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
wireloom graph measure --family macaque --all
""",
    )
    command.add_argument("files", nargs="*", metavar="FILE", help="wirings as JSON")
    command.add_argument("--all", dest="every", action="store_true", help="all built-in measures")
    wirings.add_options(command)
    planes.add(group)
    extracting.add(group)
    placing.add(group)


def draw(*, file: str | None, out: str, **options: Any) -> int:
    """Draw a wiring and write it."""
    path = wirings.target(out, (".svg", ".json"))
    assert path is not None  # `--out` is required
    ((name, wiring),) = wirings.named([] if file is None else [file], options)
    print(in_words(name, wiring))
    wirings.save(path, wiring)
    return 0


def measured(*, files: list[str], every: bool, **options: Any) -> int:
    """Print measures of files, or of one wiring drawn here."""
    from wireloom.base import InvalidValue
    from wireloom.wiring import BUILT_IN, measure

    for name, wiring in wirings.named(files, options):
        print(in_words(name, wiring))
        for asked in sorted(BUILT_IN) if every else ():
            try:
                print(f"  {asked:22s} {measure([wiring], asked)[0]:.6f}")
            except InvalidValue:  # of a disconnected wiring
                print(f"  {asked:22s} none")
    return 0


def in_words(name: str, wiring: Wiring) -> str:
    """A wiring's size and measures in a line."""
    from wireloom.base import InvalidValue

    edges, of = ("arrows", " (of the undirected form)") if wiring.directed else ("edges", "")
    degree = len(wiring.edges) * (1 if wiring.directed else 2) / wiring.nodes
    said = (
        f"{name}: {wiring.nodes} nodes, {len(wiring.edges)} {edges}, "
        f"average degree {degree:.4g}, density {wiring.density:.4f}, "
    )
    try:
        return f"{said}C {wiring.clustering:.6f}, L {wiring.path_length:.6f}{of}"
    except InvalidValue:
        return f"{said}disconnected, so without C and L"
